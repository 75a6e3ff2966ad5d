"""Removing old snapshots, and the audio that no other one has.

What the kept ones need is read before anything goes, and a snapshot goes manifest first: killed at any point, every
snapshot that there is is whole, and the next run removes the rest.
"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ringback.backups import index
from ringback.backups.index import Index
from ringback.backups.place import BLOBS, SNAPSHOTS, Place
from ringback.backups.rows import Watch


@dataclass(frozen=True, slots=True)
class Removed:
    snapshots: list[str]
    blobs: int
    blob_bytes: int


def prune(place: Place, keep: int, elsewhere: Path, watch: Watch) -> Removed:
    """Keeps the newest `keep` (1 or more) complete snapshots. BackupBroken, and nothing goes, when one of these is damaged.

    `elsewhere`: as in `backup`. UsageError when another command uses the place.
    """
    with (
        place.used(elsewhere, alone=True),
        place.scratch(elsewhere) as folder,
        closing(Index(folder / "i.db")) as found,
    ):
        kept = place.names()[-keep:]
        if not kept:
            return Removed([], 0, 0)
        for name in kept:
            found.add_used(index.read(place.fetch(name, place.manifest(name).list, folder)))
        gone = sorted({_name(stored.key) for stored in place.blobs.list(SNAPSHOTS) if _name(stored.key) < kept[0]})
        watch.step("old snapshots", len(gone))
        for name in gone:
            place.remove(name)
            watch.advance(1)
        return Removed(gone, *_unused(place, found, watch))


def _name(key: str) -> str:
    return key.split("/")[1]


def _unused(place: Place, found: Index, watch: Watch) -> tuple[int, int]:
    """Removes the audio that is in no list; how many files, and their bytes."""
    found.add_kept(place.blobs.list(BLOBS))
    n = size = 0
    watch.step("audio of no snapshot", 0)
    for key, bytes_ in found.unused():
        place.blobs.delete(f"{BLOBS}/{key[:2]}/{key}")
        n, size = n + 1, size + bytes_
        watch.advance(1)
    return n, size
