"""Rows as they are in a database that stands still: which tables, how many rows, a hash of each, which blobs they name."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Protocol

import msgspec
from sqlalchemy import BigInteger, Column, MetaData, Table

from ringback.backups.manifest import Tally
from ringback.store import schema
from ringback.store.database import Row
from ringback.store.slices import COLUMNS
from ringback.store.slices.postgres import TABLE

LOT = 1_000
_COLUMNS = {
    "sqlite": "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'",
    "postgres": "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()",
}
_ENGINES_OWN = {"sequences"}  # SQLite has its sequences in a table, PostgreSQL has its own


class Frozen(Protocol):
    """A database at one point in time."""

    engine: str

    def lots(self, sql: str) -> Iterator[list[Row]]:
        """Rows in lots of LOT, in flat memory, without a time limit."""
        ...


class Watch(Protocol):
    """Whoever shows how far it is."""

    def step(self, text: str, total: int) -> None:
        """Something begins that has `total` parts."""

    def advance(self, n: int) -> None: ...


def rows_of(frozen: Frozen, sql: str) -> Iterator[Row]:
    for lot in frozen.lots(sql):
        yield from lot


def revision(frozen: Frozen) -> str:
    return str(next(rows_of(frozen, "SELECT version_num FROM alembic_version"))[0])


def tables(frozen: Frozen) -> Mapping[Table, list[str]]:
    """Our tables and their columns, as far as the database has them: it may be of an older schema."""
    there = {(table, column) for table, column in rows_of(frozen, _COLUMNS[frozen.engine])}
    known = {
        table: [column for column in schema.columns(table) if (table.name, column) in there]
        for table in schema.metadata.sorted_tables
    }
    known |= {_slice(name): list(COLUMNS) for name in sorted({table for table, _ in there}) if TABLE.fullmatch(name)}
    return {table: columns for table, columns in known.items() if columns and table.name not in _ENGINES_OWN}


def _slice(name: str) -> Table:
    """A PostgreSQL table of captured packets."""
    key = Column("id", BigInteger, primary_key=True)
    return Table(name, MetaData(), key, *(Column(each, BigInteger) for each in COLUMNS))


def select(table: Table, columns: list[str]) -> str:
    """All rows in the order of the primary key, which both engines sort alike: by code point."""
    named = ", ".join(f'"{column}"' for column in columns)
    key = ", ".join(f'"{column.name}"' for column in table.primary_key)
    return f'SELECT {named} FROM "{table.name}" ORDER BY {key}'


def tally(lots: Iterator[list[Row]], watch: Watch) -> Tally:
    digest, encoder, n = sha256(), msgspec.msgpack.Encoder(), 0
    for lot in lots:
        digest.update(b"".join(map(encoder.encode, lot)))
        n += len(lot)
        watch.advance(len(lot))
    return Tally(n, digest.hexdigest())


def tallies(frozen: Frozen, watch: Watch) -> dict[str, Tally]:
    known = tables(frozen)
    watch.step("hash of the rows", sum(count(frozen, table) for table in known))
    return {table.name: tally(frozen.lots(select(table, columns)), watch) for table, columns in known.items()}


def count(frozen: Frozen, table: Table) -> int:
    return int(next(rows_of(frozen, f'SELECT count(*) FROM "{table.name}"'))[0])


def keys(frozen: Frozen) -> Iterator[str]:
    """Of all blobs that the rows name; one that two rows name comes twice."""
    for table, columns in tables(frozen).items():
        for column in schema.BLOB_COLUMNS & set(columns):
            yield from (
                row[0] for row in rows_of(frozen, f"SELECT {column} FROM \"{table.name}\" WHERE {column} <> ''")
            )
