"""Captured messages, and the calls in memory of which some were heard lately: copies, good as long as they have all packets
of their slices."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ringback.sip import legs
from ringback.sip.dialogs.dialog import Dialog
from ringback.sip.dialogs.session import MediaSession, Status, expired
from ringback.sip.message import SipMessage
from ringback.sip.order.plain import Plain
from ringback.sip.packet import SECOND_US, Packet
from ringback.store import captures, slices
from ringback.store.captures import Seen
from ringback.store.database import Db
from ringback.store.mediasessions import Heard, Kept, known

MOST_OF_A_CALL = 2_000
"""SIP messages, and as many reports; those that come after them are stored, and change nothing."""
MOST_IN_MEMORY = 192 << 20
"""Bytes of calls."""

_OVERHEAD = 900  # bytes that a message takes beside its payload
_OF_CALL = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE"})


class Message(NamedTuple):
    """`call_id`: its key, empty for what belongs to no dialog. `day`: of the slice, if it begins a call or belongs to none.
    `sip`: what it says; None for a report on media."""

    call_id: str
    day: int
    row: slices.Row
    packet: Packet
    sip: SipMessage | None


def message(call_id: str, seen: Seen, correlation: str, sip: SipMessage | None, span: slices.Span) -> Message:
    name = captures.key(call_id)
    at_s = seen.packet.at_us // SECOND_US
    day = slices.day_of(at_s if span.first <= at_s < span.end else span.now)
    return Message(name, day, captures.packet_row(name, *seen, correlation), seen.packet, sip)


class Call:
    """The packets of a Call-ID so far. `digests`: of those that the dialog has. `is_in_order`: whether it plainly was told them in
    causal order, or agents say so, each of which has one clock. `saved`: what was told of it when its session was saved last, None when that has
    to be done again."""

    def __init__(self, name: str, kept: Kept) -> None:
        self.name, self.kept = name, kept
        self.hash = slices.call_hash(name)
        self.counted = 0
        self.clear()

    def clear(self) -> None:
        self._dialog = Dialog(self.name)
        self._plain: Plain | None = None
        self.is_in_order = True
        self.digests: set[int] = set()
        self.agents: set[int | None] = set()
        self.last_us = 0
        self.saved: tuple[object, ...] | None = None
        self.size = _OVERHEAD
        self._messages = 0

    @property
    def is_full(self) -> bool:
        """Whether it has packets that the dialog does not have."""
        return max(self._messages, len(self._dialog.rtcp)) >= MOST_OF_A_CALL

    @property
    def is_over(self) -> bool:
        return self._dialog.ended

    @property
    def is_seen_by_several(self) -> bool:
        return len(self.agents) > 1

    def add(self, agent: int | None, packet: Packet, sip: SipMessage | None) -> None:
        """`agent`: None for a packet of a file: those may be of several clocks, so that only what they say tells their order."""
        self.size += len(packet.payload) + _OVERHEAD
        if sip is None:
            if len(self._dialog.rtcp) < MOST_OF_A_CALL:
                self._dialog.rtcp.append(packet)
        elif self._messages < MOST_OF_A_CALL:
            self._messages += 1
            self.last_us = max(self.last_us, packet.at_us)
            self._dialog.add(packet, sip)
            if legs.tells(packet.payload):
                self.kept.told.hear(packet.payload)
            if agent is None and self.is_in_order:
                self._plain = self._plain or Plain()
                self.is_in_order = self._plain.follows(packet, sip)

    def note(self, row: slices.Row) -> None:
        self.digests.add(row.digest)
        self.agents.add(row.agent)
        if row.correlation:
            self.kept.told.correlate(row.correlation)

    def session(self) -> MediaSession | None:
        """None for what is no call: a REGISTER and the like."""
        return self._dialog.session()

    def is_as_saved(self) -> bool:
        """Whether its session is stored, and says the same still. To be asked once before each time that it is saved."""
        before, self.saved = self.saved, self._dialog.told()
        return before == self.saved and bool(self.kept.session)

    def heard(self) -> Heard:
        return Heard(self.kept, self.name, self.last_us)

    def overdue(self, now_us: int) -> MediaSession | None:
        """The session as ended by its session timer, if that has happened since it was saved."""
        expires_at_us = self._dialog.expires_at_us
        if expires_at_us is None or expires_at_us > now_us or self.kept.session.get("status") == Status.ENDED:
            return None
        session = self.session()
        session = None if session is None else expired(session, now_us)
        return session if session is not None and session.ended else None


class Calls:
    """The calls of which something was heard lately. `most`: bytes of them."""

    def __init__(self, most: int = MOST_IN_MEMORY) -> None:
        self._most = most
        self._calls: OrderedDict[tuple[int, str], Call] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._calls)

    def of(self, db: Db, customer_id: int, given: Mapping[str, Sequence[Message]]) -> dict[str, Call]:
        """The calls among these Call-IDs: those in memory, those that have a session, and those that begin."""
        found: dict[str, Call] = {}
        for name in given:
            call = self._calls.get((customer_id, name))
            if call is not None:
                found[name] = call
                self._calls.move_to_end((customer_id, name))
        others = [name for name in given if name and name not in found]
        there = known(db, customer_id, others) if others else {}
        for name in others:
            if name in there:
                kept = _placed(db, customer_id, name, there[name], given[name][0].day)
            elif any(map(_is_of_call, given[name])):
                kept = Kept(given[name][0].day)
            else:
                continue
            found[name] = self._calls[customer_id, name] = Call(name, kept)
        return found

    def overdue(self, customer_id: int, now_us: int) -> Iterator[tuple[Kept, str, MediaSession]]:
        for (customer, name), call in self._calls.items():
            if customer == customer_id and (session := call.overdue(now_us)) is not None:
                call.saved = None  # what is saved now is not what its messages tell
                yield call.kept, name, session

    def forget(self, customer_id: int, names: Iterable[str]) -> None:
        for name in names:
            call = self._calls.pop((customer_id, name), None)
            self._size -= 0 if call is None else call.counted

    def clear(self) -> None:
        self._calls.clear()
        self._size = 0

    def shrink(self, changed: Iterable[Call]) -> None:
        """Those that were quiet longest go."""
        for call in changed:
            self._size += call.size - call.counted
            call.counted = call.size
        while self._size > self._most:
            self._size -= self._calls.popitem(last=False)[1].counted


def _placed(db: Db, customer_id: int, name: str, kept: Kept, day: int) -> Kept:
    """Where a call's packets are; those of one whose packets have all gone come to where new ones do."""
    if kept.day < day and not db.slices.counts(customer_id, kept.day, [slices.call_hash(name)]):
        kept.day = day
    return kept


def _is_of_call(message: Message) -> bool:
    """Whether it may begin a call or end one. A phone may use one Call-ID for all its REGISTERs, as long as it runs."""
    return message.sip is not None and message.sip.method in _OF_CALL
