"""From a request to a call: looked at once more, given an id, and ordered. What may have been ordered is never ordered a second
time."""

from typing import Any

from ringback.callback import missed
from ringback.callback.asking import hours_of, judged, midnights
from ringback.callback.availability import available
from ringback.callback.course import Event
from ringback.callback.going_on import Went, happen
from ringback.callback.rules import DAY_S, SPEND, Refusal
from ringback.calls import ordered
from ringback.calls.numbers import dialled_from
from ringback.connectors.orders import Desk, Origination
from ringback.store import callback_requests as store
from ringback.store.callback_requests import Request, Target, Widget
from ringback.store.database import Db

RING_S = 30
BELT_S = 120
"""Beyond the time of talk the PBX itself ends the call, whatever becomes of us: it rings before it is talked."""
TRIES, AGAIN_S = 3, 900
LOOK_S, BACK_S = 60, 5
"""Who waits is looked at so often; who waits for a connection that has just broken, the first time."""
WAITS_S = 7 * DAY_S
"""Who could not be called back within a week of the time that was asked for is not called back."""
RETRIED: tuple[Event, ...] = ("busy", "no_answer", "fail")
RINGING: tuple[Event, ...] = ("answer", "talk")
"""Where the agent is first: from here on the visitor is rung."""


def look(db: Db, desk: Desk, customer_id: int, request: Request, now: int) -> bool:
    """Of a request that is kept: whether its time has come. If not, it is looked at again later, or given up."""
    kept = store.open_request(db, customer_id, request.id)
    if kept is None or kept.stage != "offline":  # the visitor has given up meanwhile, or another process was faster
        return False
    widget = store.widget_of(db, customer_id, kept.setting_id)
    if widget is None:
        happen(db, customer_id, kept.id, "refuse", now, reason="removed")
        return False
    if has_expired(kept, now):
        went_on(db, customer_id, kept.id, "expire", now, is_found=True)
        return False
    if available(db, desk, widget, now) == "available":
        return happen(db, customer_id, kept.id, "due", now) is not None
    opens_at = hours_of(widget).opens_at(now) or now
    store.change(db, customer_id, kept, {"due_at": max(opens_at, now + LOOK_S)}, "OFFLINE")
    return False


def has_expired(request: Request, now: int) -> bool:
    """Of a request that is kept: it has waited for too long."""
    return now > max(request.preferred_at or 0, request.created_at) + WAITS_S


def claim(db: Db, customer_id: int, request_id: int, now: int) -> Origination | None:
    """The order of a request that waits for its call; None when somebody else was faster, or it may not be called any more."""
    request = store.open_request(db, customer_id, request_id)
    if request is None or request.stage != "requested":
        return None
    widget = store.widget_of(db, customer_id, request.setting_id)
    target = None if widget is None else store.target(db, customer_id, widget.destination)
    if widget is None or widget.ddi is None or target is None:
        happen(db, customer_id, request_id, "refuse", now, reason="destination")
        return None
    verdict = judged(db, widget, request.number, None, now, again=request_id)
    if isinstance(verdict, Refusal) and verdict.reason == SPEND and request.due_at is not None:
        happen(db, customer_id, request_id, "postpone", now, due_at=midnights(widget, now)[1])
        return None
    if isinstance(verdict, Refusal):
        happen(db, customer_id, request_id, "refuse", now, reason=verdict.reason)
        return None
    live_id = db.new_ids("live", 1)[0]
    noted: dict[str, Any] = {
        "live_id": live_id,
        "channel": ordered.channel(customer_id, now, live_id, is_callback=True),
        "cdr_id": None,
        "tries": request.tries + 1,
        "most_s": verdict.most_s,
        "price_micro": verdict.price_micro,
    }
    if request.dial_first == "visitor":
        noted["rang_at"] = now
    happen(db, customer_id, request_id, "pass", now, **noted)
    return _order(widget, target, request, live_id, noted["channel"], verdict.most_s)


def _order(widget: Widget, target: Target, request: Request, live_id: int, channel: str, most_s: int) -> Origination:
    number = dialled_from(request.number, widget.home)
    is_agent_first = request.dial_first == "agent"
    return Origination(
        customer_id=widget.customer_id,
        first=target.number if is_agent_first else number,
        is_phone=is_agent_first and target.is_phone,
        number=number if is_agent_first else target.number,
        caller_id=widget.ddi or "",
        live_id=live_id,
        channel_id=channel,
        outside="number" if is_agent_first else "first",
        ring_s=RING_S,
        most_s=most_s + BELT_S,
    )


def went_on(
    db: Db, customer_id: int, request_id: int, event: Event, now: int, *, is_found: bool, why: str = ""
) -> Went | None:
    """What the PBX told, stored, or what was found out otherwise (`is_found`): then a visitor who may have been rung was. Who had
    been asked to wait is tried again a few times; what failed is told by mail. `why`: in the words of the PBX."""
    request = store.open_request(db, customer_id, request_id)
    if request is None:
        return None
    more: dict[str, Any] = {}
    if request.dial_first == "agent" and request.stage in ("checked", "first") and (is_found or event in RINGING):
        more["rang_at"] = now
    if event == "postpone":
        more = {"rang_at": None, "due_at": now + BACK_S}
    if event in RETRIED and request.due_at is not None and request.tries < TRIES:
        return happen(db, customer_id, request_id, "postpone", now, due_at=now + AGAIN_S, **more)
    went = happen(db, customer_id, request_id, event, now, why=why, **more)
    if went is not None and went.stage == "failed":
        missed.enqueue(db, customer_id, request_id, now)
    return went
