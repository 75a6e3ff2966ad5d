"""Captured calls: packets, the media sessions that they make, the MSDR of each that has ended, and its CDR.

A capture may come in parts, twice, or overlapping another: the packets of a Call-ID are kept once each, and a session is
read anew from all of them whenever one is added.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Table

from ringback.calls.numbers import clean, digits
from ringback.sip.dialogs import MediaSession, media_sessions
from ringback.sip.packet import Endpoint, Packet
from ringback.sip.quality import measured
from ringback.store import cdr_links, rows, schema
from ringback.store.database import Db

SECOND_US = 1_000_000
OUTSIDE = "0"
_NUL, _NUL_KEPT = "\0", "\u0100"  # PostgreSQL holds no NUL in a text; no byte is U+0100
_COLUMNS = "captured_at_us, transport, src_ip, src_port, dst_ip, dst_port, payload"


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
    given = {key(session.call_id): session for session in sessions}
    before = read_packets(db, customer_id, list(given))
    fresh = {call_id: _new(session, before.get(call_id, [])) for call_id, session in given.items()}
    whole = [(call_id, _whole(given[call_id], before.get(call_id, []), new)) for call_id, new in fresh.items() if new]
    packets = [packet_row(call_id, packet) for call_id, new in fresh.items() for packet in new]
    rows.insert(db, schema.sip_messages, customer_id, packets)
    added, msdrs = save(db, customer_id, whole, users_by_extension)
    return Stored(len(packets), added, msdrs)


def save(
    db: Db, customer_id: int, sessions: Iterable[tuple[str, MediaSession]], users_by_extension: Mapping[str, int]
) -> tuple[int, int]:
    """Stores sessions, by their keys, as they are now; returns how many are new, and how many MSDRs."""
    made = [(call_id, session, _parties(session, users_by_extension)) for call_id, session in sessions]
    ids, added = _save_mediasessions(db, customer_id, made)
    return added, _save_msdrs(db, customer_id, [each for each in made if each[1].ended], ids)


def read_packets(db: Db, customer_id: int, call_ids: Sequence[str]) -> dict[str, list[Packet]]:
    """The packets of these Call-IDs, by time; a Call-ID without any is not in the answer."""
    return {call_id: [each.packet for each in seen] for call_id, seen in read_seen(db, customer_id, call_ids).items()}


def read_seen(db: Db, customer_id: int, call_ids: Sequence[str]) -> dict[str, list[Seen]]:
    """The packets of these Call-IDs with who saw them, by time; a Call-ID without any is not in the answer."""
    sql = f"""
        SELECT call_id, capture_id, {_COLUMNS} FROM sip_messages
        WHERE customer_id = :customer AND {db.among("call_id", "call_ids")} ORDER BY captured_at_us, id
    """
    found: dict[str, list[Seen]] = {}
    for call_id, capture_id, *row in db.all(sql, {"customer": customer_id, "call_ids": list(call_ids)}):
        found.setdefault(call_id, []).append(Seen(_packet(row), capture_id))
    return found


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


def _packet(row: Sequence[Any]) -> Packet:
    at_us, transport, src_ip, src_port, dst_ip, dst_port, payload = row
    content = payload.replace(_NUL_KEPT, _NUL).encode("latin-1")
    return Packet(at_us, transport, Endpoint(src_ip, src_port), Endpoint(dst_ip, dst_port), content)


def packet_row(call_id: str, packet: Packet, capture_id: int | None = None) -> dict[str, Any]:
    return {
        "capture_id": capture_id,
        "call_id": call_id,
        "captured_at_us": packet.at_us,
        "transport": packet.transport,
        "src_ip": packet.src.ip,
        "src_port": packet.src.port,
        "dst_ip": packet.dst.ip,
        "dst_port": packet.dst.port,
        "payload": packet.payload.decode("latin-1").replace(_NUL, _NUL_KEPT),
        "digest": _digest(packet, capture_id),
    }


def _digest(packet: Packet, capture_id: int | None) -> str:
    """Of two packets of a call that one agent saw, these are different."""
    at_us, transport, src, dst, payload, _ = packet
    ends = f"{capture_id} {at_us} {transport} {src.ip} {src.port} {dst.ip} {dst.port} "
    return hashlib.sha256(ends.encode() + payload).hexdigest()[:32]


def key(call_id: str) -> str:
    """A Call-ID as stored: anything may stand in one."""
    return clean(call_id)


def _new(session: MediaSession, known: Sequence[Packet]) -> list[Packet]:
    """The packets of a session that are not stored yet, each once."""
    seen = set(known)
    return [one for one in dict.fromkeys(chain(session.messages, session.rtcp)) if one not in seen]


def _whole(session: MediaSession, known: Sequence[Packet], new: Sequence[Packet]) -> MediaSession:
    """The session as all its packets tell it."""
    if not known:
        return session
    found = (each for each in media_sessions([*known, *new]) if each.call_id == session.call_id)
    return next(found, session)


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

_Made = tuple[str, MediaSession, Parties]


def _columns(made: _Made) -> dict[str, Any]:
    """What a media session and its MSDR have in common."""
    call_id, session, parties = made
    heard = measured(session)
    return {
        **parties._asdict(),
        "call_id": call_id,
        "created_at": session.created_at_us // SECOND_US,
        "duration": session.duration_s or 0,
        **_between(session),
        "src": _text(session.src),
        "src_ua": _text(session.src_ua),
        "dst": _text(session.dst),
        "dst_ua": _text(session.dst_ua),
        "quality": None if heard is None else json.dumps(heard, separators=(",", ":")),
    }


def _between(session: MediaSession) -> dict[str, str]:
    """The addresses that its first message went between, or was answered."""
    first = session.messages[0]
    ends = (first.dst, first.src) if first.payload.lstrip(b"\r\n").startswith(b"SIP/") else (first.src, first.dst)
    return {"src_ip": ends[0].ip, "dst_ip": ends[1].ip}


def _text(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _save_mediasessions(db: Db, customer_id: int, made: Sequence[_Made]) -> tuple[dict[str, int], int]:
    """Their ids by Call-ID, and how many are new."""
    given = {each[0]: _mediasession(each) for each in made}
    ids, fresh = _saved(db, customer_id, schema.mediasessions, given)
    return ids, len(fresh)


def _mediasession(made: _Made) -> dict[str, Any]:
    session = made[1]
    last_us = max(packet.at_us for packet in session.messages)
    return {**_columns(made), "status": session.status.value, "updated_at": last_us // SECOND_US}


def _save_msdrs(db: Db, customer_id: int, ended: Sequence[_Made], mediasessions: Mapping[str, int]) -> int:
    given = {
        each[0]: {**_columns(each), "t_cause": _text(each[1].t_cause), "media_session_id": mediasessions[each[0]]}
        for each in ended
    }
    _, fresh = _saved(db, customer_id, schema.msdrs, given)
    cdr_links.link(db, customer_id, fresh)
    return len(fresh)


def _saved(
    db: Db, customer_id: int, table: Table, given: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, int], list[int]]:
    """Rows by Call-ID: those that are not there come in, of the others what is different changes. All ids, the new ones."""
    known = _known(db, customer_id, table, given)
    for call_id, (row_id, before) in known.items():
        after = given[call_id]
        rows.update(
            db, table, customer_id, row_id, {name: after[name] for name in after if after[name] != before[name]}
        )
    fresh = [row for call_id, row in given.items() if call_id not in known]
    ids = rows.insert(db, table, customer_id, fresh)
    new = dict(zip((row["call_id"] for row in fresh), ids, strict=True))
    return {call_id: row_id for call_id, (row_id, _) in known.items()} | new, ids


def _known(db: Db, customer_id: int, table: Table, call_ids: Iterable[str]) -> dict[str, tuple[int, Mapping[str, Any]]]:
    names = schema.columns(table)
    sql = f"""
        SELECT {", ".join(f'"{name}"' for name in names)} FROM {table.name}
        WHERE customer_id = :customer AND {db.among("call_id", "call_ids")}
    """
    found = (
        dict(zip(names, row, strict=True)) for row in db.all(sql, {"customer": customer_id, "call_ids": list(call_ids)})
    )
    return {row["call_id"]: (row["id"], row) for row in found}


# -- reading a call back ----------------------------------------------------------------------------------------------


class Capture(NamedTuple):
    """What is left of some dialogs, by time; `is_complete` when nothing of them has been deleted."""

    packets: list[Packet]
    is_complete: bool


def of_msdr(db: Db, customer_id: int, msdr_id: int) -> Capture:
    return _capture(db, customer_id, "id = :id", {"id": msdr_id})


def of_cdr(db: Db, customer_id: int, cdr_id: int) -> Capture:
    """All legs of the whole call that the CDR is a hop of."""
    where = """cdr_id IN (
        SELECT c.id FROM cdrs c JOIN cdrs hop ON hop.customer_id = c.customer_id AND hop.root_live_id = c.root_live_id
        WHERE hop.customer_id = :customer AND hop.id = :id
        UNION SELECT :id
    )"""
    return _capture(db, customer_id, where, {"id": cdr_id})


def _capture(db: Db, customer_id: int, where: str, params: Mapping[str, Any]) -> Capture:
    sql = f"SELECT call_id, created_at FROM msdrs WHERE customer_id = :customer AND {where}"
    began = {row[0]: row[1] for row in db.all(sql, {"customer": customer_id, **params})}
    found = read_seen(db, customer_id, list(began))
    # Packets are deleted oldest first: what has its first second has all.
    whole = all(call_id in found and found[call_id][0].packet.at_us // SECOND_US <= at for call_id, at in began.items())
    # RTCP between two phones belongs to both legs.
    return Capture(once(chain.from_iterable(found.values())), whole)
