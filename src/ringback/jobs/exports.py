"""Exports that are made in the background: their rows, from the wish to the end of their time.

What an export holds is written by `resources/history/export_job.py`, under the rights that its user has at that moment.
The blob's key is made from the id, so that a job that is run again writes over what it left, and whoever removes the row
knows the blob.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ringback.jobs import drop_blobs, queue
from ringback.store import rows, schema
from ringback.store.database import Database, Db, first, value

KIND = "export"
KEPT_S = 7 * 86_400
AT_ONCE = 3
"""Of one user, waiting or running."""
STEP = 500
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
ENDINGS = {"csv": "csv", "ndjson": "ndjson", "parquet": "parquet", "zip": "zip"}


def blob_key(customer_id: int, export_id: int, form: str) -> str:
    return f"{customer_id}/exports/{export_id}.{ENDINGS[form]}"


def busy(db: Db, customer_id: int, user_id: int) -> int:
    """How many exports of a user are not over. The user's row stays locked, so that two requests count one after another."""
    rows.lock(db, schema.users, customer_id, [user_id])
    sql = """
        SELECT count(*) FROM exports
        WHERE customer_id = :customer AND user_id = :user AND state IN ('waiting', 'running')
    """
    return int(value(db, sql, {"customer": customer_id, "user": user_id}))


def add(db: Db, customer_id: int, columns: Mapping[str, Any], now: int) -> int:
    """Adds an export (user_id, user_name, resource, format, filter, sort) and the job that makes it."""
    row = {**columns, "state": WAITING, "progress": 0, "created_at": now}
    (export_id,) = rows.insert(db, schema.exports, customer_id, [row])
    queue.enqueue(
        db, customer_id, KIND, {"export": export_id, "format": columns["format"]}, now=now, key=str(export_id)
    )
    return export_id


def found(db: Db, customer_id: int, export_id: int) -> dict[str, Any] | None:
    names = schema.columns(schema.exports)
    listed = ", ".join(f'"{name}"' for name in names)
    sql = f"SELECT {listed} FROM exports WHERE customer_id = :customer AND id = :id"
    row = first(db, sql, {"customer": customer_id, "id": export_id})
    return None if row is None else dict(zip(names, row, strict=True))


def change(db: Db, customer_id: int, export_id: int, **columns: Any) -> bool:
    """False when the export has been removed meanwhile."""
    rows.lock(db, schema.exports, customer_id, [export_id])
    there = rows.exists(db, schema.exports, customer_id, export_id)
    if there:
        rows.update(db, schema.exports, customer_id, export_id, columns)
    return there


def remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    """Removes exports with what they hold, also when their jobs are about to write it."""
    bound = {"customer": customer_id, "ids": list(ids)}
    formats = db.all(f"SELECT id, format FROM exports WHERE {rows.by_ids(db)}", bound)
    rows.delete(db, schema.exports, customer_id, [export_id for export_id, _ in formats])
    drop_blobs.enqueue(db, customer_id, [blob_key(customer_id, *each) for each in formats])


def remove_all(db: Db, customer_id: int) -> int:
    """Removes every export of a customer, whatever it holds; returns how many there were."""
    sql = "SELECT id FROM exports WHERE customer_id = :customer"
    ids = [row[0] for row in db.all(sql, {"customer": customer_id})]
    remove(db, customer_id, ids)
    return len(ids)


def sweep(database: Database, now: int) -> None:
    """Removes the exports whose time is over, in steps."""
    while database.write(lambda db: _step(db, now)):
        pass


def _step(db: Db, now: int) -> bool:
    sql = f"SELECT customer_id, id FROM exports WHERE expires_at <= :now ORDER BY id LIMIT {STEP}"
    over: dict[int, list[int]] = {}
    for customer_id, export_id in db.all(sql, {"now": now}):
        over.setdefault(customer_id, []).append(export_id)
    for customer_id, ids in over.items():
        remove(db, customer_id, ids)
    return bool(over)
