"""Live calls: what is being talked right now, and the orders to make, answer, transfer and end calls.

Beyond the three modules of the reference; the attributes are those that clients of the API read. Rows come from a
connected PBX and live as long as the call. Without a PBX no phone is online, so every order is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ringback.calls.numbers import digits, normal
from ringback.errors import Fault, Forbidden, Invalid, NoPhoneOnline
from ringback.record import ENUM, Column, Count, Id, Money, Name, Number, Patch, Record, RequiredName
from ringback.resources.customer.users import READABLE
from ringback.rest import replies
from ringback.rest.access import RECEPTION, Policy, Role
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.store import rows, schema
from ringback.store.listing import Listing

HIDDEN = "***"
NO_PBX = "No PBX is connected that could control this call."
_DIALLED = re.compile(r"[0-9*#]{1,32}", re.ASCII)
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)


class LiveCall(Record):
    id: Id
    clid: Name | None
    connected_at: Count | None
    """UTC seconds, as all times of live calls."""
    context: Name | None
    destination: Name | None
    dst: Number | None
    dst_call_id: Name | None
    dst_codec: Name | None
    dst_connection: Name | None
    dst_contact: Name | None
    dst_id: Name | None
    dst_name: Name | None
    dst_rate: Money | None
    dst_ua: Name | None
    duration: Annotated[Count | None, Column("t.duration", filterable=False)]
    """Seconds of talk until now."""
    min_charge: Money | None
    monitor_state: Name | None
    parent_id: Id | None
    queue_state: Name | None
    referred_by: Name | None
    src: Number | None
    src_call_id: Name | None
    src_codec: Name | None
    src_contact: Name | None
    src_id: Name | None
    src_name: Name | None
    src_rate: Money | None
    src_ua: Name | None
    start_time: Count
    state: Annotated[Literal["INITIAL", "RINGING", "CONNECTED", "ON_HOLD"], ENUM]
    action_url: Name | None
    action_text: Name | None


class Origination(Patch):
    to: Annotated[RequiredName, Meta(description="a number or an extension")]
    from_: Id | UnsetType | None = msgspec.field(default=UNSET, name="from")
    caller_id: Name | UnsetType | None = UNSET


class WebCall(Patch):
    from_: RequiredName = msgspec.field(name="from")
    to: RequiredName


class Control(Patch):
    dst: RequiredName | UnsetType = UNSET
    state: Literal["CONNECTED", "answer"] | UnsetType = UNSET
    action_url: Name | UnsetType | None = UNSET
    action_text: Name | UnsetType | None = UNSET


_MINE = "(t.user_id = :me OR t.peer_user_id = :me)"


def _for_me(column: str, otherwise: str) -> str:
    return f"CASE WHEN {_MINE} THEN t.{column} ELSE {otherwise} END"


_MASKED: Mapping[str, str] = {
    "src": _for_me("src", f"'{HIDDEN}'"),
    "dst": _for_me("dst", f"'{HIDDEN}'"),
    "src_name": _for_me("src_name", "NULLIF(t.src_name, t.src)"),
    "dst_name": _for_me("dst_name", "NULLIF(t.dst_name, t.dst)"),
    **{name: _for_me(name, "NULL") for name in ("clid", "src_contact", "dst_contact", "referred_by", "action_url")},
}
"""The numbers of others' calls, out of sight and out of reach of filters."""

ALL = Listing("calls", LiveCall, schema.calls, newest="start_time")
OWN = replace(ALL, name="own calls", where=_MINE)
OF_USER = replace(ALL, name="user's calls", where="(t.user_id = :parent OR t.peer_user_id = :parent)")
_MONEY = {Policy.BILLING_DISABLED: frozenset({"src_rate", "dst_rate", "min_charge"})}
CALLS = Resource(ALL, own=OWN, all_for=RECEPTION, hidden_by=_MONEY)


def _resource(call: Call, listing: Listing = ALL) -> Resource:
    """The calls as the caller's role and policies let them be seen."""
    policies = call.caller.policies
    if Policy.PRESENCE_NUMBERS_HIDDEN in policies:
        listing = replace(listing, name=f"{listing.name}, masked", sql=_MASKED)
    own = replace(listing, name=f"own {listing.name}", where=" AND ".join(filter(None, (listing.where, _MINE))))
    everybody = frozenset[Role]() if Policy.PRESENCE_DISABLED in policies else RECEPTION
    return Resource(listing, own=own, all_for=everybody, hidden_by=_MONEY)


def _now(call: Call, record: Record) -> Record:
    assert isinstance(record, LiveCall)
    record.duration = max(0, call.now - record.connected_at) if record.connected_at is not None else 0
    return record


def _listed(call: Call, resource: Resource, **bound: Any) -> replies.Reply:
    hidden = resource.hidden_from(call.caller)
    listing = resource.seen_by(call.caller)
    found, total = call.services.lists.page(call.db, listing, call.bound(**bound), call.query(resource), hidden)
    return replies.collection([_now(call, each) for each in found], total)


def _list(call: Call) -> replies.Reply:
    return _listed(call, _resource(call))


def _of_user(call: Call) -> replies.Reply:
    user_id = call.path["id"]
    call.find(READABLE, user_id)
    resource = _resource(call, OF_USER)
    if user_id != call.caller.user_id and call.caller.role not in resource.all_for:
        raise Forbidden
    return _listed(call, resource, parent=user_id)


def _show(call: Call) -> replies.Reply:
    return replies.item(_now(call, call.find(_resource(call), call.path["id"])))


def _originate(call: Call) -> replies.Reply:
    given = call.body(Origination).given()
    _check_from(call, given.get("from"))
    faults = _undialled(given, "to")
    caller_id = given.get("caller_id")
    if caller_id and caller_id.lower() != "anonymous" and digits(caller_id, None) is None:
        faults.append(Fault("caller_id"))
    if faults:
        raise Invalid(faults=faults)
    raise NoPhoneOnline


def _undialled(given: Mapping[str, Any], *names: str) -> list[Fault]:
    """A fault for each that no phone can dial: neither a number nor an extension or service code."""
    return [Fault(name) for name in names if not _DIALLED.fullmatch(normal(given[name]))]


def _check_from(call: Call, user_id: int | None) -> None:
    """`from` is a user of the customer; another than oneself for those who control any call."""
    if user_id is None or user_id == call.caller.user_id:
        return
    if not rows.exists(call.db, schema.users, call.customer_id, user_id):
        raise Invalid(faults=[Fault("from")])
    if call.caller.role not in RECEPTION:
        raise Forbidden


def _webcall(call: Call) -> replies.Reply:
    faults = _undialled(call.body(WebCall).given(), "from", "to")
    if faults:
        raise Invalid(faults=faults)
    raise NoPhoneOnline


def _control(call: Call) -> replies.Reply:
    call.find(_resource(call), call.path["id"])
    given = call.body(Control, partial=True).given()
    url = given.get("action_url")
    if url and not _WEB_ADDRESS.fullmatch(url):
        raise Invalid(faults=[Fault("action_url")])
    if given.keys() & {"dst", "state"}:
        raise NoPhoneOnline(NO_PBX)
    rows.update(call.db, schema.calls, call.customer_id, call.path["id"], given)
    return _show(call)


def _hang_up(call: Call) -> replies.Reply:
    call.find(_resource(call), call.path["id"])
    raise NoPhoneOnline(NO_PBX)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/calls",
        "The live calls; a plain user's own",
        _list,
        Shape.COLLECTION,
        answer=LiveCall,
        resource=CALLS,
    ),
    Endpoint(
        "POST",
        "/calls",
        "Call somebody: the user's own phone rings first",
        _originate,
        Shape.ITEM,
        201,
        answer=LiveCall,
        body=Origination,
    ),
    Endpoint("GET", "/calls/{id}", "One live call", _show, Shape.ITEM, answer=LiveCall, resource=CALLS),
    Endpoint(
        "PATCH",
        "/calls/{id}",
        "Transfer or answer a live call, or show a link with it",
        _control,
        Shape.ITEM,
        answer=LiveCall,
        body=Control,
        work=Work.WRITE,
        resource=CALLS,
    ),
    Endpoint("DELETE", "/calls/{id}", "Hang up a live call", _hang_up, Shape.EMPTY, 204, resource=CALLS),
    Endpoint(
        "POST",
        "/webcalls",
        "Call a first number, then connect it to a second",
        _webcall,
        Shape.ITEM,
        201,
        answer=LiveCall,
        body=WebCall,
    ),
    Endpoint(
        "GET",
        "/users/{id}/calls",
        "The live calls of a user",
        _of_user,
        Shape.COLLECTION,
        answer=LiveCall,
        resource=CALLS,
        parent=READABLE,
    ),
)
