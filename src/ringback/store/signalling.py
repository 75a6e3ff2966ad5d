"""Captured messages as they come in: stored in their slices, and the media sessions of their Call-IDs with them.

All state is in the database: what is in memory of a call is a copy, good as long as it has all packets of the call's slice. So
a crash, another process, or a message that comes late only makes it be read again. What is stored already is not
stored again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from ringback.sip.causes import Q850
from ringback.sip.dialogs.session import MediaSession, Status, expired
from ringback.sip.message import SipMessage
from ringback.sip.order import causal
from ringback.sip.packet import SECOND_US, Packet
from ringback.sip.reports import is_report
from ringback.store import captures, mediasessions, rows, schema, slices
from ringback.store.captured_calls import MOST_OF_A_CALL, Call, Calls, Message
from ringback.store.captures import Seen
from ringback.store.database import ATTEMPTS, Database, Db, T, Taken
from ringback.store.mediasessions import Kept, Saved, known

UNANSWERED_S = 3_600
ANSWERED_S = 86_400
"""After so long without a message a session that has not been answered, or has been, is taken for ended."""
LOST = Q850[102]
CLOSED_AT_ONCE = 500
MOST_DAYS = 64
"""Slices that calls of one lot may begin in."""


class Stored(NamedTuple):
    """How many packets were stored, and how many were there already; what that made new; and the ids of the sessions whose
    packets these were."""

    new: int
    known: int
    saved: Saved
    sessions: list[int]


def written(database: Database, calls: Calls, work: Callable[[Db], T]) -> T:
    """A transaction with calls in memory: of one that did not come to its end they keep nothing. Again where another process
    stored the same call at the same moment."""
    for _ in range(ATTEMPTS - 1):
        with suppress(Taken):
            return _tried(database, calls, work)
    return _tried(database, calls, work)


def _tried(database: Database, calls: Calls, work: Callable[[Db], T]) -> T:
    try:
        return database.write(work)
    except BaseException:
        calls.clear()
        raise


def store(
    db: Db,
    customer_id: int,
    messages: Sequence[Message],
    users_by_extension: Mapping[str, int],
    calls: Calls | None = None,
    *,
    strays: bool = True,
) -> Stored:
    """Stores at most some thousand messages, and what they change of their sessions.

    `calls`: what is in memory of calls. When this fails, or its transaction, it has to be cleared. `strays`: whether
    messages are kept that are of no call.
    """
    captures.begin(db, customer_id)
    calls = Calls() if calls is None else calls
    given: dict[str, list[Message]] = {}
    for each in _of_few_days(messages):
        given.setdefault(each.call_id, []).append(each)
    found = calls.of(db, customer_id, given)
    by_day: dict[int, list[slices.Row]] = {}
    for name, some in given.items():
        call = found.get(name)
        if call is not None or strays:
            for each in some:
                by_day.setdefault(each.day if call is None else call.kept.day, []).append(each.row)
    new = sum(db.slices.add(customer_id, day, added) for day, added in sorted(by_day.items()))
    told = [(call, given[name]) for name, call in found.items() if new or not call.kept.session]
    saved = _save(db, customer_id, _fed(db, customer_id, told), users_by_extension)
    calls.shrink(found.values())
    sessions = [call.kept.session["id"] for call in found.values() if call.kept.session]
    return Stored(new, sum(map(len, by_day.values())) - new, saved, sessions)


def _of_few_days(messages: Sequence[Message]) -> Sequence[Message]:
    """An agent gone mad may name any day: what is of more days than may be goes with the newest of them."""
    newest = sorted({each.day for each in messages})[-MOST_DAYS:]
    if len(newest) < MOST_DAYS:
        return messages
    return [each if each.day >= newest[0] else each._replace(day=newest[-1]) for each in messages]


def _save(db: Db, customer_id: int, changed: Iterable[Call], users_by_extension: Mapping[str, int]) -> Saved:
    """Sessions of which something is new besides messages are made anew; most messages change nothing."""
    same: list[Call] = []
    other: list[Call] = []
    for call in changed:
        (same if call.is_as_saved() else other).append(call)
    sessions = ((call.kept, call.name, session) for call in other if (session := call.session()) is not None)
    saved = mediasessions.save(db, customer_id, sessions, users_by_extension)
    mediasessions.heard(db, customer_id, [call.heard() for call in same])
    return saved


def heal(db: Db, customer_id: int, users_by_extension: Mapping[str, int]) -> int:
    """Makes the sessions of packets that were stored just before a crash; returns of how many calls."""
    captures.begin(db, customer_id)
    found = 0
    for day, hashes in db.slices.unsettled(customer_id):
        names = list(captures.names(db, customer_id, day, hashes).values())
        there = known(db, customer_id, names)
        calls = [Call(name, there.get(name) or Kept(day)) for name in names]
        _reread(db, customer_id, [call for call in calls if call.kept.day == day])
        _save(db, customer_id, calls, users_by_extension)
        found += len(calls)
    return found


# -- telling calls their messages -------------------------------------------------------------------------------------


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
                    call.kept = known(db, customer_id, [call.name]).get(call.name) or Kept(day)
            elif fresh:
                (changed if _feed(call, fresh) else again).append(call)
    _reread(db, customer_id, again)
    return changed + again


def _day(pair: tuple[Call, object]) -> int:
    return pair[0].kept.day


def _fresh(call: Call, messages: Sequence[Message]) -> list[Message]:
    """What the call does not have yet, each once, by time."""
    there = call.digests
    found = {digest: each for each in messages if (digest := each.row.digest) not in there}
    return sorted(found.values(), key=_at_us) if len(found) > 1 else list(found.values())


def _at_us(message: Message) -> int:
    return message.packet.at_us


def _feed(call: Call, fresh: Sequence[Message]) -> bool:
    """False where the call has to be read again: a message is older than one that it has, or may have come before one; or the
    call is over, and was seen by several agents, whose clocks differ."""
    first = next((packet for _, _, _, packet, sip in fresh if sip is not None), None)
    if first is not None and first.at_us < call.last_us:
        return False
    for _, _, row, packet, sip in fresh:
        call.note(row)
        call.add(row.agent, packet, sip)
    return call.is_in_order and not (call.is_seen_by_several and call.is_over)


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
            call = by_hash[one]
            agent = None if None in call.agents else 0
            for packet, sip in _in_order(call.name, seen):
                call.add(agent, packet, sip)


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
    there = known(db, customer_id, late)
    found = [Call(name, kept) for name, kept in there.items()]
    _reread(db, customer_id, found)
    ended = [(call.kept, call.name, _ended(session, now)) for call in found if (session := call.session()) is not None]
    mediasessions.save(db, customer_id, ended, users_by_extension)
    _end_without_packets(db, customer_id, [kept for kept in there.values() if kept.session["status"] != Status.ENDED])
    if calls is not None:
        calls.forget(customer_id, late)
        close_overdue(db, customer_id, now * SECOND_US, users_by_extension, calls)
    return len(late)


def close_overdue(db: Db, customer_id: int, now_us: int, users_by_extension: Mapping[str, int], calls: Calls) -> None:
    """Ends, of the calls in memory, those whose session timer has run out."""
    mediasessions.save(db, customer_id, list(calls.overdue(customer_id, now_us)), users_by_extension)


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
