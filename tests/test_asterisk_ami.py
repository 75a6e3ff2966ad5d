"""The manager interface's language: bytes into messages, actions into bytes that hold no second action."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.calls import events
from ringback.connectors.asterisk import ami
from ringback.connectors.asterisk.ami import Decoder, TooLong
from ringback.connectors.asterisk.events import Translator

RECORDED = Path(__file__).parent / "ledger/ami"
BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def heard(data: bytes) -> list[ami.Message]:
    return Decoder().feed(BANNER + data)


def test_messages_and_the_banner() -> None:
    decoder = Decoder()
    found = decoder.feed(
        BANNER + b"Response: Success\r\nMessage: Authentication accepted\r\n\r\nEvent: FullyBooted\r\n\r\n"
    )
    assert decoder.banner == "Asterisk Call Manager/11.0.0"
    assert found == [{"Response": "Success", "Message": "Authentication accepted"}, {"Event": "FullyBooted"}]


@given(st.lists(st.integers(0, 400), max_size=30))
def test_bytes_come_in_any_portions(cuts: list[int]) -> None:
    data = BANNER + "Event: Newchannel\r\nCallerIDName: Żółć ünïcode 🐙\r\nX:\r\n\r\nEvent: Hangup\r\n\r\n".encode()
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    decoder = Decoder()
    found = [each for a, b in pairwise(places) for each in decoder.feed(data[a:b])]
    assert found == [{"Event": "Newchannel", "CallerIDName": "Żółć ünïcode 🐙", "X": ""}, {"Event": "Hangup"}]


def test_what_comes_repeatedly_is_kept() -> None:
    (found,) = heard(b"Response: Success\r\nOutput: one\r\nOutput: two: three\r\n\r\n")
    assert found["Output"] == "one\ntwo: three"
    (found,) = heard((b"Uniqueid: " + b"x" * 1_000 + b"\r\n") * 1_000 + b"\r\n")
    assert len(found["Uniqueid"]) == ami.VALUE_LIMIT


@pytest.mark.parametrize("data", [b"\xff\xfe\r\n\r\n", b"no colon\r\n\r\n", b":\r\n\r\n", b"\0: \0\r\n\r\n"])
def test_rubbish_is_a_message_that_says_nothing(data: bytes) -> None:
    (found,) = heard(data)
    assert Translator().events(found, 0) == []


def test_a_message_without_end_is_given_up() -> None:
    decoder = Decoder()
    decoder.feed(BANNER)
    for _ in range(1_024):
        decoder.feed(b"x" * 1_024)
    with pytest.raises(TooLong):
        decoder.feed(b"x")


def test_a_banner_without_end_too() -> None:
    with pytest.raises(TooLong):
        Decoder().feed(b"x" * 2_000)


def test_a_long_message_that_comes_byte_by_byte_takes_no_time() -> None:
    decoder = Decoder()
    decoder.feed(BANNER + b"X: ")
    for _ in range(200_000):
        decoder.feed(b"x")
    assert decoder.feed(b"\r\n\r\n") == [{"X": "x" * ami.VALUE_LIMIT}]


def test_an_action() -> None:
    assert ami.action("Ping", [("ActionID", "7")]) == b"Action: Ping\r\nActionID: 7\r\n\r\n"


@pytest.mark.parametrize(
    "value",
    ["a\r\nAction: Command", "a\nb", "a\rb", "a\0b", "x" * 1_100, "\u00e9" * 600],
)
def test_no_value_begins_another_header(value: str) -> None:
    with pytest.raises(ValueError, match="Channel"):
        ami.action("Hangup", [("Channel", value)])


@pytest.mark.parametrize("name", ["", "A B", "A:B", "A\r\nB", "É", "-A"])
def test_nor_does_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        ami.field(name, "x")


@given(st.text(), st.text())
def test_an_action_is_one_action(name: str, value: str) -> None:
    try:
        sent = ami.action("Hangup", [(name, value)])
    except ValueError:  # a half of a surrogate pair is an error of UTF-8, which is one too
        return
    assert sent.count(b"\r\n") == 3
    (found,) = heard(sent)
    assert found["Action"] in {"Hangup", f"Hangup\n{value}"}
    assert b"\0" not in sent


def translated(scene: str) -> list[events.Event]:
    translator = Translator()
    messages = heard((RECORDED / f"{scene}.txt").read_bytes())
    return [event for message in messages for event in translator.events(message, 0)]


def test_what_a_real_asterisk_told() -> None:
    found = [type(event.fact).__name__ for event in translated("hung_up_on_hold")]
    assert {"Started", "Ringing", "Dialled", "Answered", "BridgeEntered", "Held", "PartyHungUp", "HungUp"} <= set(found)
    assert min(event.at_us for event in translated("hung_up_on_hold")) > 1_795_000_000_000_000


def booted(at: str, uptime: str) -> ami.Message:
    return {"Event": "FullyBooted", "Timestamp": at, "Uptime": uptime}


def test_a_restart_is_seen_at_the_next_login() -> None:
    """Its clock may be another one than ours."""
    translator, login_us = Translator(), 1_795_349_000_000_000
    assert translator.events(booted("1795345000.000000", "100"), login_us) == []
    assert translator.events(booted("1795345900.500000", "1000"), login_us + 900_500_000) == []  # the same one
    (restarted,) = translator.events(booted("1795346000.000000", "2"), login_us + 904_000_000)
    assert (restarted.fact, restarted.at_us) == (events.Restarted(), 1_795_345_998_000_000)
    assert translator.events(booted("1795346100.000000", "102"), login_us + 1_004_000_000) == []
    for torn in (booted("1795346300.000000", "x"), {"Event": "FullyBooted"}):
        assert translator.events(torn, login_us + 1_204_000_000) == []


def test_a_restart_between_two_processes_is_seen_by_when_the_first_one_saw_it_last() -> None:
    now_us = 1_795_346_000_000_000
    for up_s, is_new in ((20, True), (11, True), (10, False), (0, False)):
        found = Translator(now_us - up_s * 1_000_000).events(booted("1795349999.000000", "9"), now_us)
        assert bool(found) is is_new
    assert Translator(0).events(booted("1795346000.000000", "9"), now_us) == []


def test_an_asterisk_that_does_not_stamp_its_events() -> None:
    message = {"Event": "Hold", "Uniqueid": "1.1", "Linkedid": "1.1", "Channel": "PJSIP/101-00000001"}
    assert Translator().events(message, 17) == [events.Event(17, "1.1", "1.1", "PJSIP/101-00000001", events.Held())]


CHANNEL = {"Uniqueid": "1.1", "Linkedid": "1.1", "Channel": "PJSIP/101-00000001"}


def facts(event: str, **fields: str) -> list[events.Fact]:
    return [each.fact for each in Translator().events({"Event": event, **CHANNEL, **fields}, 0)]


def test_a_phone_that_forwards_ends_its_dialling_by_it() -> None:
    found = facts("DialEnd", DestUniqueid="1.2", DestCallerIDNum="110", DialStatus="CANCEL", Forward="102@internal")
    assert found == [events.DialEnded("1.2", "CANCEL"), events.Forwarded("102", "110")]


def test_an_answer_says_who_answered() -> None:
    assert facts("Newstate", ChannelStateDesc="Ringing", CallerIDNum="101") == [events.Ringing()]
    found = facts("Newstate", ChannelStateDesc="Up", CallerIDNum="101", CallerIDName="Ann")
    assert found == [events.Identified("101", "Ann"), events.Answered()]


def test_who_hung_up_is_the_channel_that_asked_for_it() -> None:
    """The halves of a Local channel only pass it on."""
    assert facts("HangupRequest", Cause="16") == [events.PartyHungUp()]
    assert facts("HangupRequest", Cause="16", Channel="Local/101@internal-00000001;2") == []
    assert facts("SoftHangupRequest", Cause="16") == []
    assert facts("Hangup", Cause="17") == [events.HungUp(17)]
    assert facts("Hangup", Cause="4294967295") == [events.HungUp(0)]


def test_what_cel_says_beside_it_is_not_taken_twice() -> None:
    assert facts("CEL", EventName="HANGUP", UniqueID="1.1", LinkedID="1.1") == []


@pytest.mark.parametrize(("result", "is_one"), [("Success", True), ("Fail", False)])
def test_a_transfer_that_failed_is_none(result: str, is_one: bool) -> None:
    ends = {"TransfererUniqueid": "1.2", "TransfererLinkedid": "1.1", "TransfereeUniqueid": "1.1"}
    blind = {"Event": "BlindTransfer", "Result": result, "Extension": "102", "Context": "internal", **ends}
    found = [(each.channel, each.fact) for each in Translator().events(blind, 0)]
    assert found == ([("1.2", events.BlindTransferred("102", "internal", "1.1"))] if is_one else [])
    ends = {"OrigTransfererUniqueid": "1.2", "SecondTransfererUniqueid": "1.3", "TransfereeUniqueid": "1.1"}
    attended = {"Event": "AttendedTransfer", "Result": result, **ends, "TransferTargetUniqueid": "1.4"}
    found = [(each.channel, each.fact) for each in Translator().events(attended, 0)]
    assert found == ([("1.2", events.AttendedTransferred("1.3", "1.1", "1.4"))] if is_one else [])
