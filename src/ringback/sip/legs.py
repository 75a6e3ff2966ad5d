"""Which legs are of one call: what a leg tells of others, and the rules by which two belong together.

A leg is what one Call-ID names. A wrong tie would show one call's messages under another, so doubt ties nothing. Certain ties
name the other leg or share an id of the call. The others need a B2BUA that was reached by one leg and sends the other, and
exactly one leg that fits.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote

from ringback.sip import sdp
from ringback.sip.identities import party_of
from ringback.sip.message import address, decoded, scan
from ringback.sip.packet import Packet

NAMED, CORRELATED, SESSION_ID, MEDIA, REFERRED = "=", "+", "s", "m", "r"
"""First characters of keys: a Call-ID that a message names; what a capture agent or an IMS says ties it; an id of
RFC 7989; where media go; who is to be called by a REFER or a redirection."""
CERTAIN = (NAMED, CORRELATED, SESSION_ID)

LONGEST_KEY, MOST_KEYS = 255, 64
"""Characters of a key, and how many ids one message may name; media aside, of which there are few."""
CERTAIN_GAP_US = 30_000_000
"""So long may pass between the end of one leg and the begin of another that is tied to it for certain."""
SLACK_US = 2_000_000
SETUP_US = 300_000_000
"""No longer does a leg wait for its other side to be called."""
REFERRED_US = 5_000_000
"""Within so long a transfer is carried out."""
LONGEST_US = 4 * 3_600_000_000
"""An older leg is not looked for by who calls."""
NEVER_US = 1 << 62

_TELLS = re.compile(rb"(?:INVITE|REFER)[ \t]|SIP/2\.0[ \t]+(?:18|2|30)\d", re.I)
_REDIRECTS = re.compile(rb"SIP/2\.0[ \t]+30[0-5][ \t]", re.I)
_CONTACT = re.compile(rb"\n(?:contact|m)[ \t]*:[ \t]*([^\r\n]*)", re.I)
_HEADER = re.compile(
    rb"\n(x-[\w-]{0,40}?(?:call-?id|cid)|replaces|refer-to|r|target-dialog|join|in-reply-to|session-id|p-charging-vector"
    rb"|diversion|history-info)[ \t]*:[ \t]*([^\r\n]*)",
    re.I,
)
_REPLACES = re.compile(r"[?&]replaces=([^&>]*)", re.I)
_UUID = re.compile(r"(?:^|;\s*remote=)([0-9a-f]{32})(?=;|\s|$)", re.I)
_ICID = re.compile(r'icid-value\s*=\s*"?([^";\s]+)', re.I)
_NIL = "0" * 32
_NOWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 -- nothing listens there


class Leg(NamedTuple):
    """``call_id``: as stored. Instants are µs; ``answered_us``, ``ended_us`` None: not yet.

    ``src_host``: the address that the first INVITE came from; ``reached``: those that INVITEs went to. ``diverted``: who was
    called before. ``referred``: (who is to be called, by which host, who says so, when) of its REFERs and redirections.
    """

    call_id: str
    began_us: int
    answered_us: int | None
    ended_us: int | None
    src: str | None
    dst: str | None
    certain: frozenset[str]
    media: frozenset[str]
    src_host: str
    reached: frozenset[str]
    diverted: frozenset[str]
    referred: tuple[tuple[str, str, str | None, int], ...]

    @property
    def last_us(self) -> int:
        return NEVER_US if self.ended_us is None else self.ended_us


class Times(NamedTuple):
    """Of a leg, in µs; None: not yet."""

    began_us: int
    answered_us: int | None
    ended_us: int | None


def tells(payload: bytes) -> bool:
    """Whether a message may say what its leg belongs to; the others need not be read."""
    return _TELLS.match(payload) is not None


def keys(payload: bytes) -> set[str]:
    """What a message says of other legs, each at most `LONGEST_KEY` characters."""
    head, _, body = payload.partition(b"\r\n\r\n")
    ids = (key for name, text in _headers(head) for key in _keys_of(name, text) if 1 < len(key) <= LONGEST_KEY)
    found = set(islice(ids, MOST_KEYS)) | {referred_key(user) for user in _redirected(head)}
    if b"\nm=" in body:
        media = (f"{MEDIA}{end}" for end in sdp.rtp_ends(body) if end.ip not in _NOWHERE)
        found |= {key for key in media if len(key) <= LONGEST_KEY}
    return found


def referred_key(user: str) -> str:
    """The key of a REFER or a redirection by whom it asks to call; it does not say who that is."""
    return REFERRED + blake2b(user.encode(), digest_size=10).hexdigest()


def _headers(head: bytes) -> Iterator[tuple[str, str]]:
    for found in _HEADER.finditer(head):
        yield found[1].decode().lower(), decoded(found[2]).strip()


def _keys_of(name: str, text: str) -> Iterator[str]:
    if name == "session-id":
        yield from (SESSION_ID + uuid.lower() for uuid in _UUID.findall(text) if uuid != _NIL)
    elif name == "p-charging-vector":
        yield from (CORRELATED + icid for icid in _ICID.findall(text))
    elif name in ("refer-to", "r"):
        replaced = [unquote(named).partition(";")[0].strip() for named in _REPLACES.findall(text)]
        yield from (NAMED + each for each in replaced)
        yield from (referred_key(user) for user in _users(text) if not replaced)
    elif name == "in-reply-to":
        yield from (NAMED + each.strip() for each in text.split(",")[:8])
    elif name not in ("diversion", "history-info"):
        yield NAMED + text.partition(";")[0].strip()


def leg(
    call_id: str,
    parties: tuple[str | None, str | None],
    times: Times,
    messages: Iterable[Packet],
    said: Iterable[str],
) -> Leg:
    """``parties``: who calls whom. ``said``: the keys of its messages, and what its agents say."""
    found = frozenset(said)
    telling = [packet for packet in messages if tells(packet.payload)]
    invites = [packet for packet in telling if packet.payload[:6].upper() == b"INVITE"]
    first = [packet for packet in invites if not scan(packet.payload).to.tag] or invites
    return Leg(
        call_id,
        *times,
        *parties,
        certain=frozenset(key for key in found if key.startswith(CERTAIN)),
        media=frozenset(key for key in found if key.startswith(MEDIA)),
        src_host=_origin(first),
        reached=frozenset(packet.dst.ip for packet in first),
        diverted=frozenset(user for packet in first for user in _diverted(packet.payload)),
        referred=tuple(_referred(telling)),
    )


def _origin(invites: Sequence[Packet]) -> str:
    """Who sent without having been sent to; capture clocks may show the second hop first."""
    reached = {packet.dst.ip for packet in invites}
    return next(
        (packet.src.ip for packet in invites if packet.src.ip not in reached), invites[0].src.ip if invites else ""
    )


def _diverted(payload: bytes) -> Iterator[str]:
    for name, text in _headers(payload.partition(b"\r\n\r\n")[0]):
        if name in ("diversion", "history-info"):
            for each in text.split(",")[:8]:
                yield from _users(each)


def _referred(telling: Iterable[Packet]) -> Iterator[tuple[str, str, str | None, int]]:
    for packet in telling:
        head = packet.payload.partition(b"\r\n\r\n")[0]
        if head[:5].upper() == b"REFER":
            says = party_of(scan(packet.payload).from_.uri)
            users = [user for name, text in _headers(head) if name in ("refer-to", "r") for user in _users(text)]
        elif users := list(_redirected(head)):
            says = party_of(scan(packet.payload).to.uri)
        else:
            continue
        yield from ((user, packet.dst.ip, says, packet.at_us) for user in users)


def _redirected(head: bytes) -> Iterator[str]:
    """Whom to call instead (RFC 3261 section 21.3)."""
    if _REDIRECTS.match(head):
        for contact in islice(_CONTACT.finditer(head), 8):
            for each in decoded(contact[1]).split(",")[:8]:
                yield from _users(each)


def _users(text: str) -> Iterator[str]:
    user = party_of(address(text).uri)
    if user:
        yield user


# -- rules --------------------------------------------------------------------------------------------------------------


def is_certain(one: Leg, other: Leg) -> bool:
    """One names the other, or both have an id of the call; at about the same time, for ids are used again."""
    if one.began_us > other.last_us + CERTAIN_GAP_US or other.began_us > one.last_us + CERTAIN_GAP_US:
        return False
    shared = {key for key in one.certain & other.certain if not key.startswith(NAMED)}
    return bool(shared) or _names(one, other) or _names(other, one)


def _names(one: Leg, other: Leg) -> bool:
    return not one.certain.isdisjoint((NAMED + other.call_id, CORRELATED + other.call_id))


def parent(child: Leg, legs: Mapping[str, Leg]) -> Leg | None:
    """The leg whose B2BUA sent this one, where exactly one fits; ``legs``: by Call-ID, all that may.

    By its media passed through, by the same two parties while the first waits, by a transfer or redirection to it, or by the
    same caller where that leg has led nowhere else yet (a queue, a menu). None also where a certain tie says it already.
    """
    before = [each for each in legs.values() if each.call_id != child.call_id and _began(each, child)]
    if any(each.began_us <= child.began_us and _leads(each, child) and is_certain(each, child) for each in before):
        return None
    for fits in (_passes_media, _same_parties, _transfers):
        found = [each for each in before if fits(each, child)]
        if found:
            return found[0] if len(found) == 1 else None
    waiting = [each for each in before if _same_caller(each, child)]
    free = [each for each in waiting if not any(_same_parties(each, one) for one in before if one is not each)]
    return free[0] if len(waiting) == len(free) == 1 else None


def may_be_parent(one: Leg, child: Leg) -> bool:
    """As far as these two tell."""
    fitting = (_passes_media, _same_parties, _transfers, _same_caller)
    return _began(one, child) and any(fits(one, child) for fits in fitting)


def _began(one: Leg, child: Leg) -> bool:
    return one.began_us - SLACK_US <= child.began_us <= one.last_us + REFERRED_US


def _leads(one: Leg, child: Leg) -> bool:
    """To the host that sends the other, if that is another host."""
    return child.src_host in one.reached and one.src_host != child.src_host


def _talks(one: Leg, child: Leg) -> bool:
    return child.began_us <= one.last_us + SLACK_US


def _passes_media(one: Leg, child: Leg) -> bool:
    return _leads(one, child) and _talks(one, child) and not one.media.isdisjoint(child.media)


def _same_parties(one: Leg, child: Leg) -> bool:
    until_us = min(one.last_us, one.began_us + SETUP_US if one.answered_us is None else one.answered_us) + SLACK_US
    is_called = one.dst is not None and (one.dst == child.dst or one.dst in child.diverted)
    return is_called and _leads(one, child) and child.src == one.src is not None and child.began_us <= until_us


def _same_caller(one: Leg, child: Leg) -> bool:
    is_number = one.src is not None and one.src.isdecimal() and one.src == child.src
    return is_number and _leads(one, child) and _talks(one, child) and child.began_us - one.began_us <= LONGEST_US


def _transfers(one: Leg, child: Leg) -> bool:
    return any(
        user == child.dst
        and host == child.src_host
        and says != child.src
        and -SLACK_US <= child.began_us - at_us <= REFERRED_US
        for user, host, says, at_us in one.referred
    )
