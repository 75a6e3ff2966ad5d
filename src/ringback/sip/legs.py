"""Which legs are of one call: what a leg tells of others, and the rules by which two belong together.

A leg is what one Call-ID names. A wrong tie would show one call's messages under another, so doubt ties nothing. Certain ties
name the other leg or share an id of the call. The others need a B2BUA that was reached by one leg and sends the other, and
exactly one leg that fits. (`order/bridges.py` says why the order of messages has a rule of its own for those.)
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
REPLACES = "p"
"""Before the Call-ID whose place a leg took. It ties nothing (`NAMED` does); its time is that of the answer."""

LONGEST_KEY, MOST_KEYS = 255, 64
"""Characters of a key, and how many ids one message may name; media aside, of which there are few."""
CERTAIN_GAP_US = 30_000_000
"""So long may pass between the end of one leg and the begin of another that is tied to it for certain."""
SLACK_US = 2_000_000
"""By so much the clocks of two capture agents may differ."""
OWN_SLACK_US = 100_000
"""By one clock: a PBX may still send on what its caller gives up at that moment."""
SETUP_US = 300_000_000
"""No longer does a leg wait for its other side to be called."""
REFERRED_US = 5_000_000
"""Within so long a transfer is carried out."""
LONGEST_US = 4 * 3_600_000_000
"""An older leg is not looked for by who calls."""
NEVER_US = 1 << 62

_START = re.compile(rb"SIP/2\.0[ \t]+\d{3}|[A-Z]+[ \t]", re.I)
"""What a message has in common on all its hops."""
_TELLS = re.compile(rb"(?:INVITE|REFER)[ \t]|SIP/2\.0[ \t]+(?:18|2|30)\d", re.I)
_REDIRECTS = re.compile(rb"SIP/2\.0[ \t]+30[0-5][ \t]", re.I)
_HEAD_END = re.compile(rb"\r\n\r\n")
_VALUE = rb"[ \t]*:([^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+)"
"""Of a header, which may go on in the next line (RFC 3261 section 7.3.1)."""
_CONTACT = re.compile(rb"\n(?:contact|m)" + _VALUE, re.I)
_HEADER = re.compile(
    rb"\n(x-[\w-]{0,40}?(?:call-?id|cid)|replaces|refer-to|r|target-dialog|join|in-reply-to|session-id|p-charging-vector"
    rb"|diversion|history-info)" + _VALUE,
    re.I,
)
_REPLACES = re.compile(r"[?&]replaces=([^&>]*)", re.I)
_UUID = re.compile(r"(?:^|;\s*remote=)([0-9a-f]{32})(?=;|\s|$)", re.I)
_ICID = re.compile(r'icid-value\s*=\s*"?([^";\s]+)', re.I)
_NIL = "0" * 32
_NOWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 -- nothing listens there


Clocks = Mapping[int, int]
"""When something was, in µs by the clock of each capture agent that saw it, by the agent's number."""


class Referral(NamedTuple):
    """A REFER or a redirection: who is to be called, by which host, who says so, when."""

    user: str
    host: str
    says: str | None
    at_us: int
    clocks: Clocks


class Leg(NamedTuple):
    """``call_id``: as stored. Instants are µs; ``answered_us``, ``ended_us`` None: not yet. ``began``, ``ended``: the same
    by the clocks of those who saw it.

    ``src_host``: the address that the first INVITE came from; ``reached``: those that INVITEs went to. ``diverted``: who was
    called before.
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
    referred: tuple[Referral, ...]
    began: Clocks
    ended: Clocks

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
    end = _HEAD_END.search(payload)
    head, body = (payload, b"") if end is None else (payload[: end.start()], payload[end.end() :])
    found: set[str] = set()
    if _HEADER.search(head):  # few have one
        ids = (key for name, text in _headers(head) for key in _keys_of(name, text) if 1 < len(key) <= LONGEST_KEY)
        found.update(islice(ids, MOST_KEYS))
    if _REDIRECTS.match(head):
        found.update(map(referred_key, _redirected(head)))
    if b"\nm=" in body:
        media = [f"{MEDIA}{end}" for end in sdp.rtp_ends(body) if end.ip not in _NOWHERE]
        found.update(key for key in media if len(key) <= LONGEST_KEY)
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
    messages: Sequence[Packet],
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
        began=_clocks(first),
        ended=_clocks(_alike(messages, times.ended_us)),
    )


def _clocks(copies: Iterable[Packet]) -> Clocks:
    """When each agent saw the first of them."""
    found: dict[int, int] = {}
    for packet in copies:
        for agent, at_us in packet.sightings:
            found[agent] = min(at_us, found.get(agent, at_us))
    return found


def _alike(messages: Sequence[Packet], at_us: int | None) -> Iterator[Packet]:
    """The message of that time, on all its hops."""
    start = next((_START.match(packet.payload) for packet in messages if packet.at_us == at_us), None)
    if start is not None:
        same = [packet for packet in messages if packet.payload.startswith(start[0])]
        cseq = next(scan(packet.payload).cseq for packet in same if packet.at_us == at_us)
        yield from (packet for packet in same if scan(packet.payload).cseq == cseq)


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


def _referred(telling: Iterable[Packet]) -> Iterator[Referral]:
    for packet in telling:
        head = packet.payload.partition(b"\r\n\r\n")[0]
        if head[:5].upper() == b"REFER":
            says = party_of(scan(packet.payload).from_.uri)
            users = [user for name, text in _headers(head) if name in ("refer-to", "r") for user in _users(text)]
        elif users := list(_redirected(head)):
            says = party_of(scan(packet.payload).to.uri)
        else:
            continue
        clocks = dict(packet.sightings)
        yield from (Referral(user, packet.dst.ip, says, packet.at_us, clocks) for user in users)


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
    for fits, narrowed in ((_passes_media, _going_on), (_same_parties, _going_on), (_transfers, _unfulfilled)):
        found = [each for each in before if fits(each, child)]
        if found:
            return _only(narrowed(found, child, before))
    waiting = _going_on([each for each in before if _same_caller(each, child)], child, before)
    free = [each for each in waiting if not any(_same_parties(each, one) for one in before if one is not each)]
    return _only(free) if len(waiting) == 1 else None


def _only(found: Sequence[Leg]) -> Leg | None:
    return found[0] if len(found) == 1 else None


def _going_on(found: Sequence[Leg], child: Leg, _: Sequence[Leg]) -> Sequence[Leg]:
    """Of several those that had begun and were not over yet, as far as one clock tells."""
    return found if len(found) < 2 else [each for each in found if _is_open(each, child)]


def _is_open(one: Leg, child: Leg) -> bool:
    began_us, began_slack_us = _after(one.began_us, one.began, child)
    ended_us, ended_slack_us = _after(one.last_us, one.ended, child)
    return (began_us >= 0 or began_slack_us == SLACK_US) and (ended_us <= 0 or ended_slack_us == SLACK_US)


def _unfulfilled(found: Sequence[Leg], child: Leg, before: Sequence[Leg]) -> Sequence[Leg]:
    """Of several transfers that of this caller, and of those the one that has led to no call before."""
    if len(found) < 2:
        return found
    of_caller = [each for each in found if child.src in (each.src, each.dst)] or found
    return [each for each in of_caller if not any(_transfers(each, one) for one in before if one is not each)]


def may_be_parent(one: Leg, child: Leg) -> bool:
    """As far as these two tell."""
    fitting = (_passes_media, _same_parties, _transfers, _same_caller)
    return _began(one, child) and any(fits(one, child) for fits in fitting)


def _began(one: Leg, child: Leg) -> bool:
    is_before = _is_before(one.began_us, one.began, child)
    return is_before and child.began_us <= one.last_us + REFERRED_US


def _is_before(at_us: int, clocks: Clocks, child: Leg) -> bool:
    """Whether a leg may have begun after something; who saw both knows by one clock."""
    after_us, slack_us = _after(at_us, clocks, child)
    return after_us >= -slack_us


def _after(at_us: int, clocks: Clocks, child: Leg) -> tuple[int, int]:
    """How long after something a leg began, and by how much that may be wrong."""
    both = clocks.keys() & child.began.keys()
    if both:
        agent = min(both)
        return child.began[agent] - clocks[agent], OWN_SLACK_US
    return child.began_us - at_us, SLACK_US


def _leads(one: Leg, child: Leg) -> bool:
    """To the host that sends the other, if that is another host."""
    return child.src_host in one.reached and one.src_host != child.src_host


def _talks(one: Leg, child: Leg) -> bool:
    """Whether it was not over yet when the other began."""
    after_us, slack_us = _after(one.last_us, one.ended, child)
    return after_us <= slack_us


def _passes_media(one: Leg, child: Leg) -> bool:
    return _leads(one, child) and _talks(one, child) and not one.media.isdisjoint(child.media)


def _same_parties(one: Leg, child: Leg) -> bool:
    until_us = (one.began_us + SETUP_US if one.answered_us is None else one.answered_us) + SLACK_US
    is_called = one.dst is not None and (one.dst == child.dst or one.dst in child.diverted)
    is_waiting = child.began_us <= until_us and _talks(one, child)
    return is_called and _leads(one, child) and child.src == one.src is not None and is_waiting


def _same_caller(one: Leg, child: Leg) -> bool:
    is_number = one.src is not None and one.src.isdecimal() and one.src == child.src
    return is_number and _leads(one, child) and _talks(one, child) and child.began_us - one.began_us <= LONGEST_US


def _transfers(one: Leg, child: Leg) -> bool:
    return any(
        each.user == child.dst
        and each.host == child.src_host
        and each.says != child.src
        and _is_before(each.at_us, each.clocks, child)
        and child.began_us - each.at_us <= REFERRED_US
        for each in one.referred
    )
