"""Retention: what a customer keeps no longer goes, oldest first, in steps that nobody waits for.

One job a customer, every night. A job runs for some seconds and then lets other jobs go first; one customer's runs at a time,
so that there is always a worker for them. At last the space goes back to the disk.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import structlog

from ringback.errors import Unavailable
from ringback.jobs import queue
from ringback.jobs.thinning import Thinning
from ringback.services import Services
from ringback.store import rows, schema
from ringback.store.database import Database, Db, first, value

log = structlog.get_logger()

KIND = "retain"
NIGHT_H = 2  # local time of the customer
SLICE_S = 5.0
LEAP_S = 30 * 86_400
FAR_S = 3 * 86_400
AGAIN_S = 10
BREATH_S = 0.01  # between two steps of giving space back


def plan(database: Database, now: int) -> None:
    """Sees to it that every customer with rules has its job for the coming night: also where it was given up, or where
    a wrong clock has put it off."""
    sql = """
        SELECT c.id, c.time_zone, j.id FROM customers c
        LEFT JOIN jobs j ON j.customer_id = c.id AND j.kind = :kind
        WHERE c.retention IS NOT NULL AND c.deleted_at IS NULL
        AND (j.id IS NULL OR j.state = 'dead' OR (j.state = 'waiting' AND j.run_at > :far))
    """
    for customer_id, zone, job_id in database.read(lambda db: db.all(sql, {"kind": KIND, "far": now + FAR_S})):
        database.write(partial(_plan, customer_id=customer_id, at=next_night(now, zone, customer_id), job_id=job_id))


def _plan(db: Db, customer_id: int, at: int, job_id: int | None) -> None:
    if job_id is not None:
        queue.postpone(db, job_id, at, {"planned": at})
    elif _job_id(db, customer_id) is None:
        queue.enqueue(db, customer_id, KIND, {"planned": at}, now=at, key=KIND)


def _job_id(db: Db, customer_id: int) -> int | None:
    sql = "SELECT id FROM jobs WHERE customer_id = :customer AND kind = :kind"
    found: int | None = value(db, sql, {"customer": customer_id, "kind": KIND})
    return found


def next_night(now: int, zone: str | None, customer_id: int) -> int:
    """Two o'clock in the customer's time, some minutes more for one than for another."""
    local = datetime.fromtimestamp(now, ZoneInfo(zone or "UTC"))
    night = local.replace(hour=NIGHT_H, minute=customer_id % 60, second=0, microsecond=0)
    if night <= local:
        night = (night + timedelta(days=1)).replace(hour=NIGHT_H)
    return int(night.astimezone(UTC).timestamp())


def claim(db: Db, customer_id: int, now: int) -> queue.Job | None:
    """The customer's job, to be run from the beginning by the caller; None while another process runs it."""
    job_id = _job_id(db, customer_id)
    if job_id is None:
        job_id = queue.enqueue(db, customer_id, KIND, {}, now=now, key=KIND, claimed=True)
        return queue.Job(job_id, customer_id, KIND, {}, attempts=1)
    rows.lock(db, schema.jobs, customer_id, [job_id])
    sql = """
        UPDATE jobs SET state = 'running', lease_until = :until, args = '{}'
        WHERE id = :id AND (state <> 'running' OR lease_until < :now)
    """
    taken = db.run(sql, {"until": now + queue.LEASE_S, "id": job_id, "now": now})
    return queue.Job(job_id, customer_id, KIND, {}, attempts=1) if taken else None


def run(services: Services, job: queue.Job) -> None:
    """The job kind: a slice of the work. Raises Unfinished when there is more."""
    now = services.clock()
    if services.database.read(lambda db: _is_late(db, job, now)):
        raise queue.Unfinished(now + AGAIN_S)
    if now - job.args.get("planned", now) > LEAP_S:
        _wait_for_a_day(services, job, now)
    thinning = Thinning(services, job)
    until = time.monotonic() + SLICE_S
    while _stepped(thinning):
        if time.monotonic() > until or services.stopping.is_set():
            thinning.note_place()
            raise queue.Unfinished(services.clock())
    thinning.tell()
    if thinning.gone:
        give_back(services, thorough=thinning.place.much)


def _stepped(thinning: Thinning) -> bool:
    """A step; later where somebody reads what shall go, as a dump does for hours, or the database is away."""
    try:
        return thinning.step()
    except Unavailable:
        raise queue.Unfinished(thinning.services.clock() + AGAIN_S) from None


def give_back(services: Services, *, thorough: bool, told: Callable[[], None] = lambda: None) -> None:
    """The space of deleted rows, to the disk. What a stop cuts short is for the next time."""
    for _ in services.database.giving_back(thorough=thorough):
        told()
        time.sleep(BREATH_S)
        if services.stopping.is_set():
            return


def _is_late(db: Db, job: queue.Job, now: int) -> bool:
    """Whether another customer's job is running, and was there first."""
    sql = "SELECT 1 FROM jobs WHERE kind = :kind AND state = 'running' AND lease_until >= :now AND id < :id"
    return first(db, sql, {"kind": KIND, "now": now, "id": job.id}) is not None


def _wait_for_a_day(services: Services, job: queue.Job, now: int) -> None:
    """After a month of standstill it may be the clock that is wrong: an administrator has a day to see that."""
    log.warning("retention is a month late and waits a day more: check the clock", customer=job.customer_id)
    args = {**job.args, "planned": now}
    services.database.write(lambda db: queue.keep(db, job.id, job.args, args, now))
    raise queue.Unfinished(now + rows.DAY_S)


def thin(services: Services, job: queue.Job, told: Callable[[Mapping[str, int]], None]) -> Thinning:
    """Runs a claimed job to its end in this process, but for the space; `told` hears how many have gone so far."""
    thinning = Thinning(services, job)
    while thinning.step():
        told(thinning.gone)
    thinning.tell()
    services.database.write(lambda db: queue.finish(db, job.id))
    return thinning
