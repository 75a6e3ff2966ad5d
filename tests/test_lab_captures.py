"""Calls through a real Asterisk and a real Kamailio, as both reported them by HEP, against what the phones saw."""

import pytest

from ringback.sip.capture import hep
from ringback.sip.packet import is_rtcp
from tests import dpkt_reader, lab_calls
from tests.api import Api
from tests.collecting import collecting, send_tcp, settled
from tests.lab_calls import CAPTURES, KEY, NO_CALL

SOURCES = f"customer={{acme}} key={KEY}"
WRONG = {"unknown_number": {"number-unknown"}, "wrong_password": {"authentication-rejected"}}
SHORT = "call-short"  # which many of them are


def frames(name: str) -> list[bytes]:
    return list(hep.Frames().feed((CAPTURES / f"{name}.hep").read_bytes()))


def replayed(api: Api, *names: str) -> None:
    packets = [each for name in names for each in frames(name)]
    with collecting(api, SOURCES) as collector:
        send_tcp(collector, packets)
        settled(collector, len(packets))
        assert not collector.counts.refused
        assert collector.counts.failed == 0


@pytest.fixture
def everything(api: Api) -> Api:
    """All calls at once, as one server has them."""
    replayed(api, NO_CALL, *lab_calls.names())
    return api


def test_every_leg_has_its_parties_its_times_and_its_cause(everything: Api) -> None:
    legs = [leg for name in lab_calls.names() for leg in lab_calls.expected(name)["legs"]]
    for leg in legs:
        lab_calls.check_leg(everything.admin, leg)
    assert {each["call_id"] for each in everything.admin.listed("/msdrs", limit=100)} == {
        each["call_id"] for each in legs
    }


@pytest.mark.parametrize("name", lab_calls.names())
def test_the_trace_has_each_message_once_and_in_the_order_of_the_phones(api: Api, name: str) -> None:
    replayed(api, name)
    call = lab_calls.expected(name)
    for leg in call["legs"]:
        lab_calls.check_trace(api.admin, leg, [leg["call_id"]], call["messages"])


@pytest.mark.parametrize("name", lab_calls.names())
def test_the_capture_file_gives_back_what_was_reported(api: Api, name: str) -> None:
    replayed(api, name)
    call = lab_calls.expected(name)
    reported = {(each.at_us, each.payload) for each in (hep.read(frame, 0).packet for frame in frames(name))}
    for leg in call["legs"]:
        file = lab_calls.check_pcap(api.admin, leg, call["messages"])
        read = {(each.at_us, each.payload) for each in dpkt_reader.messages(file) if not is_rtcp(each.payload)}
        assert read <= reported


@pytest.mark.parametrize("name", [name for name in lab_calls.names() if len(lab_calls.expected(name)["legs"]) > 1])
def test_from_any_leg_the_trace_has_the_whole_call(everything: Api, name: str) -> None:
    call = lab_calls.expected(name)
    for leg in call["legs"]:
        lab_calls.check_trace(everything.admin, leg, [each["call_id"] for each in call["legs"]], call["messages"])


def test_no_trace_has_messages_of_another_call(everything: Api) -> None:
    calls = {name: lab_calls.expected(name) for name in lab_calls.names()}
    messages = [(name, each) for name, call in calls.items() for each in call["messages"]]
    for name, call in calls.items():
        for leg in call["legs"]:
            lab_calls.check_alone(everything.admin, leg, name, messages)


def test_the_diagnosis_tells_what_is_wrong_and_nothing_else(everything: Api) -> None:
    for name in lab_calls.names():
        for leg in lab_calls.expected(name)["legs"]:
            answer = everything.admin.get(f"/msdrs/{lab_calls.msdr(everything.admin, leg['call_id'])['id']}/diagnosis")
            assert {each["code"] for each in answer.data} - {SHORT} == WRONG.get(name, set()), name


def test_every_leg_can_be_drawn(everything: Api) -> None:
    for msdr in everything.admin.listed("/msdrs", limit=100):
        for ending in (".svg", ".html"):
            assert everything.admin.get(f"/msdrs/{msdr['id']}{ending}").status == 200
