"""Files of recordings, once it is known what they are of: taken when nobody writes them, and removed when they are stored here."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ringback.connectors.folder import Folder, Look
from ringback.connectors.recording_notes import Notes, Owner, Taken
from ringback.connectors.settings import Connector
from ringback.jobs import encode
from ringback.media import sides
from ringback.media.audio import SUFFIXES, content_hash
from ringback.services import Services
from ringback.store import inbox, recordings
from ringback.store.database import Db

SHELF = "monitors"


class Source(NamedTuple):
    """Files of one recording, as they were seen: mixed, received, sent; of a file that nothing was said of, the first alone."""

    files: list[tuple[str, Look] | None]
    customer_id: int
    uniqueid: str
    started_at: int


class RecordedFiles:
    """`still`: when a file was first seen as it is. `tell`: told what an administrator has to know. Used by one thread."""

    def __init__(
        self, services: Services, connector: Connector, folder: Folder, notes: Notes, tell: Callable[[str], None]
    ) -> None:
        self._services, self._connector, self._folder, self._notes = services, connector, folder, notes
        self.tell = tell
        self.still: dict[str, tuple[Look, float]] = {}

    def settled(self, name: str, still_s: float) -> tuple[str, Look] | None:
        """None while it may still be written."""
        look, now = self._folder.look(name), time.monotonic()
        if look is None:
            self.still.pop(name, None)
            return None
        before, since = self.still.setdefault(name, (look, now))
        if before != look:
            self.still[name] = (look, now)
            return None
        return (name, look) if now - since >= still_s else None

    def owner_by_id(self, ids: list[str]) -> Owner | None:
        """Whose call has one of these ids; without such a call, the only customer that there is."""
        found = self._services.database.read(lambda db: self._found(db, ids))
        if found is not None or self._connector.rules or self._connector.customer is None:
            return found
        return Owner(self._connector.customer, ids[min(1, len(ids) - 1)])

    def _found(self, db: Db, ids: list[str]) -> Owner | None:
        for customer_id in sorted(self._connector.customers()):
            for each in ids:
                call = recordings.of_call(db, customer_id, each)
                if call is not None:
                    return Owner(customer_id, each)
        return None

    def take(self, source: Source) -> None:
        files = [each for each in source.files if each is not None]
        with TemporaryDirectory(prefix="ringback-") as folder:
            audio, name = self._audio(source, Path(folder))
            if audio is None:
                self.tell(f"{name} is no recording that can be taken: its name tells no format that is known")
                self.pass_over(source.files)
                return
            key = recordings.source_key(source.uniqueid, content_hash(audio))
            row = {"source_key": key, "uniqueid": source.uniqueid, "timestamp": source.started_at, "user_id": None}
            encode.take_in(self._services, source.customer_id, SHELF, audio, name, row)
        for each in files:
            self._notes.take(*each, Taken(source.customer_id, key), time.time_ns())
            self.still.pop(each[0], None)

    def _audio(self, source: Source, folder: Path) -> tuple[Path | None, str]:
        """A copy of what is to be kept, and its name: both sides where there are two, else what is mixed, else the one side.
        OSError, also where a file was written meanwhile."""
        copies = [None if each is None else self._copied(*each, folder / str(n)) for n, each in enumerate(source.files)]
        mixed, received, sent = copies
        names = [each[0] if each else "" for each in source.files]
        name = next(filter(None, names)).encode("utf-8", "replace").decode()
        both = folder / "both.wav"
        if received and sent and sides.joined(received, sent, both):
            return both, name
        return mixed or received or sent, name

    def _copied(self, name: str, look: Look, target: Path) -> Path | None:
        """None where its name tells no format of audio."""
        suffix = PurePosixPath(name).suffix.lower()
        if suffix not in SUFFIXES:
            return None
        copy = target.with_suffix(suffix)
        if self._folder.copy(name, copy) != look:
            raise OSError(f"{name} is being written")
        return copy

    def pass_over(self, files: Iterable[tuple[str, Look] | None]) -> None:
        for each in files:
            if each is not None:
                self._notes.take(*each, Taken(None, ""), time.time_ns())
                self.still.pop(each[0], None)

    def remove(self) -> None:
        """Files whose MP3 is stored."""
        for (name, look), taken in list(self._notes.taken.items()):
            if taken.customer_id is not None and self._is_stored(taken.customer_id, taken.source_key):
                self._removed(name, look)

    def _removed(self, name: str, look: Look) -> None:
        try:
            if self._folder.remove(name, look):
                self._notes.gone(name, look)
        except OSError as error:
            self.tell(f"{name} cannot be removed: {error.strerror or error}")

    def _is_stored(self, customer_id: int, source_key: str) -> bool:
        find = inbox.stored
        return self._services.database.read(lambda db: find(db, customer_id, SHELF, source_key)) is not None
