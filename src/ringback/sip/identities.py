"""Who calls whom: addresses of SIP messages as numbers or names (RFC 3261 sections 8.1.1 and 19.1, RFC 3325, RFC 3966)."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote

from ringback.sip.message import Address, SipMessage, address

_SEPARATORS = str.maketrans("", "", " -.()")
_NUMBER = re.compile(r"\+?(\d+)", re.A)
_CONTEXT = re.compile(r";\s*phone-context=(\+[\d.()-]+)", re.I | re.A)
_ENTRY = re.compile(r'(?:[^",<]|"(?:[^"\\]|\\.)*+"?|<[^>]*>?)+', re.S)
_LONGEST_CODE, _LONGEST_NUMBER = 3, 15  # ITU-T E.164 section 6: digits of a country code, and of a number
_MOST = 8  # addresses that are read of a header
_NOBODY = frozenset({"", "anonymous", "unavailable", "restricted"})


def party(user: str) -> str | None:
    """Digits without ``+`` where it is a number (RFC 3966 visual separators dropped), else as it is; None if empty."""
    number = _NUMBER.fullmatch(user.translate(_SEPARATORS))
    return number[1] if number else user or None


def party_of(uri: str) -> str | None:
    """Of a sip, sips or tel URI; None where it names nobody.

    A local number of a country (``2079460123;phone-context=+44``) gets the country's code. Longer contexts and domains
    say where a number is valid, not what to put in front (RFC 3966 section 5.1.5), and a trunk prefix 0 may belong to
    the number or not: those stay as dialled.
    """
    user, context = _user_and_context(uri)
    found = party(user)
    if not context or not found or not found.isdecimal() or user.startswith(("+", "0")):
        return found
    code = context.translate(_SEPARATORS)[1:]
    return code + found if len(code) <= _LONGEST_CODE and len(code + found) <= _LONGEST_NUMBER else found


class Parties(NamedTuple):
    """Who calls whom; None where a message names nobody."""

    src: str | None
    dst: str | None


def parties(message: SipMessage) -> Parties:
    """As an INVITE says. Two legs of a call have the same where the rules for legs and for order ask for it."""
    return Parties(caller(message), callee(message))


def caller(message: SipMessage) -> str | None:
    """P-Asserted-Identity, of two the one with a number; Remote-Party-ID of the calling party; From.

    In responses the first two are about who is called.
    """
    if not message.is_request:
        return party_of(message.from_.uri)
    return asserted(message) or party_of(message.from_.uri)


def asserted(message: SipMessage) -> str | None:
    """Who calls as a proxy or PBX vouches for; None without, or where it says nothing either."""
    parties = [party_of(one.uri) for one in addresses(message.p_asserted_identity)]
    found = next((one for one in parties if one and one.isdecimal()), next(filter(None, parties), None))
    return found or next(filter(None, map(party_of, _remote_parties(message.remote_party_id))), None)


def is_anonymous(message: SipMessage) -> bool:
    """Whether the caller hides (RFC 3323 section 4.1): nobody is named in From."""
    sender = message.from_
    return sender.user.lower() in _NOBODY or sender.uri.lower().endswith("@anonymous.invalid")


def callee(message: SipMessage) -> str | None:
    """To, where that has no user the Request-URI."""
    return party_of(message.to.uri) or party_of(message.request_uri)


def addresses(text: str) -> Iterator[Address]:
    """The first addresses of a header, in order."""
    return (address(found[0].strip()) for found in islice(_ENTRY.finditer(text), _MOST))


def _remote_parties(text: str) -> Iterator[str]:
    """draft-ietf-sip-privacy-04: ``party=called`` is about the other side."""
    for found in islice(_ENTRY.finditer(text), _MOST):
        if "party=called" not in found[0].lower().replace(" ", ""):
            yield address(found[0].strip()).uri


def _user_and_context(uri: str) -> tuple[str, str]:
    """The user part without password, decoded; the global number that is its phone-context, empty without."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "tel":
        subscriber = rest
    elif scheme.lower() in {"sip", "sips"}:
        subscriber = rest.rpartition("@")[0]
    else:
        return "", ""
    user = unquote(subscriber.partition(";")[0].partition(":")[0])
    context = _CONTEXT.search(subscriber) if ";" in subscriber else None
    return user, context[1] if context else ""
