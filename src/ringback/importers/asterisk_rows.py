"""Asterisk's call records as rows: `cdr-csv/Master.csv`, files of `cdr_custom`, and rows of a `cdr` table.

`cdr/cdr_csv.c` writes sixteen columns, then `uniqueid` (`loguniqueid=yes`), `userfield` (`loguserfield=yes`) and, since
Asterisk 13, `peeraccount`, `linkedid`, `sequence` (`newcdrcolumns=yes`), each by a switch of `cdr.conf`: 16 to 21 columns.
`cdr/cdr_custom.c` writes what `cdr_custom.conf` says; the sample there has 19 columns, in another order. Times are
local unless `usegmtime=yes`; the time of an answer that never came is empty. Texts stand in quotes, quotes are doubled.

Nothing here knows users or the database.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from operator import itemgetter

from ringback.calls import numbers
from ringback.importers.call_rows import CallRow, party, seconds
from ringback.importers.csv_records import RAW_LIMIT_BYTES, Readable, Record, Refused, miscounted, read
from ringback.importers.importer import Options
from ringback.importers.wall_clock import WallClock

COLUMNS = (
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "uniqueid",
    "userfield",
    "linkedid",
)
"""Of a call, in the order of `cdr_csv`."""
NEEDED = ("start", "src", "dst", "duration", "billsec")
"""Without these a row is no call."""
SAMPLE = ("clid", *COLUMNS[1:4], *COLUMNS[5:16], "accountcode", "uniqueid", "userfield", "sequence")
"""The columns of Asterisk's sample of `cdr_custom.conf`."""
_ALSO = {"calldate": "start", "answerdate": "answer", "hangupdate": "end"}
_PASSED_OVER = {"", "peeraccount", "sequence", "peertenantid", "tenantid"}
_QUALIFIER = re.compile(r"\([^)]*\)")
_PLAIN = range(16, 22)
_WIDEST = 100

_UNIQUEID = re.compile(r"(?:.*-)?(\d{1,11})\.\d+", re.ASCII)
_EPOCH = re.compile(r"(\d{9,11})(?:\.\d{1,9})?", re.ASCII)
_OUTER_CHANNELS = {"AsyncGoto", "Surrogate", "Transfered", "Parked", "Bridge"}
_SERIAL = re.compile(r"[0-9a-fA-F]+")
_WINDOW = 65_536

# The state reached, and the text of the Q.850 cause nearest to what the word says.
_DISPOSITIONS = {
    "ANSWERED": ("CONNECTED", "Normal Clearing"),
    "NO ANSWER": ("RINGING", "No user responding"),
    "CANCEL": ("RINGING", "Normal Clearing"),
    "BUSY": ("INITIAL", "User busy"),
    "FAILED": ("INITIAL", "Temporary failure"),
    "CONGESTION": ("INITIAL", "Circuit/channel congestion"),
}
_UNKNOWN_DISPOSITION = ("INITIAL", "Normal, unspecified")
# As `include/asterisk/cdr.h` counts them, for tables and files that keep the number.
_NUMBERED = {"0": "NO ANSWER", "1": "NO ANSWER", "2": "FAILED", "4": "BUSY", "8": "ANSWERED", "16": "CONGESTION"}

_CONTEXTS = {
    "queue": "QUEUE",
    "voicemail": "VOICEMAIL",
    "voicemailmain": "VOICEMAIL",
    "minivmrecord": "VOICEMAIL",
    "confbridge": "CONFERENCE",
    "meetme": "CONFERENCE",
    "page": "CONFERENCE",
    "background": "IVR",
    "waitexten": "IVR",
    "read": "IVR",
    "playback": "IVR",
    "directory": "IVR",
    "ivrdemo": "IVR",
    "followme": "FOLLOW_ME",
    "echo": "TEST_CALL",
    "milliwatt": "TEST_CALL",
}
_MAILBOXES = {"voicemail", "minivmrecord"}


def parse(source: Readable | Iterable[bytes], options: Options) -> Iterator[CallRow | Refused]:
    """The rows of a file in its order, whatever its bytes are; header rows and empty lines are passed over.

    `source`: a binary file or its lines. What the columns are says `options.columns`, else a header, else each line by
    itself: of `cdr_csv`, or of the sample of `cdr_custom`. ValueError, before anything is read, when the time zone or a
    column is unknown.
    """
    layout = arranged(options.columns) if options.columns else None
    return _rows(read(source, range(1, _WIDEST + 1)), Reader(options), layout)


def arranged(names: Sequence[str]) -> "Layout":
    """How lines with these columns are brought into the order of `COLUMNS`; qualifiers such as `(noquote)` say nothing.

    ValueError when a name is unknown or stands twice, or one of `NEEDED` is missing.
    """
    plain = [column(name) for name in names]
    unknown = [name for name in plain if name not in COLUMNS and name not in _PASSED_OVER]
    if unknown:
        raise ValueError(
            f"there is no column {unknown[0]!r} in a call record; leave a column nobody needs without a name"
        )
    twice = [name for name in COLUMNS if plain.count(name) > 1]
    if twice:
        raise ValueError(f"the column {twice[0]!r} stands twice")
    if missing := [name for name in NEEDED if name not in plain]:
        raise ValueError(f"the column {missing[0]} is missing")
    return Layout(plain)


def column(name: str) -> str:
    """A column's name as in `COLUMNS`, if it is one of them."""
    bare = _QUALIFIER.sub("", name).strip().strip('"').lower()
    return _ALSO.get(bare, bare)


class Layout:
    """`widths`: the numbers of columns that a line may have."""

    def __init__(self, names: Sequence[str]) -> None:
        self.widths = range(len(names), len(names) + 1)
        places = [names.index(name) if name in names else len(names) for name in COLUMNS]
        self._pick = itemgetter(*places)

    def __call__(self, cells: list[str]) -> list[str]:
        """The cells in the order of `COLUMNS`; empty where the line has none."""
        return list(self._pick([*cells, ""]))


_SAMPLE = Layout(SAMPLE)


class _Plain:
    """`cdr_csv`, and the sample of `cdr_custom`: of as many columns, it has the duration where that has the end."""

    widths = _PLAIN

    def __call__(self, cells: list[str]) -> list[str]:
        if len(cells) == len(SAMPLE) and cells[11].partition(".")[0].isdecimal():
            return _SAMPLE(cells)
        return cells[:16] + _tail(cells)


def _tail(cells: list[str]) -> list[str]:
    """uniqueid, userfield, linkedid. One column before the new ones is whichever of the first two it looks like."""
    width = len(cells)
    extra = cells[16 : width - 3 if width >= 19 else width]
    if len(extra) == 1 and not _UNIQUEID.fullmatch(extra[0]):
        extra = ["", *extra]
    uniqueid, userfield = [*extra, "", ""][:2]
    return [uniqueid, userfield, cells[-2] if width >= 19 else ""]


def _rows(records: Iterator[Record | Refused], reader: "Reader", given: Layout | None) -> Iterator[CallRow | Refused]:
    layout: Layout | _Plain = given or _Plain()
    for record in records:
        row = _row(record, layout, reader)
        if isinstance(row, CallRow) or isinstance(record, Refused):
            yield row
        elif header := _header(record.columns):
            layout = given or header
        elif record.line.strip():
            yield row


def _row(record: Record | Refused, layout: "Layout | _Plain", reader: "Reader") -> CallRow | Refused:
    if isinstance(record, Refused):
        return record
    if len(record.columns) in layout.widths:
        row = reader.row(record.line_no, layout(record.columns), lossy=record.lossy)
        if isinstance(row, CallRow):
            return row
        return Refused(record.line_no, row, record.line[:RAW_LIMIT_BYTES])
    return Refused(record.line_no, miscounted(record.columns, layout.widths), record.line[:RAW_LIMIT_BYTES])


def _header(cells: list[str]) -> Layout | None:
    """How to read what follows, when the line names columns. Columns that are none of Asterisk's are passed over."""
    names = [column(cell) for cell in cells]
    return Layout(names) if set(names).issuperset(NEEDED) else None


def is_record(cells: list[str]) -> bool:
    """Whether a line names the columns of call records, or has the disposition of one."""
    return _header(cells) is not None or not _DISPOSITIONS.keys().isdisjoint(cells)


class Reader:
    """Makes rows of cells in the order of `COLUMNS`. ValueError when the time zone is unknown."""

    def __init__(self, options: Options) -> None:
        self._clock = WallClock(options.time_zone)
        self._options = options
        self._seen = _Occurrences()

    def row(self, line_no: int, cells: list[str], *, lossy: bool = False) -> CallRow | str:
        """The reason, when they cannot be used."""
        try:
            return self._row(line_no, cells, lossy=lossy)
        except ValueError as error:
            return str(error)

    def _row(self, line_no: int, cells: list[str], *, lossy: bool) -> CallRow:
        warnings: list[str] = ["not UTF-8: unreadable bytes replaced"] if lossy else []
        cells = _cleaned(cells, warnings)
        _, src, dst, _, clid, channel, dstchannel, app, *_ = cells
        uniqueid, user_field, linked_id = (cell or None for cell in cells[16:])
        duration_s = _seconds(cells[12], "duration", warnings)
        billsec = _seconds(cells[13], "billsec", warnings)
        started_at, answered_at, ended_at = _instants(cells, uniqueid, duration_s, billsec, self._clock, warnings)
        outcome, t_cause = _outcome(cells[14], app, warnings)
        name, number = numbers.caller_id(clid)
        context = _CONTEXTS.get(app.lower(), "PSTN_CALL")
        country, prefix = self._options.country, self._options.outside_prefix
        return CallRow(
            line_no,
            _key(cells, uniqueid, self._seen),
            uniqueid,
            linked_id,
            started_at,
            answered_at,
            ended_at,
            duration_s,
            billsec,
            party(src or number or "", country, prefix),
            name,
            party(dst, country, prefix),
            clid or None,
            endpoint_of(channel),
            endpoint_of(dstchannel),
            outcome,
            t_cause,
            context,
            outcome == "CONNECTED" and context != "VOICEMAIL" and (dstchannel != "" or context == "CONFERENCE"),
            user_field,
            tuple(warnings),
        )


def endpoint_of(channel: str) -> str | None:
    """`101` of `PJSIP/101-0000001a`, `Local/101@office-0000001a;1` and `SIP/101-0000001a<ZOMBIE>`; None without one."""
    technology, slash, name = channel.partition("/")
    if technology in _OUTER_CHANNELS:
        slash, name = name.partition("/")[1:]
    if not slash:
        return None
    if ";" in name or "<" in name:
        name = name.partition("<")[0].partition(";")[0]
    front, dash, serial = name.rpartition("-")
    if dash and _SERIAL.fullmatch(serial):
        name = front
    return name.partition("@")[0] or None


class _Occurrences:
    """Counts equal lines that stand near each other: two calls may be equal in every column, and then Asterisk logs
    them within the same second. Far apart (65,536 lines and more) an equal line is a copy. So memory stays bounded."""

    def __init__(self) -> None:
        self._recent: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}

    def next(self, digest: bytes) -> int:
        """1 for the first."""
        count = 1 + (self._recent.get(digest) or self._older.get(digest) or 0)
        self._recent[digest] = count
        if len(self._recent) >= _WINDOW:
            self._older, self._recent = self._recent, {}
        return count


_SAID = itemgetter(1, 2, 3, 5, 6, 7)


def _key(cells: list[str], uniqueid: str | None, seen: _Occurrences) -> str:
    """Made of what every form says in the same words: parties, dial plan's context, channels, application, start, durations
    in whole seconds, disposition. Texts that tables cut short or files quote differently are left out.

    Rows of one `uniqueid` that are equal in these say nothing twice: they are one. Without it they count.
    """
    word = cells[14].strip().upper()
    seconds = (cells[12].partition(".")[0], cells[13].partition(".")[0], _NUMBERED.get(word, word))
    said = "\x1f".join((*_SAID(cells), cells[9].partition(".")[0], *seconds))
    digest = blake2b(said.encode(), digest_size=12)
    if uniqueid is not None:
        return f"{uniqueid[:200]}/{digest.hexdigest()}"
    return f"{digest.hexdigest()}/{seen.next(digest.digest())}"


def _cleaned(cells: list[str], warnings: list[str]) -> list[str]:
    longest = max(map(len, cells))
    if longest > numbers.LIMIT:
        warnings.append("cut to 255 characters")
    elif "".join(cells).isprintable():
        return cells
    return [numbers.clean(cell) for cell in cells]


def _seconds(text: str, name: str, warnings: list[str]) -> int:
    """As `seconds`, faster for what nearly all are."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    return seconds(text, name, warnings)


def _instants(
    cells: list[str],
    uniqueid: str | None,
    duration_s: int,
    billsec: int,
    clock: WallClock,
    warnings: list[str],
) -> tuple[int, int | None, int]:
    """start, answer, end. Where the wall clock is ambiguous the durations decide, and for the start the birth of the
    channel, which Asterisk writes into `uniqueid`."""
    started_at = _instant(clock, cells[9], "start", None, uniqueid)
    end_hint = started_at + duration_s
    ended_at = _instant(clock, cells[11], "end", end_hint) if cells[11] else end_hint
    if ended_at < started_at:
        warnings.append("end before start: taken from the duration")
        ended_at = end_hint
    if not cells[10] or cells[10].startswith("0000-00-00"):
        return started_at, None, ended_at
    answered_at = _instant(clock, cells[10], "answer", ended_at - billsec)
    if not started_at <= answered_at <= ended_at:
        warnings.append("answer outside of the call: moved into it")
        answered_at = min(max(answered_at, started_at), ended_at)
    return started_at, answered_at, ended_at


def _instant(clock: WallClock, text: str, name: str, hint: int | None, uniqueid: str | None = None) -> int:
    if epoch := _EPOCH.fullmatch(text):
        return int(epoch[1])
    try:
        at = clock.at(text)
        if at is not None:
            return at
        born = _UNIQUEID.fullmatch(uniqueid) if uniqueid else None
        return clock.nearest(text, int(born[1]) if born else hint)
    except ValueError as error:
        raise ValueError(f"{name} is no possible time") from error


def _outcome(word: str, app: str, warnings: list[str]) -> tuple[str, str]:
    outcome = _DISPOSITIONS.get(word) or _DISPOSITIONS.get(_NUMBERED.get(word, word).strip().upper())
    if outcome is None:
        warnings.append("unknown disposition")
        return _UNKNOWN_DISPOSITION
    if outcome[0] == "CONNECTED" and app.lower() in _MAILBOXES:
        return "VM", outcome[1]
    return outcome
