"""What CoreShowChannels says of channels that nobody has heard of becomes events."""

import pytest

from ringback.calls import events
from ringback.calls.ledger.state import Call, Leg
from ringback.connectors.asterisk import snapshot


def channel(serial: str, duration: str = "00:00:03") -> dict[str, str]:
    return {
        "Uniqueid": f"1795341600.{serial}",
        "Channel": f"PJSIP/1-{serial}",
        "Duration": duration,
        "CallerIDNum": "1",
    }


@pytest.mark.parametrize(
    ("told", "order"),
    [
        pytest.param([channel("9"), channel("10"), channel("2")], ["2", "9", "10"], id="same second"),
        pytest.param([channel("1"), channel("3", "00:01:00")], ["3", "1"], id="the longer one first"),
        pytest.param([channel("x"), channel("1"), channel("9" * 5000)], ["x", "9" * 5000, "1"], id="no serial number"),
    ],
)
def test_who_called_comes_before_those_who_were_called(told: list[dict[str, str]], order: list[str]) -> None:
    found = [event.channel.partition(".")[2] for event in snapshot.unknown(told, {}, 1_795_341_700_000_000)]
    assert found == order


@pytest.mark.parametrize(("linked", "dials"), [("1795341600.1", True), ("1795341600.0", False)])
def test_who_was_rung_by_an_order_and_has_answered_meanwhile_calls_somebody(linked: str, dials: bool) -> None:
    """So that one who is up alone behind a busy line is not taken for one who talks. A channel that another one calls does not."""
    told = {**channel("1"), "Linkedid": linked, "ChannelStateDesc": "Up", "Application": "Dial", "Exten": "07400123456"}
    leg = Leg(told["Uniqueid"], told["Channel"], linked, 0, 1, Call(linked, linked, 1), is_called=True)
    found = [event.fact for event in snapshot.news([told], {leg.id: leg}, (), 1_795_341_700_000_000)]
    assert any(isinstance(fact, events.ApplicationEntered) for fact in found) is dials
    assert any(isinstance(fact, events.Answered) for fact in found)
