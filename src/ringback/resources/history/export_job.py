"""Makes exports: under the rights that their users have now, in a file that is offered when it is whole."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ringback.blobs import BlobsUnavailable
from ringback.errors import FiltrationError, RingbackError, TooSlow, Unavailable
from ringback.identity import tokens
from ringback.jobs import exports, queue
from ringback.query import Query, parse
from ringback.resources.history import export_files as files
from ringback.resources.history.cdrs import CDRS
from ringback.resources.history.monitors import MONITORS
from ringback.rest.access import Caller, Policy
from ringback.rest.endpoint import Resource, bound_to
from ringback.services import Services
from ringback.store.database import Db, value

RESOURCES: Mapping[str, Resource] = {"cdrs": CDRS, "monitors": MONITORS}
WRITERS: Mapping[tuple[str, str], files.Write] = {
    ("cdrs", "csv"): files.write_csv,
    ("cdrs", "ndjson"): files.write_ndjson,
    ("cdrs", "parquet"): files.write_parquet,
    ("monitors", "zip"): files.write_zip,
}
TOLD_EVERY_S = 1.0
BUSY_S = 2
AGAIN_S = 10
PATIENCE_S = 86_400
ROW_BYTES = 500
"""A CDR in any format takes about so much, or less."""
SPARE_BYTES = 1 << 30
_FORBIDDEN = "A team policy forbids this export to the user who asked for it."


class Refused(Exception):
    """The export cannot be made, however often it is tried. The text is for its user."""


class _Ended(Exception):
    """The export was removed, or the server stops."""


def rights(resource: Resource, caller: Caller) -> str:
    """What a user may see, to be compared later: all rows or the own ones, and which attributes are hidden."""
    sees_all = resource.seen_by(caller) is resource.listing
    return json.dumps({"all": sees_all, "hidden": sorted(resource.hidden_from(caller))})


def covers(now: str, then: str) -> bool:
    """Whether who has the rights `now` may see what was written under `then`."""
    new, old = json.loads(now), json.loads(then)
    return (new["all"] or not old["all"]) and set(new["hidden"]) <= set(old["hidden"])


def is_closed(resource: Resource, caller: Caller) -> bool:
    return bool(caller.policies & {Policy.EXPORT_DISABLED, *resource.closed_by})


def asked(row: Mapping[str, Any], resource: Resource, caller: Caller) -> Query:
    """The query of an export; FiltrationError when its user may not ask so."""
    wanted = [(name, row[name]) for name in ("filter", "sort") if row.get(name)]
    return parse(wanted, resource.usable_by(caller))


class Exporting:
    """One export at a time in a process: the other workers are for shorter jobs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def run(self, services: Services, job: queue.Job) -> None:
        if not self._lock.acquire(blocking=False):
            raise queue.Unfinished(services.clock() + BUSY_S)
        try:
            self._tried(services, job)
        finally:
            self._lock.release()

    def _tried(self, services: Services, job: queue.Job) -> None:
        export_id = job.args["export"]
        row = services.database.read(lambda db: exports.found(db, job.customer_id, export_id))
        try:
            if row is None:
                raise _Ended
            _make(services, row)
        except _Ended:
            self._ended(services, job)
        except Refused as error:
            _fail(services, job, str(error))
        except Unavailable:  # other exports of the customer are read, or the database is away
            _wait(services, job, row)
        except Exception as error:
            if job.attempts >= queue.ATTEMPTS:
                _fail(services, job, _told(error, export_id))
            else:
                _change(services, job, state=exports.WAITING, progress=0)
            raise

    def _ended(self, services: Services, job: queue.Job) -> None:
        if services.stopping.is_set():
            raise queue.Unfinished(services.clock())
        services.blobs.delete(exports.blob_key(job.customer_id, job.args["export"], job.args["format"]))


def _wait(services: Services, job: queue.Job, row: Mapping[str, Any] | None) -> None:
    """Lets it be tried again, for a day at most."""
    now = services.clock()
    if row is not None and now - row["created_at"] > PATIENCE_S:
        _fail(services, job, "The server was too busy for it.")
        return
    _change(services, job, state=exports.WAITING, progress=0)
    raise queue.Unfinished(now + AGAIN_S)


def _told(error: Exception, export_id: int) -> str:
    """Why it failed, for the export's user: what is wrong with the server is in its log."""
    if isinstance(error, BlobsUnavailable):
        return "The file could not be stored."
    if isinstance(error, RingbackError):
        return error.message
    return f"Something went wrong. The server's log has it under export {export_id}."


def _fail(services: Services, job: queue.Job, reason: str) -> None:
    now = services.clock()
    ended = {"finished_at": now, "expires_at": now + exports.KEPT_S}
    _change(services, job, state=exports.FAILED, error=reason, **ended)


def _change(services: Services, job: queue.Job, **columns: Any) -> bool:
    return services.database.write(lambda db: exports.change(db, job.customer_id, job.args["export"], **columns))


# -- one export -------------------------------------------------------------------------------------------------------


def _make(services: Services, row: Mapping[str, Any]) -> None:
    if row["state"] in (exports.DONE, exports.FAILED):
        return
    resource = RESOURCES[row["resource"]]
    caller = services.database.read(lambda db: tokens.user(db, row["customer_id"], row["user_id"]))
    if caller is None or is_closed(resource, caller):
        raise Refused(_FORBIDDEN)
    count = _Count(services, row)
    wanted = _wanted(row, resource, caller, count.told)
    folder = _folder(services)
    count.begin(_expected(services, row["resource"], wanted, folder))
    with TemporaryFile(dir=folder) as file:
        WRITERS[row["resource"], row["format"]](services, wanted, file, folder)
        file.flush()
        key = exports.blob_key(row["customer_id"], row["id"], row["format"])
        size = services.blobs.put_file(key, Path(f"/proc/self/fd/{file.fileno()}"))
    count.end(size=size, blob_key=key, rights=rights(resource, caller))


def _wanted(row: Mapping[str, Any], resource: Resource, caller: Caller, told: Callable[[int], None]) -> files.Wanted:
    try:
        query = asked(row, resource, caller)
    except FiltrationError as error:
        raise Refused(error.message) from None
    return files.Wanted(
        customer_id=row["customer_id"],
        listing=resource.seen_by(caller),
        bound=bound_to(caller),
        query=query,
        hidden=resource.hidden_from(caller),
        told=told,
    )


def _folder(services: Services) -> str:
    """Where files that have no name yet are written; they vanish with the process."""
    folder = Path(services.settings.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _expected(services: Services, resource: str, wanted: files.Wanted, folder: str) -> int | None:
    """How many rows will come, None when counting them takes too long. Refused when the disk has no room for them: the
    database may be on it too."""
    listing, bound, conditions = wanted.listing, wanted.bound, wanted.query.conditions

    def count(db: Db) -> int:
        return services.lists.total(db, listing, bound, conditions)[0]

    try:
        total = services.database.read(count)
    except TooSlow:
        return None
    audio = services.database.read(lambda db: _audio_bytes(db, wanted.customer_id)) if resource == "monitors" else 0
    if 2 * (total * ROW_BYTES + audio) + SPARE_BYTES > shutil.disk_usage(folder).free:
        raise Refused("The server's disk has no room for this export. Narrow the filter, or have room made.")
    return total


def _audio_bytes(db: Db, customer_id: int) -> int:
    """Of all recordings: an upper bound."""
    sql = "SELECT coalesce(sum(size), 0) FROM monitors WHERE customer_id = :customer"
    return int(value(db, sql, {"customer": customer_id}))


class _Count:
    """How far an export is, written to its row about every second."""

    def __init__(self, services: Services, row: Mapping[str, Any]) -> None:
        self._services, self._row = services, row
        self._rows, self._total, self._next_s = 0, 0, 0.0

    def begin(self, total: int | None) -> None:
        self._total = total or 0
        self._write(state=exports.RUNNING, progress=0, rows=0)

    def told(self, rows: int) -> None:
        """So many rows are written. Ends the work when the export was removed or the server stops."""
        self._rows = rows
        if self._services.stopping.is_set():
            raise _Ended
        if time.monotonic() >= self._next_s:
            self._write(progress=min(99, rows * 100 // self._total) if self._total else 0, rows=rows)

    def end(self, **columns: Any) -> None:
        now = self._services.clock()
        over = {"finished_at": now, "expires_at": now + exports.KEPT_S}
        self._write(state=exports.DONE, progress=100, rows=self._rows, error=None, **over, **columns)

    def _write(self, **columns: Any) -> None:
        customer_id, export_id = self._row["customer_id"], self._row["id"]
        if not self._services.database.write(lambda db: exports.change(db, customer_id, export_id, **columns)):
            raise _Ended
        self._next_s = time.monotonic() + TOLD_EVERY_S
