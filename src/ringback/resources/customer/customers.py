"""The customer: what holds for all of its users, and its end."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import UNSET, Meta, UnsetType

from ringback.calls.numbers import has_numbers
from ringback.errors import Fault, Forbidden, Invalid
from ringback.jobs import delete_customer
from ringback.record import (
    END,
    MAX_INT,
    Id,
    Kind,
    Money,
    Name,
    Object,
    Patch,
    Record,
    RequiredName,
    Wire,
    json_text,
    money_value,
)
from ringback.resources.customer.users import Language
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import patched, shown
from ringback.store import schema
from ringback.store.listing import Listing
from ringback.store.retention import BYTES, DAYS

LONGEST_DAYS = 36_500
RETENTION = (
    f'what is kept, such as `{{"sip": 30, "monitors_bytes": 50000000000}}`: days of {", ".join(DAYS)};'
    f" bytes of audio in {', '.join(BYTES)}, of which the oldest goes first; what is not named is kept for ever"
)

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}" + END), Wire(Kind.TEXT)]
Ceiling = Annotated[
    float,
    Meta(ge=0, le=1_000, description="the price a minute above which `POST /webcalls` calls nobody; null: any"),
    Wire(Kind.MONEY),
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}" + END), Wire(Kind.TEXT)]


class Customer(Record):
    id: Id
    name: Name
    cc: Name | None
    currency_iso: Name | None
    language: Name | None
    time_zone: Name | None
    retention: Object | None
    max_call_rate: Money | None
    """A minute's price above which `POST /webcalls` calls nobody."""


class CustomerPatch(Patch):
    """`time_zone`: an IANA name. `retention`: kind of record → days; or bytes of audio."""

    name: RequiredName
    cc: Annotated[Country, Meta(description="country, two letters (ISO 3166)")] | UnsetType = UNSET
    currency_iso: Annotated[Currency, Meta(description="three letters (ISO 4217)")] | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    time_zone: Annotated[Name, Meta(description="an IANA name, such as Europe/Warsaw")] | UnsetType = UNSET
    retention: Annotated[Object, Meta(description=RETENTION)] | UnsetType | None = UNSET
    max_call_rate: Ceiling | UnsetType | None = UNSET


CUSTOMERS = Resource(Listing("customers", Customer, schema.customers, customer='t."id"'))


def _save(call: Call, _: int | None, given: Mapping[str, Any]) -> int:
    faults = [*_country_faults(given), *_zone_faults(given), *_retention_faults(given)]
    if faults:
        raise Invalid(faults=faults)
    columns = dict(given)
    if "retention" in columns:
        columns["retention"] = json_text(columns["retention"])
    if "max_call_rate" in columns:
        columns["max_call_rate"] = money_value(columns["max_call_rate"])
    sets = ", ".join(f"{name} = :{name}" for name in columns)
    call.db.run(f"UPDATE customers SET {sets} WHERE id = :customer", {**columns, "customer": call.customer_id})
    return call.customer_id


def _country_faults(given: Mapping[str, Any]) -> list[Fault]:
    """National numbers are read by the country's plan; one without a plan would leave them all unread."""
    if "cc" in given and not has_numbers(given["cc"]):
        return [Fault("cc", "There is no such country; codes are ISO 3166-1 alpha-2, such as GB.")]
    return []


def _zone_faults(given: Mapping[str, Any]) -> list[Fault]:
    try:
        datetime.now(UTC).astimezone(ZoneInfo(given.get("time_zone", "UTC")))
    except (KeyError, ValueError, OSError):
        return [Fault("time_zone", "There is no such time zone; one is named Europe/Warsaw.")]
    return []


def _retention_faults(given: Mapping[str, Any]) -> list[Fault]:
    rules = sorted((given.get("retention") or {}).items(), key=lambda rule: rule[0] in DAYS + BYTES)
    return [Fault(f"retention.{name}", fault) for name, each in rules if (fault := _rule_fault(name, each))]


def _rule_fault(name: str, limit: Any) -> str | None:
    if name not in DAYS + BYTES:
        return f"There are {', '.join(DAYS + BYTES)}."
    what, most = ("days", LONGEST_DAYS) if name in DAYS else ("bytes", MAX_INT)
    if limit is None or (type(limit) is int and 1 <= limit <= most):
        return None
    return f"A whole number of {what}, 1 to {most}, or null."


def _delete(call: Call) -> replies.Reply:
    """At once nobody can log in and every token is dead; the rows and the audio go in the background."""
    call.find(CUSTOMERS, call.path["id"])
    if not call.caller.is_root:
        raise Forbidden("Only the root user can delete the customer.")
    call.audit("delete", "Customer", call.customer_id)
    delete_customer.begin(call.db, call.customer_id, call.now)
    return replies.empty()


ENDPOINTS = (
    shown("/customers/{id}", CUSTOMERS, "The own customer", roles=ADMINISTRATORS),
    patched("/customers/{id}", CUSTOMERS, CustomerPatch, _save, "Change the own customer"),
    Endpoint(
        "DELETE",
        "/customers/{id}",
        "Delete the own customer with all that it has",
        _delete,
        Shape.EMPTY,
        204,
        roles=ADMINISTRATORS,
        work=Work.WRITE,
        resource=CUSTOMERS,
    ),
)
