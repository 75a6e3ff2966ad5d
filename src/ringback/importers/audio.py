"""Audio on its way in: encoded, stored as a blob, and only then listed.

What a killed import leaves behind is never lost from sight: the id is reserved together with a job that removes the blob
an hour later, and the row takes that job away in its own transaction. Until then a new run finds the reservation by the
key of its source and stores under the same id again. Broken audio is remembered in the audio inbox, so that no run encodes
it twice.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ringback.calls import numbers
from ringback.errors import UsageError
from ringback.importers.importer import Summary
from ringback.jobs import drop_blobs, queue
from ringback.media.audio import SUFFIXES, BrokenAudio, timeout_s
from ringback.media.encoder import Encoder
from ringback.services import Services
from ringback.store import inbox
from ringback.store.database import Db, Taken, value

RESERVED_S = 3_600
BROKEN = "broken, as an earlier run found ({error}); delete it from /audioinbox to have it tried again"
_RESERVATION = "customer_id = :customer AND kind = :kind AND unique_key = :key AND state = 'waiting'"


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
        """False when the reservation ran out meanwhile: then the blob may be gone, and no row is written."""
        reserved = {"customer": self._customer_id, "kind": drop_blobs.KIND, "key": row["source_key"]}
        row_id = self._services.database.write(lambda db: self._reserve(db, reserved))
        blob_key = inbox.mp3_key(self._customer_id, self._shelf, row_id)
        self._services.blobs.put_file(blob_key, encoded)

        def work(db: Db) -> bool:
            if not db.run(f"DELETE FROM jobs WHERE {_RESERVATION}", reserved):
                return False
            inbox.insert(db, self._customer_id, self._shelf, {**row, "id": row_id, "blob_key": blob_key})
            return True

        return self._services.database.write(work)

    def _reserve(self, db: Db, reserved: Mapping[str, Any]) -> int:
        """The id of the row to be: of the reservation that a killed run left, or a new one."""
        until = self._services.clock() + RESERVED_S
        args = value(db, f"SELECT args FROM jobs WHERE {_RESERVATION}", reserved)
        if args is not None:
            db.run(f"UPDATE jobs SET run_at = :until WHERE {_RESERVATION}", {**reserved, "until": until})
            return int(json.loads(args)["row_id"])
        row_id = db.new_ids(inbox.SHELVES[self._shelf].name, 1)[0]
        what = {"keys": [inbox.mp3_key(self._customer_id, self._shelf, row_id)], "row_id": row_id}
        queue.enqueue(db, self._customer_id, drop_blobs.KIND, what, now=until, key=reserved["key"])
        return row_id


def audio_files(folder: Path, summary: Summary) -> list[Path]:
    """The audio below a folder, in order. What is no audio by its name is passed over; a link leads out of no folder."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.")
    found = []
    for place, folders, names in os.walk(folder):
        audio = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
        for each in (Path(place) / name for name in folders + audio):
            if each.is_symlink():
                summary.refuse(str(each), "a symbolic link")
            elif each.is_file():
                found.append(each)
            elif not each.is_dir():
                summary.refuse(str(each), "no regular file")
    return sorted(found)


def refuse_nothing(files: Sequence[Path], folder: Path, what: str, summary: Summary) -> None:
    """A folder without any is most likely the wrong one."""
    if not files and not summary.refused_in_all:
        summary.refuse(str(folder), f"there is no {what} in this folder or below it")
