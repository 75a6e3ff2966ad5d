"""Retention: what a customer keeps no longer goes, oldest first, in steps that nobody waits for.

One job a customer, every night. Each step is a short transaction that also notes how far the job is, so that a crash repeats
nothing and forgets nothing. A job runs for some seconds and then lets other jobs go first; one customer's runs at a time, so
that there is always a worker for them.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Table

from ringback.jobs import drop_blobs, queue
from ringback.services import Services
from ringback.store import audit, holds, retention, rows, schema
from ringback.store.database import Database, Db, first, value
from ringback.store.retention import BEGIN, Candidate, Stage, whole

log = structlog.get_logger()

KIND = "retain"
NIGHT_H = 2  # local time of the customer
SLICE_S = 5.0
STEP_S = 0.04
PAUSE = 0.3  # of the time of a step: others write meanwhile
FIRST_LOT, LEAST_LOT, LARGEST_LOT = 500, 20, 5_000
LEAP_S = 30 * 86_400
AGAIN_S = 10


def _audio(table: Table) -> retention.Take:
    def take(db: Db, customer_id: int, ids: Sequence[int], _: int) -> bool:
        drop_blobs.delete(db, table, customer_id, ids)
        return True

    return take


_LEFT = "AND EXISTS (SELECT 1 FROM sip_messages s WHERE s.customer_id = t.customer_id AND s.call_id = t.call_id)"
STAGES = (
    Stage("monitors", "monitors", schema.monitors, "timestamp", _audio(schema.monitors)),
    Stage("voicemessages", "voicemessages", schema.voicemessages, "origtime", _audio(schema.voicemessages)),
    Stage("monitors", "monitors_bytes", schema.monitors, "timestamp", _audio(schema.monitors), size="size"),
    Stage(
        "voicemessages",
        "voicemessages_bytes",
        schema.voicemessages,
        "origtime",
        _audio(schema.voicemessages),
        size="size",
    ),
    Stage("sip", "sip", schema.mediasessions, "created_at", retention.take_messages, where=_LEFT),
    Stage("mediasessions", "msdrs", schema.mediasessions, "created_at", retention.take_sessions),
    Stage("msdrs", "msdrs", schema.msdrs, "created_at", whole(schema.msdrs)),
    Stage("cdrs", "cdrs", schema.cdrs, "calldate", retention.take_cdrs),
    Stage("chats", "chats", schema.chats, "created_at", retention.take_chats),
    Stage("chatmsgs", "chats", schema.chatmsgs, "created_at", whole(schema.chatmsgs), where="AND chat_id IS NULL"),
    Stage("sms", "sms", schema.sms, "created_at", whole(schema.sms)),
    Stage("auditlog", "auditlog", schema.auditlog, "created_at", whole(schema.auditlog)),
)
"""In this order: what hangs on others goes before them."""


# -- when it runs -----------------------------------------------------------------------------------------------------


def plan(database: Database, now: int) -> None:
    """Sees to it that every customer with rules has its job for the coming night. A given-up job is tried once more."""
    sql = """
        SELECT c.id, c.time_zone, j.id FROM customers c
        LEFT JOIN jobs j ON j.customer_id = c.id AND j.kind = :kind
        WHERE c.retention IS NOT NULL AND c.deleted_at IS NULL AND (j.id IS NULL OR j.state = 'dead')
    """
    for customer_id, zone, job_id in database.read(lambda db: db.all(sql, {"kind": KIND})):
        database.write(partial(_plan, customer_id=customer_id, at=next_night(now, zone, customer_id), job_id=job_id))


def _plan(db: Db, customer_id: int, at: int, job_id: int | None) -> None:
    if job_id is not None:
        queue.postpone(db, job_id, at)
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
    while thinning.step():
        if time.monotonic() > until or services.stopping.is_set():
            thinning.note_place()
            raise queue.Unfinished(services.clock())


def _is_late(db: Db, job: queue.Job, now: int) -> bool:
    """Whether another customer's job is running, and was there first."""
    sql = "SELECT 1 FROM jobs WHERE kind = :kind AND state = 'running' AND lease_until >= :now AND id < :id"
    return first(db, sql, {"kind": KIND, "now": now, "id": job.id}) is not None


def _wait_for_a_day(services: Services, job: queue.Job, now: int) -> None:
    """After a month of standstill it may be the clock that is wrong: an administrator has a day to see that."""
    log.warning("retention is a month late and waits a day more: check the clock", customer=job.customer_id)
    args = {**job.args, "planned": now}
    services.database.write(lambda db: queue.keep(db, job, args, now))
    raise queue.Unfinished(now + rows.DAY_S)


# -- what it does -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run is, as the job's row has it. `excess`: bytes that have to go yet, where bytes are counted."""

    now: int
    stage: int = 0
    at: int = BEGIN[0]
    id: int = BEGIN[1]
    excess: int | None = None
    gone: Mapping[str, int] = field(default_factory=dict)

    def next_stage(self) -> "Place":
        return Place(self.now, self.stage + 1, gone=self.gone)


class Thinning:
    """One customer's retention, step by step."""

    def __init__(self, services: Services, job: queue.Job) -> None:
        self.services = services
        self.database = services.database
        self.job = job
        kept = {name: each for name, each in job.args.items() if name in Place.__slots__}
        self.place = Place(**{"now": services.clock(), **kept})
        self.rules = self.database.read(lambda db: retention.of_customer(db, job.customer_id))
        self.lot = FIRST_LOT

    def step(self) -> bool:
        """Does a little of what is left; False when all is done."""
        if self.place.stage >= len(STAGES):
            return self._ended()
        stage = STAGES[self.place.stage]
        found = self._next(stage)
        if not found:
            self.place = self.place.next_stage()
            return True
        began = time.monotonic()
        self.place = self.database.write(lambda db: self._take(db, stage, found))
        took_s = time.monotonic() - began
        self.lot = min(max(int(self.lot * min(STEP_S / took_s, 2)), LEAST_LOT), LARGEST_LOT)
        time.sleep(took_s * PAUSE)
        return True

    def _next(self, stage: Stage) -> list[Candidate]:
        """The rows that come next in a stage, as far as its rule lets any go."""
        limit = self.rules.get(stage.rule)
        if limit is None:
            return []
        if stage.by_size and self.place.excess is None:
            excess = retention.bytes_of(self.database, self.job.customer_id, stage.table) - limit
            self.place = Place(self.place.now, self.place.stage, excess=excess, gone=self.place.gone)
        if stage.by_size and (self.place.excess or 0) <= 0:
            return []
        cut = retention.cut_of(stage.rule, limit, self.place.now)
        after = (self.place.at, self.place.id)
        return self.database.read(lambda db: stage.oldest(db, self.job.customer_id, cut, after, self.lot))

    def _take(self, db: Db, stage: Stage, found: Sequence[Candidate]) -> Place:
        """Deletes what no hold keeps, and notes it in the job's row."""
        customer_id, place = self.job.customer_id, self.place
        kept = holds.held(db, customer_id, stage.table.name, [each.id for each in found])
        going = [each for each in found if each.id not in kept]
        if place.excess is not None:
            going = _enough(going, place.excess)
        done = stage.take(db, customer_id, [each.id for each in going], self.lot)
        if done:
            last = going[-1] if place.excess is not None and going else found[-1]
            excess = None if place.excess is None else place.excess - sum(each.size for each in going)
            gone = {**place.gone, stage.name: place.gone.get(stage.name, 0) + len(going)}
            place = Place(place.now, place.stage, last.at, last.id, excess, gone)
        if not queue.keep(db, self.job, _args(place), self.services.clock()):
            raise queue.Unfinished(self.services.clock())  # the customer is being deleted
        return place

    def note_place(self) -> None:
        """Also of a stage in which nothing had to go."""
        args, now = _args(self.place), self.services.clock()
        self.database.write(lambda db: queue.keep(db, self.job, args, now))

    def _ended(self) -> bool:
        """Tells the audit log, once."""
        gone = {name: n for name, n in self.place.gone.items() if n}
        if gone:
            self.database.write(lambda db: self._note(db, gone))
        return False

    def _note(self, db: Db, gone: Mapping[str, int]) -> None:
        now = self.services.clock()
        if queue.keep(db, self.job, _args(Place(self.place.now, len(STAGES))), now):
            audit.note(db, self.job.customer_id, at=now, action="retain", details=json.dumps(gone))


def _enough(going: Sequence[Candidate], excess: int) -> list[Candidate]:
    """As many of the oldest as have the bytes that are too many."""
    found = []
    for each in going:
        if excess <= 0:
            break
        found.append(each)
        excess -= each.size
    return found


def _args(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in Place.__slots__}


def thin(services: Services, job: queue.Job, told: Callable[[Mapping[str, int]], None]) -> Mapping[str, int]:
    """Runs a claimed job to its end in this process; `told` hears how many have gone so far. Returns the same."""
    thinning = Thinning(services, job)
    while thinning.step():
        told(thinning.place.gone)
    services.database.write(lambda db: queue.finish(db, job.id))
    return thinning.place.gone
