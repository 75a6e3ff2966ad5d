"""A connected Asterisk: what it tells becomes live calls and CDRs, whatever happens to the connection and to this server.

What the server here tells was told by an Asterisk 22: 101 calls 102, who answers after half a second; 101 hangs up after 2.8 s.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.calls.ledger import Call
from ringback.connectors.asterisk import connection as connections
from ringback.connectors.asterisk.connection import Connection
from ringback.connectors.book import Book
from ringback.connectors.settings import Connector, Rule
from ringback.store import cdrs as stored_cdrs
from ringback.store import rows, schema
from ringback.store.database import Db
from tests.ami_server import SECRET, USER, AmiServer
from tests.api import Api

TOLD = (Path(__file__).parent / "ami/answered_internal.txt").read_text().split("\n\n")
CALLER, CALLEE = "1795347869.0", "1795347869.1"
UNTIL_TALK = next(n for n, text in enumerate(TOLD) if "BRIDGE_EXIT" in text)
PATIENCE_S = 10.0

Connected = Callable[..., Connection]


def transcript(first: int = 0, last: int | None = None) -> str:
    return "".join(f"{text}\n\n" for text in TOLD[first:last] if text)


def until(happened: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + PATIENCE_S
    while not (found := happened()):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return found


def up(*channels: tuple[str, str, str]) -> list[dict[str, str]]:
    """CoreShowChannels: (uniqueid, name, what else)."""
    found = [
        {"Event": "CoreShowChannel", "Uniqueid": uniqueid, "Linkedid": CALLER, "Channel": name, **json.loads(more)}
        for uniqueid, name, more in channels
    ]
    end = {"Event": "CoreShowChannelsComplete", "EventList": "Complete"}
    return [{"Response": "Success", "EventList": "start"}, *found, end]


BOTH = up((CALLER, "PJSIP/101-00000000", "{}"), (CALLEE, "PJSIP/102-00000001", "{}"))


@pytest.fixture
def server() -> Iterator[AmiServer]:
    made = AmiServer()
    variables = {
        "CHANNEL(audionativeformat)": "(ulaw)",
        "CHANNEL(pjsip,call-id)": "abc@192.0.2.1",
        "PJSIP_AOR(102,contact)": "102;@0123abcd",
        "PJSIP_CONTACT(102;@0123abcd,user_agent)": "Desk phone 2",
        "DEVICE_STATE(PJSIP/101)": "NOT_INUSE",
        "DEVICE_STATE(PJSIP/102)": "UNAVAILABLE",
    }

    def getvar(fields: Any) -> Any:
        is_caller = fields.get("Channel", "").startswith("PJSIP/101")
        value = (
            "Desk phone 1" if is_caller and "HEADER" in fields["Variable"] else variables.get(fields["Variable"], "")
        )
        return [{"Response": "Success", "Value": value}]

    made.answers["Getvar"] = getvar
    yield made
    made.close()


def with_extensions(api: Api) -> None:
    """Ann has 101, Bob 102, and nobody else has one."""

    def work(db: Db) -> None:
        db.run("UPDATE users SET ext = NULL WHERE customer_id = :customer", {"customer": api.acme})
        for client, ext in ((api.ann, "101"), (api.bob, "102")):
            rows.update(db, schema.users, api.acme, client.user_id, {"ext": ext})

    api.services.database.write(work)


@pytest.fixture
def connected(api: Api, server: AmiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connected]:
    """A connection for Acme, with extensions for Ann and Bob; a second one goes on where the first one was."""
    monkeypatch.setattr(connections, "FIRST_S", 0.05)
    with_extensions(api)
    begun: list[Connection] = []

    def connect(**changes: Any) -> Connection:
        given = Connector(
            "office", "asterisk", USER, SECRET, port=server.port, customer=api.acme, dial_context="internal"
        )
        begun.append(Connection(api.services, replace(given, **changes)))
        api.services.desk.pbxs[:] = begun[-1:]
        begun[-1].start()
        until(lambda: begun[-1].session)
        return begun[-1]

    yield connect
    for each in begun:
        if each.is_running:
            each.stop()


def cdrs(client: Any) -> Any:
    return client.listed("/cdrs", sort='[{"property":"live_id","direction":"ASC"}]')


def calls(client: Any) -> Any:
    return client.listed("/calls")


def test_a_call_is_live_while_it_lasts_and_a_cdr_when_it_is_over(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    connected()
    server.tell(transcript(0, UNTIL_TALK))
    live = until(lambda: [row for row in calls(api.admin) if row["dst_ua"] and row["src_ua"]])[0]
    assert (live["state"], live["src"], live["dst"]) == ("CONNECTED", "101", "102")
    assert (live["src_codec"], live["src_ua"], live["dst_ua"]) == ("ulaw", "Desk phone 1", "Desk phone 2")
    assert [row["id"] for row in calls(api.ann)] == [row["id"] for row in calls(api.bob)] == [live["id"]]
    assert calls(api.stranger) == []
    server.tell(transcript(UNTIL_TALK))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert cdr["live_id"] == live["id"]
    assert (cdr["type"], cdr["disposition"], cdr["context"], cdr["billsec"]) == ("O", "CONNECTED", "USER_LOCAL", 2)
    assert (cdr["src_id"], cdr["dst_id"]) == (str(api.ann.user_id), str(api.bob.user_id))
    assert (cdr["src_codec"], cdr["dst_ua"], cdr["info"]) == ("ulaw", "Desk phone 2", None)
    until(lambda: not calls(api.admin))


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
    until(lambda: connection.session)
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


def placed(server: AmiServer) -> None:
    def originate(fields: Any) -> Any:
        server.tell(transcript(0, UNTIL_TALK).replace(CALLER, fields["ChannelId"]))
        return [{"Response": "Success", "Message": "Originate successfully queued"}]

    server.answers["Originate"] = originate


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


def test_an_order_that_comes_to_nothing_is_told(api: Api, server: AmiServer, connected: Connected) -> None:
    def originate(fields: Any) -> Any:
        server.tell(f"Event: OriginateResponse\nResponse: Failure\nUniqueid: {fields['ChannelId']}\nReason: 0\n\n")
        return [{"Response": "Success"}]

    connected()
    server.answers["Originate"] = originate
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
    assert [each["Action"] for each in server.got[before:] if each["Action"] != "Ping"] == []


def test_without_a_connection_the_server_serves(api: Api, server: AmiServer, connected: Connected) -> None:
    connection = connected()
    server.close()
    until(lambda: connection.session is None)
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
    entered = next(text for text in TOLD if "BRIDGE_ENTER" in text and f"UniqueID: {CALLER}" in text)
    moved = entered.replace("1795347869.", "1795347870.").replace("-00000000", "-00000010")
    server.tell(f"{moved.replace('Timestamp: 17953478', 'Timestamp: 17953479')}\n\n")
    ended = transcript(UNTIL_TALK)
    server.tell(ended + ended.replace("1795347869.", "1795347870.").replace("-0000000", "-0000001"))
    until(lambda: cdrs(api.admin) and not calls(api.admin))
    assert len({row["root_live_id"] for row in cdrs(api.admin)}) == 1
