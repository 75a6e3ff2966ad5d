"""Legs as FreeSWITCH writes them beside the rows that they are."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.importers import freeswitch_json
from ringback.importers.call_rows import CallRow
from ringback.importers.freeswitch_rows import Reader, endpoint_of
from ringback.importers.importer import Options
from tests.importers import freeswitch

GB = Options(country="GB", time_zone="Europe/London")
VARIABLES = ("uuid", "direction", "signal_bond", "start_epoch", "end_epoch", "duration", "hangup_cause", "start_stamp")


def read(leg: dict[str, Any], options: Options = GB) -> CallRow | str:
    return Reader(options).row(1, {name: str(value) for name, value in leg.items()})


def row(document: dict[str, Any], options: Options = GB) -> CallRow:
    leg, lossy = freeswitch_json.document(json.dumps(document).encode())
    found = Reader(options).row(1, leg, lossy=lossy)
    assert isinstance(found, CallRow), found
    return found


def test_a_whole_first_leg() -> None:
    found = row(freeswitch.document(user_name="101", bridge_uuid=freeswitch.B))
    assert found == CallRow(
        line_no=1,
        key=freeswitch.A,
        uniqueid=freeswitch.A,
        linked_id=None,
        started_at=freeswitch.START,
        answered_at=freeswitch.START + 5,
        ended_at=freeswitch.START + 60,
        duration_s=60,
        billsec=55,
        src="101",
        src_name="Caller 101",
        dst="442079460000",
        clid='"Caller 101" <101>',
        src_endpoint="101",
        dst_endpoint=None,
        disposition="CONNECTED",
        t_cause="Normal Clearing",
        context="PSTN_CALL",
        human=True,
        info=None,
        warnings=(),
        src_ua="Twinkle/1.10.2",
        src_codec="PCMA",
    )


def test_values_say_the_same_encoded_or_not() -> None:
    plain = freeswitch.document(encoded=False, sip_user_agent="50%25 Phone", last_arg="x y")
    assert row(plain).src_ua == "50%25 Phone"
    assert row(freeswitch.document(encoded=True)) == row(freeswitch.document(encoded=False))


def test_a_second_leg_names_the_first_and_tells_of_the_far_end() -> None:
    found = row(freeswitch.second(called="103"))
    assert (found.uniqueid, found.linked_id, found.second_leg) == (freeswitch.B, freeswitch.A, True)
    assert (found.src_endpoint, found.dst_endpoint) == ("101", "103")
    assert (found.src_ua, found.dst_ua, found.dst_codec) == (None, "Twinkle/1.10.2", "PCMA")
    assert found.repeats
    assert not row(freeswitch.second(called="07700900123", dialled="600")).repeats


@pytest.mark.parametrize(
    ("link", "repeats"), [("originating_leg_uuid", True), ("originator", True), ("signal_bond", False)]
)
def test_a_far_leg_that_does_not_say_what_was_dialled_is_not_charged_again(link: str, repeats: bool) -> None:
    document = freeswitch.document(freeswitch.B, direction="outbound", last_app=None)
    document["variables"][link] = freeswitch.A
    found = row(document)
    assert (found.linked_id, found.second_leg, found.repeats) == (freeswitch.A, True, repeats)


def test_before_1_4_callflow_was_an_object() -> None:
    document = freeswitch.document()
    document["callflow"] = document["callflow"][0]
    assert row(document).dst == "442079460000"


# answer | progress | cause | q850 | last app, argument | state | cause text | context
OUTCOMES = """
5 | 1 | NORMAL_CLEARING     | 16 | bridge      |              | CONNECTED | Normal Clearing     | PSTN_CALL
0 | 1 | NO_ANSWER           | 19 | bridge      |              | RINGING   | No answer           | PSTN_CALL
0 | 1 | ORIGINATOR_CANCEL   | 16 | bridge      |              | RINGING   | Normal Clearing     | PSTN_CALL
0 | 1 | USER_BUSY           | 17 | bridge      |              | INITIAL   | User busy           | PSTN_CALL
0 | 0 | USER_BUSY           | 17 | bridge      |              | INITIAL   | User busy           | PSTN_CALL
0 | 1 | CALL_REJECTED       | 21 | bridge      |              | RINGING   | Call Rejected       | PSTN_CALL
0 | 0 | CALL_REJECTED       | 21 | bridge      |              | INITIAL   | Call Rejected       | PSTN_CALL
0 | 0 | UNALLOCATED_NUMBER  | 1  | bridge      |              | INITIAL   | Unallocated number  | PSTN_CALL
0 | 0 | USER_NOT_REGISTERED | 16 | bridge      |              | INITIAL   | Subscriber absent   | PSTN_CALL
0 | 1 | LOSE_RACE           | 16 | bridge      |              | RINGING   | Answered elsewhere  | PSTN_CALL
0 | 0 | SOMETHING_NEW       | 34 | bridge      |              | INITIAL   | Circuit/channel congestion | PSTN_CALL
0 | 0 | SOMETHING_NEW       | x  | bridge      |              | INITIAL   | Normal, unspecified | PSTN_CALL
5 | 0 | NORMAL_CLEARING     | 16 | voicemail   | default x 101 | VM       | Normal Clearing     | VOICEMAIL
5 | 0 | NORMAL_CLEARING     | 16 | voicemail   | check default x | CONNECTED | Normal Clearing  | VOICEMAIL
5 | 0 | NORMAL_CLEARING     | 16 | callcenter  |              | CONNECTED | Normal Clearing     | QUEUE
5 | 0 | NORMAL_CLEARING     | 16 | conference  |              | CONNECTED | Normal Clearing     | CONFERENCE
5 | 0 | NORMAL_CLEARING     | 16 | ivr         |              | CONNECTED | Normal Clearing     | IVR
5 | 0 | NORMAL_CLEARING     | 16 | echo        |              | CONNECTED | Normal Clearing     | TEST_CALL
"""


def table(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in text.strip("\n").splitlines()]


@pytest.mark.parametrize(
    ("answer", "progress", "cause", "q850", "app", "arg", "state", "text", "context"), table(OUTCOMES)
)
def test_outcome(
    answer: str, progress: str, cause: str, q850: str, app: str, arg: str, state: str, text: str, context: str
) -> None:
    def at(seconds: str) -> str:
        return str(freeswitch.START + int(seconds)) if int(seconds) else "0"

    found = row(
        freeswitch.document(
            answer_epoch=at(answer),
            progress_epoch=at(progress),
            billsec="55" if int(answer) else "0",
            hangup_cause=cause,
            hangup_cause_q850=q850,
            last_app=app,
            last_arg=arg,
        )
    )
    assert (found.disposition, found.t_cause, found.context) == (state, text, context)


CHANNELS = """
sofia/internal/1003@10.30.40.77:5070        | 1003
sofia/external/442079460000                 | 442079460000
sofia/gateway/carrier/02079460000           | 02079460000
sofia/internal/sip:1003@10.30.40.77;fs_path=x | 1003
verto.rtc/1003                              | 1003
                                            |
loopback                                    |
"""


@pytest.mark.parametrize(("channel", "endpoint"), table(CHANNELS))
def test_endpoint_of(channel: str, endpoint: str) -> None:
    assert endpoint_of(channel) == (endpoint or None)


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_times_come_from_seconds_microseconds_or_the_clock_on_the_wall() -> None:
    at = {"end_uepoch": f"{freeswitch.START}999999", "destination_number": "1"}
    for told, expected in (
        ({"start_epoch": "1795341590"}, 1795341590),
        ({"start_epoch": "0", "start_uepoch": "1795341590999999"}, 1795341590),
        ({"start_stamp": "2026-07-01 10:00:00"}, utc("2026-07-01 09:00:00")),
        ({}, freeswitch.START),
    ):
        found = read(at | told)
        assert isinstance(found, CallRow)
        assert found.started_at == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start_epoch": "-5"}, "start is no possible time"),
        ({"start_epoch": "soon"}, "start is no possible time"),
        ({"end_epoch": "9" * 16}, "end is no possible time"),
        ({"start_epoch": "", "start_stamp": "2026-02-30 10:00:00"}, "start is no possible time"),
        ({"duration": "long"}, "duration is no number of seconds"),
        ({"billsec": "9" * 12}, "billsec is no number of seconds"),
        ({"start_epoch": "", "end_epoch": ""}, "it has no time"),
    ],
)
def test_what_cannot_be_used(changes: dict[str, str], reason: str) -> None:
    leg = {"uuid": "u", "start_epoch": "1795341600", "end_epoch": "1795341660", "duration": "60", **changes}
    assert read(leg) == reason


def test_what_is_taken_with_a_warning() -> None:
    leg = {"start_epoch": "1795341600", "end_epoch": "1795341500", "duration": "-60", "answer_epoch": "1795341000"}
    found = read(leg)
    assert isinstance(found, CallRow)
    assert (found.duration_s, found.billsec) == (0, 0)
    assert found.warnings == (
        "end before start: taken from the duration",
        "answer outside of the call: moved into it",
        "negative duration taken as 0",
    )


def test_without_a_uuid_a_leg_is_known_by_what_it_says() -> None:
    one, same, other = (read({"start_epoch": "1795341600", "destination_number": to}) for to in ("1", "1", "2"))
    assert isinstance(one, CallRow)
    assert isinstance(same, CallRow)
    assert isinstance(other, CallRow)
    assert one.key == same.key != other.key


@given(st.dictionaries(st.sampled_from(VARIABLES), st.text()))
def test_any_texts_are_read(leg: dict[str, str]) -> None:
    found = read(leg)
    if isinstance(found, CallRow):
        assert found.started_at <= found.ended_at
        assert all(len(text) <= 255 for text in (found.key, found.uniqueid or "", found.dst or ""))


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        freeswitch_json.document(data)


def test_json_bombs_are_refused() -> None:
    for data in (b"[" * 500_000, b'{"variables":' * 50_000, b'{"variables":{"uuid":' + b"[" * 200_000):
        with pytest.raises(ValueError, match=r"nested too deeply|no JSON"):
            freeswitch_json.document(data)
