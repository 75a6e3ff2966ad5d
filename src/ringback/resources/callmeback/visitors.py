"""Who opened a widget, what they requested, and the calls that came of it."""

from dataclasses import replace
from typing import Annotated, Literal

from ringback.record import ENUM, Id, Name, Number, Record, Text, WireTime
from ringback.resources.history import cdrs
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import listed
from ringback.store import schema
from ringback.store.listing import Listing, Tally

State = Annotated[
    Literal["NEW", "REQUESTED", "CALLING", "CONNECTED", "ENDED", "REFUSED", "FAILED", "OFFLINE"],
    ENUM,
]


class Visitor(Record):
    id: Id
    setting_id: Id
    created_at: WireTime
    last_seen_at: WireTime
    ip: Name | None
    country: Name | None
    city: Name | None
    ua: Name | None
    referer: Text | None
    page: Text | None
    number: Number | None
    name: Name | None
    state: State
    cdr_id: Id | None


class CallMeBackRequest(Record):
    id: Id
    visitor_id: Id | None
    setting_id: Id
    number: Number | None
    state: State
    reason: Text | None
    """Why it was refused or failed."""
    preferred_at: WireTime | None
    cdr_id: Id | None
    created_at: WireTime


_OWN = "t.cdr_id IN (SELECT p.cdr_id FROM cdr_parties p WHERE p.customer_id = :customer AND p.user_id = :me)"
_ALL_VISITORS = Listing("callmeback visitors", Visitor, schema.callmeback_visitors, newest="created_at")
_ALL_REQUESTS = Listing("callmeback requests", CallMeBackRequest, schema.callmeback_requests, newest="created_at")
VISITORS = Resource(_ALL_VISITORS, own=replace(_ALL_VISITORS, name="own callmeback visitors", where=_OWN))
REQUESTS = Resource(_ALL_REQUESTS, own=replace(_ALL_REQUESTS, name="own callmeback requests", where=_OWN))

_CALLED_BACK = "t.destination = 'callmeback'"
_OWN_CDRS = cdrs.of_user("own callmeback cdrs", "me")
CDRS = Resource(
    replace(
        cdrs.ALL, name="callmeback cdrs", where=_CALLED_BACK, tally=Tally("cdrs", "destination", fixed="callmeback")
    ),
    own=replace(_OWN_CDRS, where=f"{_OWN_CDRS.where} AND {_CALLED_BACK}", tally=None),
    hidden_by=cdrs.CDRS.hidden_by,
)

ENDPOINTS = (
    listed("/callmeback/visitors", VISITORS, "Everybody who opened a widget; for a plain user those of own calls"),
    listed("/callmeback/requests", REQUESTS, "Everybody who asked to be called back; for a plain user as above"),
    listed("/callmeback/cdrs", CDRS, "The CDRs of callbacks; a plain user's own"),
)
