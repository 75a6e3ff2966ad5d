"""Who holds a call: the same in the state of a session, in the ladder and in the diagnosis."""

import pytest

from ringback.sip.diagnosis import hold
from ringback.sip.diagnosis.call import Call
from ringback.sip.dialogs import media_sessions
from ringback.sip.holding import Holding
from ringback.sip.ladder import ladder
from ringback.sip.message import scan
from ringback.sip.packet import Packet

from .sip_flows import PEOPLE, flow
from .test_sip_dialogs import ANSWERED, HOLD, RESUME

REFUSED = "10.0 bob > alice INVITE 5 to-tag sdp=sendonly\n10.1 alice > bob 491/INVITE 5\n10.2 bob > alice ACK 5 to-tag"
UPDATED = "10.0 bob > alice UPDATE 5 to-tag sdp=inactive\n10.1 alice > bob 200/UPDATE 5 sdp=inactive"
BY_ANSWER = "10.0 bob > alice INVITE 5 to-tag sdp=sendrecv\n10.1 alice > bob 200/INVITE 5 sdp=sendonly"
BY_ACK = """
    10.0  bob   > alice  INVITE      5  to-tag
    10.1  alice > bob    200/INVITE  5  sdp=sendrecv
    10.2  bob   > alice  ACK         5  to-tag  sdp=sendonly
"""
OFFERED_LATE = BY_ACK.replace("sendrecv", "sendonly", 1).replace("sdp=sendonly\n    10.2", "sdp=sendonly\n    10.2")
OTHER_TOO = """
    11.0  alice > bob    INVITE      2  to-tag  sdp=inactive
    11.1  bob   > alice  200/INVITE  2  sdp=inactive
"""
OTHER_NO_MORE = "12.0 alice > bob INVITE 3 to-tag sdp=recvonly\n12.1 bob > alice 200/INVITE 3 sdp=sendonly"
PAGING = ANSWERED.replace("sdp=sendrecv", "sdp=sendonly", 1).replace("sdp=sendrecv", "sdp=recvonly")
LATE_COPY = "21 bob > alice INVITE 5 to-tag sdp=sendonly\n21.1 alice > bob 200/INVITE 5 sdp=recvonly"


@pytest.mark.parametrize(
    ("table", "held"),
    [
        (ANSWERED, ""),
        (PAGING, ""),
        (ANSWERED + HOLD, "bob"),
        (ANSWERED + HOLD + RESUME, ""),
        (ANSWERED + HOLD + RESUME + LATE_COPY, ""),
        (ANSWERED + REFUSED, ""),
        (ANSWERED + UPDATED, "bob"),
        (ANSWERED + BY_ANSWER, "alice"),
        (ANSWERED + BY_ACK, "bob"),
        (ANSWERED + OFFERED_LATE.replace("ACK         5  to-tag  sdp=sendonly", "ACK 5 to-tag sdp=recvonly"), "alice"),
        (ANSWERED + HOLD + OTHER_TOO, "alice bob"),
        (ANSWERED + HOLD + OTHER_TOO + OTHER_NO_MORE, "bob"),
        (ANSWERED + HOLD + OTHER_TOO + OTHER_NO_MORE + RESUME, ""),
        (ANSWERED + HOLD.splitlines()[1], ""),  # nobody has answered
    ],
)
def test_one_rule(table: str, held: str) -> None:
    packets = flow(table)
    assert _told(packets) == held.split()
    (session,) = media_sessions(packets)
    assert session.status == ("ON_HOLD" if held else "CONNECTED")
    (leg,) = Call(packets).calls
    open_holds = [each for each in hold.holds(leg) if each.end is None]
    assert sorted(_name(each.begin.packet) for each in open_holds) == held.split()
    drawing = ladder(packets)
    names = [_name(drawing.steps[each.first].packets[0]) for each in drawing.holds if each.last is None]
    assert sorted(names) == held.split()


def test_a_hold_that_a_proxy_passes_on_is_one() -> None:
    *begin, asks, answers, _ = flow(ANSWERED + HOLD)
    packets = [*begin, asks, _forwarded(asks), _forwarded(answers)._replace(at_us=answers.at_us - 1), answers]
    (leg,) = Call(packets).calls
    assert len(hold.holds(leg)) == 1
    drawing = ladder(packets)
    assert [each.change for each in drawing.steps][5:] == ["hold", "hold", "", ""]
    assert len(drawing.holds) == 1
    (session,) = media_sessions(packets)
    assert session.status == "ON_HOLD"


def _forwarded(packet: Packet) -> Packet:
    """The same on another hop, a moment later."""
    payload = packet.payload.replace(b"branch=z9hG4bK", b"branch=z9hG4bKother")
    return packet._replace(src=PEOPLE["proxy"].end, payload=payload, at_us=packet.at_us + 1)


def _name(packet: Packet) -> str:
    return {"192.0.2.101": "alice", "192.0.2.201": "bob"}[packet.src.ip]


def _told(packets: list[Packet]) -> list[str]:
    holding: Holding[Packet] = Holding()
    held: set[str] = set()
    for packet in packets:
        for change in holding.heard(scan(packet.payload), packet):
            (held.add if change.is_held else held.remove)(_name(change.mark))
    return sorted(held)
