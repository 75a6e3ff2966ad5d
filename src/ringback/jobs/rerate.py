"""Re-rating a period as a job. Each step is a transaction that also notes how far the job is: a crash repeats and forgets none,
and of two workers that take the job for theirs each does the steps that the other has not."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ringback.calls.rating import Deck
from ringback.jobs import queue
from ringback.record import MONEY_UNIT, time_text
from ringback.services import Services
from ringback.store import audit, rates, rerating
from ringback.store.database import Db, value
from ringback.store.rerating import Done, Period

KIND = "rerate"


def enqueue(
    db: Db, customer_id: int, start: int, end: int, who: Mapping[str, Any], *, now: int, claimed: bool = False
) -> queue.Job:
    """Asks for the calls from `start` to before `end`. `who`: user_id, user_name, ip, for the audit log."""
    period = rerating.period(db, customer_id, start, end)
    args = {"period": list(period), "done": list(Done()), "who": dict(who)}
    job_id = queue.enqueue(db, customer_id, KIND, args, now=now, claimed=claimed)
    return queue.Job(job_id, customer_id, KIND, args, attempts=int(claimed))


def run(services: Services, job: queue.Job) -> None:
    for _ in steps(services, job):
        pass


def steps(services: Services, job: queue.Job) -> Iterator[Done]:
    """What is done so far, after each step, also by a worker before; ends at once when another worker has finished the job."""
    deck = services.database.read(lambda db: rates.deck(db, job.customer_id))
    done: Done | None = Done()
    while done is not None and not done.is_all:
        done = services.database.write(partial(_step, job, deck, services.clock()))
        if done is not None:
            yield done


def _step(job: queue.Job, deck: Deck, now: int, db: Db) -> Done | None:
    """What is done altogether; None when there is no such job any more."""
    args = _kept(db, job.id)
    if args is None:
        return None
    done, left = rerating.step(db, job.customer_id, deck, Period(*args["period"]), now)
    done = Done(*args["done"]).plus(done)
    if left is None:
        _tell(db, job, done, args, now)
        queue.finish(db, job.id)
    else:
        queue.keep(db, job.id, args, {**args, "period": list(left), "done": list(done)}, now)
    return done


def _kept(db: Db, job_id: int) -> Mapping[str, Any] | None:
    """The arguments as the last step left them; the job is this transaction's until its end."""
    lock = " FOR UPDATE" if db.engine == "postgres" else ""
    text = value(db, f"SELECT args FROM jobs WHERE id = :id{lock}", {"id": job_id})
    return None if text is None else json.loads(text)


def _tell(db: Db, job: queue.Job, done: Done, args: Mapping[str, Any], now: int) -> None:
    period = Period(*args["period"])
    details = {
        "from": time_text(period.start),
        "to": time_text(period.end),
        "calls": done.calls,
        "changed": done.changed,
        "difference": done.difference / MONEY_UNIT,
    }
    audit.note(
        db,
        job.customer_id,
        at=now,
        action=KIND,
        object_class="Rerating",
        object_id=job.id,
        details=json.dumps(details),
        **args["who"],
    )
