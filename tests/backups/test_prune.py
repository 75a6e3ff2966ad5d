"""Old snapshots go, with the audio that only they had; whatever stops it, what is left is whole."""

from pathlib import Path

import pytest

from ringback.backups.manifest import BackupBroken
from ringback.backups.place import BLOBS, SNAPSHOTS
from ringback.backups.prune import Removed, prune
from ringback.blobs import FolderBlobs
from ringback.errors import UsageError
from tests.backups.installation import Installation, Unwatched
from tests.recordings import add_monitor


def pruned(acme: Installation, keep: int) -> Removed:
    return prune(acme.place(), keep, acme.folder, Unwatched())


def with_snapshots(acme: Installation, n: int) -> list[str]:
    """Each has one recording of its own, and one that all have."""
    add_monitor(acme.api, b"for all")
    for number in range(n):
        monitor = add_monitor(acme.api, b"only in %d" % number)
        acme.backup()
        acme.api.admin.delete(f"/monitors/{monitor}")
    return acme.place().names()


def blobs(acme: Installation) -> int:
    return len(list(acme.place().blobs.list(BLOBS)))


def test_the_newest_stay_with_their_audio(acme: Installation) -> None:
    names = with_snapshots(acme, 4)
    left = Path(acme.where) / SNAPSHOTS / "2020-01-01T00-00-00.000Z"
    left.mkdir()
    (left / "rows.db.gz").write_bytes(b"of a killed run")
    done = pruned(acme, 2)
    assert done == Removed([left.name, *names[:2]], 2, 18)
    assert acme.place().names() == names[2:]
    assert blobs(acme) == 3
    assert [acme.faults(name) for name in names[2:]] == [[], []]
    assert pruned(acme, 2) == Removed([], 0, 0)
    assert pruned(acme, 1).snapshots == [names[2]]
    assert acme.faults() == []


def test_the_newest_is_never_removed(acme: Installation) -> None:
    assert pruned(acme, 1) == Removed([], 0, 0)
    (name,) = with_snapshots(acme, 1)
    left = Path(acme.where) / SNAPSHOTS / "2999-01-01T00-00-00.000Z"
    left.mkdir()
    (left / "rows.db.gz").write_bytes(b"of a run that has not ended")
    assert pruned(acme, 1) == Removed([], 0, 0)
    assert (acme.place().names(), left.exists()) == ([name], True)


class Killed(Exception):
    pass


class DyingBlobs(FolderBlobs):
    """Its process ends before the deletion of this number."""

    left = 0

    def delete(self, key: str) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        super().delete(key)


def test_killed_anywhere_it_leaves_whole_snapshots_and_the_next_run_does_the_rest(acme: Installation) -> None:
    names = with_snapshots(acme, 3)
    place = acme.place()
    place.blobs = dying = DyingBlobs(Path(acme.where))
    for n in range(20):
        dying.left = n
        try:
            prune(place, 1, acme.folder, Unwatched())
        except Killed:
            assert all(acme.faults(name) == [] for name in acme.place().names())
        else:
            break
    assert (acme.place().names(), blobs(acme)) == (names[2:], 2)
    assert [each.name for each in (Path(acme.where) / SNAPSHOTS).iterdir()] == names[2:]


def test_nothing_goes_when_a_kept_one_is_damaged_or_the_place_is_in_use(acme: Installation) -> None:
    names = with_snapshots(acme, 3)
    with acme.place().used(acme.folder), pytest.raises(UsageError, match="no old snapshot was removed"):
        pruned(acme, 1)
    (Path(acme.where) / SNAPSHOTS / names[2] / "blobs.ndjson.gz").write_bytes(b"")
    with pytest.raises(BackupBroken):
        pruned(acme, 1)
    assert (acme.place().names(), blobs(acme)) == (names, 4)
