"""PostgreSQL: space goes back to the disk while everybody works on.

VACUUM makes deleted rows' space free for new rows, but cuts off only what is free at the end of a table's file; and what
retention deletes lies at its beginning. So after a large thinning the rows at the end are moved to the free beginning, some at
a time (an UPDATE that changes nothing writes the row anew where there is room), until the end is free and VACUUM cuts it off.
The indexes are then built anew beside the old ones. Nothing of this takes a lock that readers or writers wait for, but for
VACUUM's cut, which gives up when somebody does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

PAGE = 8_192
SMALL = 1_000  # pages: less is not worth the work
LOOSE = 0.3  # of a table free: more than comes and goes by itself
FILLED = 0.95  # of a page, by rows that have just been moved
CHUNK = 64  # pages, a step
ROUNDS = 300  # a row that is moved within its page fills it up; some rounds later it has to leave

TABLES = (
    "cdrs",
    "cdr_parties",
    "cdr_channels",
    "cdr_notes",
    "monitors",
    "voicemessages",
    "msdrs",
    "mediasessions",
    "chats",
    "chatmsgs",
    "sms",
    "auditlog",
    "counters",
    "jobs",
)
"""What retention deletes from, and what it writes while it does."""


class Connection(Protocol):
    def execute(self, query: Any, params: Any = ..., /) -> Any: ...

    def transaction(self) -> AbstractContextManager[Any]: ...


class Maintain(Protocol):
    """Runs work on a connection of its own, each statement for itself."""

    def __call__(self, work: Callable[[Any], T], /) -> T: ...


def giving_back(maintain: Maintain, thorough: bool) -> Iterator[None]:
    """`thorough`: tables that are loose are drawn together, not only made ready for new rows."""
    for table in (*TABLES, *maintain(_slices)):
        maintain(partial(_vacuum, table=table))
        yield
        if thorough and maintain(partial(_is_loose, table=table)):
            yield from _draw_together(maintain, table)


def _slices(connection: Connection) -> list[str]:
    """The slices of captured packets from which some were deleted; mostly they are dropped whole."""
    found = connection.execute(
        "SELECT relname FROM pg_stat_user_tables WHERE relname ~ '^sip_[0-9]+_[0-9]{8}$' AND n_dead_tup > 0"
    )
    return [row[0] for row in found.fetchall()]


def _vacuum(connection: Connection, table: str) -> None:
    connection.execute(f"VACUUM (ANALYZE) {table}")


def _is_loose(connection: Connection, table: str) -> bool:
    pages = _pages(connection, table)
    return pages > SMALL and _needed_pages(connection, table) < pages * (1 - LOOSE)


def _pages(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT pg_relation_size('{table}') / {PAGE}").fetchone()[0])


def _needed_pages(connection: Connection, table: str) -> float:
    """As many as the rows would fill, by the size of a sample of them. 28 bytes a row are its header and place."""
    rows: float = connection.execute(f"SELECT reltuples FROM pg_class WHERE oid = '{table}'::regclass").fetchone()[0]
    sample = f"(SELECT * FROM {table} LIMIT 1000) t"
    size = connection.execute(f"SELECT avg(pg_column_size(t.*)) FROM {sample}").fetchone()[0] or 0
    return max(rows, 0) * (float(size) + 4) / (PAGE * FILLED)


def _draw_together(maintain: Maintain, table: str) -> Iterator[None]:
    column = maintain(partial(_plain_column, table=table))
    end = maintain(partial(_pages, table=table))
    aim = int(maintain(partial(_needed_pages, table=table))) + 1
    while end > aim:
        begin = max(end - CHUNK, aim)
        if not maintain(partial(_move, table=table, column=column, begin=begin)):
            break
        end = begin
        yield
    maintain(partial(_vacuum, table=table))
    yield
    maintain(partial(_build_indexes, table=table))
    yield


def _plain_column(connection: Connection, table: str) -> str:
    """A column without an index, if there is one: then a row that stays in its page costs no index entries."""
    sql = f"""
        SELECT a.attname FROM pg_attribute a WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0
        ORDER BY EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND a.attnum = ANY(i.indkey)), a.attnum
        LIMIT 1
    """
    return f'"{connection.execute(sql).fetchone()[0]}"'


def _move(connection: Connection, table: str, column: str, begin: int) -> bool:
    """Moves all rows out of the pages from `begin` on; False, and nothing moved, when there is no room before them."""
    update = f"UPDATE {table} SET {column} = {column} WHERE"
    end = _pages(connection, table)
    with suppress(_NoRoom), connection.transaction():
        staying = _at(connection.execute(f"{update} ctid >= '({begin},0)'::tid RETURNING ctid"), begin, end)
        for _ in range(ROUNDS):
            if not staying:
                return True
            again = connection.execute(f"{update} ctid = ANY(%s::tid[]) RETURNING ctid", (staying,))
            staying = _at(again, begin, end)
        raise _NoRoom
    return False


class _NoRoom(Exception):
    """Rows went to new pages at the end."""


def _at(cursor: Any, begin: int, end: int) -> Sequence[str]:
    """The places of rows that are still from page `begin` on."""
    places = {row[0]: int(row[0][1:].partition(",")[0]) for row in cursor.fetchall()}
    if any(page >= end for page in places.values()):
        raise _NoRoom
    return [place for place, page in places.items() if page >= begin]


def _build_indexes(connection: Connection, table: str) -> None:
    """Anew, beside the old ones. What a build that was killed has left behind goes first."""
    sql = rf"""
        SELECT indexrelid::regclass FROM pg_index
        WHERE indrelid = '{table}'::regclass AND NOT indisvalid AND indexrelid::regclass::text LIKE '%\_cc%'
    """
    for (name,) in connection.execute(sql).fetchall():
        connection.execute(f"DROP INDEX {name}")
    connection.execute(f"REINDEX TABLE CONCURRENTLY {table}")
