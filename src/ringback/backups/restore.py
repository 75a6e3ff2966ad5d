"""Putting a snapshot back, into an empty place only.

Blobs first, then the rows, and the last step is atomic: a server finds all of it or no database. Whatever is damaged is
found before that step. A restore that was killed is run again; what it has copied stays.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ringback.backups import postgres, slices, sqlite
from ringback.backups.index import Listed
from ringback.backups.manifest import BackupBroken, Manifest
from ringback.backups.place import Place, blob_key, scratch
from ringback.backups.rows import Watch
from ringback.backups.transfer import Fetched, digest, side_by_side
from ringback.backups.verify import lines
from ringback.blobs import BlobMissing, Blobs, sync_folder
from ringback.errors import UsageError
from ringback.store import migrate
from ringback.store.engines import POSTGRES, sqlite_path
from ringback.store.slices.sqlite import folder_of
from ringback.store.sqlite import connect

_RESTORING = "restoring"


@dataclass(slots=True)
class Summary:
    name: str
    manifest: Manifest
    copied: int = 0
    """Blobs; the others were there already, from a restore that was killed."""
    lost: list[str] = field(default_factory=list)
    """Blobs that the rows name and that the snapshot does not have, or has damaged."""


Settle = Callable[[str], object]
"""What is done to restored rows, at this URL, before a server may see them."""


def restore(
    place: Place,
    name: str,
    url: str,
    blobs: Blobs,
    elsewhere: Path,
    watch: Watch,
    *,
    accept_loss: bool,
    settle: Settle = migrate.upgrade,
) -> Summary:
    """Restores snapshot `name` into the database `url`, which is not there or empty, and into `blobs`.

    A damaged blob ends it before there is a database (BackupBroken), unless the loss is accepted.
    """
    manifest = place.manifest(name)
    migrate.refuse_newer(manifest.schema)
    target = _target(url, manifest, elsewhere)
    target.prepare()
    summary = Summary(name, manifest)
    with target.room() as folder:
        watch.step("rows", 0)
        packed = place.fetch(name, manifest.rows, folder)
        _blobs(place, blobs, folder, watch, summary)
        if len(summary.lost) > manifest.missing and not accept_loss:
            first = ", ".join(summary.lost[:5])
            raise BackupBroken(
                f"{len(summary.lost)} files of audio and packets are missing or damaged, {first} first;"
                " nothing was put in place."
                " Restore another snapshot, or with --accept-loss all but these."
            )
        watch.step("rows", 0)
        target.put(packed, settle)
    return summary


# -- rows -------------------------------------------------------------------------------------------------------------


class _SqliteTarget:
    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """UsageError unless nothing is there: a log of another database would be played into this one."""
        folder = folder_of(self._path)
        if (folder / _RESTORING).exists():
            shutil.rmtree(folder)
        for path in (
            self._path,
            folder,
            *(self._path.with_name(self._path.name + end) for end in ("-wal", "-journal")),
        ):
            if path.exists():
                raise UsageError(
                    f"There is {path} already, and nothing is ever overwritten: move it away, or restore with the"
                    " --config of a new place."
                )

    @contextmanager
    def room(self) -> Iterator[Path]:
        """On the disk of the database, so that the last step is a link."""
        with scratch(self._path.parent) as folder:
            yield folder
        with suppress(OSError):
            folder.parent.rmdir()

    def put(self, packed: Path, settle: Settle) -> None:
        rows = packed.with_suffix("")
        sqlite.unpack(packed, rows)
        settle(str(rows))
        connect(rows).close()  # as servers have it: WAL
        self._put_slices(folder_of(rows))
        try:
            os.link(rows, self._path)
        except FileExistsError:
            raise UsageError(f"Meanwhile somebody made {self._path}; it was left as it is.") from None
        sync_folder(self._path.parent)
        (folder_of(self._path) / _RESTORING).unlink(missing_ok=True)

    def _put_slices(self, folder: Path) -> None:
        """Marked until the database is there too."""
        if folder.exists():
            (folder / _RESTORING).touch()
            folder.rename(folder_of(self._path))


class _PostgresTarget:
    def __init__(self, url: str, elsewhere: Path) -> None:
        self._url, self._elsewhere = url, elsewhere

    def prepare(self) -> None:
        """UsageError unless the database is empty, or what a killed restore left."""
        postgres.prepare(self._url)

    @contextmanager
    def room(self) -> Iterator[Path]:
        with scratch(self._elsewhere) as folder:
            yield folder

    def put(self, packed: Path, settle: Settle) -> None:
        postgres.restore(self._url, packed)
        settle(self._url)
        postgres.finish(self._url)


def _target(url: str, manifest: Manifest, elsewhere: Path) -> "_SqliteTarget | _PostgresTarget":
    engine = "postgres" if url.startswith(POSTGRES) else "sqlite"
    if engine != manifest.engine:
        raise UsageError(
            f"The snapshot is of {manifest.engine}, the configured database of {engine}. Restore it into"
            f" {manifest.engine}; `ringback copy-to` brings an SQLite database to PostgreSQL."
        )
    return _PostgresTarget(url, elsewhere) if engine == "postgres" else _SqliteTarget(sqlite_path(url))


# -- blobs ------------------------------------------------------------------------------------------------------------


def _blobs(place: Place, blobs: Blobs, folder: Path, watch: Watch, summary: Summary) -> None:
    """Copies what is not there yet. UsageError when another blob has a key that is needed."""

    def put(line: Listed) -> tuple[str, bool | None]:
        is_slice = line.key.startswith(slices.PREFIX)
        return line.key, _put_slice(place, folder, line) if is_slice else _put(place, blobs, folder, line)

    watch.step("audio", summary.manifest.blobs + summary.manifest.missing)
    for key, is_new in side_by_side(put, lines(place, summary.name, summary.manifest, folder)):
        watch.advance(1)
        summary.copied += is_new is True
        summary.lost += [key] if is_new is None else []


def _put_slice(place: Place, folder: Path, line: Listed) -> bool | None:
    """Beside the rows, which are put in place with it."""
    if line.sha256 is None:
        return None
    try:
        with Fetched(place.blobs, blob_key(line.sha256), folder) as copy:
            if copy.sha256 != line.sha256:
                return None
            slices.put_back(folder / sqlite.ROWS, line, copy.path)
            return True
    except BlobMissing:
        return None


def _put(place: Place, blobs: Blobs, folder: Path, line: Listed) -> bool | None:
    """Whether it had to be copied; None when the snapshot does not have it as it was."""
    if line.sha256 is None:
        return None
    if blobs.size(line.key) is not None:
        if digest(blobs, line.key) == line.sha256:
            return False
        raise UsageError(f"Other audio is stored as {line.key} already, and nothing is ever overwritten.")
    try:
        with Fetched(place.blobs, blob_key(line.sha256), folder) as copy:
            if copy.sha256 != line.sha256:
                return None
            blobs.put_file(line.key, copy.path)
            return True
    except BlobMissing:
        return None
