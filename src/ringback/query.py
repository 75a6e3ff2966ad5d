"""The one query language of every collection: filter, sort, page, limit, start, include, fields.

Pure: query parameters and a record type go in, a checked `Query` comes out, or `FiltrationError` with all faults. Which
attributes may be used comes from the record type; the SQL is made in `store/lists.py`.

    filter  = [{"property": "src", "operator": "like", "value": "2079"}, ...]   joined by AND
    sort    = calldate | -calldate (with dir=ASC|DESC) | [{"property": "calldate", "direction": "DESC"}]
    page    = 1-based, with limit (1,000 unless given, 10,000 at most); start = offset, wins over page
    include = relation,relation      fields[relation] = attribute,attribute
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringback.calls.numbers import normal
from ringback.errors import Fault, FiltrationError
from ringback.record import MAX_INT, Attribute, Kind, money_value, price_value, time_value

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000
MAX_CONDITIONS = 100
MAX_LIST = 1_000
MAX_ORDERS = 10
OPERATORS = ("eq", "ne", "like", "notlike", "gt", "gte", "lt", "lte", "in")
_TEXT_OPERATORS = ("like", "notlike")
_ORDER_OPERATORS = ("gt", "gte", "lt", "lte")
_UNORDERED = {Kind.BOOL: "true and false", Kind.LIST: "lists"}
_SEARCHED = (Kind.TEXT, Kind.EXACT, Kind.ENUM, Kind.NUMBER, Kind.INT, Kind.KEY, Kind.LIST)

Value = int | str | None | tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter entry; `value` is a database value, folded by the statement where letters matter."""

    attribute: Attribute
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Order:
    attribute: Attribute
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    """Empty: the resource's own order, newest first."""
    offset: int = 0
    limit: int = DEFAULT_LIMIT
    include: tuple[str, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parse(params: Sequence[tuple[str, str]], known: Mapping[str, Attribute], relations: Sequence[str] = ()) -> Query:
    """The query of a collection request. Parameters that no collection knows are left alone, as clients expect."""
    last = dict(params)
    faults: list[Fault] = []
    limit = _whole(last, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT, faults)
    page = _whole(last, "page", 1, 1, MAX_INT, faults)
    start = _whole(last, "start", -1, 0, MAX_INT, faults)
    offset = start if start >= 0 else (page - 1) * limit
    query = Query(
        conditions=conditions(last.get("filter"), known, faults),
        order=_order(last.get("sort"), last.get("dir"), known, faults),
        offset=min(offset, MAX_INT),
        limit=limit,
        include=_include(last.get("include"), relations, faults),
        fields=_fields(last),
    )
    if faults:
        raise FiltrationError(_summary(faults), faults)
    return query


def parse_filter(text: str | None, known: Mapping[str, Attribute]) -> tuple[Condition, ...]:
    """The conditions alone, for operations that take a filter and nothing else."""
    faults: list[Fault] = []
    found = conditions(text, known, faults)
    if faults:
        raise FiltrationError(_summary(faults), faults)
    return found


def _summary(faults: Sequence[Fault]) -> str:
    return f"{FiltrationError.message}: {faults[0].message}"


def _whole(last: Mapping[str, str], name: str, default: int, low: int, high: int, faults: list[Fault]) -> int:
    text = last.get(name)
    if text is None or text == "":
        return default
    value = int(text) if re.fullmatch(r"-?\d{1,19}", text, re.ASCII) else None
    if value is None or not low <= value <= high:
        limits = f"from {low} to {high}" if high < MAX_INT else f"of {low} or more"
        faults.append(Fault(name, f"{name} must be a whole number {limits}."))
        return default
    return value


# -- filter -----------------------------------------------------------------------------------------------------------


def conditions(text: str | None, known: Mapping[str, Attribute], faults: list[Fault]) -> tuple[Condition, ...]:
    """The filter's entries; what is wrong is added to `faults`."""
    if text is None or text == "":
        return ()
    entries = _json_list(text, "filter", faults)
    if len(entries) > MAX_CONDITIONS:
        faults.append(Fault("filter", f"A filter has at most {MAX_CONDITIONS} entries."))
        return ()
    found = [_condition(f"filter[{index}]", entry, known, faults) for index, entry in enumerate(entries)]
    return tuple(condition for condition in found if condition is not None)


def _json_list(text: str, name: str, faults: list[Fault]) -> list[Any]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        faults.append(Fault(name, f"{name} is not valid JSON."))
        return []
    if not isinstance(entries, list):
        faults.append(Fault(name, f"{name} must be a JSON array."))
        return []
    return entries


def _condition(path: str, entry: Any, known: Mapping[str, Attribute], faults: list[Fault]) -> Condition | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("property"), str) or "value" not in entry:
        faults.append(Fault(path, 'An entry is {"property": text, "operator": text, "value": value}.'))
        return None
    attribute = _usable(entry["property"], known, path, faults)
    operator = entry.get("operator", "eq")
    if operator not in OPERATORS:
        faults.append(Fault(path, f"Unknown operator {_shown(operator)}; there are {', '.join(OPERATORS)}."))
        return None
    if attribute is None:
        return None
    try:
        return Condition(attribute, operator, _value(attribute, operator, entry["value"]))
    except ValueError as wrong:
        faults.append(Fault(path, f"{attribute.name}: {wrong}"))
        return None


def _usable(name: str, known: Mapping[str, Attribute], path: str, faults: list[Fault]) -> Attribute | None:
    attribute = known.get(name)
    if attribute is None or not attribute.filterable:
        names = ", ".join(each.name for each in known.values() if each.filterable)
        faults.append(Fault(path, f"Unknown property {_shown(name)}; there are {names}."))
        return None
    return attribute


def _shown(value: object) -> str:
    return ascii(value)[:60]


def _value(attribute: Attribute, operator: str, value: Any) -> Value:
    if operator == "in":
        return _values(attribute, value)
    if value is None:
        if operator in ("eq", "ne"):
            return None
        raise ValueError(f"null goes with eq and ne only, not with {operator}.")
    if operator in _TEXT_OPERATORS:
        return _pattern(attribute, value)
    if operator in _ORDER_OPERATORS and attribute.kind in _UNORDERED:
        raise ValueError(f"{operator} does not go with {_UNORDERED[attribute.kind]}.")
    return _scalar(attribute, value)


def _values(attribute: Attribute, value: Any) -> tuple[int | str, ...]:
    entries = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    if len(entries) > MAX_LIST:
        raise ValueError(f"at most {MAX_LIST} values go into one list.")
    return tuple(_scalar(attribute, entry.strip() if isinstance(entry, str) else entry) for entry in entries)


def _pattern(attribute: Attribute, value: Any) -> str:
    if attribute.kind not in _SEARCHED:
        raise ValueError("like and notlike go with texts, numbers and ids only.")
    text = _text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
    return normal(text) if attribute.kind is Kind.NUMBER else text


def _scalar(attribute: Attribute, value: Any) -> int | str:
    return _READERS[attribute.kind](attribute, value)


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("the value must be a text without NUL characters.")
    return value


def _read_int(_: Attribute, value: Any) -> int:
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"-?\d{1,19}", text, re.ASCII) or abs(int(text)) > MAX_INT:
        raise ValueError("the value must be a whole number of at most 64 bits.")
    return int(text)


def _read_bool(_: Attribute, value: Any) -> int:
    text = str(value).lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError("the value must be true or false.")
    return int(text in ("true", "1"))


def _read_enum(attribute: Attribute, value: Any) -> str:
    text = _text(value)
    return next((each for each in attribute.values if each.casefold() == text.casefold()), text)


def _read_time(_: Attribute, value: Any) -> int:
    at = time_value(value) if isinstance(value, str) else None
    if at is None:
        raise ValueError("the value must be a date, YYYY-MM-DD or YYYY-MM-DD HH:MM:SS.")
    return at


def _read_money(attribute: Attribute, value: Any) -> int:
    amount = price_value(value) if attribute.kind is Kind.PRICE else money_value(value)
    if amount is None:
        raise ValueError("the value must be a number.")
    return amount


_READERS: Mapping[Kind, Callable[[Attribute, Any], int | str]] = {
    Kind.INT: _read_int,
    Kind.KEY: _read_int,
    Kind.BOOL: _read_bool,
    Kind.TEXT: lambda _, value: _text(value),
    Kind.EXACT: lambda _, value: _text(value),
    Kind.LIST: lambda _, value: _text(value),
    Kind.ENUM: _read_enum,
    Kind.NUMBER: lambda _, value: normal(_text(value)),
    Kind.TIME: _read_time,
    Kind.MONEY: _read_money,
    Kind.PRICE: _read_money,
}


# -- order, relations -------------------------------------------------------------------------------------------------


def _order(
    sort: str | None, direction: str | None, known: Mapping[str, Attribute], faults: list[Fault]
) -> tuple[Order, ...]:
    if not sort:
        return ()
    if sort.lstrip().startswith("["):
        entries = _json_list(sort, "sort", faults)
        if len(entries) > MAX_ORDERS:
            faults.append(Fault("sort", f"Sort by at most {MAX_ORDERS} attributes."))
            return ()
        found = [_json_order(f"sort[{index}]", entry, known, faults) for index, entry in enumerate(entries)]
    else:
        falling = sort.startswith("-")
        word = direction or ("DESC" if falling else "ASC")
        found = [_sorted_by("sort", sort.lstrip("-+ "), word, known, faults)]
    return tuple(order for order in found if order is not None)


def _json_order(path: str, entry: Any, known: Mapping[str, Attribute], faults: list[Fault]) -> Order | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("property"), str):
        faults.append(Fault(path, 'An entry is {"property": text, "direction": "ASC" or "DESC"}.'))
        return None
    return _sorted_by(path, entry["property"], entry.get("direction", "ASC"), known, faults)


def _sorted_by(path: str, name: str, word: object, known: Mapping[str, Attribute], faults: list[Fault]) -> Order | None:
    own = {each.name: each for each in known.values() if not each.within}
    attribute = _usable(name, own, path, faults)
    if not isinstance(word, str) or word.upper() not in ("ASC", "DESC"):
        faults.append(Fault("dir" if path == "sort" else path, f"The direction is ASC or DESC, not {_shown(word)}."))
        return None
    return None if attribute is None else Order(attribute, word.upper() == "DESC")


def _include(text: str | None, relations: Sequence[str], faults: list[Fault]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))
    for name in names:
        if name not in relations:
            there = f"there are {', '.join(relations)}" if relations else "this collection has none"
            faults.append(Fault("include", f"Unknown relation {_shown(name)}; {there}."))
    return names


def _fields(last: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
    found = {}
    for name, text in last.items():
        match = re.fullmatch(r"fields\[(\w+)\]", name)
        if match is not None:
            found[match[1]] = tuple(part.strip() for part in text.split(",") if part.strip())
    return found
