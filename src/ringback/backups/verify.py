"""Reading a snapshot back: whether all of it is there, and as it was written."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ringback.backups import index, postgres, sqlite
from ringback.backups.index import Listed
from ringback.backups.manifest import BackupBroken, Manifest
from ringback.backups.place import Place, blob_key
from ringback.backups.rows import Watch, count, tables
from ringback.backups.transfer import digest, side_by_side
from ringback.blobs import BlobMissing


def verify(place: Place, name: str, elsewhere: Path, watch: Watch) -> Iterator[str]:
    """What is wrong with a snapshot, a sentence each; nothing when it can be restored as it was."""
    try:
        manifest = place.manifest(name)
        with place.scratch(elsewhere) as folder:
            yield from _rows(place, name, manifest, folder, watch)
            yield from _blobs(place, name, manifest, folder, watch)
    except BackupBroken as error:
        yield error.message


def _rows(place: Place, name: str, manifest: Manifest, folder: Path, watch: Watch) -> Iterator[str]:
    watch.step("rows", 0)
    try:
        packed = place.fetch(name, manifest.rows, folder)
        yield from (_of_sqlite if manifest.engine == "sqlite" else _of_postgres)(packed, manifest)
        packed.unlink()
    except BackupBroken as error:
        yield error.message


def _of_sqlite(packed: Path, manifest: Manifest) -> Iterator[str]:
    path = packed.with_suffix("")
    sqlite.unpack(packed, path)
    yield from (f"{manifest.rows.name}: {fault}" for fault in sqlite.faults(path))
    with sqlite.opened(path) as connection:
        frozen = sqlite.FrozenSqlite(connection)
        found = {table.name: count(frozen, table) for table in tables(frozen)}
    yield from _miscounted(found, manifest)
    path.unlink()


def _of_postgres(packed: Path, manifest: Manifest) -> Iterator[str]:
    yield from _miscounted(postgres.counts(packed), manifest)


def _miscounted(found: dict[str, int], manifest: Manifest) -> Iterator[str]:
    for table, tally in manifest.tables.items():
        if found.get(table) != tally.rows:
            yield f"{manifest.rows.name}: {table} has {found.get(table, 'no')} rows, not {tally.rows}."


def lines(place: Place, name: str, manifest: Manifest, folder: Path) -> Iterator[Listed]:
    """The list of the snapshot's blobs. BackupBroken when it is damaged."""
    path = place.fetch(name, manifest.list, folder)
    try:
        yield from index.read(path)
    except (EOFError, gzip.BadGzipFile, msgspec.DecodeError) as error:
        raise BackupBroken(f"{name}: {manifest.list.name} cannot be read: {error}.") from None


def _blobs(place: Place, name: str, manifest: Manifest, folder: Path, watch: Watch) -> Iterator[str]:
    watch.step("audio", manifest.blobs)
    kept = (line for line in lines(place, name, manifest, folder) if line.sha256 is not None)
    for fault in side_by_side(lambda line: _fault(place, line), kept):
        watch.advance(1)
        if fault:
            yield fault


def _fault(place: Place, line: Listed) -> str | None:
    assert line.sha256 is not None
    key = blob_key(line.sha256)
    try:
        if digest(place.blobs, key) == line.sha256:
            return None
    except BlobMissing:
        return f"{key} is missing ({line.key}): the next backup copies it again, while the server still has it."
    return (
        f"{key} is damaged ({line.key}): delete it, and the next backup copies it again, while the server still has it."
    )
