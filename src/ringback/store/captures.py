"""Captured packets: as rows of their slices, and read back by Call-ID.

A capture may come in parts, twice, or overlapping another: the packets of a Call-ID are kept once each, and a session is
what all of them tell. All packets of a session are in the slice that its row names.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ringback.calls.numbers import clean
from ringback.sip.dialogs import media_sessions
from ringback.sip.dialogs.session import MediaSession
from ringback.sip.message import scan
from ringback.sip.packet import Endpoint, Packet
from ringback.store import slices
from ringback.store.database import Db, value

MOST_READ = 20_000
"""Packets of a call that are read; a call that has more has something wrong."""
_SAME_MOMENT_US = 10_000
"""Far below the shortest time after which a request is sent again (RFC 3261 section 17.1.1.1: 500 ms, some networks 100)."""

Ends = tuple[str, Endpoint, Endpoint]
"""Transport, source, destination."""


class Gone(Exception):
    """There is no such customer."""


class Seen(NamedTuple):
    """A packet and the number of the capture agent that saw it; None where it came from a file."""

    packet: Packet
    capture_id: int | None


def begin(db: Db, customer_id: int) -> None:
    """Keeps other writers of the customer's packets away until the end of the transaction. Gone when the customer has been
    deleted: what came in then would stay for ever."""
    db.slices.begin(customer_id)
    sql = "SELECT 1 FROM customers WHERE id = :customer AND deleted_at IS NULL"
    if value(db, sql, {"customer": customer_id}) is None:
        raise Gone("there is no such customer")


def session_of(name: str, seen: Iterable[Seen]) -> MediaSession | None:
    """What the stored packets of a Call-ID tell; None where they are of no call."""
    sessions = (each for each in media_sessions(once(seen)) if key(each.call_id) == name)
    return next(sessions, None)


def sessions_of(seen: Mapping[str, Iterable[Seen]]) -> dict[str, MediaSession]:
    """The sessions of Call-IDs; those that are of no call left out."""
    found = ((name, session_of(name, packets)) for name, packets in seen.items())
    return {name: session for name, session in found if session is not None}


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
            if name and slices.call_hash(name) == row.call:
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


def packet_row(call_id: str, packet: Packet, capture_id: int | None = None, correlation: str = "") -> slices.Row:
    at_us, transport, src, dst, payload, *_ = packet
    ends = _ends_text(transport, src, dst)
    told = clean(correlation) or None if correlation and correlation != call_id else None
    call, digest = slices.call_hash(call_id), slices.digest(at_us, capture_id, ends, payload)
    return slices.Row(call, digest, at_us, capture_id, ends, payload, told)


def key(call_id: str) -> str:
    """A Call-ID as stored: anything may stand in one."""
    return clean(call_id)


def once(seen: Iterable[Seen]) -> list[Packet]:
    """By time, each packet once: of what several agents saw, the copies of the agent that saw most of them.

    One agent's copies are retransmissions, and all of them stay, but those that it saw at the same moment: on several interfaces
    (`tcpdump -i any` beside a bridge), or going out and coming in. When the others saw as many, each says when they did.
    """
    agents: dict[tuple[Endpoint, Endpoint, bytes], dict[int | None, list[Packet]]] = {}
    for packet, capture_id in dict.fromkeys(seen):
        message = packet.src, packet.dst, packet.payload
        agents.setdefault(message, {}).setdefault(capture_id, []).append(packet)
    found: list[Packet] = []
    for copies in agents.values():
        found += _sighted({agent: _sent(same) for agent, same in copies.items()})
    return sorted(found, key=lambda packet: packet.at_us)


def _sent(copies: Sequence[Packet]) -> list[Packet]:
    """One for each time that the packet was sent: nobody sends again so soon."""
    found: list[Packet] = []
    for packet in sorted(copies, key=lambda packet: packet.at_us):
        if not found or packet.at_us - found[-1].at_us > _SAME_MOMENT_US:
            found.append(packet)
    return found


def _sighted(copies: Mapping[int | None, list[Packet]]) -> list[Packet]:
    agent, most = max(copies.items(), key=lambda each: len(each[1]))
    if not agent:
        return most
    others = [(name, same) for name, same in copies.items() if name and name != agent and len(same) == len(most)]
    return [
        packet._replace(sightings=((agent, packet.at_us), *((name, same[n].at_us) for name, same in others)))
        for n, packet in enumerate(most)
    ]
