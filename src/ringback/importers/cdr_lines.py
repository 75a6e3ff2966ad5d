"""CDRs as our exports write them, CSV or NDJSON, read back into the columns that they came from.

Nothing here knows the database. A cell of CSV is first made what JSON would have had (docs/importing.md says what CSV cannot
tell apart), so there is one way from either format to the columns.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from ringback.errors import UsageError
from ringback.importers import csv_records
from ringback.importers.csv_records import RAW_LIMIT_BYTES, Limits, Readable, Record, Refused
from ringback.record import MAX_INT, TEXT_LENGTH, Attribute, Kind, attributes, json_text, money_value, time_value
from ringback.resources.history.export_files import CdrLine

LIMITS = Limits(bytes=2 << 20, lines=2 * TEXT_LENGTH)
"""The largest record that an export can have fits: two texts of 65,536 characters, all of them escaped."""
MAX_ID = 2**53 - 1
"""Ours go on beyond the highest id that comes in: there must be some left."""
_DERIVED = {"call_id", "is_root"}
"""What follows from other attributes."""
ATTRIBUTES: Mapping[str, Attribute] = {name: each for name, each in attributes(CdrLine).items() if name not in _DERIVED}
REQUIRED = [name for name, each in ATTRIBUTES.items() if not each.nullable]
_NEEDED = frozenset(REQUIRED)
_NAMED_BY_ID = {"id", "live_id", "parent_live_id", "root_live_id"}
_SECONDS = ("duration", "billsec")
_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)


@dataclass(slots=True)
class Line:
    """`columns`: of the table of CDRs, with the ids of where it comes from. `source_key` may be None."""

    line_no: int
    size: int
    columns: dict[str, Any]
    warnings: list[str]

    @property
    def own_key(self) -> str:
        """What the call is known by where no other key can be trusted."""
        return f"cdrs:{self.columns['id']}/{self.columns['live_id']}/{self.columns['calldate']}"


def read(source: Readable, start: bytes) -> Iterator[Line | Refused]:
    """The lines of a file. `start`: how it begins, which tells NDJSON from CSV. UsageError when it is neither."""
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return _read_json(source)
    return _read_csv(source)


def _read_json(source: Readable) -> Iterator[Line | Refused]:
    line_no = 0
    for lines in csv_records.batches(source, LIMITS):
        for raw in lines:
            line_no += 1
            if raw.strip():
                yield _from_json(line_no, raw)


def _from_json(line_no: int, raw: bytes) -> Line | Refused:
    if len(raw) > LIMITS.bytes:
        return Refused(line_no, f"longer than {LIMITS.size}", raw[:RAW_LIMIT_BYTES])
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refused(line_no, f"not JSON: {str(error)[:100]}", raw[:RAW_LIMIT_BYTES])
    if not isinstance(content, dict):
        return Refused(line_no, "no JSON object", raw[:RAW_LIMIT_BYTES])
    return _line(line_no, raw, content)


def _read_csv(source: Readable) -> Iterator[Line | Refused]:
    records = csv_records.read(source, range(1, 1_000), limits=LIMITS)
    header = next(records, None)
    names = header.columns if isinstance(header, Record) else []
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise UsageError(f"This is no export of CDRs: its first line does not name {', '.join(missing)}.")
    for record in records:
        yield _from_csv(record, names)


def _from_csv(record: Record | Refused, names: Sequence[str]) -> Line | Refused:
    if isinstance(record, Refused):
        return record
    raw = record.line[:RAW_LIMIT_BYTES]
    if record.lossy:
        return Refused(record.line_no, "not UTF-8", raw)
    if len(record.columns) != len(names):
        return Refused(record.line_no, f"{len(record.columns)} columns instead of {len(names)}", raw)
    cells = zip(names, record.columns, strict=True)
    content = {name: _of_cell(ATTRIBUTES[name], cell) for name, cell in cells if name in ATTRIBUTES}
    return _line(record.line_no, record.line, content)


def _of_cell(attribute: Attribute, cell: str) -> Any:
    """What JSON would have. An empty cell is null where the attribute may be; the `'` in front of a formula goes."""
    kind = attribute.kind
    if kind is Kind.LIST:
        return _texts(cell.removeprefix("'"))
    if not cell and attribute.nullable:
        return None
    if kind is Kind.INT:
        return int(cell) if _WHOLE.fullmatch(cell) else cell
    return cell.removeprefix("'") if kind in (Kind.TEXT, Kind.NUMBER) else cell


def _texts(cell: str) -> list[str] | None:
    """Texts with commas between; None when they are not written as ours."""
    try:
        return next(csv.reader((cell,), strict=True)) if cell else []
    except csv.Error:
        return None


# -- attributes -------------------------------------------------------------------------------------------------------


def _line(line_no: int, raw: bytes, content: Mapping[str, Any]) -> Line | Refused:
    """Written for speed: an import spends a third of its time here."""
    columns: dict[str, Any] = {}
    faults: list[str] = []
    for name, read_value in _COLUMNS:
        value = content.get(name)
        if value is not None:
            try:
                columns[name] = read_value(value)
            except ValueError as fault:
                faults.append(f"{name} {fault}")
        elif name in _NEEDED:
            faults.append(f"{name} is missing")
        else:
            columns[name] = None
    if faults:
        return Refused(line_no, "; ".join(faults), raw[:RAW_LIMIT_BYTES])
    return Line(line_no, len(raw), columns, _without_negatives(columns))


def _without_negatives(columns: dict[str, Any]) -> list[str]:
    warnings = []
    for name in _SECONDS:
        if columns[name] < 0:
            columns[name] = 0
            warnings.append(f"negative {name} taken as 0")
    return warnings


def _int(value: Any) -> int:
    if type(value) is not int or not -MAX_INT <= value <= MAX_INT:
        raise ValueError("is no whole number")
    return value


def _id(value: Any) -> int:
    if not 0 < _int(value) <= MAX_ID:
        raise ValueError(f"is not from 1 to {MAX_ID}")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text")
    if len(value) > TEXT_LENGTH or "\0" in value:
        raise ValueError(f"is longer than {TEXT_LENGTH} characters, or holds a NUL")
    return value


def _time(value: Any) -> int:
    at = time_value(value) if isinstance(value, str) else None
    if at is None:
        raise ValueError("is no possible date")
    return at


@lru_cache(maxsize=4_096)
def _decimal(value: int | float | str) -> int | None:
    return money_value(value)


def _money(value: Any) -> int:
    amount = _decimal(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    if amount is None:
        raise ValueError("is no amount")
    return amount


def _list(value: Any) -> str:
    if value == []:
        return "[]"
    if not isinstance(value, list) or not all(isinstance(each, str) and "\0" not in each for each in value):
        raise ValueError("is no list of texts")
    return json_text(value) or "[]"


def _enum(attribute: Attribute) -> Callable[[Any], str]:
    values, listed = frozenset(attribute.values), ", ".join(attribute.values)

    def read_value(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValueError(f"is none of {listed}")
        return value

    return read_value


def _reader(attribute: Attribute) -> Callable[[Any], Any]:
    """What makes a database value of a value that is there; ValueError says what is wrong with it."""
    if attribute.name in _NAMED_BY_ID:
        return _id
    if attribute.kind is Kind.ENUM:
        return _enum(attribute)
    return _READERS[attribute.kind]


_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.INT: _int,
    Kind.TEXT: _text,
    Kind.NUMBER: _text,
    Kind.TIME: _time,
    Kind.MONEY: _money,
    Kind.LIST: _list,
}
_COLUMNS = tuple((name, _reader(attribute)) for name, attribute in ATTRIBUTES.items())
