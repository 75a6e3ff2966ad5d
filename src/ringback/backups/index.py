"""Which blobs a snapshot has to have, and which of them the backup has already.

Kept in a scratch file: a million recordings fit no small machine's memory.
"""

import gzip
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from ringback.blobs import Stored

_TABLES = """
    CREATE TABLE named (key TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE there (key TEXT PRIMARY KEY, size INT, modified TEXT) WITHOUT ROWID;
    CREATE TABLE known (key TEXT PRIMARY KEY, size INT, modified TEXT, sha256 TEXT) WITHOUT ROWID;
    CREATE TABLE kept (sha256 TEXT PRIMARY KEY, size INT) WITHOUT ROWID;
    CREATE TABLE used (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_WANTED = """
    SELECT named.key, there.size, there.modified, kept.sha256 FROM named
    LEFT JOIN there ON there.key = named.key
    LEFT JOIN known ON known.key = named.key AND known.size = there.size AND known.modified = there.modified
    LEFT JOIN kept ON kept.sha256 = known.sha256 AND kept.size = known.size
    ORDER BY named.key
"""


class Listed(msgspec.Struct, frozen=True):
    """A line of a snapshot's list. `size` and `sha256` are None for a blob that was gone before it could be copied."""

    key: str
    size: int | None = None
    sha256: str | None = None
    modified: str = ""


class Index:
    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")

    def close(self) -> None:
        self._connection.close()

    def add_named(self, keys: Iterable[str]) -> None:
        self._add("INSERT OR IGNORE INTO named VALUES (?)", ((key,) for key in keys))

    def add_there(self, blobs: Iterable[Stored]) -> None:
        rows = ((each.key, each.size, _text(each.modified_at)) for each in blobs)
        self._add("INSERT OR REPLACE INTO there VALUES (?, ?, ?)", rows)

    def known(self, key: str, modified: str) -> Listed | None:
        """The line of the newest snapshot, when that is of then and the backup has the blob."""
        sql = """
            SELECT known.size, known.sha256 FROM known JOIN kept ON kept.sha256 = known.sha256 AND kept.size = known.size
            WHERE key = ? AND modified = ?
        """
        row = self._connection.execute(sql, (key, modified)).fetchone()
        return None if row is None else Listed(key, row[0], row[1], modified)

    def add_known(self, lines: Iterable[Listed]) -> None:
        rows = ((each.key, each.size, each.modified, each.sha256) for each in lines if each.sha256)
        self._add("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", rows)

    def add_used(self, lines: Iterable[Listed]) -> None:
        self._add("INSERT OR IGNORE INTO used VALUES (?)", ((each.sha256,) for each in lines if each.sha256))

    def add_kept(self, blobs: Iterable[Stored]) -> None:
        rows = ((each.key.rpartition("/")[2], each.size) for each in blobs)
        self._add("INSERT OR REPLACE INTO kept VALUES (?, ?)", rows)

    def _add(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany(sql, rows)
        self._connection.execute("COMMIT")

    def wanted(self) -> Iterator[Listed]:
        """Every blob that is named, by key; without `sha256` when the backup may not have it, without `size` when it
        is gone."""
        for key, size, modified, digest in self._connection.execute(_WANTED):
            yield Listed(key, size, digest, modified or "")

    def unused(self) -> Iterator[tuple[str, int]]:
        """Digest and size of what the backup has and no list that was added names."""
        sql = "SELECT sha256, size FROM kept WHERE sha256 NOT IN (SELECT sha256 FROM used) ORDER BY sha256"
        yield from self._connection.execute(sql)

    def amount(self) -> tuple[int, int]:
        """How many blobs are named, and how many of them have to be read."""
        sql = f"SELECT count(*), coalesce(sum(size IS NOT NULL AND sha256 IS NULL), 0) FROM ({_WANTED})"
        named, unread = self._connection.execute(sql).fetchone()
        return named, unread


def _text(at: datetime) -> str:
    return at.isoformat()


def written(lines: Iterable[Listed], path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for line in lines:
            file.write(msgspec.json.encode(line) + b"\n")


def read(path: Path) -> Iterator[Listed]:
    decoder = msgspec.json.Decoder(Listed)
    with gzip.open(path, "rb") as file:
        for line in file:
            yield decoder.decode(line)
