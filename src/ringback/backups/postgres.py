"""A PostgreSQL database through pg_dump and pg_restore, in PostgreSQL's own archive format.

Both get secrets by their environment and a file without a name, never by arguments, which other users could see.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Table

from ringback.backups.manifest import BackupBroken
from ringback.backups.rows import LOT, Watch
from ringback.errors import RingbackError, Unavailable, UsageError
from ringback.store.database import Row
from ringback.store.migrate import RESTORING
from ringback.store.postgres import PostgresDb

NAME = "rows.pgdump"
_SESSION = "ringback backup or restore"  # what the programs' sessions are called
_SERVICE = "ringback"
_SECRETS = frozenset({"sslpassword", "oauth_client_secret"})
_END_MS = 30_000
_OPTIONS = ("--no-owner", "--no-privileges")
_PARTS = re.compile(r" (EXTENSION - pg_trgm|INDEX \S+ ix_cdrs_(src|dst)_parts) ")

Connection = psycopg.Connection[Row]


class ProgramFailed(RingbackError):
    """pg_dump or pg_restore gave up; the message has what it said."""


class FrozenPostgres:
    engine = "postgres"

    def __init__(
        self, connection: Connection, dump: "subprocess.Popen[str] | None" = None, path: Path = Path()
    ) -> None:
        self._connection, self._dump, self._path = connection, dump, path
        self.tool = f"pg_dump {_version(_program('pg_dump', 0))}" if dump else ""

    def lots(self, sql: str) -> Iterator[list[Row]]:
        with self._connection.cursor(name="rows") as cursor:
            cursor.execute(sql.encode())
            yield from iter(lambda: cursor.fetchmany(LOT), [])

    def file(self) -> Path:
        """The dump; waits until it is whole."""
        assert self._dump is not None
        _ended(self._dump)
        return self._path


@contextmanager
def frozen(url: str, folder: Path, watch: Watch) -> Iterator[FrozenPostgres]:
    """The database as it is now, to be read while pg_dump writes the same snapshot of it to `folder`."""
    with reading(url) as connection:
        program = _program("pg_dump", connection.info.server_version // 10_000)
        snapshot = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert snapshot is not None
        path = folder / NAME
        watch.step("dump of the rows", 0)
        arguments = [*_OPTIONS, "--no-comments", "--format=custom", f"--snapshot={snapshot[0]}", f"--file={path}"]
        with _started(program, url, arguments) as dump:
            yield FrozenPostgres(connection, dump, path)


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A connection in a read-only snapshot."""
    with connected(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection in a transaction, which is committed when the block ends well."""
    _understood(url)
    try:
        with psycopg.connect(url) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database cannot be reached: {str(error).strip().partition(chr(10))[0]}.") from error


def _understood(url: str) -> None:
    """UsageError for no URL. It does not repeat the URL, as the error of the library does: there is a password in it."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise UsageError("database: this is no valid URL; write postgresql://user:password@host/name.") from None


def _program(name: str, server: int) -> str:
    """Its path. UsageError unless it is there and at least as new as the server."""
    advice = f"Install PostgreSQL's client programs, version {server} or newer (Debian: postgresql-client-{server})"
    path = shutil.which(name)
    if path is None:
        raise UsageError(f"{name} is not on PATH. {advice}.")
    if int(_version(path).partition(".")[0]) < server:
        raise UsageError(f"{path} is of version {_version(path)}, the server of {server}. {advice}, first on PATH.")
    return path


def _version(path: str) -> str:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    found = re.search(r"\d+(\.\d+)*", said)
    return found.group() if found else "0"


@contextmanager
def _started(program: str, url: str, arguments: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """It is killed when the block fails."""
    given = {name: str(each) for name, each in conninfo_to_dict(url).items()}
    given.pop("application_name", None)
    environment = os.environ | {"PGAPPNAME": _SESSION}
    if password := given.pop("password", ""):
        environment["PGPASSWORD"] = password
    with _service({name: given.pop(name) for name in _SECRETS & given.keys()}) as (named, descriptors):
        environment |= named
        command = [program, *arguments, f"--dbname={psycopg.conninfo.make_conninfo('', **given)}"]
        with subprocess.Popen(  # noqa: S603
            command, env=environment, stderr=subprocess.PIPE, text=True, pass_fds=descriptors
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def _service(secrets: Mapping[str, str]) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """What no variable of the environment can say, as a service file (libpq, section 34.17) that has no name: the
    variables that lead to it, and the descriptors to hand on."""
    if not secrets:
        yield {}, ()
        return
    with TemporaryFile() as file:
        lines = (f"{name}={text}" for name, text in secrets.items())
        file.write("\n".join([f"[{_SERVICE}]", *lines, ""]).encode())
        file.flush()
        file.seek(0)
        yield {"PGSERVICEFILE": f"/dev/fd/{file.fileno()}", "PGSERVICE": _SERVICE}, (file.fileno(),)


def _ended(process: "subprocess.Popen[str]") -> None:
    """ProgramFailed with the first of its sentences unless it did what it should."""
    said = process.communicate()[1].strip()
    if process.returncode:
        name = Path(str(process.args[0])).name  # type: ignore[index]
        raise ProgramFailed(f"{name} failed: {said.partition(chr(10))[0] or process.returncode}")


# -- reading a dump ---------------------------------------------------------------------------------------------------


def counts(dump: Path) -> dict[str, int]:
    """How many rows of each table are in the dump; reads all of it. BackupBroken when it cannot be read."""
    command = [_program("pg_restore", 0), "--data-only", "--file=-", str(dump)]
    found: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stderr is not None
        table = ""
        for line in process.stdout:
            if table:
                found[table] += line != b"\\.\n"
                table = "" if line == b"\\.\n" else table
            elif line.startswith(b"COPY "):
                table = line.split()[1].decode().rpartition(".")[2].strip('"')
                found[table] = 0
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise BackupBroken(f"{dump.name} cannot be read by pg_restore: {said.partition(chr(10))[0]}")
    return found


# -- restoring --------------------------------------------------------------------------------------------------------


def prepare(url: str) -> None:
    """Marks an empty database as being restored; empties one whose restore was killed. UsageError for any other."""
    with connected(url) as connection:
        names = _named(connection)
        if not names:
            connection.execute(f"CREATE TABLE {RESTORING} ()")
        elif RESTORING not in names:
            raise UsageError("The database is not empty: restore into a new one, nothing is ever overwritten.")
        else:
            _end_orphans(connection)
            _empty(connection, [name for name in names if name != RESTORING])


def _end_orphans(connection: Connection) -> None:
    """A restore that was killed leaves its pg_restore behind, which would go on and commit."""
    found = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = %(name)s"
    connection.execute(f"SELECT pg_terminate_backend(pid, {_END_MS}) {found}".encode(), {"name": _SESSION})


def _named(connection: Connection) -> list[str]:
    """Tables and sequences."""
    found = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'S') AND relnamespace = current_schema()::regnamespace"
    )
    return [row[0] for row in found]


def _empty(connection: Connection, names: Sequence[str]) -> None:
    for name in names:
        what = sql.SQL("SEQUENCE" if name.endswith("_ids") else "TABLE")
        connection.execute(sql.SQL("DROP {} IF EXISTS {} CASCADE").format(what, sql.Identifier(name)))
    connection.execute("DROP FUNCTION IF EXISTS fold(text)")


def restore(url: str, dump: Path) -> None:
    """All of the dump into a prepared database, or nothing of it."""
    with connected(url) as connection:
        program = _program("pg_restore", connection.info.server_version // 10_000)
        wanted = _wanted(connection, program, dump)
    contents = dump.with_suffix(".list")
    contents.write_text(wanted)
    arguments = [*_OPTIONS, "--single-transaction", "--exit-on-error", f"--use-list={contents}", str(dump)]
    with _started(program, url, arguments) as process:
        _ended(process)


def _wanted(connection: Connection, program: str, dump: Path) -> str:
    """The dump's contents. A pg_trgm that is there is not made again; where there is none, its indexes are left out."""
    listed = subprocess.run([program, "--list", str(dump)], capture_output=True, text=True, check=False)  # noqa: S603
    if listed.returncode:
        raise BackupBroken(f"{dump.name} cannot be read by pg_restore: {listed.stderr.strip()}")
    state = "SELECT installed_version IS NOT NULL FROM pg_available_extensions WHERE name = 'pg_trgm'"
    found = connection.execute(state).fetchone()
    if found is None:
        return "\n".join(line for line in listed.stdout.splitlines() if not _PARTS.search(line))
    lines = (line for line in listed.stdout.splitlines() if not (found[0] and " EXTENSION - pg_trgm" in line))
    return "\n".join(lines)


def finish(url: str) -> None:
    """From here on a server may start on the database."""
    with connected(url) as connection:
        connection.execute(f"DROP TABLE {RESTORING}")


# -- filling ----------------------------------------------------------------------------------------------------------


class Loading:
    """A migrated, empty database while it is filled, in one transaction: committed when the block ends well."""

    def __init__(self, url: str) -> None:
        self._opened = connected(url)

    def __enter__(self) -> "Loading":
        self._connection = self._opened.__enter__()
        self.db = PostgresDb(self._connection)
        self.frozen = FrozenPostgres(self._connection)
        return self

    def __exit__(self, *raised: Any) -> None:
        self._opened.__exit__(*raised)

    def refuse_unless_empty(self, tables: Iterable[Table]) -> None:
        """And keeps everybody else away until the end."""
        for table in tables:
            name = sql.Identifier(table.name)
            self._connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(name))
            if self._connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(name)).fetchone():
                raise UsageError(f"The database has rows in {table.name} already: copy into an empty one.")

    @contextmanager
    def without_indexes(self, begin: Callable[[int], None], advance: Callable[[int], None]) -> Iterator[None]:
        """Indexes that no constraint needs are made anew after the block: that is several times faster."""
        indexes = self._connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            self._connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        yield
        begin(len(indexes))
        for _, definition in indexes:
            self._connection.execute(definition)
            advance(1)
        self._connection.execute("ANALYZE")

    def load(self, table: Table, columns: Sequence[str], lots: Iterable[list[Row]], watch: Watch) -> None:
        """UsageError names the row that PostgreSQL does not take."""
        named = sql.SQL(", ").join(map(sql.Identifier, columns))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), named)
        try:
            with self._connection.cursor().copy(statement) as copy:
                for lot in lots:
                    for row in lot:
                        copy.write_row(row)
                    watch.advance(len(lot))
        except psycopg.DataError as error:
            where = error.diag.context or ""
            raise UsageError(f"{table.name}: PostgreSQL does not take a row: {_first(error)} {where}".strip()) from None


_INDEXES = """
    SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid) ORDER BY 1
"""


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
