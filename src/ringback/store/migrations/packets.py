"""Packets of the table `sip_messages`, as databases had it until 0003, into slices."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from ringback.sip.packet import Endpoint, Packet
from ringback.store.captures import packet_row
from ringback.store.postgres import PostgresDb
from ringback.store.slices import Row, Slices, day_of
from ringback.store.slices.sqlite import SqliteSlices

_LOT = 1_000
_PACKETS = """
    SELECT s.customer_id, s.call_id, m.created_at, s.captured_at_us, s.transport, s.src_ip, s.src_port, s.dst_ip, s.dst_port,
        s.payload
    FROM sip_messages s LEFT JOIN mediasessions m ON m.customer_id = s.customer_id AND m.call_id = s.call_id ORDER BY s.id
"""
_DAYS = "UPDATE mediasessions SET slice_day = {}"
_SQLITE_DAY = "CAST(strftime('%Y%m%d', created_at, 'unixepoch') AS INT)"
_POSTGRES_DAY = "CAST(to_char(to_timestamp(created_at) AT TIME ZONE 'UTC', 'YYYYMMDD') AS BIGINT)"


def move(connection: sa.Connection) -> None:
    """Once more after a crash, it finds what it has moved to SQLite's slices already."""
    if connection.dialect.name == "postgresql":
        _move(connection, PostgresDb(cast(Any, connection.connection.driver_connection)).slices)
        connection.execute(sa.text(_DAYS.format(_POSTGRES_DAY)))
        return
    slices = SqliteSlices(Path(connection.engine.url.database or ""))
    _move(connection, slices.writing)
    slices.ended(well=True)
    slices.close()
    connection.execute(sa.text(_DAYS.format(_SQLITE_DAY)))


def _move(connection: sa.Connection, slices: Slices) -> None:
    found = connection.execute(sa.text(_PACKETS), execution_options={"stream_results": True})
    while lot := found.fetchmany(_LOT):
        for (customer_id, day), rows in _by_slice(lot).items():
            slices.add(customer_id, day, rows)


def _by_slice(lot: Iterable[Sequence[Any]]) -> dict[tuple[int, int], list[Row]]:
    found: dict[tuple[int, int], list[Row]] = {}
    for customer_id, call_id, began_at, at_us, transport, src_ip, src_port, dst_ip, dst_port, text in lot:
        payload = text.replace("\u0100", "\0").encode("latin-1")  # PostgreSQL holds no NUL in a text
        packet = Packet(at_us, transport, Endpoint(src_ip, src_port), Endpoint(dst_ip, dst_port), payload)
        day = day_of(at_us // 1_000_000 if began_at is None else began_at)
        found.setdefault((customer_id, day), []).append(packet_row(call_id, packet))
    return found
