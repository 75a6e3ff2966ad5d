"""Blobs and their rows: what a killed import leaves behind is never lost from sight.

The id of the row to be is reserved together with a job that removes the blob an hour later; the blob is stored, and the
row takes that job away in its own transaction. Until then a new run finds the reservation by the key of its source and
stores under the same id again.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ringback.jobs import drop_blobs, queue
from ringback.services import Services
from ringback.store import inbox
from ringback.store.database import Db, value

RESERVED_S = 3_600
_RESERVATION = "customer_id = :customer AND kind = :kind AND unique_key = :key AND state = 'waiting'"

NewId = Callable[[Db], int]
Insert = Callable[[Db, int, str], None]
"""(db, id, blob key): writes the row."""


def store(
    services: Services, customer_id: int, shelf: str, key: str, file: Path, new_id: NewId, insert: Insert
) -> bool:
    """Stores a file and its row. `key`: of the source, and of no other. False when storing the file took longer than
    the reservation holds: then the blob may be gone, and no row is written."""
    reserved = {"customer": customer_id, "kind": drop_blobs.KIND, "key": key}
    until = services.clock() + RESERVED_S
    row_id = services.database.write(lambda db: _reserve(db, reserved, shelf, new_id, until))
    blob_key = inbox.mp3_key(customer_id, shelf, row_id)
    services.blobs.put_file(blob_key, file)

    def work(db: Db) -> bool:
        if not db.run(f"DELETE FROM jobs WHERE {_RESERVATION}", reserved):
            return False
        insert(db, row_id, blob_key)
        return True

    return services.database.write(work)


def _reserve(db: Db, reserved: Mapping[str, Any], shelf: str, new_id: NewId, until: int) -> int:
    """The id of the row to be: of the reservation that a killed run left, or a new one."""
    args = value(db, f"SELECT args FROM jobs WHERE {_RESERVATION}", reserved)
    if args is not None:
        db.run(f"UPDATE jobs SET run_at = :until WHERE {_RESERVATION}", {**reserved, "until": until})
        return int(json.loads(args)["row_id"])
    row_id, customer_id = new_id(db), reserved["customer"]
    what = {"keys": [inbox.mp3_key(customer_id, shelf, row_id)], "row_id": row_id}
    queue.enqueue(db, customer_id, drop_blobs.KIND, what, now=until, key=reserved["key"])
    return row_id
