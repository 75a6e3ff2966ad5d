"""A dialog whose place another one took says so, in whichever order and lots the two came in."""

from collections.abc import Sequence
from itertools import permutations

import pytest

from ringback.sip.packet import Packet
from tests.api import Api
from tests.collecting import collecting, hep, send_tcp, settled
from tests.packets import from_file
from tests.sip.sip_flows import flow

TALK = """
    0.0   alice > bob    INVITE      1  sdp=sendrecv
    4.5   bob   > alice  200/INVITE  1  sdp=sendrecv
    4.6   alice > bob    ACK         1  to-tag
"""
FIRST = flow(TALK, call_id="first"), flow("20.5 bob > alice BYE 1 to-tag", call_id="first")
TAKES = "20.0 carol > bob INVITE 1 Replaces={};to-tag=8321234356;from-tag=9fxced76sl"
SECOND = flow(TAKES.format("first"), "carol", "second"), flow("20.3 bob > carol 200/INVITE 1", "carol", "second")
LOTS = [*FIRST, *SECOND]


def store(api: Api, customer_id: int, lots: Sequence[Sequence[Packet]]) -> None:
    for packets in lots:
        from_file(api, packets, customer_id)


def cause(api: Api, call_id: str = "first") -> str:
    (found,) = api.admin.listed("/msdrs", ("call_id", "eq", call_id))
    return str(found["t_cause"])


@pytest.mark.parametrize("lots", list(permutations(LOTS)))
def test_live_in_any_order(api: Api, lots: Sequence[Sequence[Packet]]) -> None:
    with collecting(api) as collector:
        for n, packets in enumerate(lots):
            send_tcp(collector, map(hep, packets))
            settled(collector, sum(map(len, lots[: n + 1])))
    assert cause(api) == "Replaced by another call"


@pytest.mark.parametrize(
    "lots",
    [
        [FIRST[0] + FIRST[1], SECOND[0] + SECOND[1]],
        [SECOND[0] + SECOND[1], FIRST[0] + FIRST[1]],
        [FIRST[0] + FIRST[1] + SECOND[0] + SECOND[1], FIRST[0] + flow("21 alice > bob 200/BYE 1", call_id="first")],
    ],
)
def test_from_files_in_any_order(api: Api, lots: Sequence[Sequence[Packet]]) -> None:
    store(api, api.acme, lots)
    assert cause(api) == "Replaced by another call"


def test_only_what_was_answered_near_its_end_replaces(api: Api) -> None:
    refused = flow(TAKES.format("first") + "\n20.3 bob > carol 481/INVITE 1", "carol", "second")
    later = flow(TAKES.format("first").replace("20.0", "80.0") + "\n80.3 bob > carol 200/INVITE 1", "carol", "third")
    store(api, api.acme, [FIRST[0] + FIRST[1], refused, later])
    assert cause(api) == "Normal Clearing"


def test_a_cause_of_its_own_stays(api: Api) -> None:
    lost = flow("20.5 bob > alice BYE 1 to-tag Reason=Q.850;cause=31", call_id="first")
    store(api, api.acme, [FIRST[0] + lost, SECOND[0] + SECOND[1]])
    assert cause(api) == "Normal, unspecified"


def test_dialogs_that_name_each_other_end(api: Api) -> None:
    one = flow(TALK.replace("sdp", "Replaces=second sdp", 1) + "9 bob > alice BYE 1 to-tag", call_id="first")
    two = flow(TALK.replace("sdp", "Replaces=first sdp", 1) + "9 bob > alice BYE 1 to-tag", call_id="second")
    store(api, api.acme, [one, two])
    assert {cause(api, "first"), cause(api, "second")} == {"Replaced by another call"}


def test_another_customer_replaces_nothing(api: Api) -> None:
    store(api, api.stranger.customer_id, [SECOND[0] + SECOND[1]])
    store(api, api.acme, [FIRST[0] + FIRST[1]])
    store(
        api, api.stranger.customer_id, [flow(TAKES.format("first") + "\n20.3 bob > carol 200/INVITE 1", "carol", "x")]
    )
    assert cause(api) == "Normal Clearing"
