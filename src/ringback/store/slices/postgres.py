"""Slices as PostgreSQL tables: `sip_<customer>_<day>`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg
from psycopg import errors as pg

from ringback.store.slices import COLUMNS, Row, Slice

TABLE = re.compile(r"sip_(\d+)_(\d{8})")
DROP_WAITS = "1s"
_NAMES = ", ".join(COLUMNS)
_TYPES = ("bigint", "bigint", "bigint", "bigint", "text", "bytea", "text")
_ARRAYS = ", ".join(f"%s::{each}[]" for each in _TYPES)
_CREATE = """
    CREATE TABLE IF NOT EXISTS {name} (
        id BIGINT PRIMARY KEY DEFAULT nextval('packets_ids'),
        call BIGINT NOT NULL,
        digest BIGINT NOT NULL,
        at_us BIGINT NOT NULL,
        agent BIGINT,
        ends TEXT NOT NULL,
        payload BYTEA NOT NULL,
        correlation TEXT,
        UNIQUE (call, digest)
    )
"""
LISTED = """
    SELECT relname, pg_total_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname ~ '^sip_[0-9]+_[0-9]{8}$'
"""


class Transaction(Protocol):
    """What is needed of a `store.postgres.PostgresDb`."""

    connection: psycopg.Connection[Any]
    cursor: psycopg.Cursor[Any]

    def all(self, sql: str, params: Mapping[str, Any] = ...) -> list[Any]: ...


class PostgresSlices:
    """Within a transaction."""

    def __init__(self, db: Transaction) -> None:
        self._db = db

    def begin(self, customer_id: int) -> None:
        sql = "SELECT CAST(pg_advisory_xact_lock(hashtextextended('slices', :customer)) AS TEXT)"
        self._db.all(sql, {"customer": customer_id})

    def add(self, customer_id: int, day: int, rows: Sequence[Row]) -> int:
        name = table(customer_id, day)
        make(self._db.connection, name)
        sql = f"""
            INSERT INTO {name} ({_NAMES}) SELECT * FROM unnest({_ARRAYS})
            ON CONFLICT (call, digest) DO NOTHING
        """
        return self._db.connection.execute(sql.encode(), list(map(list, zip(*rows, strict=True)))).rowcount

    def counts(self, customer_id: int, day: int, calls: Sequence[int]) -> dict[int, int]:
        sql = f"SELECT call, count(*) FROM {table(customer_id, day)} WHERE call = ANY(%s) GROUP BY call"
        return dict(self._asked(sql, [list(calls)]))

    def read(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> list[Row]:
        return self._read(customer_id, day, calls, most, "id")

    def read_last(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> list[Row]:
        return self._read(customer_id, day, calls, most, "id DESC")

    def _read(self, customer_id: int, day: int, calls: Sequence[int], most: int, order: str) -> list[Row]:
        sql = f"""
            SELECT {_NAMES} FROM unnest(%s::bigint[]) c (one)
            CROSS JOIN LATERAL (
                SELECT * FROM {table(customer_id, day)} WHERE call = c.one ORDER BY {order} LIMIT %s
            ) p ORDER BY at_us, id
        """
        return list(map(Row._make, self._asked(sql, [list(calls), most])))

    def remove(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> int:
        name = table(customer_id, day)
        sql = f"DELETE FROM {name} WHERE id IN (SELECT id FROM {name} WHERE call = ANY(%s) LIMIT %s) RETURNING 1"
        return len(self._asked(sql, [list(calls), most]))

    def remove_packets(self, customer_id: int, day: int, packets: Sequence[tuple[int, int]]) -> None:
        sql = f"""
            DELETE FROM {table(customer_id, day)}
            WHERE (call, digest) IN (SELECT * FROM unnest(%s::bigint[], %s::bigint[])) RETURNING 1
        """
        self._asked(sql, [[each[0] for each in packets], [each[1] for each in packets]])

    def unsettled(self, _: int) -> list[tuple[int, list[int]]]:
        """Nothing: packets are committed with what tells of them."""
        return []

    def listed(self, customer_id: int) -> list[Slice]:
        return [each for each in slices(self._db.all(LISTED)) if each.customer_id == customer_id]

    def drop(self, customer_id: int, day: int) -> None:
        """Whoever waits for readers, keeps all others from the table, and the customer's writers too: so not for long."""
        self._db.connection.execute(f"SET LOCAL lock_timeout = '{DROP_WAITS}'".encode())
        self._db.connection.execute(f"DROP TABLE IF EXISTS {table(customer_id, day)}".encode())
        self._db.connection.execute("SET LOCAL lock_timeout = DEFAULT")

    def _asked(self, sql: str, bound: Sequence[Any]) -> list[Any]:
        """Nothing where the slice is not there, or is dropped just now."""
        self._db.all("SELECT 1")  # a transaction has begun
        try:
            with self._db.connection.transaction():
                return self._db.cursor.execute(sql.encode(), bound).fetchall()
        except pg.UndefinedTable:
            return []


def table(customer_id: int, day: int) -> str:
    return f"sip_{customer_id:d}_{day:08d}"


def make(connection: psycopg.Connection[Any], name: str) -> None:
    """Unless it is there."""
    found = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()
    if found is None or found[0] is None:
        connection.execute(_CREATE.format(name=name).encode())


def slices(rows: Sequence[tuple[str, int]]) -> list[Slice]:
    """What LISTED finds."""
    named = ((TABLE.fullmatch(name), size) for name, size in rows)
    return sorted(Slice(int(match[1]), int(match[2]), size) for match, size in named if match)


@contextmanager
def packets(connection: psycopg.Connection[Any], name: str, size: int) -> Iterator[Iterator[list[Row]]]:
    with connection.cursor(name="packets", binary=True) as cursor:
        try:
            cursor.execute(f"SELECT {_NAMES} FROM {name} ORDER BY id".encode())
        except pg.UndefinedTable:  # dropped just now
            yield iter(())
            return
        yield iter(lambda: list(map(Row._make, cursor.fetchmany(size))), [])
