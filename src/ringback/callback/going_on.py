"""How an open request goes on: one step of its course, stored."""

from typing import Any, NamedTuple

from ringback.callback.course import OPEN, STATES, Event, Stage, step
from ringback.calls.numbers import clean
from ringback.store import callback_requests as store
from ringback.store.callback_requests import Request
from ringback.store.database import Db


class Went(NamedTuple):
    """`request`: as it was before. `reason`: without what the PBX said, which has no end of words."""

    request: Request
    stage: Stage
    reason: str | None


def happen(
    db: Db, customer_id: int, request_id: int, event: Event, now: int, *, why: str = "", **more: Any
) -> Went | None:
    """Where the event led the request; None where it changed nothing. `why`: stands behind the reason of what failed. `more`: columns
    that change with it."""
    request = store.open_request(db, customer_id, request_id)
    found = None if request is None else step(request.stage, event, request.dial_first)
    if request is None or found is None:
        return None
    reason = f"{found.reason}: {clean(why)}" if found.reason and why else found.reason
    changes: dict[str, Any] = {"stage": found.stage, "reason": reason, "changed_at": now, **more}
    if found.stage not in OPEN:
        changes["open_number"] = None
    store.change(db, customer_id, request, changes, STATES[found.stage])
    return Went(request, found.stage, found.reason)
