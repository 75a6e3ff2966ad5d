"""Bringing a database to this version's schema, and refusing one that is newer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ringback.errors import Unavailable, UsageError
from ringback.store.engines import POSTGRES, sqlite_path

MIGRATIONS = Path(__file__).with_name("migrations")
_SHAPE = "write postgresql://user:password@host/name, or the path of an SQLite file."
RESTORING = "restoring"
"""A table that PostgreSQL has as long as a restore is not done: no server may start meanwhile."""
LOCK = 0x52494E47  # one migration at a time, whoever starts it


def upgrade(url: str, to: str | None = None) -> tuple[str | None, str]:
    """Migrates to the newest schema, or to the older one `to`; returns the revisions before and after.

    Refuses a database of a newer Ringback.
    """
    with _connected(url) as connection:
        before = _revision(connection)
        after = to or refuse_newer(before)
        if before != after:
            command.upgrade(_config(connection), after)
            _check_links(connection)
    return before, after


def check(url: str) -> None:
    """Raises UsageError unless the schema is exactly this version's."""
    with _connected(url) as connection:
        before = _revision(connection)
        unfinished = sa.inspect(connection).has_table(RESTORING)
    if unfinished:
        raise UsageError("A restore into this database was not finished: run `ringback restore` again.")
    if before is None:
        raise UsageError("The database is empty: run `ringback migrate` first.")
    if before != refuse_newer(before):
        raise UsageError("The database has an older schema. Run `ringback migrate` first (make a backup before).")


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def refuse_newer(revision: str | None) -> str:
    """The newest revision. UsageError when the database's is not known here."""
    scripts = ScriptDirectory.from_config(_config())
    known = {script.revision for script in scripts.walk_revisions()}
    if revision is not None and revision not in known:
        raise UsageError(
            f"The database has schema {revision}, which is newer than this Ringback knows. "
            "Start the newer Ringback, or restore a backup made by this version."
        )
    return scripts.get_current_head() or ""


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    """A connection in a transaction. Unavailable when there is no database, UsageError when there can be none."""
    try:
        engine = _engine(url)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield connection
        engine.dispose()
    except OSError as error:
        path = sqlite_path(url)
        what = "written" if os.path.exists(path) else "made"  # noqa: PTH110 - never raises
        raise Unavailable(f"The database file {path} cannot be {what}: {error.strerror}.") from error
    except sa.exc.DBAPIError as error:
        which = "" if url.startswith(POSTGRES) else f" {sqlite_path(url)}"
        raise Unavailable(f"The database{which} cannot be used: {_first_line(error.orig)}.") from error


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _engine(url: str) -> sa.Engine:
    """SQLite runs without foreign keys: batch migrations would delete child rows."""
    if url.startswith(POSTGRES):
        try:
            return sa.create_engine(f"postgresql+psycopg://{url.partition('://')[2]}", poolclass=sa.NullPool)
        except (sa.exc.ArgumentError, ValueError):
            raise UsageError(f"database: this is no valid URL; {_SHAPE}") from None
    path = sqlite_path(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare_sqlite(raw: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
    raw.isolation_level = None
    raw.execute("PRAGMA auto_vacuum = INCREMENTAL")
    raw.execute("PRAGMA busy_timeout = 30000")
    raw.execute("PRAGMA foreign_keys = OFF")


def _check_links(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
        raise UsageError("The migration would break links between rows; nothing was changed. Please report this.")
