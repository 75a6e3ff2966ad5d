"""Numbers (DDIs) under which the customer is called, and where each leads."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from ringback.calls.numbers import digits
from ringback.errors import Fault, Invalid
from ringback.record import NAME_LENGTH, NO_NUL, Id, Kind, Name, Number, Patch, Record, Wire
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import accounts, rows, schema
from ringback.store.database import Db, value
from ringback.store.listing import Listing


class Ddi(Record):
    id: Id
    e164: Number
    number: Name | None
    destination: Name | None
    campaign_id: Id | None


class DdiPatch(Patch):
    """`e164` may be written as it is dialled in the customer's country. `number`: as people write it."""

    e164: Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern=NO_NUL), Wire(Kind.TEXT)]
    number: Annotated[Name, Meta(description="as people write it")] | UnsetType | None = UNSET
    destination: Name | UnsetType | None = UNSET
    campaign_id: Id | UnsetType | None = UNSET


DDIS = Resource(
    Listing("ddis", Ddi, schema.ddis),
    own=Listing("own ddis", Ddi, schema.ddis, where="t.destination = :me_text"),
)


def _save(call: Call, ddi_id: int | None, given: Mapping[str, Any]) -> int:
    return save(call.db, call.customer_id, ddi_id, given, accounts.country_of(call.db, call.customer_id))


def save(db: Db, customer_id: int, ddi_id: int | None, given: Mapping[str, Any], country: str | None) -> int:
    """Stores what a body gives and returns the id; Invalid says what is wrong with it."""
    columns = dict(given)
    if "e164" in columns:
        columns["e164"] = digits(columns["e164"], country)
    faults = [*_number_faults(db, customer_id, ddi_id, columns), *_campaign_faults(db, customer_id, columns)]
    if faults:
        raise Invalid(faults=faults)
    return rows.save(db, schema.ddis, customer_id, ddi_id, columns, {"number": columns.get("e164")})


def _number_faults(db: Db, customer_id: int, ddi_id: int | None, columns: Mapping[str, Any]) -> list[Fault]:
    if "e164" not in columns:
        return []
    if columns["e164"] is None:
        return [Fault("e164", "This is no number of the public network.")]
    sql = "SELECT 1 FROM ddis WHERE customer_id = :customer AND e164 = :e164 AND id <> :id"
    bound = {"customer": customer_id, "e164": columns["e164"], "id": ddi_id or 0}
    return [Fault("e164", "This value is already used.")] if value(db, sql, bound) else []


def _campaign_faults(db: Db, customer_id: int, columns: Mapping[str, Any]) -> list[Fault]:
    campaign_id = columns.get("campaign_id")
    if campaign_id is None or rows.exists(db, schema.campaigns, customer_id, campaign_id):
        return []
    return [Fault("campaign_id", "There is no such campaign.")]


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    """Refused while a Call Me Back setting is bound to a number: it could call nobody any more."""
    sql = f"SELECT 1 FROM callmeback_settings WHERE customer_id = :customer AND {db.among('ddi_id', 'ids')}"
    if value(db, sql, {"customer": customer_id, "ids": list(ids)}):
        raise Invalid(
            "A Call Me Back setting uses this number.", [Fault(None, "A Call Me Back setting uses this number.")]
        )
    rows.delete(db, schema.ddis, customer_id, ids)


ENDPOINTS = (
    listed("/ddis", DDIS, "The numbers; for a plain user those that lead to that user"),
    created("/ddis", DDIS, DdiPatch, _save, "Add a number"),
    shown("/ddis/{id}", DDIS, "One number"),
    patched("/ddis/{id}", DDIS, DdiPatch, _save, "Change a number"),
    removed("/ddis/{id}", DDIS, _remove, "Delete a number"),
)
