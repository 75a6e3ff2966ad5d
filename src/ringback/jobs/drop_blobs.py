"""Removing audio whose rows are gone: enqueued with the deletion of the rows, so that none is forgotten."""

from collections.abc import Sequence

from sqlalchemy import Table

from ringback.jobs import queue
from ringback.services import Services
from ringback.store import rows
from ringback.store.database import Db

KIND = "drop_blobs"


def enqueue(db: Db, customer_id: int, keys: Sequence[str]) -> None:
    """Within the transaction that deletes the rows; no job when there is no key."""
    if keys:
        queue.enqueue(db, customer_id, KIND, {"keys": list(keys)}, now=0)


def delete(db: Db, table: Table, customer_id: int, ids: Sequence[int]) -> None:
    """Deletes the customer's rows of a table with `blob_key`; their audio goes in the background."""
    sql = f'SELECT blob_key FROM "{table.name}" WHERE {rows.by_ids(db)}'
    keys = [row[0] for row in db.all(sql, {"customer": customer_id, "ids": list(ids)})]
    rows.delete(db, table, customer_id, ids)
    enqueue(db, customer_id, keys)


def run(services: Services, job: queue.Job) -> None:
    for key in job.args["keys"]:
        services.blobs.delete(key)
