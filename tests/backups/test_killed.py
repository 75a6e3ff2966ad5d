"""kill -9 of a backup and of a restore, at any point: nothing looks whole that is not, and the next run goes on."""

import subprocess
import sys
from pathlib import Path
from random import Random
from time import monotonic, sleep

import pytest

from ringback.errors import UsageError
from ringback.store import migrate
from tests.backups.installation import Installation
from tests.conftest import POSTGRES
from tests.process import ROOT

TRIES = 12
CHILD = """
import sys
from pathlib import Path
from ringback.backups.backup import backup
from ringback.backups.place import Place
from ringback.backups.restore import restore
from ringback.blobs import open_blobs
from tests.backups.installation import Unwatched
what, where, url, blobs, folder = sys.argv[1:]
place = Place(where, make=True)
print(flush=True)
if what == "backup":
    backup(url, open_blobs(blobs), place, Path(folder), Unwatched())
else:
    restore(place, place.chosen(None), url, open_blobs(blobs), Path(folder), Unwatched(), accept_loss=False)
"""


def run(*arguments: str, kill_after_s: float | None) -> float:
    """Runs the child to its end or kills it; returns how long it ran after it had begun."""
    command = [sys.executable, "-c", CHILD, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        begun = monotonic()
        if kill_after_s is None:
            assert child.wait(60) == 0
        else:
            sleep(kill_after_s)  # the point of the test, not a wait for something
            child.kill()
        return monotonic() - begun


@pytest.fixture
def filled(acme: Installation) -> Installation:
    acme.fill(60)
    return acme


def test_a_killed_backup_leaves_no_snapshot_that_looks_whole(filled: Installation) -> None:
    given = ("backup", filled.where, filled.url, str(filled.folder / "blobs"), str(filled.folder))
    whole_s = run(*given, kill_after_s=None)
    random = Random(7)
    for _ in range(TRIES):
        run(*given, kill_after_s=random.uniform(0, whole_s))
    for name in filled.place().names():
        assert filled.faults(name) == []
    assert filled.backup().copied == 0
    filled.restore()
    assert filled.differences() == []


def test_a_killed_restore_can_be_run_again(filled: Installation) -> None:
    filled.backup()
    given = ("restore", filled.where, filled.target, str(filled.folder / "restored-blobs"), str(filled.folder))
    random = Random(11)
    for _ in range(TRIES):
        run(*given, kill_after_s=random.uniform(0, 0.4))
        if done(filled):
            break
    else:
        filled.restore()
    assert filled.differences() == []


def done(acme: Installation) -> bool:
    """Whether a restore had come to its end before it was killed: the next one is refused then."""
    if not POSTGRES:
        return Path(acme.target).exists()
    try:
        migrate.check(acme.target)
    except UsageError:
        return False
    return True
