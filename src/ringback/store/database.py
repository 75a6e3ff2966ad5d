"""What the rest of Ringback sees of a database: transactions on either engine, with one dialect of SQL.

SQL is written once: named parameters (`:name`), quoted identifiers, and the few functions that both engines get from
us: `fold(text)` (lower case, Unicode, the same table everywhere) and `string_agg`. A list parameter goes with `Db.among`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeVar

from ringback.errors import Fault, Invalid
from ringback.store.slices import AllSlices, Slices

T = TypeVar("T")
ATTEMPTS = 5
Row = tuple[Any, ...]
Params = Mapping[str, Any]


class Taken(Invalid):
    """A unique value is in use already. `columns` are those of the violated constraint."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        super().__init__(faults=[Fault(columns[-1] if columns else None, "This value is already used.")])


class Size(NamedTuple):
    """Bytes on the disk. `free`: what the database could give back, None where it cannot tell."""

    total: int
    free: int | None
    tables: Mapping[str, int]
    """The largest tables with their indexes, where the database can tell."""


class Db(Protocol):
    """One open transaction. Rows are tuples; nothing is committed before the function that got it has returned."""

    engine: str

    @property
    def slices(self) -> Slices:
        """The captured packets."""
        ...

    def all(self, sql: str, params: Params = ...) -> list[Row]: ...

    def alone(self, sql: str, params: Params = ...) -> list[Row]:
        """`all`, for a statement that is a snapshot by itself: what comes after it may see later changes. Cheaper."""
        ...

    def run(self, sql: str, params: Params = ...) -> int:
        """Executes and returns the number of rows touched."""
        ...

    def many(self, sql: str, rows: Sequence[Params]) -> None: ...

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Inserts many rows in the engine's fastest way."""
        ...

    def among(self, column: str, param: str) -> str:
        """SQL that is true when `column` is one of the list bound to `param`."""
        ...

    def new_ids(self, name: str, n: int) -> list[int]:
        """The next `n` ids of a sequence, ascending; never given out again."""
        ...

    def wake(self) -> None:
        """Those who `listen` hear of it when this transaction is committed."""
        ...


class Database(Protocol):
    """A database that any thread may use. `work` may run again after a conflict: it has no other effect."""

    engine: str

    @property
    def slices(self) -> AllSlices:
        """The captured packets."""
        ...

    def read(self, work: Callable[[Db], T]) -> T:
        """Runs `work` in one read-only snapshot, each query within the time limit (TooSlow after it)."""
        ...

    def write(self, work: Callable[[Db], T], *, at_once: bool = True) -> T:
        """Runs `work` in one transaction that is on disk when this returns. Unavailable when it cannot be.

        Not `at_once`: it is on disk with the next that is. For work that begins again where a power cut has put it back.
        """
        ...

    def stream(self, sql: str, params: Params, size: int) -> AbstractContextManager[Iterator[list[Row]]]:
        """Rows in lots of `size`, in one snapshot, without holding them in memory and without the time limit."""
        ...

    def listen(self, heard: Callable[[], None]) -> AbstractContextManager[None]:
        """Inside, `heard` is called after each commit that was to wake somebody, and now and then for nothing. In any thread; it
        must not wait. On SQLite only commits of this process are heard, and a server of PostgreSQL may be away for a while:
        who must miss nothing looks by itself, too."""
        ...

    def size(self) -> Size: ...

    def settle(self) -> None:
        """Brings what was written to its place, beside readers and writers: to be called now and then."""
        ...

    def giving_back(self, *, thorough: bool) -> Iterator[None]:
        """Gives the space of deleted rows back to the disk; each `next` is a short step. `thorough` after a large
        thinning: it moves more, and gives back all that can be had."""
        ...

    def close(self) -> None: ...


def persistently(database: Database, work: Callable[[Db], T], *, at_once: bool = True) -> T:
    """Writes; again when another process stored some of the same rows at the same moment (Taken), which `work` then finds."""
    for _ in range(ATTEMPTS - 1):
        try:
            return database.write(work, at_once=at_once)
        except Taken:
            continue
    return database.write(work, at_once=at_once)


def first(db: Db, sql: str, params: Params = {}) -> Row | None:
    """The first row, or None."""
    rows = db.all(sql, params)
    return rows[0] if rows else None


def value(db: Db, sql: str, params: Params = {}) -> Any:
    """The first column of the first row, or None."""
    row = first(db, sql, params)
    return None if row is None else row[0]


@lru_cache(maxsize=4096)
def percent_style(sql: str) -> str:
    """`:name` as `%(name)s`, for psycopg. A `::cast` and quoted text stay."""
    parts = re.split(r"('(?:[^']|'')*')", sql.replace("%", "%%"))
    parts[::2] = [re.sub(r"(?<![:\w]):([a-z_]\w*)", r"%(\1)s", part) for part in parts[::2]]
    return "".join(parts)


def folding_table() -> dict[int, str]:
    """Code point → lower case, for every character whose lower case is one character."""
    pairs = ((point, chr(point).lower()) for point in range(0x110000))
    return {point: lower for point, lower in pairs if len(lower) == 1 and lower != chr(point)}


@lru_cache(maxsize=1)
def _table() -> dict[int, str]:
    return folding_table()


def fold(text: str | None) -> str | None:
    """Lower case, the same here, in SQLite and in PostgreSQL; None stays None."""
    if text is None or not isinstance(text, str):
        return text
    return text.lower() if text.isascii() else text.translate(_table())


def folded(text: str) -> str:
    """`fold` of a text that is there."""
    return fold(text) or ""
