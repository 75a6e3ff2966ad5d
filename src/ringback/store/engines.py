"""From a URL to a database: `sqlite:///path`, a plain path, or `postgresql://user:password@host/name`."""

from pathlib import Path

from ringback.errors import UsageError
from ringback.store.database import Database
from ringback.store.sqlite import SqliteDatabase

QUERY_TIMEOUT_S = 10.0
POSTGRES = ("postgresql://", "postgres://")


def open_database(url: str, query_timeout_s: float = QUERY_TIMEOUT_S) -> Database:
    """Opens, without connecting yet on PostgreSQL. Migrating is `migrate.upgrade`."""
    if url.startswith(POSTGRES):
        from ringback.store.postgres import PostgresDatabase

        return PostgresDatabase(url, query_timeout_s)
    return SqliteDatabase(sqlite_path(url), query_timeout_s)


def sqlite_path(url: str) -> Path:
    """The file of `sqlite:///path` or of a plain path."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme != "sqlite":
        raise UsageError(f"database: {scheme}:// is no database that Ringback knows; use a path or postgresql://…")
    return Path(rest.removeprefix("/") if separator and not rest.startswith("//") else (rest or url))
