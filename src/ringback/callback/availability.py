"""Whether somebody can take a callback now: it is open, the PBX is there, and a phone that the DDI leads to is free."""

from typing import Literal

from ringback.callback.asking import hours_of
from ringback.connectors.orders import Desk
from ringback.store import callback_requests as store
from ringback.store.callback_requests import Widget
from ringback.store.database import Db

FREE = "available"
"""The presence of a phone on which nobody talks."""
Availability = Literal["available", "closed", "unavailable"]


def available(db: Db, desk: Desk, widget: Widget, now: int) -> Availability:
    if not hours_of(widget).is_open(now):
        return "closed"
    target = store.target(db, widget.customer_id, widget.destination)
    if desk.caller(widget.customer_id) is None or target is None or widget.ddi is None:
        return "unavailable"
    if target.extensions is None or store.are_free(db, widget.customer_id, target.extensions, FREE):
        return "available"
    return "unavailable"
