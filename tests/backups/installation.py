"""A company with calls and audio, and what tests of backups do with it."""

from pathlib import Path
from typing import Any

from ringback.backups import backup as saving
from ringback.backups import restore as restoring
from ringback.backups.compare import differences
from ringback.backups.place import Place
from ringback.backups.verify import verify
from ringback.blobs import FolderBlobs
from ringback.store import cdrs
from tests.api import Api
from tests.recordings import add_monitor, add_voicemessage

AT = 1_795_300_000


class Unwatched:
    def step(self, text: str, total: int) -> None: ...

    def advance(self, n: int) -> None: ...


class Installation:
    """`url`: of its database, from which `target` is a place to restore to."""

    def __init__(self, api: Api, url: str, folder: Path, target: str) -> None:
        self.api, self.url, self.folder, self.target = api, url, folder, target
        self.where = str(folder / "backup")
        self.restored_blobs = FolderBlobs(folder / "restored-blobs")

    def fill(self, n: int = 3) -> None:
        """Calls of Ann, recordings, a voice message; audio of a hundred bytes, texts that are hard to keep."""
        self.add_cdrs(n)
        for number in range(n):
            add_monitor(self.api, b"sound %d" % number * 20, transcript="naïve “☎” \U0001f600 \\N \t\n'; --")
        add_voicemessage(self.api, b"beep" * 30, caller="\\.", transcript="")

    def add_cdrs(self, n: int) -> None:
        rows = [{**CDR, "src_id": str(self.api.ann.user_id)} for _ in range(n)]
        self.api.write(lambda db: cdrs.insert(db, self.api.acme, rows))

    def place(self) -> Place:
        return Place(self.where, make=True)

    def backup(self) -> saving.Summary:
        return saving.backup(self.url, self.api.services.blobs, self.place(), self.folder, Unwatched())

    def faults(self, name: str | None = None) -> list[str]:
        place = self.place()
        return list(verify(place, place.chosen(name), self.folder, Unwatched()))

    def restore(self, name: str | None = None, **options: Any) -> restoring.Summary:
        place = self.place()
        given = (self.target, self.restored_blobs, self.folder, Unwatched())
        return restoring.restore(place, place.chosen(name), *given, **{"accept_loss": False, **options})

    def differences(self, url: str | None = None) -> list[str]:
        """Of what was restored, from the newest snapshot."""
        place = self.place()
        given = (url or self.target, self.restored_blobs, self.folder, Unwatched())
        return list(differences(place, place.chosen(None), *given))


CDR = {
    "calldate": AT,
    "duration": 12,
    "billsec": 10,
    "type": "O",
    "disposition": "ANSWERED",
    "destination": "E164",
    "context": "PSTN_CALL",
    "src": "442079460001",
    "dst": "12025550123",
}
