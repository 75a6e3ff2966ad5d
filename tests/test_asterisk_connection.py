"""A connected Asterisk: what it tells becomes live calls and CDRs, whatever happens to the connection and to this server."""

import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringback.calls.events import Event
from ringback.calls.ledger import Call, Ledger
from ringback.connectors import connection, link
from ringback.connectors.asterisk import connection as asterisk
from ringback.connectors.asterisk import descriptions, orders
from ringback.connectors.asterisk.connection import Connection
from ringback.connectors.book import Book
from ringback.connectors.orders import Origination
from ringback.connectors.settings import Rule
from ringback.store import cdrs as stored_cdrs
from ringback.store import rows, schema
from tests.ami_server import AmiServer
from tests.api import Api
from tests.connected import (
    BOTH,
    CALLEE,
    CALLER,
    TOLD,
    UNTIL_TALK,
    Connected,
    calls,
    cdrs,
    connected,
    placed,
    server,
    transcript,
    until,
    up,
)

__all__ = ["connected", "server"]
_OF = "Channel: PJSIP/101-000000cc\nCallerIDNum: 101\nContext: internal\nExten: s\nUniqueid: ID\nLinkedid: ID\n"
_TO = "DestChannel: PJSIP/101-000000cc\nDestUniqueid: ID\nDestLinkedid: ID\n"
REFUSED = (
    f"Event: Newchannel\nTimestamp: 1795346244.074636\n{_OF}\n"
    f"Event: DialBegin\nTimestamp: 1795346244.075793\n{_TO}DialString: 101\n\n"
    f"Event: DialEnd\nTimestamp: 1795346244.083306\n{_TO}DialStatus: BUSY\n\n"
    f"Event: Hangup\nTimestamp: 1795346244.083775\n{_OF}Cause: 17\nCause-txt: User busy\n\n"
)
"""What an Asterisk 22 told of an order whose phone answered 486, shortened."""


def test_a_call_is_live_while_it_lasts_and_a_cdr_when_it_is_over(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    connected()
    server.tell(transcript(0, UNTIL_TALK))
    live = until(lambda: [row for row in calls(api.admin) if row["dst_ua"] and row["src_ua"]])[0]
    assert (live["state"], live["src"], live["dst"]) == ("CONNECTED", "101", "102")
    assert (live["src_codec"], live["src_ua"], live["dst_ua"]) == ("ulaw", "Desk phone 1", "Desk phone 2")
    assert live["src_call_id"] == live["dst_call_id"] == "abc@192.0.2.1"
    assert [row["id"] for row in calls(api.ann)] == [row["id"] for row in calls(api.bob)] == [live["id"]]
    assert calls(api.stranger) == []
    server.tell(transcript(UNTIL_TALK))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert cdr["live_id"] == live["id"]
    assert (cdr["type"], cdr["disposition"], cdr["context"], cdr["billsec"]) == ("O", "CONNECTED", "USER_LOCAL", 2)
    assert (cdr["src_id"], cdr["dst_id"]) == (str(api.ann.user_id), str(api.bob.user_id))
    assert (cdr["src_codec"], cdr["dst_ua"], cdr["info"]) == ("ulaw", "Desk phone 2", None)
    until(lambda: not calls(api.admin))


def test_a_channel_that_is_not_found_for_a_moment_is_asked_for_again(
    api: Api, server: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while it takes the place of another one."""
    monkeypatch.setattr(descriptions, "AGAIN_S", 0.05)
    getvar: Any = server.answers["Getvar"]
    asked = Counter[str]()

    def absent_at_first(fields: Any) -> Any:
        name = fields["Channel"] + fields["Variable"]
        asked[name] += 1
        return getvar(fields) if asked[name] > 1 else [{"Response": "Error", "Message": "No such channel"}]

    server.answers["Getvar"] = absent_at_first
    connected()
    server.tell(transcript(0, UNTIL_TALK))
    until(lambda: [row["src_call_id"] for row in calls(api.admin)] == ["abc@192.0.2.1"])


def test_told_twice_it_is_there_once(api: Api, server: AmiServer, connected: Connected) -> None:
    connected()
    server.tell(transcript() + transcript())
    until(lambda: cdrs(api.admin))
    server.tell(transcript())
    until(lambda: not calls(api.admin))
    assert len(cdrs(api.admin)) == 1


def test_a_call_that_ended_while_the_connection_was_away_is_closed_and_marked(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    connected()
    server.tell(transcript(0, UNTIL_TALK))
    until(lambda: calls(api.admin))
    server.drop()
    (cdr,) = until(lambda: cdrs(api.admin))
    assert "its end was not seen" in cdr["info"]
    assert calls(api.admin) == []


def test_a_call_that_goes_on_meanwhile_is_complete(api: Api, server: AmiServer, connected: Connected) -> None:
    connection = connected()
    server.tell(transcript(0, UNTIL_TALK))
    live_id = until(lambda: calls(api.admin))[0]["id"]
    server.answers["CoreShowChannels"] = BOTH
    before = len(server.actions("CoreShowChannels"))
    server.drop()
    server.until(lambda: len(server.actions("CoreShowChannels")) > before)
    until(lambda: connection.link.session)
    assert until(lambda: calls(api.admin))[0]["id"] == live_id
    server.tell(transcript(UNTIL_TALK))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["live_id"], cdr["billsec"], cdr["info"]) == (live_id, 2, None)


def test_what_an_earlier_process_heard_is_not_lost(api: Api, server: AmiServer, connected: Connected) -> None:
    first = connected()
    server.tell(transcript(0, UNTIL_TALK))
    live_id = until(lambda: calls(api.admin))[0]["id"]
    first.stop()
    assert (calls(api.admin), cdrs(api.admin)) == ([], [])
    server.answers["CoreShowChannels"] = BOTH
    connected()
    assert until(lambda: calls(api.admin))[0]["id"] == live_id
    server.tell(transcript(UNTIL_TALK))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["billsec"], cdr["info"]) == (2, None)


def test_calls_that_a_restart_of_asterisk_ended_say_so(
    api: Api, server: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen by the same process, and by the one after it."""
    first = connected()
    monkeypatch.setattr(link, "FIRST_S", 2.4)  # its seconds are whole ones
    server.tell(transcript(0, UNTIL_TALK))
    until(lambda: calls(api.admin))
    server.booted["Uptime"] = "0"
    server.drop()
    (cdr,) = until(lambda: cdrs(api.admin))
    assert "the PBX was restarted" in cdr["info"]
    server.until(lambda: len(server.actions("CoreShowChannels")) == 4)  # twice a connection: for calls, for callbacks
    server.tell(transcript(0, UNTIL_TALK).replace("1795347869.", "1795347999."))
    until(lambda: calls(api.admin))
    first.stop()
    path = Path(api.services.settings.data_dir) / "connectors/office.journal"
    os.utime(path, (time.time() - 9, time.time() - 9))
    connected()
    again = until(lambda: [each for each in cdrs(api.admin) if each["id"] != cdr["id"]])[0]
    assert "the PBX was restarted" in again["info"]


def test_what_was_stored_and_deleted_does_not_come_back(api: Api, server: AmiServer, connected: Connected) -> None:
    first = connected()
    server.tell(transcript())
    (cdr,) = until(lambda: cdrs(api.admin))
    first.stop()
    api.services.database.write(lambda db: stored_cdrs.delete(db, api.acme, [cdr["id"]]))
    connected().stop()
    assert cdrs(api.admin) == []


def test_a_call_that_nobody_saw_begin_is_taken_up_and_marked(api: Api, server: AmiServer, connected: Connected) -> None:
    ann = {"CallerIDNum": "101", "ChannelStateDesc": "Up", "Application": "Dial", "Exten": "102", "BridgeId": "b"}
    bob = {"CallerIDNum": "102", "ChannelStateDesc": "Up", "Application": "AppDial", "BridgeId": "b"}
    server.answers["CoreShowChannels"] = up(
        (CALLEE, "PJSIP/102-00000001", json.dumps({**bob, "Duration": "00:00:09"})),
        (CALLER, "PJSIP/101-00000000", json.dumps({**ann, "Duration": "00:00:10"})),
    )
    connected()
    live = until(lambda: calls(api.admin))[0]
    assert (live["src"], live["dst"], live["state"]) == ("101", "102", "CONNECTED")
    server.tell(transcript(UNTIL_TALK))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert "its beginning was not seen" in cdr["info"]


def test_rules_say_whose_a_call_is(api: Api, server: AmiServer, connected: Connected) -> None:
    connected(customer=None, rules=(Rule(api.other, context="elsewhere"), Rule(api.acme, context="internal")))
    server.tell(transcript())
    until(lambda: cdrs(api.admin))
    assert cdrs(api.stranger) == []


def test_what_stands_before_an_extension_is_no_part_of_it(api: Api, server: AmiServer, connected: Connected) -> None:
    connected(customer=api.other, rules=(Rule(api.acme, endpoint="acme-"),))
    server.tell(transcript().replace("PJSIP/10", "PJSIP/acme-10"))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["src_id"], cdr["dst_id"]) == (str(api.ann.user_id), str(api.bob.user_id))
    assert cdrs(api.stranger) == []


def test_names_of_an_attacker_are_texts(api: Api, server: AmiServer, connected: Connected) -> None:
    connected()
    evil = "<script>=cmd()" + "x" * 5_000
    server.tell(transcript().replace(": Ann\n", f": {evil}\n"))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert cdr["clid"].startswith('"<script>')
    assert len(cdr["clid"]) <= 255


def test_captured_signalling_is_of_the_call_whose_call_id_it_has(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    connected()
    server.tell(transcript(0, UNTIL_TALK))
    until(lambda: [row for row in calls(api.admin) if row["src_ua"]])
    leg = {"call_id": "abc@192.0.2.1", "created_at": 1, "duration": 0}
    api.services.database.write(lambda db: rows.insert(db, schema.msdrs, api.acme, [leg]))
    server.tell(transcript(UNTIL_TALK))
    (cdr,) = until(lambda: cdrs(api.admin))
    sql = "SELECT cdr_id FROM msdrs WHERE customer_id = :customer"
    until(lambda: api.services.database.read(lambda db: db.all(sql, {"customer": api.acme})) == [(cdr["id"],)])


def test_a_call_that_cannot_be_stored_keeps_no_other_one_back(
    api: Api, server: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Book._put

    def refusing(book: Book, customer_id: int, lot: list[Call]) -> None:
        if any(call.id == CALLER for call in lot):
            raise ValueError("not this one")
        put(book, customer_id, lot)

    monkeypatch.setattr(Book, "_put", refusing)
    connected()
    server.tell(transcript() + transcript().replace("1795347869.", "1795347870."))
    until(lambda: cdrs(api.admin) and not calls(api.admin))
    assert len(cdrs(api.admin)) == 1


def test_an_event_that_is_not_understood_keeps_no_other_one_back(
    api: Api, server: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as it comes nor when the next process reads it in the journal."""
    take = Ledger.take

    def stumbling(ledger: Ledger, event: Event) -> list[Call]:
        if event.channel == CALLER:
            raise KeyError("not this one")
        return take(ledger, event)

    monkeypatch.setattr(Ledger, "take", stumbling)
    first = connected()
    server.tell(transcript(0, UNTIL_TALK) + _another(0, UNTIL_TALK))
    until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])
    first.stop()
    server.answers["CoreShowChannels"] = [
        {name: text.replace("869.", "870.") for name, text in each.items()} for each in BOTH
    ]
    connected()
    until(lambda: calls(api.admin))
    server.tell(_another(UNTIL_TALK))
    until(lambda: [row["billsec"] for row in cdrs(api.admin) if row["src"] == "101"] == [2])


def _another(first: int, last: int | None = None) -> str:
    """The same call a second later."""
    return transcript(first, last).replace("1795347869.", "1795347870.")


def test_a_nul_in_a_name_is_no_trouble(api: Api, server: AmiServer, connected: Connected) -> None:
    connected()
    server.tell(transcript().replace(": Ann\n", ": An\0n\n"))
    until(lambda: cdrs(api.admin) and not calls(api.admin))


# -- orders


def test_a_phone_that_is_not_registered_is_told_at_once(api: Api, server: AmiServer, connected: Connected) -> None:
    connected()
    began = time.monotonic()
    answer = api.bob.post("/calls", {"to": "101"})
    assert (answer.status, time.monotonic() - began < 2) == (412, True)
    assert server.actions("Originate") == []


def test_an_order_rings_the_callers_own_phone_first(api: Api, server: AmiServer, connected: Connected) -> None:
    connected()
    placed(server)
    answer = api.ann.call("POST", "/calls", {"to": "102"}, headers={"Idempotency-Key": "one"})
    assert (answer.status, answer.data["src"]) == (201, "101")
    (order,) = server.actions("Originate")
    assert (order["Channel"], order["Context"], order["Exten"]) == ("PJSIP/101", "internal", "102")
    again = api.ann.call("POST", "/calls", {"to": "102"}, headers={"Idempotency-Key": "one"})
    assert (again.status, again.data["id"]) == (201, answer.data["id"])
    other = api.ann.call("POST", "/calls", {"to": "103"}, headers={"Idempotency-Key": "one"})
    assert (other.status, other.fields) == (400, ["Idempotency-Key"])
    assert len(server.actions("Originate")) == 1


def _ordered(api: Api, key: str, to: str = "102") -> Any:
    return api.ann.call("POST", "/calls", {"to": to}, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("how", ["lost", "not shown"])
def test_an_order_that_may_have_been_carried_out_is_not_carried_out_again(
    api: Api, server: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(connection, "SHOWN_S", 0.2)
    made = connected()

    def lost(_fields: Any) -> Any:
        server.drop()
        return []

    server.answers["Originate"] = lost if how == "lost" else [{"Response": "Success"}]
    with ThreadPoolExecutor(6) as pool:
        found = [(each.status, each.json["message"]) for each in pool.map(lambda _: _ordered(api, "one"), range(12))]
    assert (len(set(found)), found[0][0], len(server.actions("Originate"))) == (1, 503, 1)
    until(lambda: made.is_connected)
    assert _ordered(api, "one").json["message"] == found[0][1]
    assert len(server.actions("Originate")) == 1


def test_what_was_refused_is_ordered_again_and_not_remembered(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    connected()
    assert [_ordered(api, "one", to).status for to in ("nobody", "102")] == [400, 503]
    placed(server)
    assert _ordered(api, "two").status == 201
    assert _ordered(api, "x" * 256).fields == ["Idempotency-Key"]
    for number in range(50):
        assert _ordered(api, f"wrong {number}", "nobody").status == 400
    assert len(api.services.desk._orders) == 2


def test_a_callback_shows_the_visitor_no_name_of_the_phone(api: Api, server: AmiServer, connected: Connected) -> None:
    connection = connected()
    server.answers["Originate"] = [{"Response": "Success"}]
    order = Origination(
        api.admin.customer_id, "101", True, "02079460999", "442079460101", channel_id="ringback-callback-1"
    )
    for each in (order, order._replace(channel_id="")):
        orders.originate(connection.link.online(), each, connection.connector, "ringback-1")
    shown = [each["CallerID"] for each in server.actions("Originate")]
    assert shown == ['"442079460101" <442079460101>', "<442079460101>"]


def test_an_order_whose_phone_is_busy_is_told_when_its_channel_has_ended(
    api: Api, server: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SHOWN_S", 60.0)

    def originate(fields: Any) -> Any:
        server.tell(REFUSED.replace("ID", fields["ChannelId"]))
        return [{"Response": "Success"}]

    connected()
    server.answers["Originate"] = originate
    answer = api.ann.post("/calls", {"to": "102"})
    assert (answer.status, answer.json["message"]) == (503, "The PBX has taken the order, and no call came of it.")
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["disposition"], cdr["t_cause"], cdr["billsec"]) == ("INITIAL", "User busy", 0)


def test_an_order_that_comes_to_nothing_is_told(
    api: Api, server: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SHOWN_S", 0.2)
    connected()
    assert api.ann.post("/calls", {"to": "102"}).status == 503
    server.answers["Originate"] = [{"Response": "Error", "Message": "Permission denied"}]
    answer = api.ann.post("/calls", {"to": "102"})
    assert (answer.status, answer.json["message"]) == (503, "The PBX does not do it: Permission denied.")


def test_a_call_is_transferred_and_hung_up_by_its_channels(api: Api, server: AmiServer, connected: Connected) -> None:
    connected()
    server.tell(transcript(0, UNTIL_TALK))
    live = until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])[0]
    assert api.ann.patch(f"/calls/{live['id']}", {"dst": "103"}).status == 200
    (order,) = server.actions("BlindTransfer")
    assert (order["Channel"], order["Context"], order["Exten"]) == ("PJSIP/101-00000000", "internal", "103")
    assert api.bob.patch(f"/calls/{live['id']}", {"dst": "103"}).status == 200
    assert server.actions("BlindTransfer")[-1]["Channel"] == "PJSIP/102-00000001"
    assert api.stranger.delete(f"/calls/{live['id']}").status == 404
    assert api.ann.delete(f"/calls/{live['id']}").status == 204
    assert [each["Channel"] for each in server.actions("Hangup")] == ["PJSIP/102-00000001", "PJSIP/101-00000000"]


@pytest.mark.parametrize(
    "number", ["102\r\nAction: Command\r\nCommand: core stop now", "1&2", "../1", "${SHELL(id)}", "1,2"]
)
def test_no_order_carries_a_command(api: Api, server: AmiServer, connected: Connected, number: str) -> None:
    connected()
    before = len(server.got)
    assert api.ann.post("/calls", {"to": number}).status == 400
    assert api.ann.post("/webcalls", {"from": number, "to": "102"}).status == 400
    orders = {"Originate", "Command", "Redirect", "BlindTransfer", "Hangup"}  # parts ask at the beginning, too
    assert orders.isdisjoint(each["Action"] for each in server.got[before:])


def test_a_login_that_may_do_nothing_is_one_line_and_tries_again(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    connection = connected()
    given = server.answers["CoreSettings"]
    server.answers["CoreSettings"] = [{"Response": "Error", "Message": "Permission denied"}]
    server.drop()
    until(lambda: "Permission denied: `ringback doctor asterisk office` says" in connection.link.trouble)
    assert api.ann.get("/calls").status == 200
    server.answers["CoreSettings"] = given
    until(lambda: connection.link.session)


@pytest.fixture
def booting(server: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """Of an Asterisk that was there, and is beginning now."""
    connection = connected()
    monkeypatch.setattr(asterisk, "BOOTED_S", 1_000.0)
    server.booted.clear()
    filters = len(server.actions("Filter"))
    server.drop()
    server.until(lambda: len(server.actions("Filter")) >= filters + len(asterisk.UNNEEDED))
    return connection


def test_an_asterisk_that_is_beginning_keeps_no_server_from_stopping(booting: Connection) -> None:
    booting.stop()
    assert booting.link.session is None


def test_an_asterisk_that_goes_as_it_begins_is_connected_again(server: AmiServer, booting: Connection) -> None:
    server.booted.update(Event="FullyBooted", Uptime="1")
    server.drop()
    until(lambda: booting.link.session)


def test_what_the_pbx_does_not_tell_is_said_in_the_log(server: AmiServer, connected: Connected) -> None:
    """Once, however often it is connected."""
    manager = {"Category-000000": "ringback", "Line-000000-000000": "read=cdr", "Response": "Success"}
    server.answers["GetConfig"] = lambda fields: [
        manager if fields["Filename"] == "manager.conf" else {"Response": "Success"}
    ]
    with capture_logs() as told:
        connection = connected()
        until(lambda: [each for each in told if "does not hear events of" in each.get("lack", "")])
        looked = len(server.actions("ListCommands"))
        server.drop()
        until(lambda: len(server.actions("ListCommands")) > looked and connection.link.session)
    (line,) = [each for each in told if "does not hear" in each.get("lack", "")]
    assert line["lack"] == "ringback does not hear events of system, call, agent, dialplan"
    assert line["more"] == "ringback doctor asterisk office"


def test_without_a_connection_the_server_serves(api: Api, server: AmiServer, connected: Connected) -> None:
    connection = connected()
    server.close()
    until(lambda: connection.link.session is None)
    assert api.ann.get("/calls").status == 200
    answer = api.ann.post("/calls", {"to": "102"})
    assert (answer.status, answer.json["message"]) == (503, "The PBX is not connected.")


def test_a_call_that_became_a_part_of_another_one_is_shown_there_alone(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    """A second call of the same telling, under other ids, whose caller comes into the bridge of the first."""
    connected()
    other = transcript(0, UNTIL_TALK).replace("1795347869.", "1795347870.").replace("-0000000", "-0000001")
    server.tell(transcript(0, UNTIL_TALK) + other.replace("b29fd5e3", "b29fd5e4"))
    until(lambda: len(calls(api.admin)) == 2)
    entered = next(text for text in TOLD if "Event: BridgeEnter" in text and f"Uniqueid: {CALLER}" in text)
    moved = entered.replace("1795347869.", "1795347870.").replace("-00000000", "-00000010")
    server.tell(f"{moved.replace('Timestamp: 17953478', 'Timestamp: 17953479')}\n\n")
    ended = transcript(UNTIL_TALK)
    server.tell(ended + ended.replace("1795347869.", "1795347870.").replace("-0000000", "-0000001"))
    until(lambda: cdrs(api.admin) and not calls(api.admin))
    assert len({row["root_live_id"] for row in cdrs(api.admin)}) == 1
