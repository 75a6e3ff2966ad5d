"""Numbers that are never called back, whoever asks."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from ringback.calls.numbers import digits, one_spelling
from ringback.errors import Fault, Invalid
from ringback.record import NAME_LENGTH, NO_NUL, Id, Kind, Number, Patch, Record, Text, Wire, WireTime
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import accounts, rows, schema
from ringback.store.database import Db, value
from ringback.store.listing import Listing

TABLE = schema.callmeback_donotcall


class DoNotCall(Record):
    id: Id
    number: Number
    note: Text | None
    created_at: WireTime


class DoNotCallPatch(Patch):
    """`number` may be written as it is dialled in the customer's country."""

    number: Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern=NO_NUL), Wire(Kind.TEXT)]
    note: Text | UnsetType | None = UNSET


NUMBERS = Resource(Listing("numbers never called back", DoNotCall, TABLE))


def _save(call: Call, row_id: int | None, given: Mapping[str, Any]) -> int:
    columns = dict(given)
    if "number" in columns:
        columns["number"] = _number(call, row_id, columns["number"])
    return rows.save(call.db, TABLE, call.customer_id, row_id, columns, {"created_at": call.now})


def _number(call: Call, row_id: int | None, given: str) -> str:
    number = digits(given, accounts.country_of(call.db, call.customer_id))
    if number is None:
        raise Invalid(faults=[Fault("number", "This is no number of the public network.")])
    number = one_spelling(number)
    sql = "SELECT 1 FROM callmeback_donotcall WHERE customer_id = :customer AND number = :number AND id <> :id"
    if value(call.db, sql, {"customer": call.customer_id, "number": number, "id": row_id or 0}):
        raise Invalid(faults=[Fault("number", "This value is already used.")])
    return number


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    rows.delete(db, TABLE, customer_id, ids)


_PATH = "/callmeback/donotcall"
ENDPOINTS = (
    listed(_PATH, NUMBERS, "The numbers that are never called back", roles=ADMINISTRATORS),
    created(_PATH, NUMBERS, DoNotCallPatch, _save, "Never call a number back"),
    shown(f"{_PATH}/{{id}}", NUMBERS, "One of these numbers", roles=ADMINISTRATORS),
    patched(f"{_PATH}/{{id}}", NUMBERS, DoNotCallPatch, _save, "Change one of these numbers"),
    removed(f"{_PATH}/{{id}}", NUMBERS, _remove, "Call a number back again"),
)
