"""PostgreSQL (14 or newer) through psycopg: a pool of connections, COPY for bulk, conflicts tried again."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout

from ringback.errors import TooSlow, Unavailable
from ringback.store import postgres_space
from ringback.store.database import Db, Params, Row, Size, T, Taken, percent_style
from ringback.store.slices import Row as Packet
from ringback.store.slices import Slice
from ringback.store.slices import postgres as tables
from ringback.store.slices.postgres import PostgresSlices

CONNECTIONS = 10
WAIT_S = 10.0
ATTEMPTS = 4
CHANNEL = "ringback"
NOTICE_S = 1.0
COPY_FROM = 200  # rows from which COPY is cheaper than INSERT
BEGIN_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = DEFAULT"

Connection = psycopg.Connection[Row]


class PostgresDb:
    """A transaction. One that reads begins with the first statement that is not alone: each is a round trip less."""

    engine = "postgres"

    def __init__(self, connection: Connection, begun: bool = True) -> None:
        self.connection = connection
        self.cursor = connection.cursor(binary=True)  # texts and numbers come faster so
        self.slices = PostgresSlices(self)
        self.begun = begun
        self.answered = begun
        """Whether the connection has shown that it lives."""

    def all(self, sql: str, params: Params = {}) -> list[Row]:
        if not self.begun:
            self.connection.execute("BEGIN")
            self.begun = True
        return self.alone(sql, params)

    def alone(self, sql: str, params: Params = {}) -> list[Row]:
        rows = self.cursor.execute(percent_style(sql), params).fetchall()
        self.answered = True
        return rows

    def run(self, sql: str, params: Params = {}) -> int:
        return self.connection.execute(percent_style(sql), params).rowcount

    def many(self, sql: str, rows: Sequence[Params]) -> None:
        if rows:
            self.connection.cursor().executemany(percent_style(sql), rows)

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        names = ", ".join(f'"{column}"' for column in columns)
        cursor = self.connection.cursor()
        if len(rows) < COPY_FROM:
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)
            return
        with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)

    def among(self, column: str, param: str) -> str:
        return f"{column} = ANY(:{param})"

    def new_ids(self, name: str, n: int) -> list[int]:
        sql = f"SELECT nextval('{name}_ids') FROM generate_series(1, :n)"
        return list(chain.from_iterable(self.all(sql, {"n": n})))

    def wake(self) -> None:
        self.connection.execute(f"NOTIFY {CHANNEL}")


class _Slices:
    """Outside of transactions."""

    def __init__(self, database: "PostgresDatabase") -> None:
        self._database = database

    def listed(self, customer_id: int | None = None) -> list[Slice]:
        found = tables.slices(self._database.read(lambda db: db.all(tables.LISTED)))
        return [each for each in found if customer_id in (None, each.customer_id)]

    @contextmanager
    def packets(self, customer_id: int, day: int, size: int) -> Iterator[Iterator[list[Packet]]]:
        with (
            _translated(),
            psycopg.connect(self._database.url) as connection,
            tables.packets(connection, tables.table(customer_id, day), size) as lots,
        ):
            yield lots


class PostgresDatabase:
    engine = "postgres"

    def __init__(self, url: str, query_timeout_s: float) -> None:
        self.url = url
        self.slices = _Slices(self)
        self._timeout_ms = int(query_timeout_s * 1000)
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=WAIT_S,
            kwargs={"autocommit": True},
            configure=self._configure,
            open=False,
        )
        self._pool.open()

    def _configure(self, connection: Connection) -> None:
        """A connection reads, within the time limit, unless a transaction begins otherwise (`BEGIN_WRITE`)."""
        connection.execute(
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
            f"SET statement_timeout = {self._timeout_ms}"
        )

    def read(self, work: Callable[[Db], T]) -> T:
        """Connections that the server has closed meanwhile show it at the first statement: then begin anew."""
        with _translated():
            for _ in range(CONNECTIONS):
                connection = self._pool.getconn()
                db = PostgresDb(connection, begun=False)
                try:
                    return work(db)
                except psycopg.OperationalError:
                    if db.answered or not connection.closed:
                        raise
                finally:
                    # Not ROLLBACK, at which psycopg drops all prepared statements of the connection.
                    _end(connection, "COMMIT")
                    self._pool.putconn(connection)
            raise PoolTimeout("no connection is usable")

    def write(self, work: Callable[[Db], T], *, at_once: bool = True) -> T:
        for _ in range(ATTEMPTS):
            try:
                return self._transaction(work, at_once)
            except (pg.DeadlockDetected, pg.SerializationFailure) as error:
                conflict = error
        raise Unavailable("Too many writes at the same rows. Try again shortly.") from conflict

    def _transaction(self, work: Callable[[Db], T], at_once: bool) -> T:
        with self._begun() as connection:
            if not at_once:
                connection.execute("SET LOCAL synchronous_commit = off")
            result = work(PostgresDb(connection))
            connection.execute("COMMIT")
            return result

    @contextmanager
    def stream(self, sql: str, params: Params, size: int) -> Iterator[Iterator[list[Row]]]:
        # A connection of its own: a reader that takes its time must not hold one of the pool.
        with (
            _translated(),
            psycopg.connect(self.url) as connection,
            connection.cursor(name="stream") as cursor,
        ):
            cursor.execute(percent_style(sql), params)
            yield iter(lambda: cursor.fetchmany(size), [])

    @contextmanager
    def listen(self, heard: Callable[[], None]) -> Iterator[None]:
        stopping = threading.Event()
        thread = threading.Thread(target=self._hear, args=(heard, stopping), name="notices", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def _hear(self, heard: Callable[[], None], stopping: threading.Event) -> None:
        """With a connection of its own, and another when it is lost."""
        while not stopping.is_set():
            try:
                with psycopg.connect(self.url, autocommit=True) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    while not stopping.is_set():
                        heard()
                        list(connection.notifies(timeout=NOTICE_S, stop_after=1))
            except psycopg.Error:
                stopping.wait(NOTICE_S)

    def size(self) -> Size:
        sql = """
            SELECT relname, pg_total_relation_size(oid) FROM pg_class
            WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 2 DESC LIMIT 5
        """
        total = self.read(lambda db: int(db.all("SELECT pg_database_size(current_database())")[0][0]))
        return Size(total, None, dict(self.read(lambda db: db.all(sql))))

    def settle(self) -> None:
        """PostgreSQL does so by itself."""

    def giving_back(self, *, thorough: bool) -> Iterator[None]:
        return postgres_space.giving_back(self._maintain, thorough)

    def _maintain(self, work: Callable[[Connection], T]) -> T:
        """Each statement for itself, without the time limit."""
        with _translated(), psycopg.connect(self.url, autocommit=True) as connection:
            return work(connection)

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """A connection in a transaction, which is rolled back at the end unless it was committed."""
        with _translated():
            connection = self._begin()
            try:
                yield connection
            finally:
                _end(connection, "ROLLBACK")
                self._pool.putconn(connection)

    def _begin(self) -> Connection:
        """Connections that the server has closed meanwhile show it here, where another can still be taken."""
        for _ in range(CONNECTIONS):
            connection = self._pool.getconn()
            try:
                connection.execute(BEGIN_WRITE)
            except psycopg.OperationalError:
                self._pool.putconn(connection)
            else:
                return connection
        raise PoolTimeout("no connection is usable")

    def close(self) -> None:
        self._pool.close()


@contextmanager
def _translated() -> Iterator[None]:
    """psycopg's errors as ours: a taken value, a query over its time, a database that is away."""
    try:
        yield
    except pg.UniqueViolation as error:
        raise Taken(_columns(error)) from error
    except pg.QueryCanceled as error:
        raise TooSlow from error
    except (pg.DeadlockDetected, pg.SerializationFailure):
        raise
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database cannot be reached right now. Try again shortly.") from error


def _end(connection: Connection, how: str) -> None:
    if connection.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
        connection.execute(how)


def _columns(error: pg.UniqueViolation) -> list[str]:
    """The columns of the constraint, from `Key (customer_id, name)=(…) already exists.`"""
    detail = error.diag.message_detail or ""
    inside = detail.partition("(")[2].partition(")")[0]
    return [name.strip(' "') for name in inside.split(",") if name]
