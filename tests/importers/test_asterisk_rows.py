"""Lines of Master.csv beside the calls that they say."""

import io
import tracemalloc
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ringback
from ringback.importers.asterisk_rows import endpoint_of, parse
from ringback.importers.call_rows import CallRow, direction
from ringback.importers.csv_records import Refused
from ringback.importers.importer import Options

CALL = {
    "accountcode": "sales",
    "src": "101",
    "dst": "02079460000",
    "dcontext": "from-internal",
    "clid": '"Ann Lee" <101>',
    "channel": "PJSIP/101-0000001a",
    "dstchannel": "PJSIP/trunk-0000001b",
    "lastapp": "Dial",
    "lastdata": "PJSIP/02079460000@trunk,30",
    "start": "2026-11-22 10:00:00",
    "answer": "2026-11-22 10:00:05",
    "end": "2026-11-22 10:01:00",
    "duration": "60",
    "billsec": "55",
    "disposition": "ANSWERED",
    "amaflags": "DOCUMENTATION",
    "uniqueid": "1795341600.26",
    "userfield": "",
}
COLUMNS = list(CALL)
GB = Options(country="GB")


def line(*extra: str, width: int = 18, **changes: str) -> bytes:
    """One line as cdr_csv.c quotes it: texts in quotes, quotes doubled, numbers bare, empty times bare."""
    return written(CALL | changes, *extra, width=width)


def written(values: dict[str, str], *extra: str, width: int = 18) -> bytes:
    cells = [
        values[name]
        if name in {"duration", "billsec"} or values[name] == ""
        else '"' + values[name].replace('"', '""') + '"'
        for name in COLUMNS[:width]
    ]
    return ",".join([*cells, *(f'"{text}"' for text in extra)]).encode() + b"\n"


def read(*lines: bytes, options: Options = GB) -> list[CallRow | Refused]:
    return list(parse(io.BytesIO(b"".join(lines)), options))


def calls(*lines: bytes, options: Options = GB) -> list[CallRow]:
    rows = read(*lines, options=options)
    assert [row for row in rows if isinstance(row, Refused)] == []
    return [row for row in rows if isinstance(row, CallRow)]


def call(options: Options = GB, **changes: str) -> CallRow:
    (row,) = calls(written(CALL | changes), options=options)
    return row


def refusal(data: bytes) -> Refused:
    (row,) = read(data)
    assert isinstance(row, Refused)
    return row


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_a_whole_row() -> None:
    row = call(userfield="VIP")
    assert row.key.startswith("1795341600.26/")
    assert row == CallRow(
        line_no=1,
        key=row.key,
        uniqueid="1795341600.26",
        linked_id=None,
        started_at=utc("2026-11-22 10:00:00"),
        answered_at=utc("2026-11-22 10:00:05"),
        ended_at=utc("2026-11-22 10:01:00"),
        duration_s=60,
        billsec=55,
        src="101",
        src_name="Ann Lee",
        dst="442079460000",
        clid='"Ann Lee" <101>',
        src_endpoint="101",
        dst_endpoint="trunk",
        disposition="CONNECTED",
        t_cause="Normal Clearing",
        context="PSTN_CALL",
        human=True,
        info="VIP",
        warnings=(),
    )


def test_a_line_that_asterisk_wrote() -> None:
    data = (
        b'"","442079460123","101","from-trunk","""Smith, J ""Jo"" "" <442079460123>","PJSIP/trunk-00000002",'
        b'"PJSIP/101-00000003","Dial","PJSIP/101,20","2026-11-22 10:00:00",,"2026-11-22 10:00:20",20,0,'
        b'"NO ANSWER","DOCUMENTATION","1795341600.4",""\n'
    )
    (row,) = calls(data)
    assert (row.src, row.src_name, row.dst) == ("442079460123", 'Smith, J "Jo"', "101")
    assert (row.answered_at, row.billsec, row.disposition, row.t_cause) == (None, 0, "RINGING", "No user responding")


# disposition | lastapp | state | cause | context
OUTCOMES = """
ANSWERED   | Dial          | CONNECTED | Normal Clearing            | PSTN_CALL
NO ANSWER  | Dial          | RINGING   | No user responding         | PSTN_CALL
CANCEL     | Dial          | RINGING   | Normal Clearing            | PSTN_CALL
BUSY       | Dial          | INITIAL   | User busy                  | PSTN_CALL
FAILED     | Dial          | INITIAL   | Temporary failure          | PSTN_CALL
CONGESTION | Dial          | INITIAL   | Circuit/channel congestion | PSTN_CALL
answered   | Dial          | CONNECTED | Normal Clearing            | PSTN_CALL
ANSWERED   | VoiceMail     | VM        | Normal Clearing            | VOICEMAIL
NO ANSWER  | VoiceMail     | RINGING   | No user responding         | VOICEMAIL
ANSWERED   | VoiceMailMain | CONNECTED | Normal Clearing            | VOICEMAIL
ANSWERED   | Queue         | CONNECTED | Normal Clearing            | QUEUE
ANSWERED   | BackGround    | CONNECTED | Normal Clearing            | IVR
ANSWERED   | WaitExten     | CONNECTED | Normal Clearing            | IVR
ANSWERED   | ConfBridge    | CONNECTED | Normal Clearing            | CONFERENCE
ANSWERED   | FollowMe      | CONNECTED | Normal Clearing            | FOLLOW_ME
ANSWERED   | Echo          | CONNECTED | Normal Clearing            | TEST_CALL
ANSWERED   |               | CONNECTED | Normal Clearing            | PSTN_CALL
"""

# direction of: channel | src | dstchannel | dst | lastapp | disposition | type, destination, context, user
DIRECTIONS = """
PJSIP/101-1   | 101          | PJSIP/trunk-2 | 02079460000 | Dial       | ANSWERED  | O out PSTN_CALL 100001
PJSIP/101-1   | 101          | PJSIP/trunk-2 | 02079460000 | Dial       | BUSY      | O out PSTN_CALL 100001
PJSIP/101-1   | 02079460999  | PJSIP/trunk-2 | 02079460000 | Dial       | ANSWERED  | O out PSTN_CALL 100001
PJSIP/101-1   | 101          | PJSIP/102-2   | 102         | Dial       | ANSWERED  | O out USER_LOCAL 100001
PJSIP/101-1   | 101          |               | 102         | Dial       | FAILED    | O out USER_LOCAL 100001
PJSIP/101-1   | 101          |               | *97         | VoiceMailMain | ANSWERED | O out VOICEMAIL 100001
Local/101@a-1;1 | 101        | PJSIP/trunk-2 | 02079460000 | Dial       | ANSWERED  | O out PSTN_CALL 100001
PJSIP/desk-1  | 101          | PJSIP/trunk-2 | 02079460000 | Dial       | ANSWERED  | O out PSTN_CALL 100001
PJSIP/trunk-1 | 442079460000 | PJSIP/101-2   | 101         | Dial       | ANSWERED  | I in PSTN_CALL 100001
PJSIP/trunk-1 | 442079460000 | PJSIP/102-2   | 600         | Queue      | ANSWERED  | I in QUEUE 100002
PJSIP/trunk-1 | 442079460000 | PJSIP/101-2   | 101         | Dial       | NO ANSWER | M in PSTN_CALL 100001
PJSIP/trunk-1 | 442079460000 | PJSIP/101-2   | 101         | VoiceMail  | ANSWERED  | M in VOICEMAIL 100001
PJSIP/trunk-1 | 442079460000 |               | 600         | Queue      | ANSWERED  | M in QUEUE -
PJSIP/trunk-1 | 442079460000 |               | s           | BackGround | ANSWERED  | M in IVR -
PJSIP/trunk-1 | 442079460000 |               | 700         | ConfBridge | ANSWERED  | I in CONFERENCE -
PJSIP/trunk-1 | anonymous    | PJSIP/101-2   | s           | Dial       | ANSWERED  | I in PSTN_CALL 100001
"""

CHANNELS = """
PJSIP/101-0000001a                  | 101
SIP/branch-office-0000b7d0          | branch-office
SIP/101-0000001a<ZOMBIE>            | 101
Local/101@from-internal-0000001a;1  | 101
IAX2/peer-1234                      | peer
DAHDI/1-1                           | 1
DAHDI/i1/5551234-5                  | i1/5551234
AsyncGoto/PJSIP/101-0000001a        | 101
Surrogate/PJSIP/101-0000001a        | 101
PJSIP/anna.lee-00000001             | anna.lee
PJSIP/reception                     | reception
CBAnn                               |
PJSIP/                              |
                                    |
"""


def table(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in text.strip("\n").splitlines()]


@pytest.mark.parametrize(("word", "app", "state", "cause", "context"), table(OUTCOMES))
def test_outcome(word: str, app: str, state: str, cause: str, context: str) -> None:
    row = call(disposition=word, lastapp=app)
    assert (row.disposition, row.t_cause, row.context) == (state, cause, context)


@pytest.mark.parametrize(("channel", "src", "dstchannel", "dst", "app", "word", "expected"), table(DIRECTIONS))
def test_direction(channel: str, src: str, dstchannel: str, dst: str, app: str, word: str, expected: str) -> None:
    row = call(channel=channel, src=src, dstchannel=dstchannel, dst=dst, lastapp=app, disposition=word)
    found = direction(row, {"101": 100001, "102": 100002})
    assert f"{found.type} {found.destination} {found.context} {found.user_id or '-'}" == expected


def test_direction_names_both_users_of_an_internal_call() -> None:
    row = call(dst="102", dstchannel="PJSIP/102-2")
    assert direction(row, {"101": 100001, "102": 100002})[3:] == (100001, 100001, 100002)


@pytest.mark.parametrize(("channel", "endpoint"), table(CHANNELS))
def test_endpoint_of(channel: str, endpoint: str) -> None:
    assert endpoint_of(channel) == (endpoint or None)


# Columns


@pytest.mark.parametrize(
    ("data", "uniqueid", "user_field", "linked_id"),
    [
        (line(width=16), None, None, None),
        (line(width=17), "1795341600.26", None, None),
        (line(width=17, uniqueid="pbx1-1795341600.26"), "pbx1-1795341600.26", None, None),
        (line("a remark", width=16), None, "a remark", None),
        (line(userfield="a remark"), "1795341600.26", "a remark", None),
        (line("", "1795341599.1", "7", width=16), None, None, "1795341599.1"),
        (line("", "1795341599.1", "7", width=17), "1795341600.26", None, "1795341599.1"),
        (line("", "1795341599.1", "7", userfield="a remark"), "1795341600.26", "a remark", "1795341599.1"),
    ],
)
def test_each_line_says_its_columns(
    data: bytes, uniqueid: str | None, user_field: str | None, linked_id: str | None
) -> None:
    (row,) = calls(data)
    assert (row.uniqueid, row.info, row.linked_id) == (uniqueid, user_field, linked_id)


def test_header_rows_empty_lines_and_line_ends() -> None:
    header = ",".join(COLUMNS).encode() + b"\n"
    crlf = line(dst="2").replace(b"\n", b"\r\n")
    rows = calls(b"\xef\xbb\xbf" + header, line(dst="1"), b"\n", crlf, b"  \n", header, line(dst="3").rstrip())
    assert [(row.line_no, row.dst) for row in rows] == [(2, "1"), (4, "2"), (7, "3")]


def test_unknown_is_none() -> None:
    row = call(accountcode="", src="", dst="", clid="", channel="", dstchannel="", lastapp="", dcontext="")
    assert (row.src, row.src_name, row.dst, row.clid, row.src_endpoint, row.dst_endpoint, row.info) == (None,) * 7


def test_the_caller_id_stands_in_for_a_missing_source() -> None:
    assert call(src="", clid="02079460123").src == "442079460123"


# Times


def test_times_in_a_zone() -> None:
    row = call(Options("Europe/Berlin"))
    assert row.started_at == utc("2026-11-22 09:00:00")
    assert call(start="2026-11-22 10:00:00.999").started_at == call().started_at


def test_a_night_with_two_half_past_ones() -> None:
    """London, 25 October 2026: 01:30 comes twice. The channel's birth and the durations tell which."""
    london = Options("Europe/London")
    night = {"start": "2026-10-25 01:50:00", "answer": "2026-10-25 01:50:10", "end": "2026-10-25 01:10:00"}
    over = call(london, **night, duration="1200", billsec="1190", uniqueid="")
    assert (over.started_at, over.ended_at) == (utc("2026-10-25 00:50:00"), utc("2026-10-25 01:10:00"))
    assert (over.answered_at, over.warnings) == (utc("2026-10-25 00:50:10"), ())
    late = call(london, **night | {"end": "2026-10-25 01:51:00"}, duration="60", billsec="50", uniqueid="1792893000.1")
    assert late.started_at == utc("2026-10-25 01:50:00")
    assert late.answered_at == utc("2026-10-25 01:50:10")


def test_an_hour_that_never_was() -> None:
    """London, 29 March 2026: 01:30 was skipped; it counts on from before the change."""
    row = call(
        Options("Europe/London"),
        start="2026-03-29 00:59:00",
        answer="2026-03-29 01:30:00",
        end="2026-03-29 02:40:00",
        duration="2460",
        billsec="600",
    )
    assert (row.started_at, row.ended_at) == (utc("2026-03-29 00:59:00"), utc("2026-03-29 01:40:00"))
    assert row.answered_at == utc("2026-03-29 01:30:00")


def test_times_that_contradict_each_other() -> None:
    row = call(end="2026-11-22 09:00:00")
    assert (row.ended_at, row.warnings) == (row.started_at + 60, ("end before start: taken from the duration",))
    row = call(answer="2026-11-22 09:59:00")
    assert (row.answered_at, row.warnings) == (row.started_at, ("answer outside of the call: moved into it",))
    assert call(end="").ended_at == row.started_at + 60
    assert call(answer="0000-00-00 00:00:00").answered_at is None


def test_an_unknown_zone_is_told_before_anything_is_read() -> None:
    for zone in ("Mars/Olympus", "../etc/passwd", "/etc/passwd", ""):
        with pytest.raises(ValueError, match="unknown time zone"):
            parse(io.BytesIO(), Options(zone))


# Keys


def test_a_second_import_gives_the_same_keys() -> None:
    lines = [line(), line(width=16), line(width=16), line(dst="102", width=16)]
    assert [row.key for row in calls(*lines)] == [row.key for row in calls(*lines)]
    grown = calls(*lines, line(dst="103", width=16))
    assert [row.key for row in grown[:4]] == [row.key for row in calls(*lines)]
    windows = [data.replace(b"\n", b"\r\n") for data in lines]
    assert [row.key for row in calls(*windows)] == [row.key for row in calls(*lines)]


def test_rows_of_one_forked_call_have_their_own_keys() -> None:
    rows = calls(line(dstchannel="PJSIP/101-1"), line(dstchannel="PJSIP/102-2"), line(dstchannel="PJSIP/101-1"))
    assert len({row.key for row in rows}) == 2
    assert rows[0].key == rows[2].key


def test_equal_rows_without_uniqueid_both_stay() -> None:
    assert len({row.key for row in calls(line(width=16), line(width=16), line(width=16))}) == 3


# Forms

SAMPLE = ["clid", *COLUMNS[1:4], *COLUMNS[5:16], "accountcode", "uniqueid", "userfield", "sequence"]
"""Of Asterisk's `configs/samples/cdr_custom.conf.sample`."""


def custom(names: Sequence[str], **changes: str) -> bytes:
    """The call as `cdr_custom` writes these columns, all in quotes."""
    told = CALL | {"sequence": "7"} | changes
    cells = [told.get(name, "").replace('"', '""') for name in names]
    return ",".join(f'"{cell}"' for cell in cells).encode() + b"\n"


def same(one: CallRow, other: CallRow) -> bool:
    return one._replace(line_no=0) == other._replace(line_no=0)


def test_the_sample_of_cdr_custom_needs_no_columns() -> None:
    (row,) = calls(custom(SAMPLE))
    assert same(row, call())
    (precise,) = calls(custom(SAMPLE, duration="60.123456", billsec="55.9"))
    assert (precise.duration_s, precise.billsec, precise.key) == (60, 55, row.key)
    with_linked = line("", "1795341599.1", "7", width=16)  # cdr_csv has 19 columns too
    assert calls(with_linked, custom(SAMPLE))[0].linked_id == "1795341599.1"


def test_columns_are_named_in_their_order() -> None:
    names = ("start", "", "dst", "src", "duration", "billsec", "disposition", "uniqueid", "linkedid", "clid(noquote)")
    data = custom([*names[:9], "clid"], linkedid="1795341600.1")
    (row,) = calls(data, options=Options(country="GB", columns=names))
    assert (row.src, row.src_name, row.dst) == ("101", "Ann Lee", "442079460000")
    assert (row.uniqueid, row.linked_id, row.answered_at, row.duration_s) == ("1795341600.26", "1795341600.1", None, 60)
    (refused,) = read(line(), options=Options(columns=names))
    assert isinstance(refused, Refused)
    assert refused.reason == "18 columns instead of 10"


def test_a_header_names_the_columns_too() -> None:
    names = ["calldate", "src", "dst", "duration", "billsec", "disposition", "ds_type"]
    data = b"calldate,src,dst,duration,billsec,disposition,ds_type\n"
    (row,) = calls(data, custom(names, calldate="2026-11-22 10:00:00", ds_type="x"))
    assert (row.line_no, row.started_at, row.dst) == (2, utc("2026-11-22 10:00:00"), "442079460000")


def test_times_and_words_may_be_numbers() -> None:
    """`start(int64)`, `start(double)` and `disposition(int64)` of an advanced mapping."""
    (row,) = calls(custom(SAMPLE, start="1795341600", answer="1795341605.5", end="1795341660", disposition="8"))
    assert (row.started_at, row.answered_at, row.ended_at) == (1795341600, 1795341605, 1795341660)
    assert (row.disposition, row.warnings) == ("CONNECTED", ())


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (("start", "durration"), "there is no column 'durration'"),
        (("start", "src", "src"), "the column 'src' stands twice"),
        (("start", "src", "dst", "billsec"), "the column duration is missing"),
    ],
)
def test_columns_that_cannot_be(columns: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(io.BytesIO(), Options(columns=columns))


def test_a_row_has_one_key_in_every_form() -> None:
    shorter = [name for name in SAMPLE if name not in {"answer", "end", "lastdata", "clid", "userfield", "accountcode"}]
    others = [
        calls(line("", "1795341600.26", "7"))[0],
        calls(custom(SAMPLE))[0],
        calls(custom(shorter), options=Options(columns=tuple(shorter)))[0],
        call(Options("Europe/Warsaw")),
        call(clid="cut sho", userfield="set late"),
    ]
    assert {row.key for row in others} == {call().key}
    assert calls(line(width=16))[0].key != call().key  # without uniqueid another one


def test_numbers_with_an_outside_prefix() -> None:
    nine = Options(country="GB", outside_prefix="9")
    assert call(nine, dst="902079460000").dst == "442079460000"
    assert call(nine, src="902079460123").src == "442079460123"
    assert (call(nine, dst="9101").dst, call(nine, dst="103").dst) == ("9101", "103")


# What is refused, and what is only warned of


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"one,two,three\n", "3 columns instead of 16 to 21"),
        (line("1", "2", "3", "4"), "22 columns instead of 16 to 21"),
        (line(start="2026-02-30 10:00:00"), "start is no possible time"),
        (line(start=""), "start is no possible time"),
        (line(start="0000-00-00 00:00:00"), "start is no possible time"),
        (line(start="2026-11-22T10:00:00"), "start is no possible time"),
        (line(end="2026-11-22 24:00:00"), "end is no possible time"),
        (line(end="2026-11-22 10:00:61"), "end is no possible time"),
        (line(answer="2026-11-22 10:00"), "answer is no possible time"),
        (line(answer="2026-W47-7 10:00:00"), "answer is no possible time"),
        (line(start="٢٠٢٦-11-22 10:00:00"), "start is no possible time"),
        (line(duration="long"), "duration is no number of seconds"),
        (line(duration=""), "duration is no number of seconds"),
        (line(duration="99999999999"), "duration is no number of seconds"),
        (line(billsec="1e3"), "billsec is no number of seconds"),
        (line(dst="1\x002"), "holds a NUL byte"),
        (line().rstrip(b"\n") + b',"cut', "a quote is not closed"),
        (b'"a" b' + line(), "not CSV: ',' expected after '\"'"),
        (b"x" * 70_000, "longer than 64 KiB"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    refused = refusal(data)
    assert (refused.line_no, refused.reason) == (1, reason)
    assert refused.raw == data.rstrip(b"\n")[:1024]


def test_warnings() -> None:
    row = call(duration="-3", billsec="-1", disposition="HELD")
    assert (row.duration_s, row.billsec, row.disposition) == (0, 0, "INITIAL")
    assert row.warnings == ("negative duration taken as 0", "negative billsec taken as 0", "unknown disposition")
    (row,) = calls(line(clid='"Zoë" <101>').decode().encode("latin-1"))
    assert (row.src_name, row.warnings) == ("Zo\ufffd", ("not UTF-8: unreadable bytes replaced",))
    row = call(userfield="x" * 300)
    assert (row.info, row.warnings) == ("x" * 255, ("cut to 255 characters",))


def test_control_characters_never_pass() -> None:
    row = call(clid='"Ann\x1b[31m Lee" <101>', userfield="one\r\ntwo\x07")
    assert (row.src_name, row.info, row.warnings) == ("Ann[31m Lee", "one two", ())


def test_line_ends_inside_quotes() -> None:
    rows = calls(line(), line(userfield='first\nsecond, "third"\n\nfourth'), line(dst="102"))
    assert [(row.line_no, row.info) for row in rows] == [
        (1, None),
        (2, 'first second, "third" fourth'),
        (6, None),
    ]


def test_a_broken_line_costs_no_neighbour() -> None:
    broken = b'"sales","101","020\n'
    rows = read(line(dst="1"), broken, line(dst="2"), line(dst="3", userfield="two\nlines"), broken, line(dst="4"))
    assert [(row.line_no, type(row)) for row in rows] == [
        (1, CallRow),
        (2, Refused),
        (3, CallRow),
        (4, CallRow),
        (6, Refused),
        (7, CallRow),
    ]


def test_an_open_quote_over_a_whole_file_costs_one_line() -> None:
    rows = read(b'"\n', *[line()] * 2_000)
    assert [type(row) for row in rows] == [Refused, *[CallRow] * 2_000]


def test_many_lines_across_blocks_and_in_any_shape() -> None:
    data = [line(dst=str(number), userfield="a\nb" if number % 7 == 0 else "") for number in range(3_000)]
    expected = [str(number) for number in range(3_000)]
    whole = b"".join(data)
    for source in (
        io.BytesIO(whole),
        data,
        [bare.removesuffix(b"\n") for bare in data],
        whole.splitlines(keepends=True),
    ):
        rows = list(parse(source, Options()))
        assert [row.dst for row in rows if isinstance(row, CallRow)] == expected
        assert isinstance(rows[8], CallRow)
        assert rows[8].line_no == 11


class Endless(io.RawIOBase):
    """A file of one long line, then one call."""

    def __init__(self, size: int) -> None:
        self._pieces: Iterator[bytes] = iter([*[b"x" * 65_536] * (size // 65_536), b"\n" + line()])

    def read(self, size: int = -1, /) -> bytes:
        return next(self._pieces, b"")


def test_a_line_of_a_gigabyte_takes_no_gigabyte() -> None:
    tracemalloc.start()
    try:
        rows = list(parse(Endless(1 << 30), Options()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(type(row), row.line_no) for row in rows] == [(Refused, 1), (CallRow, 2)]
    assert peak < 4 << 20


@given(st.lists(st.one_of(st.binary(), st.just(line()), st.sampled_from([b'"', b"\n", b",", b'"",', b"\0", b"\r"]))))
def test_any_bytes_are_read(pieces: list[bytes]) -> None:
    for row in parse(io.BytesIO(b"".join(pieces)), Options("Europe/London", "GB")):
        if isinstance(row, CallRow):
            assert row.started_at <= row.ended_at
            direction(row, {"101": 100001})
    list(parse(pieces, Options()))


@given(
    st.dictionaries(
        st.sampled_from([name for name in COLUMNS if name not in {"duration", "billsec"}]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    )
)
def test_any_texts_are_read(changes: dict[str, str]) -> None:
    for row in read(written(CALL | changes)):
        if isinstance(row, CallRow):
            texts = [row.src, row.src_name, row.dst, row.clid, row.info, row.uniqueid, row.key]
            assert all(text is None or 0 < len(text) <= 255 for text in texts)
            assert not any(unicodedata.category(c) == "Cc" for text in texts for c in text or "")


MASTER = Path(ringback.__file__).parent / "demo" / "data" / "Master.csv"


def test_a_real_asterisks_file() -> None:
    with MASTER.open("rb") as file:
        rows = list(parse(file, GB))
    assert rows
    assert [row for row in rows if not isinstance(row, CallRow) or row.warnings] == []
