"""Records as Apache Parquet: columns with types, compressed (zstd), written in flat memory."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import IO, TYPE_CHECKING, Any

from ringback.record import MONEY_UNIT, Attribute, Kind
from ringback.store.database import Row
from ringback.store.listing import Listing

if TYPE_CHECKING:
    from arro3.core import Array, DataType, RecordBatch

ROW_GROUP = 100_000
_PLACES = len(str(MONEY_UNIT)) - 1


def write(file: IO[bytes], listing: Listing, lots: Iterable[Sequence[Row]]) -> None:
    """Writes rows of database values, which come in lots."""
    from arro3.core import Field, RecordBatch, RecordBatchReader, Schema
    from arro3.io import write_parquet

    attributes = list(listing.attributes().values())
    schema = Schema([Field(each.name, _type(each), nullable=each.nullable) for each in attributes])

    def batches() -> Iterator["RecordBatch"]:
        for rows in lots:
            columns = zip(attributes, zip(*rows, strict=True), strict=True)
            yield RecordBatch.from_arrays([_array(*each) for each in columns], schema=schema)

    reader = RecordBatchReader.from_batches(schema, batches())
    write_parquet(reader, file, compression="zstd(3)", max_row_group_size=ROW_GROUP)


def _type(attribute: Attribute) -> "DataType":
    from arro3.core import DataType, Field

    match attribute.kind:
        case Kind.INT:
            return DataType.int64()
        case Kind.BOOL:
            return DataType.bool()
        case Kind.TIME:
            return DataType.timestamp("ms", tz="UTC")  # Parquet has no seconds
        case Kind.MONEY:
            return DataType.decimal128(19, _PLACES)
        case Kind.LIST:
            return DataType.list(Field("", DataType.string()))
        case _:
            return DataType.string()


def _array(attribute: Attribute, values: Sequence[Any]) -> "Array":
    """Arrow makes instants and amounts from what it can be given."""
    from arro3.core import Array, DataType

    kind = attribute.kind
    if kind is Kind.LIST:
        return _lists(values)
    if kind is Kind.TIME:
        millis = [None if value is None else value * 1000 for value in values]
        return Array(millis, DataType.int64()).cast(_type(attribute))
    if kind is Kind.MONEY:
        return Array([_amount(value) for value in values], DataType.string()).cast(_type(attribute))
    if kind is Kind.BOOL:
        return Array([None if value is None else bool(value) for value in values], DataType.bool())
    return Array(list(values), _type(attribute))


def _amount(value: int | None) -> str | None:
    """The exact decimal."""
    if value is None:
        return None
    whole, parts = divmod(abs(value), MONEY_UNIT)
    return f"{'-' if value < 0 else ''}{whole}.{parts:0{_PLACES}}"


def _lists(values: Sequence[str | None]) -> "Array":
    from arro3.core import Array, DataType, list_array

    lists = [json.loads(value or "[]") for value in values]
    offsets = Array([0, *accumulate(map(len, lists))], DataType.int32())
    return list_array(offsets, Array(list(chain.from_iterable(lists)), DataType.string()))
