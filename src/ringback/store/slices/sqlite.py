"""Slices as SQLite files: `<database>.signalling/<customer>/<day>.<random>.db`.

A name is never used twice: whoever closes a file that was dropped would take the log of a new one of its name away.

Only who has the database's write lock writes to them, so that no file is dropped under a writer. A slice is committed before the
rows of the database that tell of it. What was added stands in `pending` until its writer knows that the transaction of
the database was committed: what a crash leaves there is unsettled.
"""

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from ringback.store.slices import COLUMNS, Row, Slice

MOST_OPEN = 8
PAGE = 8_192  # bytes
LOG_PAGES = 4_000
CACHE_KIB = 32_000
BUSY_S = 10.0
FREED_PAGES = 200  # a step
_NEW = ".new"
"""The ending of a file that is being made, under the database's write lock: what is found with that lock, a crash has left."""

_NAMES = ", ".join(COLUMNS)
_INSERT = f"INSERT OR IGNORE INTO packets ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"
_OF_CALLS = "call IN (SELECT value FROM json_each(?))"
_COUNTS = f"SELECT call, count(*) FROM packets WHERE {_OF_CALLS} GROUP BY call"
_READ = f"""
    SELECT {_NAMES} FROM json_each(?) c JOIN packets p ON p.id IN (
        SELECT id FROM packets WHERE call = c.value ORDER BY id LIMIT ?
    ) ORDER BY at_us, p.id
"""
_READ_LAST = _READ.replace("ORDER BY id LIMIT", "ORDER BY id DESC LIMIT")
_UNSETTLED = "SELECT DISTINCT call FROM pending JOIN packets p ON p.id BETWEEN first AND last"
_SCHEMA = """
    CREATE TABLE packets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        call INT NOT NULL,
        digest INT NOT NULL,
        at_us INT NOT NULL,
        agent INT,
        ends TEXT NOT NULL,
        payload BLOB NOT NULL,
        correlation TEXT
    );
    CREATE UNIQUE INDEX packets_of_call ON packets (call, digest);
    CREATE TABLE pending (id INTEGER PRIMARY KEY AUTOINCREMENT, first INT NOT NULL, last INT NOT NULL);
"""


Key = tuple[int, int]
"""Customer, day."""


class _File:
    """A slice that is being written. `added`: what is pending of the transaction under way; `done`: of those that were
    committed, to be forgotten by the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = connected(path)
        self.connection.execute("PRAGMA journal_mode = WAL")  # also one that was restored
        for setting in ("synchronous = FULL", f"wal_autocheckpoint = {LOG_PAGES}", f"cache_size = -{CACHE_KIB}"):
            self.connection.execute(f"PRAGMA {setting}")
        self.connection.execute("PRAGMA secure_delete = ON")
        self.added: list[int] = []
        self.done: list[int] = []

    def last_id(self) -> int:
        row = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'packets'").fetchone()
        return 0 if row is None else int(row[0])

    def note(self, first: int, last: int) -> None:
        """That these packets are pending, and what is not any more."""
        noted = self.connection.execute("INSERT INTO pending (first, last) VALUES (?, ?)", (first, last)).lastrowid
        assert noted is not None
        self._forget()
        self.added.append(noted)

    def unsettled(self) -> list[int]:
        """The calls of what is pending, which is taken for that of the transaction under way."""
        self._forget()
        self.added += [row[0] for row in self.connection.execute("SELECT id FROM pending")]
        return [row[0] for row in self.connection.execute(_UNSETTLED)]

    def _forget(self) -> None:
        if self.done:
            self.connection.executemany("DELETE FROM pending WHERE id = ?", [(each,) for each in self.done])
        self.done = []

    def close(self) -> None:
        with closing(self.connection):
            self._forget()


class SqliteSlices:
    """Of a database. `reading` and `writing`: as its transactions see them."""

    def __init__(self, database: Path) -> None:
        self.folder = folder_of(database)
        self._files: OrderedDict[Key, _File] = OrderedDict()
        self.reading = _Within(self, writes=False)
        self.writing = _Within(self, writes=True)

    def found(self, customer_id: int, day: int) -> Path | None:
        return next(self.folder.glob(f"{customer_id:d}/{day:08d}.*.db"), None)

    def listed(self, customer_id: int | None = None) -> list[Slice]:
        pattern = "[0-9]*" if customer_id is None else f"{customer_id:d}"
        paths = self.folder.glob(f"{pattern}/[0-9]*.*.db")
        return sorted(Slice(int(path.parent.name), int(path.name.partition(".")[0]), _size(path)) for path in paths)

    @contextmanager
    def packets(self, customer_id: int, day: int, size: int) -> Iterator[Iterator[list[Row]]]:
        path = self.found(customer_id, day)
        if path is None:
            yield iter(())
            return
        with closing(connected(path)) as connection:
            cursor = connection.execute(f"SELECT {_NAMES} FROM packets ORDER BY id")
            yield iter(lambda: list(map(Row._make, cursor.fetchmany(size))), [])

    def opened(self, customer_id: int, day: int) -> _File | None:
        """For writing; None where it is not there."""
        key = customer_id, day
        file = self._files.pop(key, None)
        if file is not None and not file.path.exists():  # another process has dropped it
            file.connection.close()
            file = None
        if file is None:
            path = self.found(customer_id, day)
            if path is None:
                return None
            file = _File(path)
        self._files[key] = file
        while len(self._files) > MOST_OPEN:
            self._files.popitem(last=False)[1].close()
        return file

    def made(self, customer_id: int, day: int) -> _File:
        file = self.opened(customer_id, day)
        if file is None:
            path = self.folder / f"{customer_id:d}" / f"{day:08d}.{token_hex(4)}.db"
            _make(path)
            file = self._files[customer_id, day] = _File(path)
        return file

    def drop(self, customer_id: int, day: int) -> None:
        """The file before its log, without which it would lack packets."""
        file = self._files.pop((customer_id, day), None)
        path = self.found(customer_id, day)
        if file is not None:
            file.connection.close()
        if path is not None:
            for ending in ("", "-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()

    def ended(self, *, well: bool) -> None:
        """To be called at the end of a transaction of the database that may have written."""
        for each in self._files.values():
            if each.added:
                each.done += each.added if well else []
                each.added = []

    def loose(self) -> Iterator[Key]:
        """The slices that have space to give back."""
        for customer_id, day, _ in self.listed():
            path = self.found(customer_id, day)
            if path is not None and _is_loose(path):
                yield customer_id, day

    def give_back(self, customer_id: int, day: int) -> bool:
        """A step, with the database's write lock. False: there is no more."""
        file = self.opened(customer_id, day)
        if file is None:
            return False
        free: int = file.connection.execute("PRAGMA freelist_count").fetchone()[0]
        if free:
            file.connection.executescript(f"PRAGMA incremental_vacuum({FREED_PAGES})")
        if free > FREED_PAGES:
            return True
        file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return False

    def close(self) -> None:
        while self._files:
            self._files.popitem()[1].close()


class _Within:
    """As a transaction of the database sees them: one that writes has its write lock, and asks the files that it writes to;
    one that reads opens a file anew each time."""

    def __init__(self, slices: SqliteSlices, *, writes: bool) -> None:
        self._slices, self._writes = slices, writes

    def begin(self, customer_id: int) -> None:
        """The write lock is enough."""

    def add(self, customer_id: int, day: int, rows: Sequence[Row]) -> int:
        file = self._slices.made(customer_id, day)
        with _transaction(file.connection) as connection:
            before, changes = file.last_id(), connection.total_changes
            connection.executemany(_INSERT, rows)
            new = connection.total_changes - changes
            if new:
                file.note(before + 1, file.last_id())
        return new

    def counts(self, customer_id: int, day: int, calls: Sequence[int]) -> dict[int, int]:
        return dict(self._asked(customer_id, day, _COUNTS, (json.dumps(calls),)))

    def read(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> list[Row]:
        return list(map(Row._make, self._asked(customer_id, day, _READ, (json.dumps(calls), most))))

    def read_last(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> list[Row]:
        return list(map(Row._make, self._asked(customer_id, day, _READ_LAST, (json.dumps(calls), most))))

    def remove(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> int:
        file = self._slices.opened(customer_id, day)
        if file is None:
            return 0
        sql = f"DELETE FROM packets WHERE id IN (SELECT id FROM packets WHERE {_OF_CALLS} LIMIT ?)"
        with _transaction(file.connection) as connection:
            return connection.execute(sql, (json.dumps(calls), most)).rowcount

    def remove_packets(self, customer_id: int, day: int, packets: Sequence[tuple[int, int]]) -> None:
        file = self._slices.opened(customer_id, day)
        if file is not None:
            with _transaction(file.connection) as connection:
                connection.executemany("DELETE FROM packets WHERE call = ? AND digest = ?", packets)

    def unsettled(self, customer_id: int) -> list[tuple[int, list[int]]]:
        for path in self._slices.folder.glob(f"{customer_id:d}/*{_NEW}*"):
            path.unlink(missing_ok=True)
        found = []
        for _, day, _ in self._slices.listed(customer_id):
            file = self._slices.opened(customer_id, day)
            calls = [] if file is None else file.unsettled()
            if calls:
                found.append((day, calls))
        return found

    def listed(self, customer_id: int) -> list[Slice]:
        return self._slices.listed(customer_id)

    def drop(self, customer_id: int, day: int) -> None:
        self._slices.drop(customer_id, day)

    def _asked(self, customer_id: int, day: int, sql: str, bound: Sequence[Any]) -> list[Any]:
        if self._writes:
            file = self._slices.opened(customer_id, day)
            return [] if file is None else file.connection.execute(sql, bound).fetchall()
        path = self._slices.found(customer_id, day)
        if path is None:
            return []
        try:
            with closing(connected(path)) as connection:
                return connection.execute(sql, bound).fetchall()
        except sqlite3.OperationalError:
            if path.exists():
                raise
            return []


def _make(path: Path) -> None:
    """Nobody sees an unfinished one."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    new = path.with_suffix(_NEW)
    new.touch(mode=0o600)
    with closing(connected(new)) as connection:
        for setting in (f"page_size = {PAGE}", "auto_vacuum = INCREMENTAL", "journal_mode = WAL"):
            connection.execute(f"PRAGMA {setting}")
        connection.executescript(_SCHEMA)
    new.rename(path)


def folder_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.signalling")


def connected(path: Path) -> sqlite3.Connection:
    """To a file that is there: none is made."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, timeout=BUSY_S, isolation_level=None, check_same_thread=False, uri=True)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_loose(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    try:
        with closing(connected(path)) as connection:
            free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
            return free > 0 or (log.exists() and log.stat().st_size > 0)
    except (sqlite3.OperationalError, FileNotFoundError):
        return False


def _size(path: Path) -> int:
    """With its log."""
    found = 0
    for each in (path, path.with_name(f"{path.name}-wal")):
        with suppress(FileNotFoundError):
            found += each.stat().st_size
    return found
