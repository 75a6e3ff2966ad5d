"""What must have happened before what, as SIP says: RFC 3261, PRACK of RFC 3262.

Each rule is a key. Some messages give it, others need it, and whoever needs it comes after all who give it.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from ringback.sip.headers import hops
from ringback.sip.message import SipMessage
from ringback.sip.packet import Packet

Key = tuple[object, ...]
"""The rule's name first."""

SENT, PASSED_ON, PROVISIONAL, CHALLENGED, ENDED = "sent", "passed on", "provisional", "challenged", "ended"
REFUSED, ACCEPTED, ACKED, CONFIRMED, DIALOG = "refused", "accepted", "acked", "confirmed", "dialog"
RELIABLE, NUMBERED, CANCELLED, BRIDGED = "reliable", "numbered", "cancelled", "bridged"

WEAK = frozenset({CONFIRMED, CANCELLED, BRIDGED})
"""Nearly always so; what a clock says is more certain."""
EMITTED = frozenset({PROVISIONAL, NUMBERED, ACKED})
"""Between two messages of one sender: the second may leave before the first has arrived."""
MOST_HOPS = 128
"""That are read of a message; Max-Forwards begins at 70."""

_BRANCH = re.compile(rb";\s*branch\s*=\s*([^;,\s]+)", re.I)
_RSEQ = re.compile(rb"\nrseq[ \t]*:(?:[ \t]|\r?\n[ \t])*+(\d{1,10})", re.I)
_RACK = re.compile(rb"\nrack[ \t]*:(?:[ \t]|\r?\n[ \t])*+(\d{1,10})(?:[ \t]|\r?\n[ \t])++(\d{1,10})", re.I)


class Fact(NamedTuple):
    """One message, as far as order goes. ``vias``: the branch of each hop, topmost first; ``status``: 0 of requests.

    ``is_first``: no retransmission; only first ones give.
    """

    place: int
    src: str
    dst: str
    call: str
    method: str
    number: int
    status: int
    vias: tuple[bytes, ...]
    from_tag: str
    to_tag: str
    is_first: bool
    packet: Packet
    message: SipMessage

    @property
    def transaction(self) -> Key:
        return self.call, self.vias[:1], self.number

    @property
    def is_initial(self) -> bool:
        return self.method == "INVITE" and not self.status and not self.to_tag


class Keys(NamedTuple):
    gives: tuple[Key, ...]
    needs: tuple[Key, ...]


def fact(place: int, packet: Packet, message: SipMessage, is_first: bool) -> Fact | None:
    """None where there is no CSeq: nothing can be said of such a message."""
    if message.cseq is None:
        return None
    return Fact(
        place,
        packet.src.ip,
        packet.dst.ip,
        message.call_id,
        message.method,
        message.cseq.number,
        message.status,
        _vias(packet.payload),
        message.from_.tag,
        message.to.tag,
        is_first,
        packet,
        message,
    )


def keys(facts: Sequence[Fact]) -> Iterator[tuple[Fact, Keys]]:
    """What each message gives and needs, but for what ties two legs (`bridges.py`)."""
    known = _Known(facts)
    for each in facts:
        found = known.of_response(each) if each.status else known.of_request(each)
        gives = tuple(found.gives) if each.is_first else ()
        yield each, Keys(gives, tuple(key for key in found.needs if key not in gives))


class _Found:
    def __init__(self) -> None:
        self.gives: list[Key] = []
        self.needs: list[Key] = []


class _Known:
    """What has to be known of all messages to tell what one of them needs."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._initial: set[Key] = set()
        self._invites: dict[Key, set[int]] = defaultdict(set)
        self._requests: dict[Key, set[int]] = defaultdict(set)
        for each in facts:
            if each.is_initial:
                self._initial.add((each.call, each.from_tag, each.number))
            if not each.status and each.method == "INVITE":
                self._invites[each.call, each.from_tag].add(each.number)
            if _is_numbered(each):
                self._requests[_line(each)].add(each.number)
        self._invites_in_order = {key: sorted(numbers) for key, numbers in self._invites.items()}
        self._requests_in_order = {key: sorted(numbers) for key, numbers in self._requests.items()}

    def of_request(self, it: Fact) -> _Found:
        found = _Found()
        found.gives = [(SENT, *it.transaction, it.method), (PASSED_ON, it.call, it.number, it.method, it.vias)]
        if len(it.vias) > 1:
            found.needs.append((PASSED_ON, it.call, it.number, it.method, it.vias[1:]))
        found.needs.append((CHALLENGED, it.call, it.from_tag, it.number - 1, it.method))
        if _is_numbered(it):
            found.gives.append((NUMBERED, _line(it), it.number))
            found.needs.append((NUMBERED, _line(it), _before(self._requests_in_order[_line(it)], it.number)))
        self._in_dialog(it, found)
        return found

    def _in_dialog(self, it: Fact, found: _Found) -> None:
        match it.method:
            case "INVITE":
                self._invite(it, found)
            case "ACK":
                found.needs += [(REFUSED, *it.transaction), (ACCEPTED, it.call, it.number, it.to_tag)]
                found.gives.append((ACKED, _line(it), it.number))
                if (it.call, it.from_tag, it.number) in self._initial:
                    found.gives.append((CONFIRMED, it.call, it.to_tag))
            case "BYE":
                found.needs += [_dialog(it), (CONFIRMED, it.call, it.from_tag)]
            case "CANCEL":
                # Not before something was heard of the INVITE (section 9.1).
                found.needs += [(SENT, *it.transaction, "INVITE"), (PROVISIONAL, *it.transaction, "INVITE", 0)]
                found.gives.append((CANCELLED, *it.transaction))
            case "PRACK":
                rack = _RACK.search(it.packet.payload)
                if rack:
                    found.needs.append((RELIABLE, it.call, int(rack[1]), int(rack[2]), it.to_tag))

    def _invite(self, it: Fact, found: _Found) -> None:
        """No INVITE while another one of the same side is not answered (section 14.1)."""
        before = _before(self._invites_in_order[it.call, it.from_tag], it.number)
        found.needs += [(ENDED, it.call, it.from_tag, before, tag) for tag in {"", it.to_tag}]
        found.needs.append((ACKED, _line(it), before))
        if it.to_tag:
            found.needs += [_dialog(it), (CONFIRMED, it.call, it.from_tag)]

    def of_response(self, it: Fact) -> _Found:
        found = _Found()
        found.needs.append((SENT, *it.transaction, it.method))
        if it.status > 100:  # which is for one hop
            passed_on = PASSED_ON, it.call, it.number, it.method, it.status, it.to_tag
            found.gives.append((*passed_on, it.vias[1:]))
            found.needs.append((*passed_on, it.vias))
        _staged(it, found)
        if it.status in (401, 407):
            found.gives.append((CHALLENGED, it.call, it.from_tag, it.number, it.method))
        if it.method == "CANCEL":
            found.gives.append((CANCELLED, *it.transaction))
        if it.method == "INVITE":
            self._of_invite(it, found)
        return found

    def _of_invite(self, it: Fact, found: _Found) -> None:
        if it.status < 200:
            rseq = _RSEQ.search(it.packet.payload)
            if rseq:
                found.gives.append((RELIABLE, it.call, int(rseq[1]), it.number, it.to_tag))
        elif it.status < 300:
            found.gives.append((ACCEPTED, it.call, it.number, it.to_tag))
            found.gives.append((ENDED, it.call, it.from_tag, it.number, it.to_tag))
            if (it.call, it.from_tag, it.number) in self._initial:
                found.gives.append(_dialog(it))
        else:
            found.gives.append((REFUSED, *it.transaction))
            if len(it.vias) == 1:
                found.gives.append((ENDED, it.call, it.from_tag, it.number, ""))
            if it.status == 487:
                found.needs.append((CANCELLED, *it.transaction))


def _staged(it: Fact, found: _Found) -> None:
    """100, then other provisional responses, then the final one."""
    stage = 0 if it.status <= 100 else 1 if it.status < 200 else 2
    found.gives += [(PROVISIONAL, *it.transaction, it.method, stage)] if stage < 2 else []
    found.needs += [(PROVISIONAL, *it.transaction, it.method, before) for before in range(stage)]


def _is_numbered(it: Fact) -> bool:
    """ACK and CANCEL have the number of their INVITE, and may come behind later requests."""
    return not it.status and it.method not in ("ACK", "CANCEL")


def _line(it: Fact) -> Key:
    """One side of a call on one way."""
    return it.call, it.from_tag, it.src, it.dst


def _dialog(it: Fact) -> Key:
    return DIALOG, it.call, *sorted((it.from_tag, it.to_tag))


def _before(numbers: Sequence[int], number: int) -> int:
    """-1 where it is the first."""
    place = bisect_left(numbers, number)
    return numbers[place - 1] if place else -1


def _vias(payload: bytes) -> tuple[bytes, ...]:
    named = hops(payload)
    branches = (found[1] if (found := _BRANCH.search(hop)) else hop.partition(b";")[0].strip() for hop in named)
    return tuple(islice(branches, MOST_HOPS))
