"""Whether an installation is what a snapshot has: every row, every blob."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ringback.backups import postgres, slices, sqlite
from ringback.backups.index import Listed
from ringback.backups.manifest import Manifest, Tally
from ringback.backups.place import Place
from ringback.backups.rows import Frozen, Watch, count, revision, tables, tallies
from ringback.backups.transfer import digest, side_by_side
from ringback.backups.verify import lines
from ringback.blobs import BlobMissing, Blobs
from ringback.store.engines import POSTGRES, sqlite_path
from ringback.store.sqlite import connect


def differences(place: Place, name: str, url: str, blobs: Blobs, elsewhere: Path, watch: Watch) -> Iterator[str]:
    """A sentence for each table and each blob that is not as in the snapshot; BackupBroken when that is damaged.

    After a migration to another schema the values of rows are no longer comparable, and only their number is compared.
    """
    manifest = place.manifest(name)
    with standing(url) as frozen:
        yield from _of_rows(frozen, manifest, watch)
    with place.scratch(elsewhere) as folder:
        watch.step("audio", manifest.blobs)
        every = (line for line in lines(place, name, manifest, folder) if line.sha256 is not None)
        kept = (line for line in every if not line.key.startswith(slices.PREFIX))
        for fault in side_by_side(lambda line: _of_blob(blobs, line), kept):
            watch.advance(1)
            if fault:
                yield fault


@contextmanager
def standing(url: str) -> Iterator[Frozen]:
    """The database as it is at one moment, without a copy of it."""
    if url.startswith(POSTGRES):
        with postgres.reading(url) as connection:
            yield postgres.FrozenPostgres(connection)
        return
    with closing(connect(sqlite_path(url), read_only=True)) as connection:
        connection.execute("BEGIN")
        yield sqlite.FrozenSqlite(connection)


def _of_rows(frozen: Frozen, manifest: Manifest, watch: Watch) -> Iterator[str]:
    if revision(frozen) == manifest.schema:
        found = tallies(frozen, watch)
    else:
        found = {table.name: Tally(count(frozen, table), "") for table in tables(frozen)}
    for table, then in manifest.tables.items():
        now = found.get(table)
        if now is None or now.rows != then.rows:
            yield f"{table} has {now.rows if now else 'no'} rows, in the snapshot {then.rows}."
        elif now.sha256 and now.sha256 != then.sha256:
            yield f"{table} has other values in its {now.rows} rows than in the snapshot."


def _of_blob(blobs: Blobs, line: Listed) -> str | None:
    try:
        if digest(blobs, line.key) == line.sha256:
            return None
    except BlobMissing:
        return f"The audio {line.key} is missing."
    return f"The audio {line.key} is not that of the snapshot."
