"""Rows as the API shows them, back into rows as the database keeps them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Table

from ringback.importers.importer import Unusable
from ringback.record import Attribute, Kind, Record, attributes, to_db
from ringback.store.schema import columns as columns_of

LARGEST_ID = 10**15
"""Larger ones are not kept: ours go on beyond the largest, and programs in JavaScript must be able to hold them."""


def columns(record: type[Record], table: Table, row: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
    """The columns that the row's attributes stand for. Unusable says which attribute is not as the API promises.

    A server may lack attributes: those that may be null are null then, others are as `defaults` say.
    """
    known = attributes(record)
    blank = {name: None for name, each in known.items() if each.nullable} | defaults
    given = {name: row[name] for name in known if row.get(name) is not None}
    try:
        found = msgspec.convert({**blank, **given}, record, strict=False)
    except msgspec.ValidationError as error:
        raise Unusable(_reason(error)) from None
    values = dict(zip(record.__struct_encode_fields__, msgspec.structs.astuple(found), strict=True))
    stored = to_db(record, values)
    _check_times(known, stored)
    names = set(columns_of(table))
    return {name: each for name, each in stored.items() if name in names and known[name].sql == f't."{name}"'}


def _reason(error: msgspec.ValidationError) -> str:
    """`calldate: expected str, got int` of msgspec's "Expected `str`, got `int` - at `$.calldate`"."""
    text, _, place = str(error).partition(" - at `")
    name = place.removesuffix("`").removeprefix("$").removeprefix(".")
    return f"{name or 'it'} is not as the API promises: {text.replace('`', '')}"[:300]


def _check_times(known: Mapping[str, Attribute], stored: Mapping[str, Any]) -> None:
    for name, each in known.items():
        if each.kind is Kind.TIME and stored[name] is None and not each.nullable:
            raise Unusable(f"{name} is no date that there is")
