"""Taking a snapshot of an installation, beside a server that goes on.

Rows first, as they are at one moment; then every blob that those rows name, and captured packets. A blob is stored before its row and is never
changed, so it is there, unless its record was deleted meanwhile: then the snapshot names it as missing. The manifest is
put last; a run that was killed leaves files that no manifest names and blobs that the next run finds.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from ringback.backups import index, postgres, slices, sqlite
from ringback.backups.index import Index, Listed
from ringback.backups.manifest import BackupBroken, File, Manifest, Tally
from ringback.backups.place import BLOBS, Place, blob_key, name_of
from ringback.backups.rows import Watch, keys, revision, tallies
from ringback.backups.transfer import Fetched, side_by_side
from ringback.blobs import BlobMissing, Blobs
from ringback.record import time_text
from ringback.store import migrate, tombstones
from ringback.store.engines import POSTGRES, open_database, sqlite_path

LIST = "blobs.ndjson.gz"


@dataclass(slots=True)
class Summary:
    """`name`: of the snapshot. `copied`, `copied_bytes`: blobs that the backup did not have yet."""

    name: str
    manifest: Manifest
    copied: int
    copied_bytes: int
    missing: list[str]
    """The first of the blobs that were deleted before they could be copied."""


def backup(url: str, blobs: Blobs, place: Place, elsewhere: Path, watch: Watch) -> Summary:
    """As `_backup`. Until the manifest is there no other command removes audio from the place."""
    with place.used(elsewhere):
        return _backup(url, blobs, place, elsewhere, watch)


def _backup(url: str, blobs: Blobs, place: Place, elsewhere: Path, watch: Watch) -> Summary:
    """A new snapshot at `place` of the database at `url` and its `blobs`.

    `elsewhere`: a folder for scratch files if the place is no folder; they take as much room as the database.
    """
    at = datetime.now(UTC)
    name = name_of(at)
    with place.scratch(elsewhere) as folder, closing(Index(folder / "index.db")) as found:
        marks = slices.marks(url)
        rows = _rows(url, place, name, folder, found, watch)
        found.add_there(blobs.list())
        _add_what_is_kept(place, found, folder)
        shelf = _Shelf(blobs, place, folder, watch)
        packets = shelf.counted(slices.copied(url, marks, place, found, folder))
        index.written(chain(shelf.filled(found), packets), folder / LIST)
        listed = place.put(name, folder / LIST)
    manifest = Manifest(
        ringback=version("ringback"),
        schema=rows.schema,
        engine=rows.engine,
        tool=rows.tool,
        taken_at=time_text(int(at.timestamp())) or "",
        rows=rows.file,
        list=listed,
        blobs=shelf.n,
        blob_bytes=shelf.size,
        missing=shelf.gone,
        tables=rows.tables,
    )
    if "erasures" in rows.tables:  # an older schema has none
        with closing(open_database(url)) as database:
            place.add_tombstones(tombstones.of(database))
    place.put_manifest(name, manifest)
    return Summary(name, manifest, shelf.copied, shelf.copied_bytes, shelf.missing)


@dataclass(frozen=True, slots=True)
class _Rows:
    schema: str
    engine: str
    tool: str
    file: File
    tables: dict[str, Tally]


def _rows(url: str, place: Place, name: str, folder: Path, found: Index, watch: Watch) -> _Rows:
    with _frozen(url, folder, watch) as frozen:
        schema = revision(frozen)
        migrate.refuse_newer(schema)
        found.add_named(keys(frozen))
        tables = tallies(frozen, watch)
        return _Rows(schema, frozen.engine, frozen.tool, place.put(name, frozen.file()), tables)


def _frozen(
    url: str, folder: Path, watch: Watch
) -> AbstractContextManager[sqlite.FrozenSqlite | postgres.FrozenPostgres]:
    if url.startswith(POSTGRES):
        return postgres.frozen(url, folder, watch)
    return sqlite.frozen(sqlite_path(url), folder, watch)


def _add_what_is_kept(place: Place, found: Index, folder: Path) -> None:
    """What is there already, and what the newest snapshot that can be read says of it."""
    found.add_kept(place.blobs.list(BLOBS))
    for name in reversed(place.names()):
        try:
            found.add_known(index.read(place.fetch(name, place.manifest(name).list, folder)))
        except BackupBroken:
            continue
        return


class _Shelf:
    """The blobs of one snapshot, while they are copied."""

    def __init__(self, blobs: Blobs, place: Place, folder: Path, watch: Watch) -> None:
        self._source, self._target = blobs, place.blobs
        self._folder, self._watch = folder, watch
        self.n = self.size = self.gone = self.copied = self.copied_bytes = 0
        self.missing: list[str] = []

    def filled(self, found: Index) -> Iterator[Listed]:
        """The lines of the list; each blob is in the backup when its line comes."""
        named, _ = found.amount()
        self._watch.step("audio", named)
        for line in self.counted(side_by_side(self._kept, found.wanted())):
            self._watch.advance(1)
            yield line

    def counted(self, lines: Iterable[tuple[Listed, bool]]) -> Iterator[Listed]:
        """Lines of what is in the backup."""
        for line, is_new in lines:
            self._count(line, is_new)
            yield line

    def _kept(self, line: Listed) -> tuple[Listed, bool]:
        """The line as it is once the blob is in the backup, and whether it had to be copied."""
        if line.size is None or line.sha256 is not None:
            return line, False
        try:
            with Fetched(self._source, line.key, self._folder) as copy:
                key = blob_key(copy.sha256)
                is_new = self._target.size(key) != copy.size
                if is_new:
                    self._target.put_file(key, copy.path)
                return Listed(line.key, copy.size, copy.sha256, line.modified), is_new
        except BlobMissing:
            return Listed(line.key), False

    def _count(self, line: Listed, is_new: bool) -> None:
        if line.size is None:
            self.gone += 1
            self.missing += [line.key] if self.gone <= 20 else []
            return
        self.n += 1
        self.size += line.size
        self.copied += is_new
        self.copied_bytes += line.size if is_new else 0
