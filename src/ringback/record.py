"""Records: what a resource looks like on the wire, and how each attribute is stored, filtered and validated.

A record type is a `Record` with one annotation per attribute, in the order of the answer. An annotation is one of the
wire types below; it says the JSON type (msgspec), the kind (how a database value becomes a wire value, how a filter value is
read) and, through `Column`, where the value comes from when that is not the column of the same name.

In the database every value is an integer, a text or NULL (see CONTRIBUTING.md), so a kind has two pure functions:
`to_wire` and `to_db`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from enum import StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct

from ringback.calls.numbers import normal
from ringback.calls.rating import MICRO

MAX_INT = 2**63 - 1
MONEY_UNIT = 10_000
NO_NUL = r"^[^\x00]*$"
NAME_LENGTH = 255
TEXT_LENGTH = 65_536


class Kind(StrEnum):
    INT = "int"
    BOOL = "bool"
    TEXT = "text"
    ENUM = "enum"
    NUMBER = "number"  # a phone number: E.164 digits without +, or whatever text the PBX had
    TIME = "time"
    MONEY = "money"
    PRICE = "price"  # money in finer parts: of a minute
    EXACT = "exact"  # a text that machines made, such as a Call-ID: equal only when every letter is
    KEY = "key"  # an id of a record, which answers show as text
    LIST = "list"  # texts, stored as a JSON list; a filter looks at each of them
    JSON = "json"  # stored as JSON text, sent as the value itself


@dataclass(frozen=True, slots=True)
class Wire:
    """What an annotated type is to Ringback."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Column:
    """Where an attribute comes from, if not from the column of its name: an SQL expression over the row `t`."""

    sql: str
    filterable: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """What a text in a request has to be beyond its type: `fault` tells why it is not, or None."""

    fault: Callable[[str], str | None]


def _bounded(low: int) -> Meta:
    return Meta(ge=low, le=MAX_INT)


Id = Annotated[int, _bounded(0), Wire(Kind.INT)]
Int = Annotated[int, _bounded(-(2**63)), Wire(Kind.INT)]
Count = Annotated[int, _bounded(0), Wire(Kind.INT)]  # a number of things, bytes or seconds
Key = Annotated[str, Wire(Kind.KEY)]
Flag = Annotated[bool, Wire(Kind.BOOL)]
Name = Annotated[str, Meta(max_length=NAME_LENGTH, pattern=NO_NUL), Wire(Kind.TEXT)]
RequiredName = Annotated[
    str, Meta(min_length=1, max_length=NAME_LENGTH, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$"), Wire(Kind.TEXT)
]
Exact = Annotated[str, Meta(max_length=NAME_LENGTH, pattern=NO_NUL), Wire(Kind.EXACT)]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH, pattern=NO_NUL), Wire(Kind.TEXT)]
Number = Annotated[str, Meta(max_length=NAME_LENGTH, pattern=NO_NUL), Wire(Kind.NUMBER)]
END = r"$(?!\n)"
"""The end of a pattern: `$` alone lets a line end through."""
Extension = Annotated[str, Meta(max_length=20, pattern=r"^[0-9*#]+" + END), Wire(Kind.TEXT)]
WireTime = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$",
        description="UTC, YYYY-MM-DD HH:MM:SS",
        examples=["2026-11-22 09:30:00"],
    ),
    Wire(Kind.TIME),
]
Money = Annotated[float, Wire(Kind.MONEY)]
Price = Annotated[float, Meta(ge=0), Wire(Kind.PRICE)]
Labels = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=50, pattern=NO_NUL)]], Meta(max_length=20), Wire(Kind.LIST)
]
Texts = Annotated[
    list[Annotated[str, Meta(max_length=NAME_LENGTH, pattern=NO_NUL)]], Meta(max_length=1000), Wire(Kind.JSON)
]
Ids = Annotated[list[Annotated[int, _bounded(0)]], Meta(max_length=1000), Wire(Kind.JSON)]
Object = Annotated[dict[str, Any], Wire(Kind.JSON)]


ENUM = Wire(Kind.ENUM)
"""`Annotated[Literal["O", "I"], ENUM]`: a closed set of texts; filters compare them case-insensitively."""


class Record(Struct, gc=False):
    """Base of what answers carry. Every attribute is always present; unknown is null."""


class Patch(Struct, kw_only=True):
    """Base of what a request may set. An absent attribute is UNSET: unchanged on PATCH, the default on POST."""

    LEAST: ClassVar[int] = 0
    """So many of the attributes there must be, whichever they are."""

    def given(self) -> dict[str, Any]:
        """The attributes that the request named, with their decoded values."""
        values = zip(self.__struct_encode_fields__, msgspec.structs.astuple(self), strict=True)
        return {name: value for name, value in values if value is not UNSET}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a record, as the query language and the statement builder need it."""

    name: str
    kind: Kind
    sql: str
    nullable: bool
    filterable: bool = True
    values: tuple[str, ...] = ()
    within: str = ""
    """SQL around the condition (`{}`), of rows that belong to `t`: one of them has to fulfil it. For filters only."""


@lru_cache(maxsize=256)
def attributes(record: type[Struct]) -> Mapping[str, Attribute]:
    """The attributes of a record type by name, in wire order."""
    hints = get_type_hints(record, include_extras=True)
    names = zip(record.__struct_encode_fields__, record.__struct_fields__, strict=True)
    return {wire: _attribute(wire, hints[name]) for wire, name in names}


def _attribute(name: str, hint: Any) -> Attribute:
    found = list(marks(hint))
    wire = next((mark for mark in found if isinstance(mark, Wire)), None)
    if wire is None:
        raise TypeError(f"attribute {name!r} needs one of the wire types of ringback.record")
    column = next((mark for mark in found if isinstance(mark, Column)), Column(f't."{name}"'))
    filterable = column.filterable and wire.kind is not Kind.JSON
    return Attribute(name, wire.kind, column.sql, _nullable(hint), filterable, tuple(literals(hint)))


def marks(hint: Any) -> Any:
    """All annotations of a type, outermost first, through `X | None`."""
    if get_origin(hint) is Annotated:
        inner, *own = get_args(hint)
        yield from own
        yield from marks(inner)
    elif get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from marks(part)


def literals(hint: Any) -> Iterator[str]:
    """The values of a `Literal` inside of a type."""
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    else:
        for part in get_args(hint):
            yield from literals(part)


def _nullable(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _nullable(get_args(hint)[0])
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


# -- database value -> wire value -------------------------------------------------------------------------------------


_MINUTES = tuple(f"{minute // 60:02}:{minute % 60:02}:" for minute in range(1_440))
_SECONDS = tuple(f"{second:02}" for second in range(60))


@lru_cache(maxsize=8192)
def _day_text(day: int) -> str:
    """`strftime` would write the year 1 as one digit."""
    return f"{datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()} "


def is_extension(text: str) -> bool:
    try:
        msgspec.convert(text, Extension)
    except msgspec.ValidationError:
        return False
    return True


def time_text(at: int | None) -> str | None:
    """UTC seconds as `YYYY-MM-DD HH:MM:SS`; None stays None."""
    if at is None:
        return None
    minute = at // 60
    return f"{_day_text(minute // 1_440)}{_MINUTES[minute % 1_440]}{_SECONDS[at % 60]}"


def time_value(text: str) -> int | None:
    """`YYYY-MM-DD[ HH:MM[:SS]]`, with a space or T, as UTC seconds (no time: 00:00:00); None when it is no such time."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)Z?)?", text, re.ASCII)
    if match is None:
        return None
    try:
        at = datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00'}+00:00")
    except ValueError:
        return None
    return int(at.timestamp())


def money_value(value: object) -> int | None:
    """A JSON number or numeric text as 1/10,000 units; None when it is no finite number in the 64-bit range."""
    return _parts(value, MONEY_UNIT)


def price_value(value: object) -> int | None:
    """The same in 1/1,000,000 units."""
    return _parts(value, MICRO)


def _parts(value: object, unit: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(str(value))
        scaled = (amount * unit).to_integral_value()
    except (DecimalException, ValueError):  # no number, or beyond what decimals can hold
        return None
    if not amount.is_finite() or abs(scaled) > MAX_INT:
        return None
    return int(scaled)


@lru_cache(maxsize=256)
def _raw(text: str | None) -> msgspec.Raw | None:
    """JSON text as it is. Kept, because most of it is `[]`."""
    return None if text is None else msgspec.Raw(text.encode())


TO_WIRE: Mapping[Kind, Callable[[Iterable[Any]], Iterable[Any]]] = {
    Kind.TIME: lambda cells: map(time_text, cells),
    Kind.MONEY: lambda cells: [None if each is None else each / MONEY_UNIT for each in cells],
    Kind.PRICE: lambda cells: [None if each is None else each / MICRO for each in cells],
    Kind.BOOL: lambda cells: [None if each is None else each != 0 for each in cells],
    Kind.KEY: lambda cells: [None if each is None else str(each) for each in cells],
    Kind.LIST: lambda cells: map(_raw, cells),
    Kind.JSON: lambda cells: map(_raw, cells),
}
"""Of a whole column at once: a call for each cell would cost more than what it does."""


# -- wire value -> database value -------------------------------------------------------------------------------------


def json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


TO_DB: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.TIME: lambda value: None if value is None else time_value(value),
    Kind.MONEY: lambda value: None if value is None else money_value(value),
    Kind.PRICE: lambda value: None if value is None else price_value(value),
    Kind.BOOL: lambda value: None if value is None else int(value),
    Kind.LIST: json_text,
    Kind.JSON: json_text,
    Kind.NUMBER: lambda value: None if value is None else normal(value),
}


def to_db(record: type[Struct], values: Mapping[str, Any]) -> dict[str, Any]:
    """Decoded wire values by attribute as database values; the record (or patch) type tells each one's kind."""
    known = attributes(record)
    return {
        name: TO_DB[known[name].kind](value) if known[name].kind in TO_DB else value for name, value in values.items()
    }
