"""The rate deck: what a minute to each prefix costs, and what a call to a number would."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ringback.calls.numbers import digits
from ringback.calls.rating import LONGEST_PREFIX, MAX_STEP_S, MICRO, parsed_price
from ringback.errors import Fault, Invalid, NotFound
from ringback.jobs import rerate
from ringback.record import (
    END,
    Check,
    Column,
    Id,
    Kind,
    Number,
    Patch,
    Price,
    Record,
    RequiredName,
    Wire,
    WireTime,
    time_text,
    time_value,
)
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS, Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.rest.wipes import cleared
from ringback.store import accounts, rows, schema
from ringback.store import rates as store
from ringback.store.listing import Listing

Prefix = Annotated[
    str,
    Meta(
        pattern=rf"^\+?[1-9][0-9]{{0,{LONGEST_PREFIX - 1}}}" + END,
        description="digits that begin with a country's code",
        examples=["4420"],
    ),
    Wire(Kind.NUMBER),
]
Minimum = Annotated[int, Meta(ge=0, le=MAX_STEP_S, description="seconds that any answered call pays"), Wire(Kind.INT)]
Increment = Annotated[int, Meta(ge=1, le=MAX_STEP_S, description="seconds that count as begun"), Wire(Kind.INT)]
ByMinute = Annotated[Price, Column("t.price_micro"), Meta(description="of a minute, exact to 6 decimals")]


class Rate(Record):
    id: Id
    prefix: Number
    destination: RequiredName
    price: ByMinute
    minimum_s: Minimum
    increment_s: Increment


class RatePatch(Patch):
    """By the second (0 and 1) unless `minimum_s` and `increment_s` say otherwise."""

    prefix: Prefix
    destination: RequiredName
    price: ByMinute
    minimum_s: Minimum | UnsetType = UNSET
    increment_s: Increment | UnsetType = UNSET


class QuoteParameters(Patch):
    number: Annotated[
        RequiredName, Meta(description="as it is dialled in the customer's country, or with + and the country's code")
    ]


class Quote(Record):
    """The rate of the longest prefix of a number."""

    number: Number
    prefix: Number
    destination: RequiredName
    price: ByMinute
    minimum_s: Minimum
    increment_s: Increment


def _date_fault(text: str) -> str | None:
    return None if time_value(text) is not None else "This date does not exist."


Instant = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?Z?)?" + END,
        description="UTC, YYYY-MM-DD or YYYY-MM-DD HH:MM:SS",
        examples=["2026-11-01"],
    ),
    Check(_date_fault),
    Wire(Kind.TIME),
]


class Rerating(Record):
    """What was asked for. When it is done the audit log has an entry `rerate` with this `object_id`."""

    id: Id
    from_: WireTime = msgspec.field(name="from")
    to: WireTime


class RerateBody(Patch):
    """Calls from `from` to before `to`."""

    from_: Instant = msgspec.field(name="from")
    to: Instant


RATES = Resource(Listing("rates", Rate, schema.rates), closed_by=frozenset({Policy.BILLING_DISABLED}))


def _save(call: Call, rate_id: int | None, given: Mapping[str, Any]) -> int:
    columns = dict(given)
    if "prefix" in columns:
        columns["prefix"] = columns["prefix"].removeprefix("+")
    if "price" in columns:
        columns["price_micro"] = _micro(columns.pop("price"))
    saved = rows.save(call.db, schema.rates, call.customer_id, rate_id, columns, {"minimum_s": 0, "increment_s": 1})
    store.open_account(call.db, call.customer_id)
    return saved


def _micro(price: float) -> int:
    """Shortest decimals of the number that came: what the client wrote."""
    try:
        return parsed_price(f"{Decimal(str(price)):f}")
    except ValueError as wrong:
        raise Invalid(faults=[Fault("price", f"{wrong}.".capitalize())]) from None


def _quote(call: Call) -> replies.Reply:
    """NotFound where the deck has no rate for the number."""
    given = call.parameters(QuoteParameters).number
    number = digits(given, accounts.country_of(call.db, call.customer_id))
    if number is None:
        raise Invalid(faults=[Fault("number", "This is no number of the public network.")])
    found = store.deck_for(call.db, call.customer_id, [number]).find(number)
    if found is None:
        raise NotFound(f"There is no rate for {number}.")
    price = found.price_micro / MICRO
    return replies.item(Quote(number, found.prefix, found.destination, price, found.minimum_s, found.increment_s))


def _rerate(call: Call) -> replies.Reply:
    given = call.body(RerateBody)
    start, end = time_value(given.from_) or 0, time_value(given.to) or 0
    if start >= end:
        raise Invalid(faults=[Fault("to", "The period ends after it begins.")])
    who = {"user_id": call.caller.user_id, "user_name": call.caller.name, "ip": call.ip}
    job = rerate.enqueue(call.db, call.customer_id, start, end, who, now=call.now)
    return replies.item(Rerating(job.id, time_text(start) or "", time_text(end) or ""), 202)


ENDPOINTS = (
    listed("/rates", RATES, "The rate deck", roles=ADMINISTRATORS),
    created("/rates", RATES, RatePatch, _save, "Add a rate"),
    cleared("/rates", RATES, store.delete, 204, "Delete the rates that the filter matches, or the whole deck"),
    Endpoint(
        "GET",
        "/rates/lookup",
        "What a call to a number costs",
        _quote,
        Shape.ITEM,
        answer=Quote,
        parameters=QuoteParameters,
        closed_by=frozenset({Policy.BILLING_DISABLED}),
    ),
    Endpoint(
        "POST",
        "/rates/rerate",
        "Give the outbound calls of a period the rates and charges of the deck as it is now",
        _rerate,
        Shape.ITEM,
        202,
        answer=Rerating,
        body=RerateBody,
        roles=ADMINISTRATORS,
        closed_by=frozenset({Policy.BILLING_DISABLED}),
        work=Work.WRITE,
    ),
    shown("/rates/{id}", RATES, "One rate", roles=ADMINISTRATORS),
    patched("/rates/{id}", RATES, RatePatch, _save, "Change a rate"),
    removed("/rates/{id}", RATES, store.delete, "Delete a rate"),
)
