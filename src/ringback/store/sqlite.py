"""SQLite: one writer at a time, a few readers beside it, nothing lost at power failure (WAL, synchronous=FULL)."""

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ringback.errors import TooSlow, Unavailable
from ringback.store import sqlite_space
from ringback.store.database import Db, Params, Row, Size, T, Taken, fold
from ringback.store.slices import Slices
from ringback.store.slices.sqlite import SqliteSlices

READERS = 12
BUSY_TIMEOUT_S = 10.0
WRITER_CACHE_KIB = 64_000  # lots of deletions go through many indexes
LONGEST_LOG = 160_000  # pages of 4 KiB: what retention writes in SETTLE_S
KEPT_LOG = 640 << 20  # bytes of the log's file that stay when it begins anew
STEPS_PER_CHECK = 20_000  # virtual machine steps between two looks at the clock: about 1 ms

_AWAY = ("locked", "busy", "full", "disk i/o", "unable to open", "readonly", "malformed", "not a database")


class SqliteDb:
    engine = "sqlite"

    def __init__(self, connection: sqlite3.Connection, slices: Slices) -> None:
        self.connection = connection
        self.slices = slices
        self.wakes = False

    def all(self, sql: str, params: Params = {}) -> list[Row]:
        return self.connection.execute(sql, _bound(params)).fetchall()

    def alone(self, sql: str, params: Params = {}) -> list[Row]:
        return self.all(sql, params)

    def run(self, sql: str, params: Params = {}) -> int:
        return self.connection.execute(sql, _bound(params)).rowcount

    def many(self, sql: str, rows: Sequence[Params]) -> None:
        self.connection.executemany(sql, rows)

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        names = ", ".join(f'"{column}"' for column in columns)
        marks = ", ".join("?" * len(columns))
        self.connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)

    def among(self, column: str, param: str) -> str:
        return f"{column} IN (SELECT value FROM json_each(:{param}))"

    def new_ids(self, name: str, n: int) -> list[int]:
        sql = "UPDATE sequences SET next = next + :n WHERE name = :name RETURNING next"
        after: int = self.all(sql, {"n": n, "name": name})[0][0]
        return list(range(after - n, after))

    def wake(self) -> None:
        self.wakes = True


def _bound(params: Params) -> Params:
    if any(isinstance(value, list | tuple) for value in params.values()):
        return {key: json.dumps(each) if isinstance(each, list | tuple) else each for key, each in params.items()}
    return params


class _StringAgg:
    """`string_agg(text, separator)`, which SQLite has only since 3.44."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.separator = ","

    def step(self, text: str | None, separator: str) -> None:
        self.separator = separator
        if text is not None:
            self.parts.append(text)

    def finalize(self) -> str | None:
        return self.separator.join(self.parts) if self.parts else None


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection as Ringback uses it. The file is made, readable by its owner alone, when it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    if not read_only:  # these need the write lock, which a reader never waits for
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # zeros over what is deleted: not every build's default
    connection.execute("PRAGMA cache_size = -8000")
    connection.execute(f"PRAGMA query_only = {int(read_only)}")
    connection.create_function("fold", 1, fold, deterministic=True)
    connection.create_aggregate("string_agg", 2, _StringAgg)  # type: ignore[arg-type]
    return connection


class SqliteDatabase:
    engine = "sqlite"

    def __init__(self, path: Path, query_timeout_s: float) -> None:
        self.path = path
        self.slices = SqliteSlices(path)
        self.query_timeout_s = query_timeout_s
        self._write_lock = threading.Lock()
        self._settle_lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._settler: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._readers: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        for _ in range(READERS):
            self._readers.put(None)

    def read(self, work: Callable[[Db], T]) -> T:
        with self._reader() as connection, _translated():
            deadline = time.monotonic() + self.query_timeout_s
            connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_PER_CHECK)
            try:
                connection.execute("BEGIN")
                return work(SqliteDb(connection, self.slices.reading))
            finally:
                connection.set_progress_handler(None, 0)
                _end(connection, "ROLLBACK")

    def write(self, work: Callable[[Db], T], *, at_once: bool = True) -> T:
        if not self._write_lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise Unavailable("The database is busy writing. Try again shortly.")
        try:
            with _translated():
                return self._transaction(work, at_once)
        finally:
            self._write_lock.release()

    def _transaction(self, work: Callable[[Db], T], at_once: bool) -> T:
        writer = self._opened_writer()
        writer.execute(f"PRAGMA synchronous = {'FULL' if at_once else 'NORMAL'}")
        writer.execute("BEGIN IMMEDIATE")
        db = SqliteDb(writer, self.slices.writing)
        try:
            result = work(db)
            writer.execute("COMMIT")
        except BaseException:
            _end(writer, "ROLLBACK")
            self.slices.ended(well=False)
            raise
        self.slices.ended(well=True)
        for heard in tuple(self._listeners) if db.wakes else ():
            heard()
        return result

    @contextmanager
    def listen(self, heard: Callable[[], None]) -> Iterator[None]:
        self._listeners.append(heard)
        try:
            yield
        finally:
            self._listeners.remove(heard)

    def _opened_writer(self) -> sqlite3.Connection:
        """Its log is copied into the file by `settle`, and only when that does not come by the writer, which all wait for."""
        if self._writer is None:
            self._writer = connect(self.path)
            self._writer.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
            self._writer.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_LOG}")
            self._writer.execute(f"PRAGMA journal_size_limit = {KEPT_LOG}")
        return self._writer

    def size(self) -> Size:
        names = ("page_size", "page_count", "freelist_count")
        page, pages, free = (self.read(lambda db, name=name: int(db.all(f"PRAGMA {name}")[0][0])) for name in names)  # type: ignore[misc]
        signalling = sum(each.size for each in self.slices.listed())
        tables = {"captured signalling": signalling} if signalling else {}
        return Size(page * pages + signalling, page * free, tables)

    def settle(self) -> None:
        if not self._settle_lock.acquire(blocking=False):
            return
        try:
            with _translated():
                if self._settler is None:
                    self._settler = connect(self.path)
                self._settler.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            self._settle_lock.release()

    def giving_back(self, *, thorough: bool) -> Iterator[None]:
        yield from sqlite_space.giving_back(self._maintain, thorough)
        for customer_id, day in self.slices.loose():
            while self._maintain(lambda _, customer_id=customer_id, day=day: self.slices.give_back(customer_id, day)):  # type: ignore[misc]
                yield

    def _maintain(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Outside of a transaction, while nobody else of this process writes."""
        if not self._write_lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise Unavailable("The database is busy writing. Try again shortly.")
        try:
            with _translated():
                return work(self._opened_writer())
        finally:
            self._write_lock.release()

    @contextmanager
    def stream(self, sql: str, params: Params, size: int) -> Iterator[Iterator[list[Row]]]:
        with _translated():
            connection = connect(self.path, read_only=True)
            try:
                cursor = connection.execute(sql, _bound(params))
                yield iter(lambda: cursor.fetchmany(size), [])
            finally:
                connection.close()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._readers.get(timeout=BUSY_TIMEOUT_S)
        except queue.Empty:
            raise Unavailable("All readers of the database are busy. Try again shortly.") from None
        try:
            if connection is None:
                with _translated():
                    connection = connect(self.path, read_only=True)
            yield connection
        finally:
            self._readers.put(connection)

    def close(self) -> None:
        with self._write_lock:
            self.slices.close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        with self._settle_lock:
            if self._settler is not None:
                self._settler.close()
                self._settler = None
        for connection in [self._readers.get() for _ in range(READERS)]:
            if connection is not None:
                connection.close()
            self._readers.put(None)


def _end(connection: sqlite3.Connection, how: str) -> None:
    if connection.in_transaction:
        connection.execute(how)


@contextmanager
def _translated() -> Iterator[None]:
    """SQLite's errors as ours: a taken value, a query over its time, a database that is away."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        kind, _, names = str(error).partition(": ")
        if not kind.startswith("UNIQUE"):
            raise
        raise Taken([name.partition(".")[2] for name in names.split(", ")]) from error
    except sqlite3.DatabaseError as error:
        text = str(error).lower()
        if "interrupted" in text:
            raise TooSlow from error
        if any(word in text for word in _AWAY):
            raise Unavailable("The database cannot be used right now. Try again shortly.") from error
        raise
