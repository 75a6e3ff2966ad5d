"""Lines of Asterisk's channel event log (CEL) as records: files of `cel_custom`, and CSV dumps of a `cel` table.

`cel_custom.conf` says what its files have; the sample there has 20 columns. A table has the columns of Asterisk's documentation of
`cel_pgsql` (with `extra` or without), or those of FreePBX. Times are seconds since 1970 with microseconds (the default of
`dateformat` in `cel.conf`), or the wall clock's, as tables have them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from ringback.calls import numbers
from ringback.connectors.asterisk.cel import TYPES, Record
from ringback.importers.csv_records import RAW_LIMIT_BYTES, Readable, Refused, miscounted, read
from ringback.importers.csv_records import Record as Line
from ringback.importers.importer import Options
from ringback.importers.wall_clock import WallClock

_PARTY = ("cid_name", "cid_num", "cid_ani", "cid_rdnis", "cid_dnid")
_CHANNEL = ("exten", "context", "channame", "appname", "appdata", "amaflags", "accountcode")
_IDS = ("uniqueid", "linkedid")
SAMPLE = ("eventtype", "eventtime", *_PARTY, *_CHANNEL, *_IDS, "peer", "userfield", "userdeftype", "extra")
"""Of Asterisk's sample of `cel_custom.conf`."""
_TABLE = ("id", "eventtype", "eventtime", "userdeftype", *_PARTY, *_CHANNEL, "peeraccount", *_IDS, "userfield", "peer")
_FREEPBX = ("id", "eventtype", "eventtime", *_PARTY, *_CHANNEL, *_IDS, "peer", "userdeftype", "extra")
FORMS = (SAMPLE, _TABLE, (*_TABLE, "extra"), _FREEPBX, (*_FREEPBX, "userfield"))
_READ = (
    "eventtype",
    "eventtime",
    "cid_name",
    "cid_num",
    "cid_rdnis",
    *_CHANNEL[:5],
    *_IDS,
    "peer",
    "extra",
    "accountcode",
)
NEEDED = ("eventtype", "eventtime", "channame", "uniqueid")
"""Without these a line is no event."""
_ALSO = {
    "eventextra": "extra",
    "callerid(name)": "cid_name",
    "callerid(num)": "cid_num",
    "callerid(ani)": "cid_ani",
    "callerid(rdnis)": "cid_rdnis",
    "callerid(dnid)": "cid_dnid",
    "cidname": "cid_name",
    "cidnum": "cid_num",
    "cidani": "cid_ani",
    "cidrdnis": "cid_rdnis",
    "ciddnid": "cid_dnid",
    "bridgepeer": "peer",
    "acctcode": "accountcode",
    "peeracct": "peeraccount",
    "usereventname": "userdeftype",
}
_KNOWN = {*SAMPLE, *_TABLE, "src", "dst", "channel", "dstchannel", "tenantid", "eventenum", ""}
_QUALIFIER = re.compile(r"\([^)]*\)")
_WIDEST = 40
_EPOCH = re.compile(r"(\d{9,11})(?:\.(\d{1,6})\d*)?", re.ASCII)
_WALL = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:[.,](\d{1,6})\d*)?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_UNIQUEID = re.compile(r"(?:.*-)?(\d{9,11})\.(\d+)", re.ASCII)
_LONGEST_EXTRA = 16_384


class Form:
    """How lines of one kind are read: cells into the order of what is needed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.width = len(names)
        places = [names.index(name) if name in names else len(names) for name in _READ]
        self._pick = itemgetter(*places)

    def __call__(self, cells: list[str]) -> list[str]:
        return list(self._pick([*cells, ""]))

    def fits(self, cells: list[str]) -> bool:
        """Whether there are a time and an id where they ought to be."""
        if len(cells) != self.width:
            return False
        picked = self(cells)
        is_time = _EPOCH.fullmatch(picked[1]) or _WALL.fullmatch(picked[1])
        return is_time is not None and _UNIQUEID.fullmatch(picked[10]) is not None


_FORMS = tuple(map(Form, FORMS))


def column(name: str) -> str:
    """A column's name as in `SAMPLE`, of whatever `cel_custom.conf` or a table calls it."""
    bare = name.strip().strip('"').lower()
    return _ALSO.get(bare) or _ALSO.get(plain := _QUALIFIER.sub("", bare), plain)


def arranged(names: Sequence[str]) -> Form:
    """ValueError when a name is unknown, or one of `NEEDED` is missing."""
    plain = [column(name) for name in names]
    if unknown := [name for name in plain if name not in _KNOWN]:
        raise ValueError(f"there is no column {unknown[0]!r} in CEL; leave a column nobody needs without a name")
    if missing := [name for name in NEEDED if name not in plain]:
        raise ValueError(f"the column {missing[0]} is missing")
    return Form(plain)


def parse(source: Readable | Iterable[bytes], options: Options) -> Iterator[Record | Refused]:
    """The records of a file in its order, whatever its bytes are; header rows are passed over.

    What the columns are says `options.columns`, else a header, else each line by itself. ValueError, before anything is
    read, when the time zone or a column is unknown.
    """
    given = arranged(options.columns) if options.columns else None
    return _records(read(source, range(1, _WIDEST + 1)), _Times(options.time_zone), given)


def _records(lines: Iterator[Line | Refused], times: "_Times", given: Form | None) -> Iterator[Record | Refused]:
    form = given
    for line in lines:
        if isinstance(line, Refused):
            yield line
        elif _is_header(line.columns):
            form = given or Form([column(cell) for cell in line.columns])
        else:
            yield _record(line, form or _form(line.columns), times)


def is_record(cells: list[str]) -> bool:
    """Whether a line names the columns of channel events, or is one."""
    return _is_header(cells) or cells[0].upper() in TYPES or any(form.fits(cells) for form in _FORMS)


def of_table(found: Iterable[Sequence[str]], names: Sequence[str], options: Options) -> Iterator[Record | Refused]:
    """The records of a table's rows; `line_no` is the row's. ValueError as `parse`."""
    form, times = arranged(names), _Times(options.time_zone)
    for row_no, cells in enumerate(found, start=1):
        yield _record(Line(row_no, "\t".join(cells).encode(), list(cells), lossy=False), form, times)


def _is_header(cells: list[str]) -> bool:
    return {column(cell) for cell in cells}.issuperset(NEEDED)


def _form(cells: list[str]) -> Form:
    """Among those of the same width the one that fits; the sample's where none does."""
    return next((form for form in _FORMS if form.fits(cells)), _FORMS[0])


def _record(line: Line, form: Form, times: "_Times") -> Record | Refused:
    raw = line.line[:RAW_LIMIT_BYTES]
    if len(line.columns) != form.width:
        return Refused(line.line_no, miscounted(line.columns, range(form.width, form.width + 1)), raw)
    cells = form(line.columns)
    try:
        at_us = times.at_us(cells[1], cells[10])
    except ValueError:
        return Refused(line.line_no, "eventtime is no possible time", raw)
    extra = cells[13] if len(cells[13]) <= _LONGEST_EXTRA else ""
    kind, _, name, number, rdnis, exten, context, channel, app, data, uniqueid, linked_id, peer, _, account = map(
        _clean, cells
    )
    if not uniqueid or not channel:
        return Refused(line.line_no, "names no channel", raw)
    who = (name, number, rdnis, exten, context, channel, app, data, uniqueid, linked_id, peer)
    return Record(_type(kind), at_us, *who, extra, account)


_clean = numbers.clean


def _type(text: str) -> str:
    """Some tables hold the number."""
    if text.isascii() and text.isdecimal() and int(text[:4]) < len(TYPES):
        return TYPES[int(text[:4])]
    return text.upper()


class _Times:
    """`eventtime` as UTC microseconds. ValueError when the time zone is unknown."""

    def __init__(self, time_zone: str) -> None:
        self._clock = WallClock(time_zone)

    def at_us(self, text: str, uniqueid: str) -> int:
        """ValueError for what is no time. `uniqueid` tells the second in which the channel began, where the clock was ambiguous."""
        if found := _EPOCH.fullmatch(text):
            return int(found[1]) * 1_000_000 + _fraction_us(found[2])
        wall = _WALL.fullmatch(text)
        if wall is None:
            raise ValueError(text)
        return self._second(wall, uniqueid) * 1_000_000 + _fraction_us(wall[2])

    def _second(self, wall: re.Match[str], uniqueid: str) -> int:
        text = wall[1].replace("T", " ")
        if wall[3]:
            return _UTC.nearest(text, None) - _offset_s(wall[3])
        at = self._clock.at(text)
        if at is not None:
            return at
        born = _UNIQUEID.fullmatch(uniqueid)
        return self._clock.nearest(text, int(born[1]) if born else None)


_UTC = WallClock("UTC")


def _fraction_us(digits: str | None) -> int:
    return int(digits.ljust(6, "0")) if digits else 0


def _offset_s(text: str) -> int:
    if text == "Z":
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if text[0] == "-" else seconds


def system_and_serial(uniqueid: str) -> tuple[str, int, int] | None:
    """`pbx`, the second and the count since its start, of `pbx-1795344965.12`; None for an id of another form."""
    found = _UNIQUEID.fullmatch(uniqueid)
    if found is None or len(found[2]) > 18:
        return None
    return uniqueid[: found.start(1)], int(found[1]), int(found[2])
