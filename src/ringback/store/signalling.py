"""Captured messages as they come in: stored in their slices, and the media sessions of their Call-IDs with them.

All state is in the database: what is in memory of a call is a copy, good as long as it has all packets of the call's slice. So
a crash, another process, or a message that comes late only makes it be read again. What is stored already is not
stored again.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from ringback.sip.causes import Q850
from ringback.sip.dialog import Dialog, MediaSession, Status
from ringback.sip.dialogs import expired
from ringback.sip.message import SipMessage
from ringback.sip.order import causal
from ringback.sip.packet import SECOND_US, Packet
from ringback.sip.reports import is_report
from ringback.store import captures, rows, schema, slices
from ringback.store.captures import Kept, Seen
from ringback.store.database import Db

UNANSWERED_S = 3_600
ANSWERED_S = 86_400
"""After so long without a message a session that has not been answered, or has been, is taken for ended."""
LOST = Q850[102]
MOST_OF_A_CALL = 2_000
"""SIP messages, and as many reports; those that come after them are stored, and change nothing."""
CLOSED_AT_ONCE = 500
MOST_IN_MEMORY = 192 << 20
"""Bytes of calls."""
FAR_S = 2 * 86_400
"""A capture clock that is so far from ours says nothing of the day."""

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


class Stored(NamedTuple):
    """How many packets were stored, and how many were there already."""

    new: int
    known: int


def message(call_id: str, seen: Seen, correlation: str, sip: SipMessage | None, now: int) -> Message:
    name = captures.key(call_id)
    at_s = seen.packet.at_us // SECOND_US
    day = slices.day_of(at_s if abs(at_s - now) < FAR_S else now)
    return Message(name, day, captures.packet_row(name, *seen, correlation), seen.packet, sip)


def store(
    db: Db,
    customer_id: int,
    messages: Sequence[Message],
    users_by_extension: Mapping[str, int],
    calls: "Calls | None" = None,
) -> Stored:
    """Stores at most some thousand messages, and what they change of their sessions.

    `calls`: what is in memory of calls. When this fails, or its transaction, it has to be cleared.
    """
    captures.begin(db, customer_id)
    calls = Calls() if calls is None else calls
    given: dict[str, list[Message]] = {}
    for each in messages:
        given.setdefault(each.call_id, []).append(each)
    found = calls.of(db, customer_id, given)
    by_day: dict[int, list[slices.Row]] = {}
    for name, some in given.items():
        call = found.get(name)
        for each in some:
            by_day.setdefault(each.day if call is None else call.kept.day, []).append(each.row)
    new = sum(db.slices.add(customer_id, day, added) for day, added in sorted(by_day.items()))
    changed = _fed(db, customer_id, [(call, given[name]) for name, call in found.items()])
    _save(db, customer_id, changed, users_by_extension)
    calls.shrink(found.values())
    return Stored(new, len(messages) - new)


def _save(db: Db, customer_id: int, changed: Iterable["Call"], users_by_extension: Mapping[str, int]) -> None:
    """Sessions of which something is new besides messages are made anew; most messages change nothing."""
    same: list[Call] = []
    other: list[Call] = []
    for call in changed:
        (same if call.is_as_saved() else other).append(call)
    sessions = ((call.kept, call.name, session) for call in other if (session := call.session()) is not None)
    captures.save(db, customer_id, sessions, users_by_extension)
    captures.heard(db, customer_id, [call.heard() for call in same])


def heal(db: Db, customer_id: int, users_by_extension: Mapping[str, int]) -> int:
    """Makes the sessions of packets that were stored just before a crash; returns of how many calls."""
    captures.begin(db, customer_id)
    found = 0
    for day, hashes in db.slices.unsettled(customer_id):
        names = list(captures.names(db, customer_id, day, hashes).values())
        there = captures.known(db, customer_id, names)
        calls = [Call(name, there.get(name) or Kept(day)) for name in names]
        _reread(db, customer_id, [call for call in calls if call.kept.day == day])
        _save(db, customer_id, calls, users_by_extension)
        found += len(calls)
    return found


# -- calls in memory --------------------------------------------------------------------------------------------------


class Call:
    """The packets of a Call-ID so far. `digests`: of those that the dialog has. `saved`: what was told of it when its session
    was saved last, None when that has to be done again."""

    def __init__(self, name: str, kept: Kept) -> None:
        self.name, self.kept = name, kept
        self.hash = slices.call_hash(name)
        self.counted = 0
        self.clear()

    def clear(self) -> None:
        self._dialog = Dialog(self.name)
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

    def add(self, packet: Packet, sip: SipMessage | None) -> None:
        if sip is None:
            if len(self._dialog.rtcp) < MOST_OF_A_CALL:
                self._dialog.rtcp.append(packet)
        elif self._messages < MOST_OF_A_CALL:
            self._messages += 1
            self.last_us = max(self.last_us, packet.at_us)
            self._dialog.add(packet, sip)
        self.size += len(packet.payload) + _OVERHEAD

    def note(self, row: slices.Row) -> None:
        self.digests.add(row.digest)
        self.agents.add(row.agent)
        if row.correlation:
            self.kept.told.correlations.add(row.correlation)

    def session(self) -> MediaSession | None:
        """None for what is no call: a REGISTER and the like."""
        return self._dialog.session()

    def is_as_saved(self) -> bool:
        """Whether its session is stored, and says the same still. To be asked once before each time that it is saved."""
        before, self.saved = self.saved, self._dialog.told()
        return before == self.saved and bool(self.kept.session)

    def heard(self) -> captures.Heard:
        return captures.Heard(self.kept, self.name, self._dialog.messages, self.last_us)

    def overdue(self, now_us: int) -> MediaSession | None:
        """The session as ended by its session timer, if that has happened since it was saved."""
        expires_at_us = self._dialog.expires_at_us
        if expires_at_us is None or expires_at_us > now_us or self.kept.session.get("status") == Status.ENDED:
            return None
        session = self.session()
        session = None if session is None else expired(session, now_us)
        return session if session is not None and session.ended else None


class Calls:
    """The calls of which something was heard lately; bounded."""

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[int, str], Call] = OrderedDict()
        self._size = 0

    def of(self, db: Db, customer_id: int, given: Mapping[str, Sequence[Message]]) -> dict[str, Call]:
        """The calls among these Call-IDs: those in memory, those that have a session, and those that begin."""
        found: dict[str, Call] = {}
        for name in given:
            call = self._calls.get((customer_id, name))
            if call is not None:
                found[name] = call
        others = [name for name in given if name and name not in found]
        there = captures.known(db, customer_id, others) if others else {}
        for name in others:
            if name in there:
                found[name] = Call(name, there[name])
            elif any(map(_is_of_call, given[name])):
                found[name] = Call(name, Kept(given[name][0].day))
        for name, call in found.items():
            self._calls[customer_id, name] = call
            self._calls.move_to_end((customer_id, name))
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
        while self._size > MOST_IN_MEMORY:
            self._size -= self._calls.popitem(last=False)[1].counted


def _is_of_call(message: Message) -> bool:
    """Whether it may begin a call or end one. A phone may use one Call-ID for all its REGISTERs, as long as it runs."""
    sip = message.sip
    return sip is not None and sip.cseq is not None and sip.cseq.method in _OF_CALL


def _fed(db: Db, customer_id: int, given: Sequence[tuple[Call, Sequence[Message]]]) -> list[Call]:
    """Tells calls their messages, which are stored. Those of which something is new."""
    changed: list[Call] = []
    again: list[Call] = []
    for day, some in groupby(sorted(given, key=_day), key=_day):
        pairs = list(some)
        counts = db.slices.counts(customer_id, day, [call.hash for call, _ in pairs])
        for call, messages in pairs:
            fresh = _fresh(call, messages)
            missing = len(call.digests) + len(fresh) - counts.get(call.hash, 0)
            if missing and not call.is_full:
                again.append(call)
                if missing > 0:  # packets were deleted, and perhaps the session too
                    call.kept = captures.known(db, customer_id, [call.name]).get(call.name) or Kept(day)
            elif fresh:
                (changed if _feed(call, fresh) else again).append(call)
    _reread(db, customer_id, again)
    return changed + again


def _day(pair: tuple["Call", object]) -> int:
    return pair[0].kept.day


def _fresh(call: Call, messages: Sequence[Message]) -> list[Message]:
    """What the call does not have yet, each once, by time."""
    found = {each.row.digest: each for each in messages if each.row.digest not in call.digests}
    return sorted(found.values(), key=_at_us) if len(found) > 1 else list(found.values())


def _at_us(message: Message) -> int:
    return message.packet.at_us


def _feed(call: Call, fresh: Sequence[Message]) -> bool:
    """False where the call has to be read again: a message is older than one that it has; or the call is over, and was seen
    by several agents, whose clocks differ."""
    if any(each.sip is not None and each.packet.at_us < call.last_us for each in fresh):
        return False
    for each in fresh:
        call.note(each.row)
        call.add(each.packet, each.sip)
    return not (call.is_seen_by_several and call.is_over)


def _reread(db: Db, customer_id: int, calls: Sequence[Call]) -> None:
    for day, some in groupby(sorted(calls, key=lambda call: call.kept.day), key=lambda call: call.kept.day):
        by_hash = {call.hash: call for call in some}
        for call in by_hash.values():
            call.clear()
        found: dict[int, list[Seen]] = {}
        for row in db.slices.read(customer_id, day, list(by_hash), 2 * MOST_OF_A_CALL):
            by_hash[row.call].note(row)
            found.setdefault(row.call, []).append(captures.seen(row))
        for one, seen in found.items():
            for packet, sip in _in_order(by_hash[one].name, seen):
                by_hash[one].add(packet, sip)


def _in_order(name: str, seen: Iterable[Seen]) -> Iterator[tuple[Packet, SipMessage | None]]:
    for packet, sip in causal(captures.once(seen)):
        if is_report(packet.payload):
            yield packet, None
        elif sip is None or captures.key(sip.call_id) == name:
            yield packet, sip


# -- sessions that never end ------------------------------------------------------------------------------------------


def close_lost(
    db: Db, customer_id: int, now: int, users_by_extension: Mapping[str, int], calls: Calls | None = None
) -> int:
    """Ends sessions of which nothing was heard for too long, as of their last message; returns how many. So do, of those in
    memory, sessions whose session timer has run out.

    One of which something is heard afterwards goes on.
    """
    sql = """
        SELECT call_id FROM mediasessions
        WHERE customer_id = :customer AND status <> 'ENDED'
        AND updated_at < CASE WHEN status IN ('INITIAL', 'RINGING') THEN :unanswered ELSE :answered END
        AND updated_at < :unanswered
        ORDER BY updated_at, id LIMIT :n
    """
    bound = {"unanswered": now - UNANSWERED_S, "answered": now - ANSWERED_S, "n": CLOSED_AT_ONCE}
    late = [row[0] for row in db.all(sql, {"customer": customer_id, **bound})]
    there = captures.known(db, customer_id, late)
    found = [Call(name, kept) for name, kept in there.items()]
    _reread(db, customer_id, found)
    ended = [(call.kept, call.name, _ended(session, now)) for call in found if (session := call.session()) is not None]
    captures.save(db, customer_id, ended, users_by_extension)
    _end_without_packets(db, customer_id, [kept for kept in there.values() if kept.session["status"] != Status.ENDED])
    if calls is not None:
        calls.forget(customer_id, late)
        captures.save(db, customer_id, list(calls.overdue(customer_id, now * SECOND_US)), users_by_extension)
    return len(late)


def _ended(session: MediaSession, now: int) -> MediaSession:
    session = expired(session, now * SECOND_US)
    if session.ended:
        return session
    last_us = max(packet.at_us for packet in session.messages)
    talked_us = 0 if session.answered_at_us is None else max(last_us - session.answered_at_us, 0)
    return replace(session, ended_at_us=last_us, status=Status.ENDED, t_cause=LOST, duration_s=talked_us // SECOND_US)


def _end_without_packets(db: Db, customer_id: int, there: Iterable[Kept]) -> None:
    """Their packets have been deleted since."""
    for kept in there:
        rows.update(db, schema.mediasessions, customer_id, kept.session["id"], {"status": Status.ENDED.value})
