"""Audio on its way in: encoded, stored as a blob, and only then listed (`reservations.py`).

Broken audio is remembered in the audio inbox, so that no run encodes it twice.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ringback.calls import numbers
from ringback.errors import UsageError
from ringback.importers import reservations
from ringback.importers.importer import Summary
from ringback.media.audio import SUFFIXES, BrokenAudio, timeout_s
from ringback.media.encoder import Encoder
from ringback.services import Services
from ringback.store import inbox
from ringback.store.database import Db, Taken

BROKEN = "broken, as an earlier run found ({error}); delete it from /audioinbox to have it tried again"


class Keeper:
    """Takes the files of one import in, one after the other, with one encoder for all. `shelf`: what they become."""

    def __init__(self, services: Services, customer_id: int, shelf: str, encoder: Encoder, summary: Summary) -> None:
        self._services, self._customer_id, self._shelf = services, customer_id, shelf
        self._encoder, self._summary = encoder, summary

    def keep(self, file: Path, row: Mapping[str, Any]) -> None:
        """Stores the file and its row (which gets id, duration, size, blob_key), unless its `source_key` is known."""
        if self._is_known(row["source_key"]):
            self._summary.known += 1
        elif fault := self._fault(row["source_key"]):
            self._summary.refuse(str(file), BROKEN.format(error=fault))
        else:
            self._keep(file, row)

    def _keep(self, file: Path, row: Mapping[str, Any]) -> None:
        try:
            new = self._encoded(file, row)
        except BrokenAudio as fault:
            self._remember(file, row["source_key"], fault.reason)
            self._summary.refuse(str(file), fault.reason)
            return
        except Taken:
            new = False
        if new:
            self._summary.new += 1
        elif self._is_known(row["source_key"]):
            self._summary.known += 1  # another import was faster
        else:
            self._summary.refuse(str(file), "another import is at it, or storing it took over an hour: try again")

    def _is_known(self, source_key: str) -> bool:
        """Whether it is there, or came in through the API and will be."""

        def work(db: Db) -> bool:
            entry = inbox.of_source(db, self._customer_id, self._shelf, source_key)
            return (entry is not None and entry.error is None) or self._is_stored(db, source_key)

        return self._services.database.read(work)

    def _is_stored(self, db: Db, source_key: str) -> bool:
        return inbox.stored(db, self._customer_id, self._shelf, source_key) is not None

    def _fault(self, source_key: str) -> str | None:
        find = inbox.of_source
        entry = self._services.database.read(lambda db: find(db, self._customer_id, self._shelf, source_key))
        return None if entry is None else entry.error

    def _remember(self, file: Path, source_key: str, reason: str) -> None:
        now, row = self._services.clock(), {"source_key": source_key}
        name = numbers.clean(file.name)

        def work(db: Db) -> None:
            if inbox.of_source(db, self._customer_id, self._shelf, source_key) is None:
                inbox.add(db, self._customer_id, self._shelf, row, name=name, now=now, error=reason)

        self._services.database.write(work)

    def _encoded(self, file: Path, row: Mapping[str, Any]) -> bool:
        """As `_stored`."""
        with TemporaryDirectory(prefix="ringback-") as folder:
            encoded = Path(folder) / "audio.mp3"
            audio = self._encoder.encode(file, encoded, timeout_s=timeout_s(file.stat().st_size))
            return self._stored(encoded, {**row, "duration": round(audio.duration_s), "size": audio.size})

    def _stored(self, encoded: Path, row: Mapping[str, Any]) -> bool:
        """False when its reservation ran out meanwhile."""
        whose, shelf = self._customer_id, self._shelf

        def new_id(db: Db) -> int:
            return db.new_ids(inbox.SHELVES[shelf].name, 1)[0]

        def insert(db: Db, row_id: int, blob_key: str) -> None:
            inbox.insert(db, whose, shelf, {**row, "id": row_id, "blob_key": blob_key})

        return reservations.store(self._services, whose, shelf, row["source_key"], encoded, new_id, insert)


def audio_files(folder: Path, summary: Summary) -> list[Path]:
    """The audio below a folder, in order. What is no audio by its name is passed over; a link leads out of no folder."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.")
    found = []
    for place, folders, names in os.walk(folder, onerror=lambda fault: _refuse(fault, summary)):
        audio = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
        for each in (Path(place) / name for name in folders + audio):
            if each.is_symlink():
                summary.refuse(str(each), "a symbolic link")
            elif each.is_file():
                found.append(each)
            elif not each.is_dir():
                summary.refuse(str(each), "no regular file")
    return sorted(found)


def _refuse(fault: OSError, summary: Summary) -> None:
    summary.refuse(str(fault.filename), reason_of(fault))


def reason_of(fault: Exception) -> str:
    """What is wrong with a file, in a sentence: one that cannot be read is not the end of the others."""
    return f"it cannot be read: {fault.strerror}" if isinstance(fault, OSError) else str(fault)


def refuse_nothing(files: Sequence[Path], folder: Path, what: str, summary: Summary) -> None:
    """A folder without any is most likely the wrong one."""
    if not files and not summary.refused_in_all:
        summary.refuse(str(folder), f"there is no {what} in this folder or below it")
