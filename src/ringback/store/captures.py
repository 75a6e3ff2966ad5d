"""Captured calls: packets, the media sessions that they make, the MSDR of each that has ended, and its CDR.

A capture may come in parts, twice, or overlapping another: the packets of a Call-ID are kept once each, and a session is
what all of them tell. All packets of a session are in the slice that its row names.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table

from ringback.calls.numbers import clean, digits
from ringback.sip.dialog import MediaSession
from ringback.sip.dialogs import media_sessions
from ringback.sip.message import scan
from ringback.sip.packet import SECOND_US, Endpoint, Packet
from ringback.sip.quality import measured
from ringback.store import cdr_links, legs, rows, schema, slices
from ringback.store.database import Db, value

OUTSIDE = "0"
MOST_READ = 20_000
"""Packets of a call that are read; a call that has more has something wrong."""
BEGINNING_GONE_S = 60
FOREVER = 1 << 62

Ends = tuple[str, Endpoint, Endpoint]
"""Transport, source, destination."""


class Seen(NamedTuple):
    """A packet and the number of the capture agent that saw it; None where it came from a file."""

    packet: Packet
    capture_id: int | None


class Stored(NamedTuple):
    """What storing changed."""

    packets: int
    mediasessions: int
    msdrs: int


def store_sessions(
    db: Db, customer_id: int, sessions: Iterable[MediaSession], users_by_extension: Mapping[str, int]
) -> Stored:
    """Stores sessions (at most some thousand at a time) with their packets, and links their MSDRs to CDRs.

    What is stored already is not stored again. A session that has ended gets its MSDR; one that goes on is a media
    session only, until a later part of its capture ends it.
    """
    begin(db, customer_id)
    given = {key(session.call_id): session for session in sessions}
    there = known(db, customer_id, list(given))
    by_day: dict[int, dict[str, list[slices.Row]]] = {}
    for name, session in given.items():
        day = there[name].day if name in there else slices.day_of(session.created_at_us // SECOND_US)
        packets = dict.fromkeys(chain(session.messages, session.rtcp))
        by_day.setdefault(day, {})[name] = [packet_row(name, each) for each in packets]
    added = msdrs = new = 0
    for day, calls in sorted(by_day.items()):
        new += db.slices.add(customer_id, day, list(chain.from_iterable(calls.values())))
        whole = _whole(db, customer_id, day, {name: (given[name], len(found)) for name, found in calls.items()})
        saved = save(
            db,
            customer_id,
            [(there.setdefault(name, Kept(day)), name, session) for name, session in whole.items()],
            users_by_extension,
        )
        added, msdrs = added + saved[0], msdrs + saved[1]
    return Stored(new, added, msdrs)


def begin(db: Db, customer_id: int) -> None:
    """Keeps other writers of the customer's packets away until the end of the transaction. LookupError when the customer has
    been deleted: what came in then would stay for ever."""
    db.slices.begin(customer_id)
    sql = "SELECT 1 FROM customers WHERE id = :customer AND deleted_at IS NULL"
    if value(db, sql, {"customer": customer_id}) is None:
        raise LookupError("there is no such customer")


def _whole(
    db: Db, customer_id: int, day: int, given: Mapping[str, tuple[MediaSession, int]]
) -> dict[str, MediaSession]:
    """The sessions as all their packets tell it. `given`: with the number of packets that each has by itself."""
    hashes = {slices.call_hash(name): name for name in given}
    there = db.slices.counts(customer_id, day, list(hashes))
    more = [one for one, name in hashes.items() if there.get(one) != given[name][1]]
    found = {name: session for name, (session, _) in given.items()}
    for one, seen in _read(db, customer_id, day, more).items():
        found[hashes[one]] = session_of(hashes[one], seen) or found[hashes[one]]
    return found


def session_of(name: str, seen: Iterable[Seen]) -> MediaSession | None:
    """What the stored packets of a Call-ID tell; None where they are of no call."""
    sessions = (each for each in media_sessions(once(seen)) if key(each.call_id) == name)
    return next(sessions, None)


# -- packets ----------------------------------------------------------------------------------------------------------


def read_seen(db: Db, customer_id: int, call_ids: Sequence[str]) -> dict[str, list[Seen]]:
    """The packets of these sessions' Call-IDs with who saw them, by time; a Call-ID without any is not in the answer."""
    by_day: dict[int, dict[int, str]] = {}
    for name, day in _days(db, customer_id, call_ids).items():
        by_day.setdefault(day, {})[slices.call_hash(name)] = name
    found: dict[str, list[Seen]] = {}
    for day, names in by_day.items():
        found |= {names[one]: seen for one, seen in _read(db, customer_id, day, list(names)).items()}
    return found


def _days(db: Db, customer_id: int, call_ids: Sequence[str]) -> dict[str, int]:
    # The + keeps SQLite from walking all of the customer's sessions.
    sql = f"""
        SELECT call_id, slice_day FROM mediasessions
        WHERE customer_id = :customer AND {db.among("call_id", "call_ids")} AND +slice_day IS NOT NULL
    """
    return dict(db.all(sql, {"customer": customer_id, "call_ids": list(call_ids)}))


def _read(db: Db, customer_id: int, day: int, calls: Sequence[int]) -> dict[int, list[Seen]]:
    found: dict[int, list[Seen]] = {}
    for row in db.slices.read(customer_id, day, calls, MOST_READ) if calls else ():
        found.setdefault(row.call, []).append(seen(row))
    return found


def names(db: Db, customer_id: int, day: int, calls: Sequence[int]) -> dict[int, str]:
    """The Call-IDs of calls, as their messages themselves say."""
    found: dict[int, str] = {}
    for row in db.slices.read(customer_id, day, calls, MOST_READ):
        if row.call not in found:
            name = key(scan(row.payload).call_id)
            if name and _hash(name) == row.call:
                found[row.call] = name
    return found


def seen(row: slices.Row) -> Seen:
    transport, src, dst = _ends(row.ends)
    return Seen(Packet(row.at_us, transport, src, dst, row.payload), row.agent)


@lru_cache(maxsize=8192)
def _ends(text: str) -> Ends:
    transport, src_ip, src_port, dst_ip, dst_port = text.split(" ")
    return transport, Endpoint(src_ip, int(src_port)), Endpoint(dst_ip, int(dst_port))


@lru_cache(maxsize=8192)
def _ends_text(transport: str, src: Endpoint, dst: Endpoint) -> str:
    return f"{transport} {src.ip} {src.port} {dst.ip} {dst.port}"


@lru_cache(maxsize=8192)
def _hash(call_id: str) -> int:
    return slices.call_hash(call_id)


def packet_row(call_id: str, packet: Packet, capture_id: int | None = None, correlation: str = "") -> slices.Row:
    at_us, transport, src, dst, payload, *_ = packet
    ends = _ends_text(transport, src, dst)
    told = clean(correlation) or None if correlation != call_id else None
    return slices.Row(
        _hash(call_id), slices.digest(at_us, capture_id, ends, payload), at_us, capture_id, ends, payload, told
    )


def key(call_id: str) -> str:
    """A Call-ID as stored: anything may stand in one."""
    return clean(call_id)


def once(seen: Iterable[Seen]) -> list[Packet]:
    """By time, each packet once: of what several agents saw, the copies of the agent that saw most of them.

    One agent's copies are retransmissions, and all of them stay. When the others saw as many, each says when they did.
    """
    agents: dict[tuple[Endpoint, Endpoint, bytes], dict[int | None, list[Packet]]] = {}
    for packet, capture_id in dict.fromkeys(seen):
        message = packet.src, packet.dst, packet.payload
        agents.setdefault(message, {}).setdefault(capture_id, []).append(packet)
    found: list[Packet] = []
    for copies in agents.values():
        found += _sighted(copies)
    return sorted(found, key=lambda packet: packet.at_us)


def _sighted(copies: Mapping[int | None, list[Packet]]) -> list[Packet]:
    agent, most = max(copies.items(), key=lambda each: len(each[1]))
    if not agent:
        return most
    others = [(name, same) for name, same in copies.items() if name and name != agent and len(same) == len(most)]
    return [
        packet._replace(sightings=((agent, packet.at_us), *((name, same[n].at_us) for name, same in others)))
        for n, packet in enumerate(most)
    ]


# -- whose call it is -------------------------------------------------------------------------------------------------


class Parties(NamedTuple):
    """`type` as the customer sees the call: None when neither end is one of its extensions."""

    type: str | None
    user_id: int | None
    src_id: str | None
    dst_id: str | None


def _parties(session: MediaSession, users: Mapping[str, int]) -> Parties:
    src, dst = users.get(session.src or ""), users.get(session.dst or "")
    kind = None
    if src is not None:
        kind = "O" if dst is None else "INTERNAL"
    elif dst is not None:
        kind = "I"
    return Parties(kind, dst if src is None else src, _party_id(session.src, src), _party_id(session.dst, dst))


def _party_id(party: str | None, user_id: int | None) -> str | None:
    """A user's id; 0 for a number outside; None for a service, a queue, a name."""
    if user_id is not None:
        return str(user_id)
    return OUTSIDE if party is not None and digits(party, None) is not None else None


# -- media sessions and MSDRs -----------------------------------------------------------------------------------------


class Kept:
    """The rows of a session and its MSDR as they are in the database, with their ids; empty where there are none.
    `day`: of the slice that has the packets."""

    def __init__(self, day: int) -> None:
        self.day = day
        self.session: dict[str, Any] = {}
        self.msdr: dict[str, Any] = {}
        self.told = legs.Told()
        self.measured: tuple[int, bool, str | None] = 0, False, None
        """Of how many reports, whether at the end, and what they told."""
        self.shown: tuple[Any, dict[str, Any]] = None, {}
        """What of a session seldom changes, and its columns."""


def known(db: Db, customer_id: int, call_ids: Sequence[str]) -> dict[str, Kept]:
    """The rows of those among the Call-IDs that are sessions. The slice of one whose packets have all gone is new."""
    found: dict[str, Kept] = {}
    for row in _rows(db, customer_id, schema.mediasessions, call_ids):
        day = slices.day_of(row["created_at"]) if row["slice_day"] is None else row["slice_day"]
        kept = found[row["call_id"]] = Kept(day)
        kept.session = row
    for row in _rows(db, customer_id, schema.msdrs, list(found)) if found else ():
        found[row["call_id"]].msdr = row
    return found


def _rows(db: Db, customer_id: int, table: Table, call_ids: Sequence[str]) -> list[dict[str, Any]]:
    names = schema.columns(table)
    sql = f"""
        SELECT {", ".join(f'"{name}"' for name in names)} FROM {table.name}
        WHERE customer_id = :customer AND {db.among("call_id", "call_ids")}
    """
    found = db.all(sql, {"customer": customer_id, "call_ids": list(call_ids)})
    return [dict(zip(names, row, strict=True)) for row in found]


def save(
    db: Db,
    customer_id: int,
    sessions: Iterable[tuple[Kept, str, MediaSession]],
    users_by_extension: Mapping[str, int],
) -> tuple[int, int]:
    """Stores sessions, by their keys, as they are now; returns how many are new, and how many MSDRs."""
    made = [(kept, session, _columns(kept, name, session, users_by_extension)) for kept, name, session in sessions]
    # Where the first packets of a call have gone, what is left says little of it.
    made = [
        each for each in made if each[2]["created_at"] <= each[0].session.get("created_at", FOREVER) + BEGINNING_GONE_S
    ]
    states = [(kept.session, {**columns, **_state(kept, session)}) for kept, session, columns in made]
    fresh = _saved(db, customer_id, schema.mediasessions, states)
    said = ((row["call_id"], row["created_at"], kept.told.fresh(session.messages)) for kept, session, row in made)
    legs.note(db, customer_id, said)
    ended = [
        (kept.msdr, {**columns, "t_cause": _text(session.t_cause), "media_session_id": kept.session["id"]})
        for kept, session, columns in made
        if session.ended
    ]
    msdrs = _saved(db, customer_id, schema.msdrs, ended)
    cdr_links.link(db, customer_id, msdrs)
    return len(fresh), len(msdrs)


class Heard(NamedTuple):
    """A session that is stored and still says the same, with all its messages."""

    kept: Kept
    name: str
    messages: Sequence[Packet]
    last_us: int


def heard(db: Db, customer_id: int, calls: Iterable[Heard]) -> None:
    """Stores of sessions that there are more messages."""
    said, last = [], []
    for kept, name, messages, last_us in calls:
        said.append((name, kept.session["created_at"], kept.told.fresh(messages)))
        last.append((kept.session, {"updated_at": last_us // SECOND_US}))
    legs.note(db, customer_id, said)
    _change(db, customer_id, schema.mediasessions, last)


def _columns(kept: Kept, name: str, session: MediaSession, users: Mapping[str, int]) -> dict[str, Any]:
    """What a media session and its MSDR have in common."""
    told = session.created_at_us, session.src, session.dst, session.src_ua, session.dst_ua
    if kept.shown[0] != told:
        kept.shown = told, _lasting_columns(name, session, users)
    return {**kept.shown[1], "duration": session.duration_s or 0, "quality": _measured(kept, session)}


def _lasting_columns(name: str, session: MediaSession, users: Mapping[str, int]) -> dict[str, Any]:
    return {
        **_parties(session, users)._asdict(),
        "call_id": name,
        "created_at": session.created_at_us // SECOND_US,
        **_between(session),
        "src": _text(session.src),
        "src_ua": _text(session.src_ua),
        "dst": _text(session.dst),
        "dst_ua": _text(session.dst_ua),
    }


def _measured(kept: Kept, session: MediaSession) -> str | None:
    """Anew at the end, and when there are a tenth more reports than there were: long calls have thousands."""
    n, at_end, before = kept.measured
    is_same = len(session.rtcp) == n and session.ended == at_end
    if is_same or (not session.ended and len(session.rtcp) < n * 1.1):
        return before
    found = measured(session)
    text = None if found is None else msgspec.json.encode(found).decode()
    kept.measured = len(session.rtcp), session.ended, text
    return text


def _state(kept: Kept, session: MediaSession) -> dict[str, Any]:
    last_us = max(packet.at_us for packet in session.messages)
    return {"status": session.status.value, "updated_at": last_us // SECOND_US, "slice_day": kept.day}


def _between(session: MediaSession) -> dict[str, str]:
    """The addresses that its first message went between, or was answered."""
    first = session.messages[0]
    ends = (first.dst, first.src) if first.payload.lstrip(b"\r\n").startswith(b"SIP/") else (first.src, first.dst)
    return {"src_ip": ends[0].ip, "dst_ip": ends[1].ip}


def _text(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _saved(db: Db, customer_id: int, table: Table, found: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[int]:
    """Rows as they were, and as they are to be: those that are not there come in, of the others what is different changes.
    The ids of the new ones."""
    fresh = [pair for pair in found if not pair[0]]
    ids = rows.insert(db, table, customer_id, [after for _, after in fresh])
    _change(db, customer_id, table, [pair for pair in found if pair[0]])
    for (before, after), row_id in zip(fresh, ids, strict=True):
        before.update(after, id=row_id)
    return ids


def _change(db: Db, customer_id: int, table: Table, found: Iterable[tuple[dict[str, Any], Mapping[str, Any]]]) -> None:
    """Many rows with one statement for each set of columns."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for before, after in found:
        changes = {name: value for name, value in after.items() if before[name] != value}
        before.update(changes)
        if rows.touches_counts(table, changes):
            rows.update(db, table, customer_id, before["id"], changes)
        elif changes:
            alike.setdefault(tuple(changes), []).append({**changes, "customer": customer_id, "id": before["id"]})
    for names, bound in alike.items():
        sets = ", ".join(f'"{name}" = :{name}' for name in names)
        db.many(f"UPDATE {table.name} SET {sets} WHERE customer_id = :customer AND id = :id", bound)
        rows.changed(db, table, customer_id)
