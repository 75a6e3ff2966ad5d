"""A `cdr` or `cel` table of Asterisk, read from PostgreSQL or MariaDB/MySQL as Asterisk's modules and FreePBX fill them.

Whichever columns it has are read; `start` may be called `calldate`. Every value comes as text, in one read-only transaction,
through a cursor of the server, so that memory stays flat at any size. Nothing is ever written there.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from ringback.connectors.asterisk.cel import Record
from ringback.errors import UsageError
from ringback.importers import cel_records
from ringback.importers.asterisk_rows import NEEDED, Layout, Reader, column
from ringback.importers.call_rows import CallRow
from ringback.importers.csv_records import Refused
from ringback.importers.importer import Options, Progress, Refusal

FETCHED = 2_000
TIMEOUT_S = 15
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,63}(\.[A-Za-z_][A-Za-z0-9_$]{0,63})?")

Cell = str | bytes | None


class Kind(NamedTuple):
    """What a table holds. `order`: the columns that say which row came first, those that it has; `column`: the usual name of one."""

    table: str
    needed: Sequence[str]
    order: Sequence[str]
    column: Callable[[str], str]


CDR = Kind("cdr", NEEDED, ("start", "uniqueid", "sequence"), column)
CEL = Kind("cel", cel_records.NEEDED, ("id", "eventtime", "uniqueid"), cel_records.column)


class Place(NamedTuple):
    """Where a URL points. `more`: its parameters beside `table`, which go to the driver."""

    scheme: str
    host: str | None
    port: int | None
    user: str | None
    password: str | None
    database: str
    table: str
    more: Mapping[str, str]

    def failed(self, error: Exception) -> UsageError:
        """What the driver says, in one line and without the password."""
        said = " ".join(str(error).split())[:300]
        text = f"The database {self.database} on {self.host or 'this machine'}: {said}"
        for secret in filter(None, (self.password, os.environ.get("PGPASSWORD"), os.environ.get("MYSQL_PWD"))):
            text = text.replace(secret, "***")
        return UsageError(text)


class Source(Protocol):
    """A table of one kind of server. UsageError when the server refuses or fails."""

    def columns(self) -> list[str]:
        """Their names."""

    def count(self) -> int:
        """How many rows there are."""

    def rows(self, names: Sequence[str], order: Sequence[str]) -> Iterator[Sequence[Cell]]:
        """All of them."""

    def close(self) -> None:
        """Whatever was read so far."""


@contextmanager
def opened(url: str, options: Options, progress: Progress) -> Iterator[Iterator[CallRow | Refusal]]:
    """The rows of the table, the oldest first. UsageError when the URL, the server or the table cannot be used."""
    try:
        reader = Reader(options)
    except ValueError as error:
        raise UsageError(f"The PBX's clock: {error}.") from None
    with _table(url, options, progress, CDR) as (names, found):
        yield read(found, names, reader, progress)


@contextmanager
def opened_cel(url: str, options: Options, progress: Progress) -> Iterator[Iterator[Record | Refused]]:
    """The channel events of a `cel` table, in their order; the same errors."""
    with _table(url, options, progress, CEL) as (names, found):
        try:
            yield cel_records.of_table(_texts(found, progress), names, options)
        except ValueError as error:
            raise UsageError(f"The PBX's clock: {error}.") from None


def _texts(found: Iterator[Sequence[Cell]], progress: Progress) -> Iterator[list[str]]:
    for row_no, cells in enumerate(found, start=1):
        yield [_text(cell) for cell in cells]
        if row_no % FETCHED == 0:
            progress.advance(FETCHED)


@contextmanager
def _table(
    url: str, options: Options, progress: Progress, kind: Kind
) -> Iterator[tuple[list[str], Iterator[Sequence[Cell]]]]:
    """The usual names of its columns, and its rows."""
    place = placed(url, kind.table)
    with closing(_connected(place, options.time_zone)) as source:
        known = {kind.column(name): name for name in source.columns() if name.isidentifier()}
        if missing := [name for name in kind.needed if name not in known]:
            raise UsageError(f"The table {place.table} is no {kind.table} table: it has no column {missing[0]}.")
        names = list(known)
        found = source.rows([known[name] for name in names], [known[name] for name in kind.order if name in known])
        progress.start(source.count(), "rows")
        yield names, found


def placed(url: str, usual: str = CDR.table) -> Place:
    """UsageError when it is no such URL. What it says does not repeat the URL, which may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("The URL cannot be read: postgresql://user@host:5432/database?table=cdr.") from None
    more = dict(parse_qsl(parts.query, keep_blank_values=True))
    table, database = more.pop("table", usual), unquote(parts.path.lstrip("/"))
    if not _NAME.fullmatch(table):
        raise UsageError("The URL's table is no name of a table.")
    if not database:
        raise UsageError("The URL names no database: postgresql://user@host/database.")
    user, password = (text and unquote(text) for text in (parts.username, parts.password))
    return Place(parts.scheme.lower(), parts.hostname, port, user, password, database, table, more)


def read(
    found: Iterator[Sequence[Cell]], names: Sequence[str], reader: Reader, progress: Progress
) -> Iterator[CallRow | Refusal]:
    """Rows of calls out of rows of the table. `names`: of its columns, as `asterisk_rows.column` writes them."""
    layout = Layout(names)
    for row_no, cells in enumerate(found, start=1):
        texts = [_text(cell) for cell in cells]
        row = reader.row(row_no, layout(texts), lossy=any("\ufffd" in text for text in texts))
        yield row if isinstance(row, CallRow) else Refusal(f"row {row_no}", row, "\t".join(texts).encode()[:1024])
        if row_no % FETCHED == 0:
            progress.advance(FETCHED)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else cell.decode("utf-8", "replace")


def _connected(place: Place, time_zone: str) -> Source:
    if place.scheme in {"postgresql", "postgres"}:
        return _Postgres(place, time_zone)
    if place.scheme in {"mysql", "mariadb"}:
        return _Mariadb(place)
    raise UsageError("Calls come from a file, or from a table at postgresql://… or mysql://….")


def _allowed(more: Mapping[str, str], names: set[str]) -> dict[str, Any]:
    if unknown := more.keys() - names:
        raise UsageError(
            f"The URL's parameter {min(unknown)} is not known; there are table, {', '.join(sorted(names))}."
        )
    return dict(more)


# -- the servers


class _Postgres:
    """Instants with a time zone are written as the PBX's clock showed them, as in a CSV of the same calls."""

    _PARAMETERS = {"host", "sslmode", "sslrootcert", "sslcert", "sslkey"}

    def __init__(self, place: Place, time_zone: str) -> None:
        import psycopg
        from psycopg.adapt import Loader

        class Bytes(Loader):
            """Text as it is: a database in SQL_ASCII holds anything."""

            def load(self, data: Any) -> bytes:
                return bytes(data)

        self._place, self._error = place, psycopg.Error
        given = {"host": place.host, **_allowed(place.more, self._PARAMETERS)}
        with self._told():
            self._connection = psycopg.connect(
                **{name: value for name, value in given.items() if value is not None},
                port=place.port,
                user=place.user,
                password=place.password,
                dbname=place.database,
                connect_timeout=TIMEOUT_S,
                application_name="ringback import",
            )
            self._connection.adapters.register_loader("text", Bytes)
            self._connection.read_only = True
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.execute("SELECT set_config('TimeZone', %s, true)", [time_zone])
            self._connection.execute("SET LOCAL DateStyle TO ISO")
        self._table = ".".join(f'"{part}"' for part in place.table.split("."))
        self._zoned: set[str] = set()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise self._place.failed(error) from None

    def columns(self) -> list[str]:
        with self._told():
            described = self._connection.execute(f"SELECT * FROM {self._table} LIMIT 0").description or []
        self._zoned = {each.name for each in described if each.type_display == "timestamptz"}
        return [each.name for each in described]

    def count(self) -> int:
        with self._told():
            found = self._connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()
        return int(found[0]) if found else 0

    def rows(self, names: Sequence[str], order: Sequence[str]) -> Iterator[Sequence[Cell]]:
        listed = ", ".join(f'"{name}"{"::timestamp" if name in self._zoned else ""}::text' for name in names)
        ordered = ", ".join(f't."{name}"' for name in order)  # the column, not the text that is listed under its name
        with self._told(), self._connection.cursor(name="ringback") as cursor:
            cursor.itersize = FETCHED
            cursor.execute(f"SELECT {listed} FROM {self._table} t ORDER BY {ordered}")
            yield from cursor

    def close(self) -> None:
        self._connection.close()


class _Mariadb:
    """Values of the type TIMESTAMP come in the server's time zone, which is the PBX's where both run together."""

    _PARAMETERS = {"unix_socket", "ssl_ca"}

    def __init__(self, place: Place) -> None:
        import pymysql
        from pymysql.cursors import SSCursor

        self._place, self._error = place, pymysql.Error
        with self._told():
            self._connection = pymysql.connect(
                host=place.host or "localhost",
                port=place.port or 3306,
                user=place.user,
                password=place.password or os.environ.get("MYSQL_PWD", ""),
                database=place.database,
                charset="utf8mb4",
                use_unicode=False,
                connect_timeout=TIMEOUT_S,
                cursorclass=SSCursor,
                **_allowed(place.more, self._PARAMETERS),
            )
            self._run("SET SESSION net_write_timeout = 3600")  # we store in between, however slow that is
            self._run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        self._table = ".".join(f"`{part}`" for part in place.table.split("."))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (self._error, RuntimeError) as error:  # the latter where a kind of login needs what is not there
            raise self._place.failed(error) from None

    def _run(self, sql: str) -> tuple[Any, list[Any]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.description or (), list(cursor.fetchall())

    def columns(self) -> list[str]:
        with self._told():
            return [each[0] for each in self._run(f"SELECT * FROM {self._table} LIMIT 0")[0]]

    def count(self) -> int:
        with self._told():
            return int(self._run(f"SELECT count(*) FROM {self._table}")[1][0][0])

    def rows(self, names: Sequence[str], order: Sequence[str]) -> Iterator[Sequence[Cell]]:
        listed = ", ".join(f"CAST(`{name}` AS CHAR)" for name in names)
        ordered = ", ".join(f"`{name}`" for name in order)
        with self._told():
            cursor = self._connection.cursor()  # closed with the connection: by itself it would read on to the end
            cursor.execute(f"SELECT {listed} FROM {self._table} ORDER BY {ordered}")
            yield from cursor

    def close(self) -> None:
        self._connection.close()
