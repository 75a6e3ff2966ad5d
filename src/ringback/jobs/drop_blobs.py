"""Removing audio whose rows are gone: enqueued with the deletion of the rows, so that none is forgotten."""

from collections.abc import Sequence

from ringback.jobs import queue
from ringback.services import Services
from ringback.store.database import Db

KIND = "drop_blobs"


def enqueue(db: Db, customer_id: int, keys: Sequence[str]) -> None:
    """Within the transaction that deletes the rows; no job when there is no key."""
    if keys:
        queue.enqueue(db, customer_id, KIND, {"keys": list(keys)}, now=0)


def run(services: Services, job: queue.Job) -> None:
    for key in job.args["keys"]:
        services.blobs.delete(key)
