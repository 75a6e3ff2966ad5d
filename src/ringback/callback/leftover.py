"""Requests that no runner looks after: their customer has no PBX that places callbacks, or not any more."""

from functools import partial

from ringback.callback import placing
from ringback.callback.course import PLACED, Event
from ringback.callback.going_on import happen
from ringback.store import callback_requests as store
from ringback.store.callback_requests import Request
from ringback.store.database import Database, Db

MORE_S = 120
"""Beyond the time after which a runner takes a call for over: it is asked first."""


def end(database: Database, now: int) -> None:
    """What has waited for too long, and calls that must be over: to be called now and then, whoever else runs."""
    for (customer_id,) in database.read(lambda db: db.all("SELECT id FROM customers ORDER BY id")):
        for request in database.read(partial(store.open_requests, customer_id=customer_id)):
            if _is_late(request, now):
                database.write(partial(_end, customer_id=customer_id, request=request, now=now), at_once=False)


def _is_late(request: Request, now: int) -> bool:
    if request.stage == "offline":
        return placing.has_expired(request, now)
    may_last = request.most_s + placing.BELT_S if request.stage in PLACED else 0
    return now > request.changed_at + may_last + MORE_S


def _end(db: Db, customer_id: int, request: Request, now: int) -> None:
    if request.stage == "requested":
        happen(db, customer_id, request.id, "postpone", now, due_at=now)
    else:
        event: Event = "expire" if request.stage == "offline" else "lose"
        placing.went_on(db, customer_id, request.id, event, now, is_found=True)
