"""CSV whose first line names the columns, as programs for people write it: comma, semicolon or tab between the cells.

Headings are compared by their letters and digits alone, in lower case: `E-mail 1 - Value` is `email1value`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ringback.errors import REQUIRED, Fault, UsageError
from ringback.importers.csv_records import RECORD_LIMIT_BYTES, Readable, Record, Refused
from ringback.importers.csv_records import read as read_records
from ringback.importers.importer import Options, Progress, Summary, Unusable, watched
from ringback.resources.customer.users import NOT_USABLE

ELSEWHERE = "A user of another customer on this server has this address"
MAX_COLUMNS = 1_000
_DELIMITERS = ",;\t"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Row(NamedTuple):
    """`cells`: what stands in it by heading, stripped; empty cells are left out. Of two equal headings the first counts."""

    line_no: int
    cells: dict[str, str]
    line: bytes

    def pick(self, wordings: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """The cells by our names: for each name its wordings, of which the first that has a cell wins."""
        found = {name: next(filter(None, map(self.cells.get, each)), None) for name, each in wordings.items()}
        return {name: cell for name, cell in found.items() if cell is not None}


class _Peeked:
    """A file whose beginning was looked at already."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._blocks = chain((start,), iter(lambda: rest.read(RECORD_LIMIT_BYTES), b""))

    def read(self, size: int, /) -> bytes:  # noqa: ARG002 - a block is what comes
        return next(self._blocks, b"")


def take(
    path: Path, options: Options, progress: Progress, needed: Sequence[str], store: Callable[[Row], bool]
) -> Summary:
    """Reads a whole file. `store` says whether a row was new, not known, and raises Unusable for one that is refused."""
    summary = options.summary()
    with watched(path, progress) as file:
        for row in read(file, needed):
            summary.read += 1
            if isinstance(row, Refused):
                summary.refuse(f"line {row.line_no}", row.reason, row.raw)
            else:
                _store(row, store, summary)
    return summary


def _store(row: Row, store: Callable[[Row], bool], summary: Summary) -> None:
    try:
        new = store(row)
    except Unusable as fault:
        summary.refuse(f"line {row.line_no}", str(fault), row.line)
        return
    summary.new += new
    summary.known += not new


def read(source: Readable, needed: Sequence[str]) -> Iterator[Row | Refused]:
    """The rows below the first line. UsageError when that line has none of the `needed` headings, so that it is no header."""
    start = source.read(RECORD_LIMIT_BYTES)
    if start.startswith(_UTF16):
        raise UsageError("The file is UTF-16: save it as CSV in UTF-8.")
    records = read_records(_Peeked(start, source), range(1, MAX_COLUMNS + 1), _delimiter(start))
    headings = _headings(next(records, None), needed)
    for record in records:
        yield _row(record, headings)


def _delimiter(start: bytes) -> str:
    line = start.partition(b"\n")[0].decode("utf-8", "replace")
    return max(_DELIMITERS, key=line.count)


def _headings(record: Record | Refused | None, needed: Sequence[str]) -> list[str]:
    headings = [heading(cell) for cell in record.columns] if isinstance(record, Record) else []
    if not set(needed) & set(headings):
        raise UsageError(f"The first line must name the columns; one of {', '.join(needed)} has to be there.")
    return headings


def heading(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def _row(record: Record | Refused, headings: Sequence[str]) -> Row | Refused:
    if isinstance(record, Refused):
        return record
    if record.lossy:
        return Refused(record.line_no, "not UTF-8: save the file as CSV in UTF-8", record.line[:1024])
    if len(record.columns) != len(headings):
        reason = f"{len(record.columns)} columns instead of {len(headings)}"
        return Refused(record.line_no, reason, record.line[:1024])
    cells: dict[str, str] = {}
    for name, cell in zip(headings, record.columns, strict=True):
        if stripped := cell.strip():
            cells.setdefault(name, stripped)
    return Row(record.line_no, cells, record.line)


def reason(faults: Sequence[Fault], given: Mapping[str, object]) -> str:
    """What is wrong with what was given, in one sentence."""
    return "; ".join(_of_fault(fault, given) for fault in faults)


def _of_fault(fault: Fault, given: Mapping[str, object]) -> str:
    field = (fault.field or "it").partition("[")[0]
    if fault.message == REQUIRED:
        return f"{field} is missing"
    said = ELSEWHERE if fault.message == NOT_USABLE else fault.message
    value = given.get(field)
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{field} {text[:60]!r}: {said.removesuffix('.').lower()}"
