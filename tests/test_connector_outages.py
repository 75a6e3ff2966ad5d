"""What happened to calls while the connection was away: what the PBX says is up tells it, and the CDR says that it was not seen."""

import json
import re
import time
from typing import Any

import pytest

from ringback.calls.events import Event, Started, Unheard
from ringback.calls.ledger import Ledger, hops
from ringback.connectors.asterisk import snapshot
from ringback.connectors.freeswitch import snapshot as freeswitch
from tests.ami_server import AmiServer
from tests.api import Api
from tests.connected import (
    CALLEE,
    CALLER,
    TOLD,
    UNTIL_TALK,
    Connected,
    calls,
    cdrs,
    connected,
    server,
    transcript,
    until,
    up,
)

__all__ = ["connected", "server"]

UNTIL_ANSWER = next(n for n, text in enumerate(TOLD) if "ChannelStateDesc: Up" in text)
BRIDGE = "b29fd5e3"


def later(text: str, by_s: int) -> str:
    """The same, so many seconds after now."""
    now = int(time.time())
    return re.sub(r"(?<=Timestamp: )\d+", lambda _found: str(now + by_s), text)


def talking() -> list[dict[str, str]]:
    """They talk by now."""
    bridge = next(found[0] for text in TOLD if (found := re.search(rf"{BRIDGE}[0-9a-f-]+", text)))
    caller = {"ChannelStateDesc": "Up", "Application": "Dial", "ApplicationData": "PJSIP/102,30", "Exten": "102"}
    callee = {"ChannelStateDesc": "Up", "Application": "AppDial"}
    return up(
        (CALLER, "PJSIP/101-00000000", json.dumps({**caller, "BridgeId": bridge})),
        (CALLEE, "PJSIP/102-00000001", json.dumps({**callee, "BridgeId": bridge})),
    )


def away(server: AmiServer, answer: list[dict[str, str]]) -> None:
    """The connection is cut, and made again."""
    server.answers["CoreShowChannels"] = answer
    before = len(server.actions("CoreShowChannels"))
    server.drop()
    server.until(lambda: len(server.actions("CoreShowChannels")) > before)


def test_an_answer_that_nobody_heard_is_known_from_then_on(api: Api, server: AmiServer, connected: Connected) -> None:
    connected()
    server.tell(transcript(0, UNTIL_ANSWER))
    live_id = until(lambda: calls(api.admin))[0]["id"]
    away(server, talking())
    live = until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])[0]
    assert (live["id"], live["src"], live["dst"]) == (live_id, "101", "102")
    server.tell(later(transcript(UNTIL_TALK), 60))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["live_id"], cdr["disposition"]) == (live_id, "CONNECTED")
    assert cdr["billsec"] >= 55
    assert cdr["info"] == "incomplete: a part of it was not seen"


def test_it_is_known_to_the_next_process_too(api: Api, server: AmiServer, connected: Connected) -> None:
    first = connected()
    server.tell(transcript(0, UNTIL_ANSWER))
    until(lambda: calls(api.admin))
    away(server, talking())
    until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])
    first.stop()
    connected()
    server.tell(later(transcript(UNTIL_TALK), 60))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["disposition"], cdr["info"]) == ("CONNECTED", "incomplete: a part of it was not seen")


def test_somebody_who_was_called_meanwhile_is_the_callee(api: Api, server: AmiServer, connected: Connected) -> None:
    """Only the caller's channel was there before."""
    connected()
    server.tell(transcript(0, 2))
    until(lambda: calls(api.admin))
    away(server, talking())
    live = until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])
    assert [(row["src"], row["dst"]) for row in live] == [("101", "102")]
    server.tell(later(transcript(UNTIL_TALK), 60))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["src_id"], cdr["dst_id"]) == (str(api.ann.user_id), str(api.bob.user_id))
    assert cdr["info"].startswith("incomplete: ")


def channel(**more: str) -> dict[str, str]:
    return {"Uniqueid": "1.1", "Linkedid": "1.1", "Channel": "PJSIP/101-1", **more}


@pytest.mark.parametrize(
    ("said", "is_heard", "expected"),
    [
        pytest.param({"ChannelStateDesc": "Ring"}, False, [], id="nothing is new"),
        pytest.param({"ChannelStateDesc": "Up"}, True, ["Unheard", "Answered"], id="an answer stays true"),
        pytest.param({"BridgeId": "b"}, False, ["Unheard", "BridgeEntered"], id="a bridge"),
        pytest.param({"BridgeId": "b"}, True, [], id="of a bridge its own events know better"),
        pytest.param({"Application": "Dial"}, False, ["Unheard", "ApplicationEntered"], id="an application"),
        pytest.param({"Application": "Dial"}, True, [], id="of an application, too"),
    ],
)
def test_what_is_new_of_a_channel_that_is_known(said: dict[str, Any], is_heard: bool, expected: list[str]) -> None:
    ledger = Ledger()
    ledger.take(Event(1_000_001, "1.1", "1.1", "PJSIP/101-1", Started("101", "Ann", "102")))
    heard = {"1.1"} if is_heard else set()
    found = list(snapshot.news([channel(**said)], ledger.board.legs, heard, 9_000_001))
    assert [type(each.fact).__name__ for each in found] == expected
    for each in found:
        ledger.take(each)
    assert list(snapshot.news([channel(**said)], ledger.board.legs, heard, 9_500_001)) == []


def test_what_was_not_heard_is_marked_once() -> None:
    ledger = Ledger()
    ledger.take(Event(1_000_001, "1.1", "1.1", "PJSIP/101-1", Started("101", "Ann", "102")))
    for at_us in (2_000_001, 3_000_001):
        ledger.take(Event(at_us, "1.1", "1.1", "PJSIP/101-1", Unheard()))
    (call,) = ledger.board.calls.values()
    assert [hop.info for hop in hops(call)] == ["incomplete: a part of it was not seen"]


def test_of_a_freeswitch_an_answer_is_known_too() -> None:
    ledger = Ledger()
    ledger.take(Event(1_000_001, "u-1", "u-1", "sofia/internal/101@pbx", Started("101", "Ann", "102")))
    for state, expected in (("RINGING", []), ("ACTIVE", ["Unheard", "Answered"]), ("ACTIVE", [])):
        rows = freeswitch.channels(json.dumps({"rows": [{"uuid": "u-1", "callstate": state}]}))
        found = list(freeswitch.news(rows, ledger.board.legs, (), 2_000_001))
        assert [type(each.fact).__name__ for each in found] == expected
        for each in found:
            ledger.take(each)
