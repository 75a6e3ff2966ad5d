"""Moving an SQLite database to PostgreSQL: copied in one transaction, and compared before it is committed.

The source is locked for the time: no other process may have it open. So nothing can be written to it that would be
missing in the copy, and a server that runs on it is noticed. The target either has everything or, when the copy fails
or is killed, nothing: it is run again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import zip_longest
from pathlib import Path

from sqlalchemy import Table

from ringback.backups.postgres import FrozenPostgres, Loading
from ringback.backups.rows import LOT, Watch, count, rows_of, select, tables
from ringback.backups.sqlite import FrozenSqlite
from ringback.errors import UsageError
from ringback.store import migrate
from ringback.store.database import Row
from ringback.store.ids import skip_to
from ringback.store.slices import COLUMNS, Slice
from ringback.store.slices.postgres import make
from ringback.store.slices.postgres import table as table_of
from ringback.store.slices.sqlite import SqliteSlices
from ringback.store.sqlite import connect


def copy(path: Path, url: str, watch: Watch) -> dict[str, int]:
    """The database at `path` into the empty one at `url`; returns the rows of each table, all compared.

    UsageError when a server has `path` open, when `url` has rows, or when a value cannot be there.
    """
    migrate.check(str(path))
    migrate.upgrade(url)
    with _locked(path) as source, Loading(url) as target:
        known = tables(source)
        target.refuse_unless_empty(known)
        n = {table: count(source, table) for table in known}
        with target.without_indexes(lambda total: watch.step("indexes", total), watch.advance):
            watch.step("copy", sum(n.values()))
            for table, columns in known.items():
                target.load(table, columns, _read(source, table, columns), watch)
        for name, following in rows_of(source, "SELECT name, next FROM sequences"):
            skip_to(target.db, name, following - 1)
        watch.step("comparison", sum(n.values()))
        for table, columns in known.items():
            _compare(source, target.frozen, table, columns, watch)
        packets = _copy_slices(SqliteSlices(path), target, watch)
        return {table.name: rows for table, rows in n.items()} | ({"captured packets": packets} if packets else {})


def _copy_slices(slices: SqliteSlices, target: Loading, watch: Watch) -> int:
    """Each copied and compared; returns how many packets there are."""
    found = slices.listed()
    watch.step("captured packets", sum(each.size for each in found))
    n = 0
    for each in found:
        name = table_of(each.customer_id, each.day)
        make(target.db.connection, name)
        with slices.packets(each.customer_id, each.day, LOT) as lots:
            for lot in lots:
                target.db.load(name, COLUMNS, lot)
                n += len(lot)
        _compare_slice(slices, target.frozen, each, name)
        watch.advance(each.size)
    return n


def _compare_slice(slices: SqliteSlices, target: FrozenPostgres, one: Slice, name: str) -> None:
    nothing: list[Row] = []
    theirs = target.lots(f"SELECT {', '.join(COLUMNS)} FROM {name} ORDER BY id")
    with slices.packets(one.customer_id, one.day, LOT) as ours:
        if any(list(map(tuple, some)) != others for some, others in zip_longest(ours, theirs, fillvalue=nothing)):
            raise UsageError(f"{name}: captured packets are not the same in the copy; nothing was kept of it.")


@contextmanager
def _locked(path: Path) -> Iterator[FrozenSqlite]:
    """The next writer takes the file back to WAL."""
    with closing(connect(path)) as connection:
        _lock(connection, path)
        yield FrozenSqlite(connection)


def _lock(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("PRAGMA busy_timeout = 1000")
        connection.execute("PRAGMA journal_mode = DELETE")  # refused while anybody else has the file open
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        raise UsageError(
            f"{path} is open in another process: stop the server first, and start it on the copy."
        ) from None


def _read(source: FrozenSqlite, table: Table, columns: list[str]) -> Iterator[list[Row]]:
    try:
        yield from source.lots(select(table, columns))
    except sqlite3.OperationalError as error:
        raise UsageError(f"{table.name}: a row cannot be read: {error}") from None


def _compare(source: FrozenSqlite, target: FrozenPostgres, table: Table, columns: list[str], watch: Watch) -> None:
    """Value by value, in the order of the primary key. UsageError names the first row that differs."""
    sql = select(table, columns)
    nothing: list[Row] = []
    for ours, theirs in zip_longest(source.lots(sql), target.lots(sql), fillvalue=nothing):
        watch.advance(len(ours))
        if ours != theirs:
            _name(table, columns, ours, theirs)


def _name(table: Table, columns: list[str], ours: list[Row], theirs: list[Row]) -> None:
    for one, other in zip_longest(ours, theirs):
        if one != other:
            row = dict(zip(columns, one or other, strict=True))
            key = ", ".join(f"{column.name} {row[column.name]}" for column in table.primary_key)
            raise UsageError(f"{table.name}: the row of {key} is not the same in the copy; nothing was kept of it.")
