"""CSV of any size and any quality, read record by record in bounded memory.

A broken line costs itself and no neighbour: when a quote stays open, only the line that opened it is refused and
reading goes on with the next one.
"""

import csv
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

RECORD_LIMIT_BYTES = 65_536
RECORD_LIMIT_LINES = 64
RAW_LIMIT_BYTES = 1_024
_BLOCK_BYTES = 65_536
_BOM = b"\xef\xbb\xbf"


@runtime_checkable
class Readable(Protocol):
    """A binary file, or whatever reads like one."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot be used. `line_no` counts from 1; `raw` is the start of the line, at most 1 KiB."""

    line_no: int
    reason: str
    raw: bytes


class Limits(NamedTuple):
    """How large a record may be, so that a hostile one is never held."""

    bytes: int = RECORD_LIMIT_BYTES
    lines: int = RECORD_LIMIT_LINES

    @property
    def size(self) -> str:
        return f"{self.bytes >> 10} KiB"


USUAL = Limits()


class Shape(NamedTuple):
    widths: range
    delimiter: str
    limits: Limits


class Record(NamedTuple):
    """`line` is the record as it stood in the file, without its line end. `lossy`: it was no UTF-8, and U+FFFD stands
    where it was not."""

    line_no: int
    line: bytes
    columns: list[str]
    lossy: bool


def read(
    source: Readable | Iterable[bytes], widths: range, delimiter: str = ",", limits: Limits = USUAL
) -> Iterator[Record | Refused]:
    """The records in the order of the file; empty lines are passed over.

    `source`: a binary file, or lines with or without their line ends. `widths`: the numbers of columns that a record
    may have. `delimiter`: one ASCII character. Quoting is RFC 4180's; line ends are LF or CR LF. A line over the limit of
    bytes (64 KiB) is refused without being held, and so is a record over that or the limit of lines (64).
    """
    shape = Shape(widths, delimiter, limits)
    pending: list[bytes] = []
    line_no = 1
    for lines in batches(source, limits):
        pending += lines
        used = yield from _records(pending, line_no, shape, last=False)
        line_no += used
        del pending[:used]
    yield from _records(pending, line_no, shape, last=True)


def _blocks(source: Readable | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(source, Readable):
        while block := source.read(_BLOCK_BYTES):
            yield block
        return
    gathered, size = [], 0
    for line in source:
        gathered.append(line if line.endswith(b"\n") else line + b"\n")
        size += len(line)
        if size >= _BLOCK_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def batches(source: Readable | Iterable[bytes], limits: Limits = USUAL) -> Iterator[list[bytes]]:
    """Whole lines without LF, many at a time. Of a longer line only one byte more than the limit is kept, which tells that it was."""
    kept = limits.bytes + 1
    carry, first = b"", True
    for block in _blocks(source):
        lines = block.split(b"\n")
        lines[0] = (carry + lines[0])[:kept]
        carry = lines.pop()[:kept]
        if lines:
            if first:
                lines[0] = lines[0].removeprefix(_BOM)
            first = False
            yield [line[:kept] for line in lines]
    if carry:
        yield [carry.removeprefix(_BOM) if first else carry]


def _records(lines: list[bytes], line_no: int, shape: Shape, *, last: bool) -> Generator[Record | Refused, None, int]:
    """Returns how many lines were used: all of them, unless a quote is still open and more lines may come."""
    rows = _in_bulk(lines, shape)
    if rows is None:
        return (yield from _singly(lines, line_no, shape, last=last))
    for at, columns in enumerate(rows):
        line = lines[at]
        if len(columns) in shape.widths:
            yield Record(line_no + at, line.rstrip(b"\r"), columns, lossy=False)
        elif line.strip():
            yield _refused(line_no + at, miscounted(columns, shape.widths), line)
    return len(lines)


def _in_bulk(lines: list[bytes], shape: Shape) -> list[list[str]] | None:
    """One row a line, or None where that cannot be proved: a row takes at least one line, so as many rows as lines
    means one line each, and strict reading tells of a quote left open at the end."""
    block = b"\n".join(lines)
    limit = shape.limits.bytes
    if b"\0" in block or (len(block) > limit and max(map(len, lines)) > limit):
        return None
    try:
        rows = list(csv.reader(block.decode().split("\n"), delimiter=shape.delimiter, strict=True)) if lines else []
    except (UnicodeDecodeError, csv.Error):
        return None
    return rows if len(rows) == len(lines) else None


def _singly(lines: list[bytes], line_no: int, shape: Shape, *, last: bool) -> Generator[Record | Refused, None, int]:
    at = 0
    while at < len(lines):
        taken = _extent(lines, at, shape.limits)
        if taken is None and not last:
            return at
        record = _record(lines[at : at + (taken or 1)], line_no + at, shape, closed=bool(taken))
        if record is not None:
            yield record
        at += taken if taken and isinstance(record, Record) else 1
    return at


def _extent(lines: list[bytes], at: int, limits: Limits) -> int | None:
    """How many lines the record that starts here has; 0 when its quote is not closed within the limits, None when
    the lines end before that is known."""
    quotes = size = 0
    for taken, line in enumerate(lines[at : at + limits.lines], start=1):
        quotes += line.count(b'"')
        size += len(line) + 1
        if quotes % 2 == 0:
            return taken
        if size > limits.bytes:
            return 0
    return 0 if at + limits.lines <= len(lines) else None


def _record(lines: list[bytes], line_no: int, shape: Shape, *, closed: bool) -> Record | Refused | None:
    """None for an empty line. Several lines that make no record together: only the first of them is refused."""
    line = b"\n".join(lines).rstrip(b"\r")
    fault = _fault(line, shape.limits, closed=closed)
    if fault is not None:
        return _refused(line_no, fault, lines[0])
    if not line.strip():
        return None
    text = line.decode("utf-8", "replace")
    try:
        columns = next(csv.reader((text,), delimiter=shape.delimiter, strict=True))
    except csv.Error as error:
        return _refused(line_no, f"not CSV: {error}", lines[0])
    if len(columns) not in shape.widths:
        return _refused(line_no, miscounted(columns, shape.widths), lines[0])
    return Record(line_no, line, columns, lossy="\ufffd" in text and not _is_utf8(line))


def _fault(line: bytes, limits: Limits, *, closed: bool) -> str | None:
    if len(line) > limits.bytes:
        return f"longer than {limits.size}"
    if b"\0" in line:
        return "holds a NUL byte"
    return None if closed else "a quote is not closed"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def miscounted(columns: list[str], widths: range) -> str:
    wanted = f"{widths.start}" if len(widths) == 1 else f"{widths.start} to {widths.stop - 1}"
    return f"{len(columns)} columns instead of {wanted}"


def _refused(line_no: int, reason: str, line: bytes) -> Refused:
    return Refused(line_no, reason, line[:RAW_LIMIT_BYTES])
