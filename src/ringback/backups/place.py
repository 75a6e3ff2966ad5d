"""Where backups are kept, a folder or a bucket, and what lies where in it:

    snapshots/2026-11-22T07-10-11.123Z/manifest.json        written last
    snapshots/2026-11-22T07-10-11.123Z/rows.db.gz           PostgreSQL: rows.pgdump
    snapshots/2026-11-22T07-10-11.123Z/blobs.ndjson.gz      which blobs belong to it
    blobs/ab/abcdef…                                        each once, by its SHA-256, for all snapshots
    tombstones.ndjson                                       who was forgotten, for all snapshots

`~scratch` in a folder is for files of a running command.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from ringback.backups.manifest import BackupBroken, File, Manifest, decoded, encoded
from ringback.blobs import BlobMissing, Blobs, open_blobs
from ringback.errors import UsageError
from ringback.store import tombstones
from ringback.store.tombstones import Tombstone

SNAPSHOTS, BLOBS, MANIFEST, TOMBSTONES = "snapshots", "blobs", "manifest.json", "tombstones.ndjson"
_SCRATCH = "~scratch"
_PIECE = 1 << 20


class Place:
    def __init__(self, where: str, *, make: bool = False) -> None:
        """`where`: a folder's path or a bucket's URL, as in `open_blobs`. UsageError when it is neither.

        A folder that is not there is made when `make`, else refused.
        """
        self.where = where
        if not make and "://" not in where and not Path(where).is_dir():
            raise UsageError(f"There is no folder {where}.")
        try:
            self.blobs: Blobs = open_blobs(where)
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from None

    def names(self) -> list[str]:
        """Of the snapshots that are complete, eldest first."""
        keys = (stored.key for stored in self.blobs.list(SNAPSHOTS))
        return sorted(key.split("/")[1] for key in keys if key.endswith(f"/{MANIFEST}"))

    def chosen(self, name: str | None) -> str:
        """The snapshot of this name, or the newest. UsageError says which there are."""
        names = self.names()
        if not names:
            raise UsageError(f"There is no complete snapshot at {self.where}.")
        if name is not None and name not in names:
            raise UsageError(f"There is no snapshot {name}; there are {', '.join(names)}.")
        return name or names[-1]

    def manifest(self, name: str) -> Manifest:
        try:
            return decoded(b"".join(self.blobs.read(f"{SNAPSHOTS}/{name}/{MANIFEST}")), name)
        except BlobMissing:
            raise BackupBroken(f"{name}: manifest.json is missing.") from None

    def put_manifest(self, name: str, manifest: Manifest) -> None:
        self.blobs.put(f"{SNAPSHOTS}/{name}/{MANIFEST}", encoded(manifest))

    def tombstones(self) -> list[Tombstone]:
        """Who was forgotten until the newest backup. BackupBroken when the list is damaged."""
        try:
            return tombstones.decoded(b"".join(self.blobs.read(TOMBSTONES)))
        except BlobMissing:
            return []
        except msgspec.DecodeError:
            raise BackupBroken(f"{TOMBSTONES} is damaged: it says who was forgotten and must not come back.") from None

    def add_tombstones(self, more: Sequence[Tombstone]) -> None:
        kept = self.tombstones()
        if (both := tombstones.merged(kept, more)) != kept:
            self.blobs.put(TOMBSTONES, tombstones.encoded(both))

    def put(self, name: str, path: Path) -> File:
        """Stores a file of the snapshot under its own name."""
        self.blobs.put_file(f"{SNAPSHOTS}/{name}/{path.name}", path)
        with path.open("rb") as file:
            digest = sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
        return File(path.name, path.stat().st_size, digest.hexdigest())

    def fetch(self, name: str, file: File, folder: Path) -> Path:
        """A copy of a file of the snapshot. BackupBroken when it is not what the manifest says."""
        path, digest = folder / file.name, sha256()
        try:
            with path.open("wb") as target:
                for piece in self.blobs.read(f"{SNAPSHOTS}/{name}/{file.name}", chunk=_PIECE):
                    digest.update(piece)
                    target.write(piece)
        except BlobMissing:
            raise BackupBroken(f"{name}: {file.name} is missing.") from None
        if digest.hexdigest() != file.sha256:
            raise BackupBroken(f"{name}: {file.name} is damaged: it is not what was written.")
        return path

    def remove(self, name: str) -> None:
        """Removes a snapshot, whole or not. Its manifest first: without it there is none."""
        self.blobs.delete(f"{SNAPSHOTS}/{name}/{MANIFEST}")
        for stored in list(self.blobs.list(f"{SNAPSHOTS}/{name}/")):
            self.blobs.delete(stored.key)

    @contextmanager
    def used(self, elsewhere: Path, *, alone: bool = False) -> Iterator[None]:
        """Nobody removes audio from the place as long as the block runs; `alone`: nobody else uses it, else UsageError.

        `elsewhere`: as in `scratch`. Of a bucket that holds for the commands of one machine.
        """
        lock = os.open(_room(self._parent(elsewhere)), os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
            yield
        except BlockingIOError:
            raise UsageError("Another backup or check is at work here: no old snapshot was removed.") from None
        finally:
            os.close(lock)

    @contextmanager
    def scratch(self, elsewhere: Path) -> Iterator[Path]:
        """A folder for the time of the block: in this place when it is a folder, else in `elsewhere`.

        What killed processes left there goes first.
        """
        with scratch(self._parent(elsewhere)) as folder:
            yield folder

    def _parent(self, elsewhere: Path) -> Path:
        return elsewhere if "://" in self.where else Path(self.where)


def blob_key(digest: str) -> str:
    return f"{BLOBS}/{digest[:2]}/{digest}"


def name_of(at: datetime) -> str:
    """A snapshot's name: names sort by time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S.") + f"{at.microsecond // 1000:03}Z"


def _room(parent: Path) -> Path:
    room = parent / _SCRATCH
    room.mkdir(0o700, parents=True, exist_ok=True)
    return room


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A private folder below `parent`. Its process holds a lock on it, which ends with the process."""
    room = _room(parent)
    for left in room.iterdir():
        _remove_if_unlocked(left)
    folder = Path(tempfile.mkdtemp(dir=room))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_if_unlocked(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
