"""Audio on its way in: encoded, stored as a blob, and only then listed.

What a killed import leaves behind is never lost from sight: the id is reserved together with a job that removes the blob
an hour later, and the row takes that job away in its own transaction. Until then a new run finds the reservation by the
key of its source and stores under the same id again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Table

from ringback.errors import UsageError
from ringback.importers.importer import Summary
from ringback.jobs import drop_blobs, queue
from ringback.media.audio import BrokenAudio
from ringback.media.encoder import Encoder
from ringback.services import Services
from ringback.store import rows
from ringback.store.database import Db, Taken, first, value

RESERVED_S = 3_600
TIMEOUT_S = 600.0
SUFFIXES = frozenset({".wav", ".mp3", ".ogg", ".gsm", ".ulaw", ".alaw", ".sln", ".sln16", ".g722"})
_BLOCK_BYTES = 1 << 20
_RESERVATION = "customer_id = :customer AND kind = :kind AND unique_key = :key AND state = 'waiting'"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a kind of audio goes: the table of its rows, and the folder of its blobs below the customer's."""

    table: Table
    folder: str


class Keeper:
    """Takes the files of one import in, one after the other, with one encoder for all."""

    def __init__(self, services: Services, customer_id: int, shelf: Shelf, encoder: Encoder, summary: Summary) -> None:
        self._services, self._customer_id, self._shelf = services, customer_id, shelf
        self._encoder, self._summary = encoder, summary

    def keep(self, file: Path, source_key: str, row: Mapping[str, Any]) -> None:
        """Stores the file and its row (which gets id, duration, size, blob_key, source_key). Broken audio is refused."""
        try:
            with TemporaryDirectory(prefix="ringback-") as folder:
                encoded = Path(folder) / "audio.mp3"
                audio = self._encoder.encode(file, encoded, timeout_s=TIMEOUT_S)
                found = {"duration": round(audio.duration_s), "size": audio.size, "source_key": source_key}
                new = self._stored(encoded, {**row, **found})
        except BrokenAudio as fault:
            self._summary.refuse(str(file), str(fault))
            return
        except Taken:
            new = False
        if new:
            self._summary.new += 1
        elif self.is_known(source_key):
            self._summary.known += 1  # another import was faster
        else:
            self._summary.refuse(str(file), "another import is at it, or storing it took over an hour: try again")

    def is_known(self, source_key: str) -> bool:
        sql = f'SELECT 1 FROM "{self._shelf.table.name}" WHERE customer_id = :customer AND source_key = :key'
        bound = {"customer": self._customer_id, "key": source_key}
        return self._services.database.read(lambda db: first(db, sql, bound)) is not None

    def _stored(self, encoded: Path, row: Mapping[str, Any]) -> bool:
        """False when the reservation ran out meanwhile: then the blob may be gone, and no row is written."""
        reserved = {"customer": self._customer_id, "kind": drop_blobs.KIND, "key": row["source_key"]}
        row_id = self._services.database.write(lambda db: self._reserve(db, reserved))
        blob_key = self._blob_key(row_id)
        self._services.blobs.put_file(blob_key, encoded)

        def work(db: Db) -> bool:
            if not db.run(f"DELETE FROM jobs WHERE {_RESERVATION}", reserved):
                return False
            full = {**row, "id": row_id, "blob_key": blob_key}
            rows.insert(db, self._shelf.table, self._customer_id, [full])
            return True

        return self._services.database.write(work)

    def _reserve(self, db: Db, reserved: Mapping[str, Any]) -> int:
        """The id of the row to be: of the reservation that a killed run left, or a new one."""
        until = self._services.clock() + RESERVED_S
        args = value(db, f"SELECT args FROM jobs WHERE {_RESERVATION}", reserved)
        if args is not None:
            db.run(f"UPDATE jobs SET run_at = :until WHERE {_RESERVATION}", {**reserved, "until": until})
            return int(json.loads(args)["row_id"])
        row_id = db.new_ids(self._shelf.table.name, 1)[0]
        what = {"keys": [self._blob_key(row_id)], "row_id": row_id}
        queue.enqueue(db, self._customer_id, drop_blobs.KIND, what, now=until, key=reserved["key"])
        return row_id

    def _blob_key(self, row_id: int) -> str:
        return f"{self._customer_id}/{self._shelf.folder}/{row_id}.mp3"


def audio_files(folder: Path, summary: Summary) -> list[Path]:
    """The audio below a folder, in order. What is no audio by its name is passed over; a link leads out of no folder."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.")
    found = []
    for place, _, names in os.walk(folder):
        for file in (Path(place) / name for name in names):
            if file.is_symlink():
                summary.refuse(str(file), "a symbolic link")
            elif file.suffix.lower() in SUFFIXES:
                found.append(file)
    return sorted(found)


def refuse_nothing(files: Sequence[Path], folder: Path, what: str, summary: Summary) -> None:
    """A folder without any is most likely the wrong one."""
    if not files and not summary.refused_in_all:
        summary.refuse(str(folder), f"there is no {what} in this folder or below it")


def content_hash(file: Path) -> str:
    digest = blake2b(digest_size=16)
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
