"""Captured messages as they come in: stored, and the media sessions of their Call-IDs made anew, in one transaction.

All state is in the database: after a crash a call goes on where it was. What is stored already is not stored again.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ringback.calls.numbers import clean
from ringback.sip.causes import Q850
from ringback.sip.dialogs import MediaSession, Status, media_sessions
from ringback.sip.message import scan
from ringback.sip.reports import is_report
from ringback.store import captures, rows, schema
from ringback.store.captures import SECOND_US, Seen
from ringback.store.database import Db

UNANSWERED_S = 3_600
ANSWERED_S = 86_400
"""After so long without a message a session that has not been answered, or has been, is taken for ended."""
LOST = Q850[102]
MOST_OF_A_CALL = 2_000
"""Packets; those that come after them are stored, and change nothing."""
CLOSED_AT_ONCE = 500

_CALL_ID = re.compile(rb"\n(?:call-id|i)[ \t]*:[ \t]*([\x21-\x7e]+)[ \t]*\r\n(?![ \t])", re.I)
_OF_CALL = re.compile(rb"\ncseq[ \t]*:\s*\d+\s+(?:INVITE|ACK|BYE|CANCEL|PRACK|UPDATE)", re.I)


class Message(NamedTuple):
    """`call_id`: empty for what belongs to no dialog. `correlation`: what ties it to others by the agent's word."""

    call_id: str
    seen: Seen
    correlation: str


class Stored(NamedTuple):
    """How many packets were stored, and how many were there already."""

    new: int
    known: int


def call_id(payload: bytes) -> str:
    """Of a SIP message, empty without one; nearly always without reading all of it."""
    end = payload.find(b"\r\n\r\n")
    found = _CALL_ID.search(payload, 0, end + 2 if end >= 0 else len(payload))
    return found[1].decode() if found else scan(payload).call_id


def store(db: Db, customer_id: int, messages: Sequence[Message], users_by_extension: Mapping[str, int]) -> Stored:
    """Stores at most some thousand messages, and what they change of their sessions."""
    given: dict[str, dict[Seen, Message]] = {}
    for each in messages:
        given.setdefault(captures.key(each.call_id), {})[each.seen] = each
    known = _known(db, customer_id, [name for name in given if name])
    calls = {
        name: each
        for name, each in given.items()
        if name and not known.get(name) and (name in known or any(map(_is_of_call, each)))
    }
    stored = _store_calls(db, customer_id, calls, users_by_extension)
    others = [_row(name, each, name in known) for name in given.keys() - calls.keys() for each in given[name].values()]
    _insert_new(db, customer_id, others)
    return Stored(stored + len(others), len(messages) - stored - len(others))


def _store_calls(
    db: Db, customer_id: int, calls: Mapping[str, Mapping[Seen, Message]], users_by_extension: Mapping[str, int]
) -> int:
    before = captures.read_seen(db, customer_id, list(calls))
    fresh = {name: _new(each, before.get(name, [])) for name, each in calls.items()}
    sessions = [
        (name, session)
        for name, new in fresh.items()
        if new and (session := _session(name, [*before.get(name, []), *(each.seen for each in new)]))
    ]
    in_calls = {name for name, _ in sessions}
    packets = [_row(name, each, name in in_calls) for name, new in fresh.items() for each in new]
    rows.insert(db, schema.sip_messages, customer_id, packets)
    captures.save(db, customer_id, sessions, users_by_extension)
    return len(packets)


def _known(db: Db, customer_id: int, names: Sequence[str]) -> dict[str, int]:
    """Of the Call-IDs that have a session: whether it has so many packets that it is not read anew with each of them."""
    sql = f"""
        SELECT call_id, coalesce((
            SELECT 1 FROM sip_messages s WHERE s.customer_id = :customer AND s.call_id = t.call_id
            LIMIT 1 OFFSET :most
        ), 0)
        FROM mediasessions t WHERE customer_id = :customer AND {db.among("call_id", "names")}
    """
    return {row[0]: row[1] for row in db.all(sql, {"customer": customer_id, "names": names, "most": MOST_OF_A_CALL})}


def _is_of_call(seen: Seen) -> bool:
    """Whether it may begin a call or end one. A phone may use one Call-ID for all its REGISTERs, as long as it runs."""
    return _OF_CALL.search(seen.packet.payload) is not None


def _new(given: Mapping[Seen, Message], known: Iterable[Seen]) -> list[Message]:
    there = set(known)
    return [message for seen, message in given.items() if seen not in there]


def _row(name: str, message: Message, in_call: bool) -> dict[str, object]:
    packet, capture_id = message.seen
    return {
        **captures.packet_row(name, packet, capture_id),
        "correlation": clean(message.correlation) or None,
        "loose_at": None if in_call else packet.at_us // SECOND_US,
    }


def _insert_new(db: Db, customer_id: int, found: Sequence[dict[str, object]]) -> None:
    """As far as they are not there: of one Call-ID, or of none, there may be any number, which nobody reads."""
    if not found:
        return
    names = schema.columns(schema.sip_messages)
    sql = f"""
        INSERT INTO sip_messages ({", ".join(names)}) VALUES ({", ".join(f":{name}" for name in names)})
        ON CONFLICT (customer_id, call_id, digest) DO NOTHING
    """
    ids = db.new_ids("sip_messages", len(found))
    db.many(sql, [{**row, "id": row_id, "customer_id": customer_id} for row, row_id in zip(found, ids, strict=True)])


def _session(name: str, seen: Sequence[Seen]) -> MediaSession | None:
    """The session that all packets of a Call-ID tell; None for a REGISTER and the like."""
    packets = captures.once(seen)
    found = (each for each in media_sessions(packets) if captures.key(each.call_id) == name)
    session = next(found, None)
    if session is None:
        return None
    # Of reports that came under this Call-ID, also those between addresses that no SDP names (NAT).
    reports = tuple(packet for packet in packets if is_report(packet.payload))
    return replace(session, rtcp=reports) if reports else session


# -- sessions that never end ------------------------------------------------------------------------------------------


def close_lost(db: Db, customer_id: int, now: int, users_by_extension: Mapping[str, int]) -> int:
    """Ends sessions of which nothing was heard for too long, as of their last message; returns how many.

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
    before = captures.read_seen(db, customer_id, late)
    ended = [(name, _ended(session)) for name in late if (session := _session(name, before.get(name, []))) is not None]
    captures.save(db, customer_id, ended, users_by_extension)
    _end_without_packets(db, customer_id, set(late) - {name for name, _ in ended})
    return len(late)


def _ended(session: MediaSession) -> MediaSession:
    if session.ended:
        return session
    last_us = max(packet.at_us for packet in session.messages)
    talked_us = 0 if session.answered_at_us is None else max(last_us - session.answered_at_us, 0)
    return replace(session, ended_at_us=last_us, status=Status.ENDED, t_cause=LOST, duration_s=talked_us // SECOND_US)


def _end_without_packets(db: Db, customer_id: int, call_ids: Iterable[str]) -> None:
    """Their packets have been deleted since."""
    sql = f"SELECT id FROM mediasessions WHERE customer_id = :customer AND {db.among('call_id', 'call_ids')}"
    for (session_id,) in db.all(sql, {"customer": customer_id, "call_ids": sorted(call_ids)}):
        rows.update(db, schema.mediasessions, customer_id, session_id, {"status": Status.ENDED.value})
