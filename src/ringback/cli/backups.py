"""`ringback backup`, `verify-backup`, `restore`, `copy-to` and `doctor verify`."""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ringback import resources  # noqa: F401 -- legal holds are read with its lists
from ringback.backups import backup as saving
from ringback.backups import copy as copying
from ringback.backups import forgotten
from ringback.backups import restore as restoring
from ringback.backups.compare import differences
from ringback.backups.manifest import Manifest
from ringback.backups.place import Place
from ringback.backups.prune import prune
from ringback.backups.rows import Watch
from ringback.backups.verify import verify
from ringback.blobs import Blobs, open_blobs
from ringback.cli import console
from ringback.cli.console import Config
from ringback.cli.steps import steps
from ringback.errors import UsageError
from ringback.jobs import reapply
from ringback.opening import services_of
from ringback.settings import Settings
from ringback.store import migrate
from ringback.store.engines import POSTGRES, sqlite_path
from ringback.store.tombstones import Tombstone

Where = Annotated[str, typer.Argument(metavar="DIR|URL", help="A folder, or s3://bucket/prefix (gs://, az:// alike).")]
Snapshot = Annotated[
    str | None, typer.Option("--snapshot", metavar="NAME", help="Which; without it the newest that is complete.")
]


def register(app: typer.Typer) -> None:
    app.command("backup")(backup)
    app.command("verify-backup")(verify_backup)
    app.command("restore")(restore)
    app.command("copy-to")(copy_to)


def backup(
    where: Where,
    check: Annotated[bool, typer.Option("--verify", help="Read the snapshot back and compare.")] = False,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, metavar="N", help="Then remove all but the newest N, and audio only those had."),
    ] = None,
    config: Config = None,
) -> None:
    """Make a backup of the database and the audio; the server may run meanwhile.

    Each run adds a snapshot. Audio that an earlier one has is not copied again. A run that is killed leaves no
    snapshot. The backup holds password hashes and all records: keep it as safe as the server itself.

    With `--verify` nothing old is removed unless the new snapshot is sound.

    Example: `ringback backup /backup/ringback --verify --keep 30 --config /etc/ringback.toml`
    """
    found = console.configured(config)
    _check_database(found)
    place, blobs = Place(where, make=True), _blobs(found)
    with steps() as watch:
        made = saving.backup(found.database_url(), blobs, place, _elsewhere(found), watch)
    _tell(made.name, made.manifest)
    copied = f"{made.copied} new files of audio and packets copied, {_mib(made.copied_bytes)}"
    console.out.print(f"{copied}; {made.manifest.blobs - made.copied} were in the backup already", markup=False)
    if made.manifest.missing:
        console.out.print(f"{made.manifest.missing} files were deleted meanwhile:", markup=False)
        for key in made.missing:
            console.out.print(f"  {key}", markup=False)
    if check:
        _verified(place, made.name, found)
    if keep is not None:
        _pruned(place, keep, found)


def _pruned(place: Place, keep: int, found: Settings) -> None:
    with steps() as watch:
        removed = prune(place, keep, _elsewhere(found), watch)
    for name in removed.snapshots:
        console.out.print(f"removed {name}", markup=False)
    files = f"{removed.blobs} files that no snapshot has any more, {_mib(removed.blob_bytes)}"
    console.out.print(f"old snapshots removed: {len(removed.snapshots)}; {files}", markup=False)


def verify_backup(where: Where, snapshot: Snapshot = None, config: Config = None) -> None:
    """Read a snapshot back: whether every file of it is there and as it was written, and its rows can be opened.

    Exit code: 0 when all of it is sound, 1 when something is damaged, which is named.

    Example: `ringback verify-backup /backup/ringback`
    """
    found = console.configured(config)
    place = Place(where)
    name = place.chosen(snapshot)
    _verified(place, name, found)


def restore(
    where: Where,
    snapshot: Snapshot = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Restore the rest when audio is damaged in the backup.")
    ] = False,
    config: Config = None,
) -> None:
    """Put a snapshot back into an empty place: the database and audio folder of `--config`. Nothing is overwritten.

    Who was forgotten (POST /erasures) after the snapshot is forgotten in it again, as far as the backup's newest run knows.

    Start the server when it is done. A restore that was killed can be run again.

    Example: `ringback restore /backup/ringback --config /etc/ringback-restored.toml`
    """
    found = console.configured(config)
    place = Place(where)
    name = place.chosen(snapshot)
    given = (found.database_url(), _blobs(found), _elsewhere(found))
    with steps() as watch:
        settle = partial(_settled, found, place.tombstones(), watch)
        done = restoring.restore(place, name, *given, watch, accept_loss=accept_loss, settle=settle)
    _tell(name, done.manifest)
    if done.lost:
        console.out.print(f"restored without {len(done.lost)} files that the snapshot does not have:")
        for key in done.lost:
            console.out.print(f"  {key}", markup=False)
    _tell_forgotten(found.database_url())
    console.out.print("restored; `ringback doctor verify --against` compares, `ringback serve` starts")


def _settled(found: Settings, kept: list[Tombstone], watch: Watch, url: str) -> None:
    """Restored rows at `url` get this version's schema, and lose again who was forgotten meanwhile."""
    migrate.upgrade(url)
    if not kept:
        return
    services = services_of(replace(found, database=url))
    try:
        watch.step("forgotten people", 0)
        reapply.reapply(services, kept, watch.advance)
    finally:
        services.database.close()


def copy_to(
    url: Annotated[str, typer.Argument(metavar="URL", help="postgresql://user:password@host/name, an empty database.")],
    config: Config = None,
) -> None:
    """Copy the SQLite database to PostgreSQL, and compare every value of every row before the copy is kept.

    Stop the server first, and start it with `database` set to the URL. Audio stays where it is. When the copy fails or
    is killed, nothing of it is kept: run it again.

    Example: `ringback copy-to postgresql://ringback@db/ringback --config /etc/ringback.toml`
    """
    found = console.configured(config)
    if not found.is_embedded():
        raise UsageError("The configured database is PostgreSQL already: `copy-to` copies from SQLite.")
    if not url.startswith(POSTGRES):
        raise UsageError("Say where to: postgresql://user:password@host/name.")
    _check_database(found)
    with steps() as watch:
        copied = copying.copy(sqlite_path(found.database_url()), url, watch)
    shown = console.table("table", "rows, all equal")
    for name, rows in copied.items():
        if rows:
            shown.add_row(name, str(rows))
    console.show(shown)
    console.out.print(f"{sum(copied.values())} rows copied and compared; start the server with database = the URL")


def verify_installation(
    against: Annotated[str, typer.Option("--against", metavar="DIR|URL", help="The backup to compare with.")],
    snapshot: Snapshot = None,
    config: Config = None,
) -> None:
    """Compare an installation with a snapshot: the values of every row, the bytes of every audio file.

    Exit code: 0 when there is no difference, else 1.

    Example: `ringback doctor verify --against /backup/ringback --config /etc/ringback.toml`
    """
    found = console.configured(config)
    _check_database(found)
    place = Place(against)
    name = place.chosen(snapshot)
    with steps() as watch:
        given = (found.database_url(), _blobs(found), _elsewhere(found))
        with place.used(given[2]):
            told = _told(differences(place, name, *given, watch))
    if told:
        _tell_forgotten(found.database_url())
    console.out.print(f"{told or 'no'} difference{'s' if told > 1 else ''} to {name}", markup=False)
    if told:
        raise typer.Exit(1)


def _verified(place: Place, name: str, found: Settings) -> None:
    with steps() as watch, place.used(_elsewhere(found)):
        faults = _told(verify(place, name, _elsewhere(found), watch))
    if faults:
        console.out.print(f"{name} is damaged: {faults} fault{'s' if faults > 1 else ''}", markup=False)
        raise typer.Exit(1)
    console.out.print(f"{name} is sound: every file was read back", markup=False)


def _tell_forgotten(url: str) -> None:
    sentence = forgotten.again(url)
    if sentence is not None:
        console.out.print(f"{sentence} Their records differ from the snapshot.", markup=False)


def _told(sentences: Iterable[str]) -> int:
    n = 0
    for sentence in sentences:
        console.out.print(sentence, markup=False)
        n += 1
    return n


def _tell(name: str, manifest: Manifest) -> None:
    rows = sum(tally.rows for tally in manifest.tables.values())
    console.out.print(f"snapshot {name}: {manifest.engine}, schema {manifest.schema}", markup=False)
    files = f"{manifest.blobs} files of audio and packets in {_mib(manifest.blob_bytes)}"
    console.out.print(f"{rows} rows in {_mib(manifest.rows.size)}, {files}", markup=False)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def _check_database(found: Settings) -> None:
    """A backup of the wrong folder would be one of an empty database."""
    if found.is_embedded() and not (path := sqlite_path(found.database_url()).absolute()).exists():
        raise UsageError(f"There is no database at {path}. Name the configuration with --config.")


def _blobs(found: Settings) -> Blobs:
    try:
        return open_blobs(found.blobs_url())
    except ValueError as error:
        raise UsageError(f"blobs: {error}") from None


def _elsewhere(found: Settings) -> Path:
    """Where scratch files go when the backup is no folder."""
    folder = Path(found.data_dir)
    return folder if folder.is_dir() else Path(tempfile.gettempdir())
