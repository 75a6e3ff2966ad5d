"""Removing a customer with all that belongs to it, in steps that a crash only interrupts."""

from sqlalchemy import Table

from ringback.jobs import queue
from ringback.services import Services
from ringback.store import schema
from ringback.store.database import Db

KIND = "drop_customer"
STEP = 1_000


def enqueue(db: Db, customer_id: int, now: int) -> None:
    """Locks the customer's users out and leaves the rest to a job; asked again, it changes nothing."""
    sql = "UPDATE customers SET deleted_at = :now WHERE id = :customer AND deleted_at IS NULL"
    if db.run(sql, {"customer": customer_id, "now": now}):
        queue.enqueue(db, customer_id, KIND, {}, now=now, key=KIND)


def run(services: Services, job: queue.Job) -> None:
    for table in schema.metadata.sorted_tables:
        if "customer_id" in table.c and table is not schema.jobs:
            _empty(services, table, job)
    for stored in services.blobs.list(f"{job.customer_id}/"):
        services.blobs.delete(stored.key)
    services.database.write(lambda db: _last(db, job))


def _empty(services: Services, table: Table, job: queue.Job) -> None:
    while services.database.write(lambda db: _step(db, table, job, services.clock())):
        pass


def _step(db: Db, table: Table, job: queue.Job, now: int) -> bool:
    """Deletes some rows; True when there may be more. A table without ids is small, or counts the others: at once.

    The counters go with the rows, all of them, so rows need not be counted off one by one.
    """
    bound = {"customer": job.customer_id, "step": STEP}
    sql = f'DELETE FROM "{table.name}" WHERE customer_id = :customer'
    if "id" in table.c:
        sql += f' AND id IN (SELECT id FROM "{table.name}" WHERE customer_id = :customer ORDER BY id LIMIT :step)'
    deleted = db.run(sql, bound)
    queue.renew(db, job.id, now)
    return "id" in table.c and deleted == STEP


def _last(db: Db, job: queue.Job) -> None:
    """Other jobs of the customer have nothing left to do. The worker ends this one."""
    db.run("DELETE FROM jobs WHERE customer_id = :customer AND id <> :id", {"customer": job.customer_id, "id": job.id})
    db.run("DELETE FROM customers WHERE id = :customer", {"customer": job.customer_id})
