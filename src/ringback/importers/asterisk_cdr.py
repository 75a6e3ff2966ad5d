"""Asterisk's `cdr-csv/Master.csv`, as `cdr/cdr_csv.c` writes it.

Sixteen columns, then `uniqueid` (`loguniqueid=yes`), `userfield` (`loguserfield=yes`) and, since Asterisk 13,
`peeraccount`, `linkedid`, `sequence` (`newcdrcolumns=yes`), each by a switch of `cdr.conf`: 16 to 21 columns. Times are
local unless `usegmtime=yes`; the time of an answer that never came is empty. Texts stand in quotes, quotes are doubled.

Nothing here knows users or the database: a row is read, and `direction` says what it is once extensions are known.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, NamedTuple

from ringback.calls import numbers
from ringback.importers.csv_records import Readable, Record, Refused, read
from ringback.importers.importer import Options
from ringback.importers.wall_clock import WallClock

WIDTHS = range(16, 22)
LONGEST_S = 2**31 - 1
_UNIQUEID = re.compile(r"(?:.*-)?(\d{1,11})\.\d+", re.ASCII)
_WHOLE_SECONDS = re.compile(r"(-?)(\d{1,12})(?:\.\d*)?", re.ASCII)
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


class CallRow(NamedTuple):
    """One hop. Instants are UTC seconds, texts at most 255 characters without control characters, unknown is None.

    `key` is the same whenever the same line is read again, and differs between the rows of one forked call. `src` and
    `dst` are E.164 digits where they are such a number, else the text. `billsec` and `answered_at` are the PBX's words
    also where `disposition` is RINGING: it answered itself (menu, queue) and nobody else did. `context` is the API's,
    `context_name` the dial plan's. `linked_id` is the `uniqueid` of the first channel of the whole call.
    """

    line_no: int
    key: str
    uniqueid: str | None
    linked_id: str | None
    started_at: int
    answered_at: int | None
    ended_at: int
    duration_s: int
    billsec: int
    src: str | None
    src_name: str | None
    dst: str | None
    clid: str | None
    channel: str | None
    dstchannel: str | None
    src_endpoint: str | None
    dst_endpoint: str | None
    context_name: str | None
    last_app: str | None
    disposition: str
    t_cause: str
    context: str
    account_code: str | None
    user_field: str | None
    warnings: tuple[str, ...]


class Direction(NamedTuple):
    """`user_id`: the caller on O, the called user on I and M, None when that is nobody of ours."""

    type: Literal["O", "I", "M"]
    destination: Literal["in", "out"]
    context: str
    user_id: int | None
    src_user_id: int | None
    dst_user_id: int | None


def parse(source: Readable | Iterable[bytes], options: Options) -> Iterator[CallRow | Refused]:
    """The rows in the order of the file, whatever its bytes are; header rows and empty lines are passed over.

    `source`: a binary file or its lines. ValueError, before anything is read, when the time zone is unknown.
    """
    return _rows(read(source, WIDTHS), WallClock(options.time_zone), options.country)


def direction(row: CallRow, extensions: Mapping[str, int]) -> Direction:
    """What the hop was to us. `extensions`: user id by extension and by endpoint name.

    From a user it is outbound, and internal when it reaches a user too. From elsewhere it is inbound, and missed when
    no human answered: nobody did, the mailbox did, or the PBX did (a menu, a queue that was left).
    """
    src_user_id = _user(extensions, row.src_endpoint, row.src)
    dst_user_id = _user(extensions, row.dst_endpoint, row.dst)
    if src_user_id is None:
        kind: Literal["I", "M"] = "I" if _human(row) else "M"
        return Direction(kind, "in", row.context, dst_user_id, None, dst_user_id)
    internal = dst_user_id is not None and row.context == "PSTN_CALL"
    return Direction("O", "out", "USER_LOCAL" if internal else row.context, src_user_id, src_user_id, dst_user_id)


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


def _user(extensions: Mapping[str, int], endpoint: str | None, number: str | None) -> int | None:
    found = extensions.get(endpoint) if endpoint else None
    return extensions.get(number) if found is None and number else found


def _human(row: CallRow) -> bool:
    if row.disposition != "CONNECTED" or row.context == "VOICEMAIL":
        return False
    return row.dstchannel is not None or row.context == "CONFERENCE"


def _rows(records: Iterator[Record | Refused], clock: WallClock, country: str | None) -> Iterator[CallRow | Refused]:
    seen = _Occurrences()
    for record in records:
        if isinstance(record, Refused):
            yield record
            continue
        try:
            yield _row(record, clock, country, seen)
        except ValueError as error:
            if not _is_header(record.columns):
                yield Refused(record.line_no, str(error), record.line[:1024])


def _is_header(columns: list[str]) -> bool:
    return [column.strip().lower() for column in columns[:3]] == ["accountcode", "src", "dst"]


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


def _key(line: bytes, uniqueid: str | None, seen: _Occurrences) -> str:
    """Rows of one `uniqueid` that are equal in every column say nothing twice: they are one. Without it they count."""
    digest = blake2b(line, digest_size=12)
    if uniqueid is not None:
        return f"{uniqueid[:200]}/{digest.hexdigest()}"
    return f"{digest.hexdigest()}/{seen.next(digest.digest())}"


def _row(record: Record, clock: WallClock, country: str | None, seen: _Occurrences) -> CallRow:
    """ValueError with the reason when the row cannot be used."""
    warnings: list[str] = ["not UTF-8: unreadable bytes replaced"] if record.lossy else []
    columns = _cleaned(record, warnings)
    uniqueid, user_field, linked_id = _tail(columns)
    account, src, dst, dcontext, clid, channel, dstchannel, app, _ = columns[:9]
    duration_s = _seconds(columns[12], "duration", warnings)
    billsec = _seconds(columns[13], "billsec", warnings)
    started_at, answered_at, ended_at = _instants(columns, uniqueid, duration_s, billsec, clock, warnings)
    disposition, t_cause = _outcome(columns[14], app, warnings)
    name, number = numbers.caller_id(clid)
    return CallRow(
        record.line_no,
        _key(record.line, uniqueid, seen),
        uniqueid,
        linked_id,
        started_at,
        answered_at,
        ended_at,
        duration_s,
        billsec,
        _party(src or number or "", country),
        name,
        _party(dst, country),
        clid or None,
        channel or None,
        dstchannel or None,
        endpoint_of(channel),
        endpoint_of(dstchannel),
        dcontext or None,
        app or None,
        disposition,
        t_cause,
        _CONTEXTS.get(app.lower(), "PSTN_CALL"),
        account or None,
        user_field,
        tuple(warnings),
    )


def _cleaned(record: Record, warnings: list[str]) -> list[str]:
    columns = record.columns
    longest = max(map(len, columns))
    if longest > numbers.LIMIT:
        warnings.append("cut to 255 characters")
    elif "".join(columns).isprintable():
        return columns
    return [numbers.clean(column) for column in columns]


def _tail(columns: list[str]) -> tuple[str | None, str | None, str | None]:
    """uniqueid, userfield, linkedid. One column before the new ones is whichever of the first two it looks like."""
    width = len(columns)
    linked_id = columns[-2] or None if width >= 19 else None
    extra = columns[16 : width - 3 if width >= 19 else width]
    if len(extra) == 1 and not _UNIQUEID.fullmatch(extra[0]):
        extra = ["", *extra]
    extra = [*extra, "", ""]
    return extra[0] or None, extra[1] or None, linked_id


def _seconds(text: str, name: str, warnings: list[str]) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    found = _WHOLE_SECONDS.fullmatch(text)
    if found is None or int(found[2]) > LONGEST_S:
        raise ValueError(f"{name} is no number of seconds")
    if found[1] and int(found[2]):
        warnings.append(f"negative {name} taken as 0")
        return 0
    return int(found[2])


def _instants(
    columns: list[str],
    uniqueid: str | None,
    duration_s: int,
    billsec: int,
    clock: WallClock,
    warnings: list[str],
) -> tuple[int, int | None, int]:
    """start, answer, end. Where the wall clock is ambiguous the durations decide, and for the start the birth of the
    channel, which Asterisk writes into `uniqueid`."""
    started_at = _instant(clock, columns[9], "start", None, uniqueid)
    end_hint = started_at + duration_s
    ended_at = _instant(clock, columns[11], "end", end_hint) if columns[11] else end_hint
    if ended_at < started_at:
        warnings.append("end before start: taken from the duration")
        ended_at = end_hint
    if not columns[10] or columns[10].startswith("0000-00-00"):
        return started_at, None, ended_at
    answered_at = _instant(clock, columns[10], "answer", ended_at - billsec)
    if not started_at <= answered_at <= ended_at:
        warnings.append("answer outside of the call: moved into it")
        answered_at = min(max(answered_at, started_at), ended_at)
    return started_at, answered_at, ended_at


def _instant(clock: WallClock, text: str, name: str, hint: int | None, uniqueid: str | None = None) -> int:
    try:
        at = clock.at(text)
        if at is not None:
            return at
        born = _UNIQUEID.fullmatch(uniqueid) if uniqueid else None
        return clock.nearest(text, int(born[1]) if born else hint)
    except ValueError as error:
        raise ValueError(f"{name} is no possible time") from error


def _outcome(word: str, app: str, warnings: list[str]) -> tuple[str, str]:
    outcome = _DISPOSITIONS.get(word) or _DISPOSITIONS.get(word.strip().upper())
    if outcome is None:
        warnings.append("unknown disposition")
        return _UNKNOWN_DISPOSITION
    if outcome[0] == "CONNECTED" and app.lower() in _MAILBOXES:
        return "VM", outcome[1]
    return outcome


@lru_cache(maxsize=32_768)
def _party(text: str, country: str | None) -> str | None:
    return numbers.digits(text, country) or numbers.normal(text) or None
