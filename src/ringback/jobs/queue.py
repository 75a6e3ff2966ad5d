"""The table of jobs: enqueued in the caller's transaction, claimed by one worker at a time, tried again, never lost.

A job that runs holds a lease, which its worker renews; when the process dies the lease ends and another worker takes the
job up again. So work is done in steps that can be repeated. A finished job has no row; one that failed five times stays as
`dead` with its error, for the administrator; what must be done all the same is tried again once an hour.
"""

import json
import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ringback.store import rows, schema
from ringback.store.database import Database, Db, first, value

LEASE_S = 15
ATTEMPTS = 5
AGAIN_S = 3_600
WAITING, RUNNING, DEAD = "waiting", "running", "dead"


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    customer_id: int
    kind: str
    args: Mapping[str, Any]
    attempts: int


class Lost(Exception):
    """Another worker has taken the job up, or it is gone."""


class Unfinished(Exception):
    """A job has more to do, and lets others go first: it runs again from `at` on."""

    def __init__(self, at: int) -> None:
        self.at = at
        super().__init__(at)


def enqueue(
    db: Db,
    customer_id: int,
    kind: str,
    args: Mapping[str, Any],
    *,
    now: int,
    key: str | None = None,
    claimed: bool = False,
) -> int:
    """Adds a job; returns its id. `key`: at most one job of a kind and key. `claimed`: the caller runs it right away."""
    row = {
        "kind": kind,
        "args": _text(args),
        "state": RUNNING if claimed else WAITING,
        "attempts": int(claimed),
        "run_at": now,
        "lease_until": now + LEASE_S if claimed else 0,
        "created_at": now,
        "unique_key": key,
    }
    return rows.insert(db, schema.jobs, customer_id, [row])[0]


_ORPHANED = "state = 'running' AND lease_until < :now"
_DUE = "state = 'waiting' AND run_at <= :now"


def is_any(db: Db, now: int, kinds: Collection[str] | None = None) -> bool:
    """Whether `claim` would find one. To be asked before, for a claim takes the turn of other writers."""
    return any(db.all(_next(each, kind), {"now": now, "kind": kind}) for each, kind in _tried(kinds))


def claim(db: Db, now: int, kinds: Collection[str] | None = None) -> Job | None:
    """The next job whose worker has died or that is due, now leased to the caller. `kinds`: of these only; None: of any."""
    found = (_claim(db, now, kind, condition) for condition, kind in _tried(kinds))
    return next(filter(None, found), None)


def _tried(kinds: Collection[str] | None) -> Iterator[tuple[str, str | None]]:
    """Conditions and kinds, one of each at a time: so each has the order of an index, where several would sort the whole
    backlog for every job."""
    for condition in (_ORPHANED, _DUE):
        yield from ((condition, kind) for kind in ([None] if kinds is None else sorted(kinds)))


def _claim(db: Db, now: int, kind: str | None, condition: str) -> Job | None:
    lock = " FOR UPDATE SKIP LOCKED" if db.engine == "postgres" else ""
    sql = f"""
        UPDATE jobs SET state = 'running', attempts = attempts + 1, lease_until = :until
        WHERE id = ({_next(condition, kind)}{lock}) RETURNING id, customer_id, kind, args, attempts
    """
    row = first(db, sql, {"now": now, "kind": kind, "until": now + LEASE_S})
    return None if row is None else Job(row[0], row[1], row[2], json.loads(row[3]), row[4])


def _next(condition: str, kind: str | None) -> str:
    wanted = "" if kind is None else "AND kind = :kind"
    return f"SELECT id FROM jobs WHERE {condition} {wanted} ORDER BY run_at, id LIMIT 1"


def of_kind(db: Db, customer_id: int, kind: str) -> list[Job]:
    """The customer's jobs of a kind, whatever their state."""
    sql = "SELECT id, args, attempts FROM jobs WHERE customer_id = :customer AND kind = :kind ORDER BY id"
    found = db.all(sql, {"customer": customer_id, "kind": kind})
    return [Job(job_id, customer_id, kind, json.loads(args), attempts) for job_id, args, attempts in found]


def due(db: Db, now: int) -> int:
    """How many jobs could run and wait."""
    return int(value(db, "SELECT count(*) FROM jobs WHERE state = 'waiting' AND run_at <= :now", {"now": now}))


def renew(db: Db, job_id: int, now: int) -> None:
    db.run("UPDATE jobs SET lease_until = :until WHERE id = :id", {"until": now + LEASE_S, "id": job_id})


def keep(db: Db, job_id: int, before: Mapping[str, Any], args: Mapping[str, Any], now: int) -> None:
    """Notes how far a job is, within the transaction that brought it there, and renews its lease. `before`: what was
    noted last; Lost when something else is there, for then somebody else works on it."""
    bound = {"before": _text(before), "args": _text(args), "until": now + LEASE_S, "id": job_id}
    sql = "UPDATE jobs SET args = :args, lease_until = :until WHERE id = :id AND args = :before"
    if not db.run(sql, bound):
        raise Lost


def postpone(db: Db, job_id: int, at: int, args: Mapping[str, Any] | None = None) -> None:
    """Puts a job back that has got on and is not done; with `args`, to begin anew."""
    sql = """
        UPDATE jobs SET state = 'waiting', attempts = 0, run_at = :at, lease_until = 0, args = coalesce(:args, args)
        WHERE id = :id
    """
    db.run(sql, {"at": at, "id": job_id, "args": None if args is None else _text(args)})


def _text(args: Mapping[str, Any]) -> str:
    return json.dumps(args, ensure_ascii=False)


def finish(db: Db, job_id: int) -> None:
    db.run("DELETE FROM jobs WHERE id = :id", {"id": job_id})


def fail(db: Db, job: Job, error: str, now: int) -> bool:
    """Puts the job back with a growing, jittered delay, or gives it up. True when it is dead."""
    dead = job.attempts >= ATTEMPTS
    delay_s = 2**job.attempts * random.uniform(1, 2)  # noqa: S311 (jitter, no secret)
    sql = "UPDATE jobs SET state = :state, error = :error, run_at = :at, lease_until = 0 WHERE id = :id"
    state = DEAD if dead else WAITING
    db.run(sql, {"state": state, "error": error[:1000], "at": now + int(delay_s), "id": job.id})
    return dead


def try_again(database: Database, kinds: Iterable[str], now: int) -> int:
    """What was given up over an hour ago is tried once more; returns how many jobs that are."""
    sql = "UPDATE jobs SET state = 'waiting', attempts = :attempts WHERE state = 'dead' AND run_at <= :at AND kind = :kind"
    bound = {"attempts": ATTEMPTS - 1, "at": now - AGAIN_S}
    return database.write(lambda db: sum(db.run(sql, {**bound, "kind": kind}) for kind in kinds))
