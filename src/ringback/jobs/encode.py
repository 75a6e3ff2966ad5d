"""Audio that came in through the API: kept as it came, and encoded by a job.

The audio is in the object store and its entry and job are committed before anybody is told that it was taken. The id of
the row to be is given out with the entry, so that a job that is run again, at whatever point its process died, stores
under the same key. Broken audio is marked and not tried again. What fails for another reason is tried again as jobs are,
and after that once an hour.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

from ringback.blobs import Blobs
from ringback.errors import Unavailable
from ringback.jobs import drop_blobs, queue
from ringback.media.audio import SUFFIXES, BrokenAudio, timeout_s
from ringback.media.encoder import Encoder
from ringback.services import Services
from ringback.store import inbox, rows, schema
from ringback.store.database import Db, Taken
from ringback.store.inbox import Entry

KIND = "encode_audio"
RESERVED_S = 3_600


def take_in(
    services: Services, customer_id: int, shelf: str, file: Path, name: str, row: Mapping[str, Any]
) -> int | None:
    """Stores a file and has it encoded; returns the id of the row that it will become, None when its source is known.

    `row`: the columns of that row, with `source_key`. `name`: of the file, as its sender calls it. The blob's removal is
    ordered an hour ahead and called off with the commit of its entry, so that a crash leaves nothing behind.
    """
    reserved, entry_id, key = services.database.write(lambda db: _reserve(db, services.clock(), customer_id, name))
    services.blobs.put_file(key, file)

    def enter(db: Db) -> int | None:
        if _is_known(db, customer_id, shelf, row["source_key"]):
            _drop_now(db, customer_id, reserved)
            return None
        if not db.run("DELETE FROM jobs WHERE customer_id = :customer AND id = :id AND state = 'waiting'", bound):
            raise Unavailable("Storing the audio took over an hour. Try again.")
        return _entered(db, services.clock(), customer_id, shelf, row, name=name, entry_id=entry_id, blob_key=key)

    bound = {"customer": customer_id, "id": reserved}
    try:
        return services.database.write(enter)
    except Taken:  # the same audio, a moment earlier
        services.database.write(lambda db: _drop_now(db, customer_id, reserved))
        return None


def _reserve(db: Db, now: int, customer_id: int, name: str) -> tuple[int, int, str]:
    """The job that would remove the blob, the id of the entry, the key of the blob."""
    entry_id = db.new_ids("audio_inbox", 1)[0]
    suffix = PurePath(name).suffix.lower()
    key = f"{customer_id}/incoming/{entry_id}{suffix if suffix in SUFFIXES else ''}"
    job_id = queue.enqueue(db, customer_id, drop_blobs.KIND, {"keys": [key]}, now=now + RESERVED_S)
    return job_id, entry_id, key


def _is_known(db: Db, customer_id: int, shelf: str, source_key: str) -> bool:
    entry = inbox.of_source(db, customer_id, shelf, source_key)
    return entry is not None or inbox.stored(db, customer_id, shelf, source_key) is not None


def _drop_now(db: Db, customer_id: int, job_id: int) -> None:
    sql = "UPDATE jobs SET run_at = 0 WHERE customer_id = :customer AND id = :id"
    db.run(sql, {"customer": customer_id, "id": job_id})


def _entered(
    db: Db, now: int, customer_id: int, shelf: str, row: Mapping[str, Any], *, name: str, entry_id: int, blob_key: str
) -> int:
    row_id = db.new_ids(inbox.SHELVES[shelf].name, 1)[0]
    full = {**row, "id": row_id}
    inbox.add(db, customer_id, shelf, full, name=name, now=now, entry_id=entry_id, blob_key=blob_key)
    _enqueue(db, now, customer_id, entry_id, {"shelf": shelf, "row_id": row_id, "blob_key": blob_key})
    return row_id


def _enqueue(db: Db, now: int, customer_id: int, entry_id: int, args: Mapping[str, Any]) -> None:
    queue.enqueue(db, customer_id, KIND, {**args, "entry_id": entry_id}, now=now, key=str(entry_id))


def again(db: Db, entry: Entry, now: int) -> None:
    """An administrator wants an entry tried again, now."""
    inbox.mark(db, entry.customer_id, entry.id, inbox.WAITING, None)
    bound = {"customer": entry.customer_id, "kind": KIND, "key": str(entry.id)}
    there = "customer_id = :customer AND kind = :kind AND unique_key = :key"
    db.run(
        f"UPDATE jobs SET state = 'waiting', attempts = 0, run_at = :now WHERE {there} AND state <> 'running'",
        {**bound, "now": now},
    )
    if not db.all(f"SELECT 1 FROM jobs WHERE {there}", bound):
        args = {"shelf": entry.shelf, "row_id": entry.row["id"], "blob_key": entry.blob_key}
        _enqueue(db, now, entry.customer_id, entry.id, args)


def remove(db: Db, customer_id: int, entry_ids: Sequence[int]) -> None:
    """Entries go with their audio. A job that has one in hand, or finds it gone, leaves nothing of it either."""
    for entry_id in entry_ids:
        entry = inbox.of_id(db, customer_id, entry_id)
        if entry is not None:
            rows.delete(db, schema.audio_inbox, customer_id, [entry_id])
            drop_blobs.enqueue(db, customer_id, [entry.blob_key, entry.mp3_key] if entry.blob_key else [])


class Encoding:
    """Runs the jobs. Each worker has an encoder of its own, and keeps it for its next file."""

    def __init__(self) -> None:
        self._mine = threading.local()

    def run(self, services: Services, job: queue.Job) -> None:
        entry = services.database.read(lambda db: inbox.of_id(db, job.customer_id, job.args["entry_id"]))
        if entry is None:
            services.database.write(lambda db: _clear(db, job))
        elif entry.state == inbox.WAITING:
            self._encode(services, job, entry)

    def _encode(self, services: Services, job: queue.Job, entry: Entry) -> None:
        try:
            with TemporaryDirectory(prefix="ringback-") as folder:
                found = self._stored(services, entry, Path(folder))
            services.database.write(lambda db: _become(db, job, found))
        except BrokenAudio as fault:
            reason = fault.reason
            services.database.write(lambda db: inbox.mark(db, entry.customer_id, entry.id, inbox.BROKEN, reason))
        except Taken:  # an import was faster
            services.database.write(lambda db: _clear(db, job))

    def _stored(self, services: Services, entry: Entry, folder: Path) -> dict[str, int]:
        """Encodes and stores an entry's audio; what was found of it."""
        assert entry.blob_key is not None, "an entry that waits has its audio"
        source, target = folder / f"source{PurePath(entry.blob_key).suffix}", folder / "audio.mp3"
        size = _fetch(services.blobs, entry.blob_key, source)
        audio = self._encoder().encode(source, target, timeout_s=timeout_s(size))
        services.blobs.put_file(entry.mp3_key, target)
        return {"duration": round(audio.duration_s), "size": audio.size}

    def _encoder(self) -> Encoder:
        if not hasattr(self._mine, "encoder"):
            self._mine.encoder = Encoder()
        mine: Encoder = self._mine.encoder
        return mine


def _fetch(blobs: Blobs, key: str, target: Path) -> int:
    """BlobMissing is no fault of the audio: perhaps its disk is not mounted."""
    with target.open("wb") as file:
        for piece in blobs.read(key):
            file.write(piece)
        return file.tell()


def _become(db: Db, job: queue.Job, found: Mapping[str, int]) -> None:
    """Locked and read anew: another worker may have done it meanwhile, or an administrator deleted it."""
    entry_id = job.args["entry_id"]
    rows.lock(db, schema.audio_inbox, job.customer_id, [entry_id])
    entry = inbox.of_id(db, job.customer_id, entry_id)
    if entry is None:
        _clear(db, job)
        return
    inbox.become(db, entry, found)
    drop_blobs.enqueue(db, job.customer_id, [job.args["blob_key"]])


def _clear(db: Db, job: queue.Job) -> None:
    """An entry that becomes nothing goes with all its audio; the MP3 of a row that came of it stays."""
    rows.delete(db, schema.audio_inbox, job.customer_id, [job.args["entry_id"]])
    shelf, row_id = job.args["shelf"], job.args["row_id"]
    is_row = inbox.is_row(db, job.customer_id, shelf, row_id)
    mp3 = [] if is_row else [inbox.mp3_key(job.customer_id, shelf, row_id)]
    drop_blobs.enqueue(db, job.customer_id, [job.args["blob_key"], *mp3])
