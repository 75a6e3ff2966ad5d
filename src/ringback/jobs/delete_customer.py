"""The end of a customer: closed at once, its rows and audio taken away in steps that a crash does not stop."""

from functools import partial
from itertools import islice

from sqlalchemy import Table

from ringback.jobs import queue
from ringback.services import Services
from ringback.store import cdrs, holds, rows, schema
from ringback.store.database import Db

KIND = "delete_customer"
STEP = 1_000

_CLOSED = "UPDATE customers SET deleted_at = :now WHERE id = :customer AND deleted_at IS NULL"
_LOCKED_OUT = (
    "DELETE FROM tokens WHERE customer_id = :customer",
    "DELETE FROM challenges WHERE customer_id = :customer",
    # An e-mail is unique over all customers, so it must be free again before the row goes.
    "UPDATE users SET email_folded = 'deleted ' || CAST(id AS TEXT) WHERE customer_id = :customer",
)


def begin(db: Db, customer_id: int, now: int) -> None:
    """Within the caller's transaction: ends every session and token, frees the e-mail addresses, asks for the rest. Asked
    again, it changes nothing. Raises Held while the customer has a legal hold."""
    holds.refuse_customer(db, customer_id)
    db.slices.begin(customer_id)  # after what is being stored; what comes then finds the customer closed
    if not db.run(_CLOSED, {"customer": customer_id, "now": now}):
        return
    for statement in _LOCKED_OUT:
        db.run(statement, {"customer": customer_id})
    queue.enqueue(db, customer_id, KIND, {}, now=now, key=KIND)


def run(services: Services, job: queue.Job) -> None:
    for table in _tables():
        _empty(services, table, job)
    for each in services.database.slices.listed(job.customer_id):
        services.database.write(partial(_drop_slice, customer_id=job.customer_id, day=each.day))
    _drop_audio(services, job)
    bound = {"customer": job.customer_id}
    services.database.write(lambda db: db.run("DELETE FROM customers WHERE id = :customer", bound))


def _drop_slice(db: Db, customer_id: int, day: int) -> None:
    db.slices.drop(customer_id, day)


def _tables() -> list[Table]:
    """Every table of customers. Jobs first, so that none of them makes new rows; CDRs last of the large ones, when nothing
    is linked to them any more."""
    owned = [table for table in schema.metadata.sorted_tables if "customer_id" in table.c]
    return sorted(owned, key=_turn)


def _turn(table: Table) -> int:
    if table is schema.jobs:
        return 0
    if table is schema.cdrs:
        return 2
    return 1 if "id" in table.c else 3


def _empty(services: Services, table: Table, job: queue.Job) -> None:
    if "id" not in table.c:
        sql = f'DELETE FROM "{table.name}" WHERE customer_id = :customer'
        services.database.write(lambda db: db.run(sql, {"customer": job.customer_id}))
        return
    while services.database.write(lambda db: _step(db, table, job)):
        pass


def _step(db: Db, table: Table, job: queue.Job) -> bool:
    """Takes up to STEP rows away; False when there were none."""
    sql = f'SELECT id FROM "{table.name}" WHERE customer_id = :customer AND {_goes(table)} LIMIT {STEP}'
    bound = {"customer": job.customer_id, "job": job.id} if table is schema.jobs else {"customer": job.customer_id}
    ids = [row[0] for row in db.all(sql, bound)]
    if table is schema.cdrs:
        cdrs.delete(db, job.customer_id, ids)
    elif ids:
        db.run(f'DELETE FROM "{table.name}" WHERE {rows.by_ids(db)}', {"customer": job.customer_id, "ids": ids})
    return bool(ids)


def _goes(table: Table) -> str:
    """Which rows go: not this job, and not the one audit entry that tells of the deletion."""
    if table is schema.jobs:
        return "id <> :job"
    if table is schema.auditlog:
        return "NOT (action = 'delete' AND coalesce(object_class, '') = 'Customer')"
    return "1 = 1"


def _drop_audio(services: Services, job: queue.Job) -> None:
    while True:
        keys = [stored.key for stored in islice(services.blobs.list(f"{job.customer_id}/"), STEP)]
        for key in keys:
            services.blobs.delete(key)
        if not keys:
            return
