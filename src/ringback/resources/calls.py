"""Live calls: what is being talked right now, and the orders to make, answer, transfer and end calls.

Beyond the three modules of the reference; the attributes are those that clients of the API read. Rows come from a
connected PBX and live as long as the call; orders go to it. Without a PBX no phone is online, so every order is refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import product
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ringback.calls.numbers import digits, normal, one_spelling
from ringback.calls.rating import MICRO
from ringback.connectors.orders import Mistaken, NotDone, Offline, Origination, Pbx, Unsure
from ringback.errors import Fault, Forbidden, Invalid, NoPhoneOnline, RingbackError, Unavailable
from ringback.record import ENUM, MONEY_UNIT, Column, Count, Id, Money, Name, Number, Patch, Record, RequiredName
from ringback.resources.customer.users import READABLE
from ringback.rest import replies
from ringback.rest.access import RECEPTION, Caller, Policy, Role
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.store import accounts, live_calls, rates, rows, schema
from ringback.store.database import Db, value
from ringback.store.listing import Listing

T = TypeVar("T")
HIDDEN = "***"
ANONYMOUS = "anonymous"
LONGEST_KEY = 255
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


class Origin(Patch):
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


def _unless_number(column: str) -> str:
    """A caller without a name is often shown with the number as the name, maybe spelt otherwise."""
    return f"CASE WHEN ltrim(t.{column}, '+0123456789 -()./') <> '' THEN t.{column} END"


_MASKED: Mapping[str, str] = {
    "src": _for_me("src", f"'{HIDDEN}'"),
    "dst": _for_me("dst", f"'{HIDDEN}'"),
    "src_name": _for_me("src_name", _unless_number("src_name")),
    "dst_name": _for_me("dst_name", _unless_number("dst_name")),
    **{name: _for_me(name, "NULL") for name in ("clid", "src_contact", "dst_contact", "referred_by", "action_url")},
}
"""The numbers of others' calls, out of sight and out of reach of filters."""

ALL = Listing("calls", LiveCall, schema.calls, newest="start_time")
_LASTED = {"duration": "coalesce(t.ended_at - t.connected_at, 0)"}
ENDED = replace(ALL, name="ended calls", table=schema.ended_calls, sql=_LASTED)
OWN = replace(ALL, name="own calls", where=_MINE)
OF_USER = replace(ALL, name="user's calls", where="(t.user_id = :parent OR t.peer_user_id = :parent)")
_MONEY = {Policy.BILLING_DISABLED: frozenset({"src_rate", "dst_rate", "min_charge"})}
CALLS = Resource(ALL, own=OWN, all_for=RECEPTION, hidden_by=_MONEY)


def seen(caller: Caller, listing: Listing = ALL) -> Resource:
    """The calls as the caller's role and policies let them be seen."""
    policies = caller.policies
    if Policy.PRESENCE_NUMBERS_HIDDEN in policies:
        listing = replace(listing, name=f"{listing.name}, masked", sql={**listing.sql, **_MASKED})
    own = replace(listing, name=f"own {listing.name}", where=" AND ".join(filter(None, (listing.where, _MINE))))
    everybody = frozenset[Role]() if Policy.PRESENCE_DISABLED in policies else RECEPTION
    return Resource(listing, own=own, all_for=everybody, hidden_by=_MONEY)


def ended(caller: Caller) -> Resource:
    """What calls were that ended lately."""
    return seen(caller, ENDED)


def _resource(call: Call, listing: Listing = ALL) -> Resource:
    return seen(call.caller, listing)


def lasting(record: Record, now: int) -> Record:
    assert isinstance(record, LiveCall)
    record.duration = max(0, now - record.connected_at) if record.connected_at is not None else 0
    return record


def _now(call: Call, record: Record) -> Record:
    return lasting(record, call.now)


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
    return _once(call, lambda: _placed(call, _read(call, _origination)))


def _origination(call: Call) -> Origination:
    given = call.body(Origin).given()
    user_id = given.get("from") or call.caller.user_id
    _check_from(call, user_id)
    faults = _undialled(given, "to")
    caller_id = given.get("caller_id") or ""
    if caller_id and caller_id.lower() != ANONYMOUS and digits(caller_id, None) is None:
        faults.append(Fault("caller_id"))
    if faults:
        raise Invalid(faults=faults)
    shown = ANONYMOUS if caller_id.lower() == ANONYMOUS else digits(caller_id, None) or ""
    return Origination(call.customer_id, _extension(call, user_id), True, normal(given["to"]), shown)


def _extension(call: Call, user_id: int) -> str:
    return accounts.extension_of(call.db, call.customer_id, user_id) or ""


def _read(call: Call, work: Callable[[Call], T]) -> T:
    """In a transaction of its own: nothing is held while a PBX is asked."""

    def inside(db: Db) -> T:
        call.transaction = db
        return work(call)

    return call.services.database.read(inside)


def _placed(call: Call, order: Origination) -> replies.Reply:
    desk = call.services.desk
    if not order.first or not desk.serving(call.customer_id):
        raise NoPhoneOnline
    try:
        with desk.counting():
            live_id = desk.originate(order)
    except Offline:
        raise NoPhoneOnline from None
    try:
        return _read(call, lambda call: replies.item(_now(call, call.find(_resource(call), live_id)), 201))
    except RingbackError as error:
        raise Unsure(f"The call was placed, and cannot be shown: {error}") from None


def _once(call: Call, work: Callable[[], replies.Reply]) -> replies.Reply:
    """An order with the same Idempotency-Key is carried out once, also where nobody knows what came of it."""
    name = call.headers.get("idempotency-key", "")
    if len(name) > LONGEST_KEY:
        raise Invalid(faults=[Fault("Idempotency-Key", f"A key has at most {LONGEST_KEY} characters.")])
    key = (call.customer_id, call.caller.user_id, call.endpoint.path, name)
    try:
        return call.services.desk.once(key, sha256(call.raw).digest(), work) if name else work()
    except Mistaken:
        raise Invalid(faults=[Fault("Idempotency-Key", "This key was used for another order.")]) from None
    except NotDone as error:
        raise Unavailable(str(error)) from None


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
    return _once(call, lambda: _placed(call, _read(call, _web_order)))


def _web_order(call: Call) -> Origination:
    given = call.body(WebCall).given()
    faults = _undialled(given, "from", "to")
    if faults:
        raise Invalid(faults=faults)
    _refuse_dear(call, given["from"], given["to"])
    first = normal(given["from"])
    sql = "SELECT 1 FROM users WHERE customer_id = :customer AND ext = :ext"
    is_phone = value(call.db, sql, {"customer": call.customer_id, "ext": first}) is not None
    return Origination(call.customer_id, first, is_phone, normal(given["to"]), "")


def _refuse_dear(call: Call, *numbers: str) -> None:
    """Of numbers outside each has a rate, and none above the customer's ceiling, where there is one."""
    bound = {"customer": call.customer_id}
    ceiling = value(call.db, "SELECT max_call_rate FROM customers WHERE id = :customer", bound)
    if ceiling is None:
        return
    country = accounts.country_of(call.db, call.customer_id)
    prefixes = {each.outside_prefix for each in call.services.desk.serving(call.customer_id)} or {""}
    outside = [each for each in numbers if not _is_inside(call, normal(each))]
    spelt = product(outside, sorted(prefixes))
    public = [(each, one_spelling(digits(_outside(each, prefix), country) or "")) for each, prefix in spelt]
    deck = rates.deck_for(call.db, call.customer_id, [number for _, number in public])
    for each, number in public:
        rate = deck.find(number)
        if rate is None or rate.price_micro > ceiling * MICRO // MONEY_UNIT:
            raise Invalid(f"Maximum per minute call rate exceeded for {number or normal(each)}.")


def _outside(number: str, prefix: str) -> str:
    """As the PBX dials it: behind the digits for an outside line, where those are in front."""
    dialled = normal(number)
    return dialled.removeprefix(prefix) if prefix and dialled.startswith(prefix) else number


def _is_inside(call: Call, number: str) -> bool:
    """Whether it is a user's extension or a queue."""
    sql = """
        SELECT 1 FROM users WHERE customer_id = :customer AND ext = :number
        UNION SELECT 1 FROM queues WHERE customer_id = :customer AND number = :number
    """
    return value(call.db, sql, {"customer": call.customer_id, "number": number}) is not None


def _control(call: Call) -> replies.Reply:
    given, extension = _read(call, _asked)
    if "state" in given:
        raise NoPhoneOnline("No PBX can answer for a phone.")
    if "dst" in given:
        number = normal(given["dst"])
        _carry_out(call, lambda pbx, live_id: pbx.transfer(call.customer_id, live_id, extension, number))
    return call.services.database.write(partial(_noted, call, given))


def _asked(call: Call) -> tuple[Mapping[str, Any], str]:
    """What shall be done, and the extension of who asks."""
    call.find(_resource(call), call.path["id"])
    given = call.body(Control, partial=True).given()
    faults = _undialled(given, "dst") if "dst" in given else []
    url = given.get("action_url")
    if url and not _WEB_ADDRESS.fullmatch(url):
        faults.append(Fault("action_url"))
    if faults:
        raise Invalid(faults=faults)
    return given, _extension(call, call.caller.user_id)


def _noted(call: Call, given: Mapping[str, Any], db: Db) -> replies.Reply:
    call.transaction = db
    links = {name: each for name, each in given.items() if name not in {"dst", "state"}}
    live_calls.link(db, call.customer_id, call.path["id"], links)
    return _show(call)


def _carry_out(call: Call, order: Callable[[Pbx, int], None]) -> None:
    live_id = call.path["id"]
    pbx = call.services.desk.pbx_of(call.customer_id, live_id)
    if pbx is None:
        raise NoPhoneOnline(NO_PBX)
    try:
        with call.services.desk.counting():
            order(pbx, live_id)
    except NotDone as error:
        raise Unavailable(str(error)) from None


def _hang_up(call: Call) -> replies.Reply:
    _read(call, lambda call: call.find(_resource(call), call.path["id"]))
    _carry_out(call, lambda pbx, live_id: pbx.hang_up(call.customer_id, live_id))
    return replies.empty()


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
        body=Origin,
        work=Work.OWN,
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
        work=Work.OWN,
        resource=CALLS,
    ),
    Endpoint("DELETE", "/calls/{id}", "Hang up a live call", _hang_up, Shape.EMPTY, 204, work=Work.OWN, resource=CALLS),
    Endpoint(
        "POST",
        "/webcalls",
        "Call a first number, then connect it to a second",
        _webcall,
        Shape.ITEM,
        201,
        answer=LiveCall,
        body=WebCall,
        work=Work.OWN,
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
