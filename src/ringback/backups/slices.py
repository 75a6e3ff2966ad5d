"""Captured packets of an SQLite database in a snapshot: each slice is a file that the snapshot's list names, as it names audio.

A slice that was not written since the last snapshot is not copied again. Packets that come while a snapshot is made are in
it or not; those that the copied rows cannot know of are marked as pending, so that the next start makes their sessions.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from ringback.backups.index import Index, Listed
from ringback.backups.place import Place, blob_key
from ringback.store.engines import POSTGRES, sqlite_path
from ringback.store.slices.sqlite import connected, folder_of

PREFIX = "signalling/"
_PIECE = 1 << 20

Marks = dict[Path, int]
"""The number of the last packet of each slice."""


def marks(url: str) -> Marks:
    """To be asked before the rows are copied. A PostgreSQL database has its slices among its tables."""
    if url.startswith(POSTGRES):
        return {}
    return {path: last for path in _paths(url) if (last := _last(path)) is not None}


def copied(url: str, before: Marks, place: Place, found: Index, folder: Path) -> Iterator[tuple[Listed, bool]]:
    """A line for each slice, and whether it had to be copied."""
    for path in () if url.startswith(POSTGRES) else _paths(url):
        key = f"{PREFIX}{path.parent.name}/{path.name}"
        modified = _modified(path)
        same = found.known(key, modified) if modified else None
        if same is not None:
            yield same, False
        elif (copy := _copy(path, before.get(path, 0), folder / "slice.db")) is not None:
            yield _put(place, copy, key, modified)


def _put(place: Place, copy: Path, key: str, modified: str) -> tuple[Listed, bool]:
    with copy.open("rb") as file:
        digest = sha256()
        while piece := file.read(_PIECE):
            digest.update(piece)
    size, kept = copy.stat().st_size, blob_key(digest.hexdigest())
    is_new = place.blobs.size(kept) != size
    if is_new:
        place.blobs.put_file(kept, copy)
    copy.unlink(missing_ok=True)
    return Listed(key, size, digest.hexdigest(), modified), is_new


def _paths(url: str) -> list[Path]:
    return sorted(folder_of(sqlite_path(url)).glob("[0-9]*/[0-9]*.*.db"))


def _last(path: Path) -> int | None:
    """None where it is dropped just now."""
    try:
        with closing(connected(path)) as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'packets'").fetchone()
            return 0 if row is None else int(row[0])
    except sqlite3.OperationalError:
        return None


def _modified(path: Path) -> str:
    """Nothing while its log has something that is not in the file."""
    log = path.with_name(f"{path.name}-wal")
    try:
        return "" if log.exists() and log.stat().st_size else str(path.stat().st_mtime_ns)
    except FileNotFoundError:
        return ""


def _copy(path: Path, mark: int, copy: Path) -> Path | None:
    """As it is at one moment; None where it is dropped just now."""
    copy.unlink(missing_ok=True)
    try:
        with closing(connected(path)) as source, closing(sqlite3.connect(copy, isolation_level=None)) as target:
            source.execute("BEGIN")
            source.execute("SELECT 1 FROM packets LIMIT 1").fetchone()
            target.execute("PRAGMA synchronous = OFF")
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
            last = target.execute("SELECT coalesce(max(id), 0) FROM packets").fetchone()[0]
            if last > mark:
                target.execute("INSERT INTO pending (first, last) VALUES (?, ?)", (mark + 1, last))
    except sqlite3.OperationalError:
        if path.exists():
            raise
        return None
    return copy


# -- putting them back ------------------------------------------------------------------------------------------------


def put_back(rows: Path, line: Listed, copy: Path) -> None:
    """Beside the rows that are being restored."""
    customer, name = Path(line.key).parts[1:]
    target = folder_of(rows) / str(int(customer)) / Path(name).name
    target.parent.mkdir(0o700, parents=True, exist_ok=True)
    target.touch(mode=0o600)
    shutil.copyfile(copy, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
