"""A connected FreeSWITCH: what its event socket tells becomes live calls and CDRs; orders go to it.

No running FreeSWITCH was at hand: the server here says what the documentation says that one would.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest

from ringback.connectors import wire
from ringback.connectors.freeswitch import orders
from ringback.connectors.freeswitch.connection import Connection
from ringback.connectors.freeswitch.session import Login, Session
from ringback.connectors.link import Lost, Refused
from ringback.connectors.orders import Away, Unsure
from ringback.connectors.settings import Connector
from ringback.settings import Settings
from tests.api import Api
from tests.connected import calls, cdrs, connecting, until
from tests.freeswitch import Channel, Switch
from tests.freeswitch_server import SECRET, FreeSwitchServer
from tests.importers.freeswitch import document, saved
from tests.importers.master_csv import run
from tests.process import ringback

Connected = Callable[..., Connection]


@pytest.fixture
def server() -> Iterator[FreeSwitchServer]:
    made = FreeSwitchServer()
    yield made
    made.close()


@pytest.fixture
def connected(api: Api, server: FreeSwitchServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connected]:
    given = Connector("office", "freeswitch", "", SECRET, port=server.port, customer=api.acme, dial_context="default")
    with connecting(api, Connection, given, monkeypatch) as connect:
        yield connect


class Talk:
    """Ann has called Bob, who has answered. `told`: until then; `end`: they talk for two seconds, Ann hangs up."""

    def __init__(self) -> None:
        self.switch = Switch()
        self.ann = self.switch.comes("101", "102", "Ann")
        self.switch.executes(self.ann, "bridge", "user/102@pbx.example.com")
        self.bob = self.switch.calls(self.ann, "102", sip_user_agent="Desk phone 2")
        self.switch.rings(self.bob)
        self.switch.wait(1)
        self.switch.connects(self.ann, self.bob)
        self.told = list(self.switch.events)

    def end(self) -> list[dict[str, str]]:
        self.switch.wait(2)
        self.switch.parts(self.ann, self.bob)
        self.switch.ends(self.ann, how="recv_bye")
        self.switch.ends(self.bob)
        return self.switch.events[len(self.told) :]

    def rows(self, *channels: Channel) -> str:
        """`show channels as json`."""
        found = [
            {
                "uuid": each.uuid,
                "direction": "outbound" if each.is_called else "inbound",
                "created_epoch": "1795341600",
                "name": each.name,
                "cid_name": "Ann",
                "cid_num": "101",
                "dest": "102",
                "application": "" if each.is_called else "bridge",
                "application_data": "",
                "context": "default",
                "callstate": "ACTIVE",
                "call_uuid": self.ann.uuid,
            }
            for each in channels
        ]
        return json.dumps({"row_count": len(found), "rows": found})


def test_a_call_is_live_while_it_lasts_and_a_cdr_when_it_is_over(
    api: Api, server: FreeSwitchServer, connected: Connected
) -> None:
    connected()
    talk = Talk()
    server.tell(talk.told)
    live = until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])[0]
    assert (live["src"], live["dst"], live["dst_ua"]) == ("101", "102", "Desk phone 2")
    assert [row["id"] for row in calls(api.ann)] == [row["id"] for row in calls(api.bob)] == [live["id"]]
    assert calls(api.stranger) == []
    server.tell(talk.end())
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["live_id"], cdr["disposition"], cdr["billsec"], cdr["info"]) == (live["id"], "CONNECTED", 2, None)
    assert (cdr["src_id"], cdr["dst_id"]) == (str(api.ann.user_id), str(api.bob.user_id))
    until(lambda: not calls(api.admin))


def test_told_twice_it_is_there_once(api: Api, server: FreeSwitchServer, connected: Connected) -> None:
    connected()
    talk = Talk()
    whole = [*talk.told, *talk.end()]
    server.tell([*whole, *whole])
    until(lambda: cdrs(api.admin))
    server.tell(whole)
    until(lambda: not calls(api.admin))
    assert len(cdrs(api.admin)) == 1


def test_its_own_record_of_a_call_is_passed_over(
    api: Api, server: FreeSwitchServer, connected: Connected, tmp_path: Path
) -> None:
    connected()
    talk = Talk()
    server.tell([*talk.told, *talk.end()])
    until(lambda: cdrs(api.admin))
    summary = run(api, "freeswitch-cdr", saved(tmp_path, document(talk.ann.uuid, called="102")))
    assert (summary.read, summary.new, len(cdrs(api.admin))) == (1, 0, 1)


def test_a_call_that_ended_while_the_connection_was_away_is_closed_and_marked(
    api: Api, server: FreeSwitchServer, connected: Connected
) -> None:
    connected()
    server.tell(Talk().told)
    until(lambda: calls(api.admin))
    server.drop()
    (cdr,) = until(lambda: cdrs(api.admin))
    assert "its end was not seen" in cdr["info"]
    assert calls(api.admin) == []


def test_what_an_earlier_process_heard_is_not_lost(api: Api, server: FreeSwitchServer, connected: Connected) -> None:
    talk = Talk()
    first = connected()
    server.tell(talk.told)
    live_id = until(lambda: calls(api.admin))[0]["id"]
    first.stop()
    assert (calls(api.admin), cdrs(api.admin)) == ([], [])
    server.answers["api show channels"] = talk.rows(talk.ann, talk.bob)
    connected()
    assert until(lambda: calls(api.admin))[0]["id"] == live_id
    server.tell(talk.end())
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["live_id"], cdr["billsec"], cdr["info"]) == (live_id, 2, None)


def test_a_call_that_nobody_saw_begin_is_taken_up_and_marked(
    api: Api, server: FreeSwitchServer, connected: Connected
) -> None:
    talk = Talk()
    server.answers["api show channels"] = talk.rows(talk.ann, talk.bob)
    connected()
    until(lambda: calls(api.admin))
    server.tell(talk.end())
    (cdr,) = until(lambda: cdrs(api.admin))
    assert "its beginning was not seen" in cdr["info"]


def test_a_phone_that_is_not_registered_is_told_at_once(
    api: Api, server: FreeSwitchServer, connected: Connected
) -> None:
    connected()
    server.answers["api sofia_contact 102"] = "error/user_not_registered"
    began = time.monotonic()
    answer = api.bob.post("/calls", {"to": "101"})
    assert (answer.status, time.monotonic() - began < 2) == (412, True)
    assert not [each for each in server.got if "originate" in each]


def test_an_order_rings_the_callers_own_phone_first(api: Api, server: FreeSwitchServer, connected: Connected) -> None:
    connected()
    switch = Switch()

    def happens() -> None:
        server.until(lambda: any("originate" in each for each in server.got))
        order = next(each for each in server.got if "originate" in each)
        ann = switch.calls(None, "101")
        uuid = re.search(r"origination_uuid=([0-9a-f-]+)", order)
        assert uuid
        for each in switch.events:
            each["Unique-ID"] = each["Channel-Call-UUID"] = uuid[1]
        ann.uuid = uuid[1]
        switch.rings(ann)
        server.tell(switch.events)

    answer = with_thread(happens, lambda: api.ann.post("/calls", {"to": "102"}))
    assert (answer.status, answer.data["src"]) == (201, "101")
    order = next(each for each in server.got if "originate" in each)
    assert order.startswith("bgapi originate {origination_uuid=")
    assert order.endswith("}user/101 102 XML default")


def with_thread(aside: Callable[[], None], work: Callable[[], Any]) -> Any:
    thread = Thread(target=aside)
    thread.start()
    found = work()
    thread.join(10)
    return found


def test_a_call_is_transferred_and_hung_up_by_its_channels(
    api: Api, server: FreeSwitchServer, connected: Connected
) -> None:
    connected()
    talk = Talk()
    server.tell(talk.told)
    live = until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])[0]
    assert api.ann.patch(f"/calls/{live['id']}", {"dst": "103"}).status == 200
    assert f"api uuid_transfer {talk.bob.uuid} 103 XML default" in server.got
    assert api.bob.delete(f"/calls/{live['id']}").status == 204
    assert [each.split()[2] for each in server.got if "uuid_kill" in each] == [talk.bob.uuid, talk.ann.uuid]
    assert api.stranger.delete(f"/calls/{live['id']}").status == 404


def test_no_number_is_a_command(api: Api, server: FreeSwitchServer, connected: Connected) -> None:
    connected()
    for number in ("102 &system(x)", "102\n\napi shutdown", "1|2", "{x=y}1", "102' inline"):
        assert api.ann.post("/calls", {"to": number}).status in (400, 503)
    assert not [each for each in server.got if "originate" in each or "shutdown" in each]


# -- the session


def login(server: FreeSwitchServer, secret: str = SECRET, user: str = "") -> Session:
    return Session(Login("127.0.0.1", server.port, user, secret), lambda _event: None, lambda _reason: None)


def test_a_user_of_the_directory_may_log_in(server: FreeSwitchServer) -> None:
    login(server, user="ringback@office").close()


def test_a_wrong_password_is_one_clear_line(server: FreeSwitchServer) -> None:
    with pytest.raises(Lost, match=r"^login refused \(invalid\): check the password in event_socket.conf.xml$"):
        login(server, "wrong")


def test_an_address_that_may_not_come_is_told_so() -> None:
    server = FreeSwitchServer(b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n")
    with pytest.raises(Lost, match="apply-inbound-acl"):
        login(server)
    server.close()


def test_nobody_there_is_one_clear_line() -> None:
    server = FreeSwitchServer()
    server.close()
    with pytest.raises(Lost, match="cannot be reached: Connection refused"):
        login(server)


def test_what_is_refused_says_why(server: FreeSwitchServer) -> None:
    server.answers["api uuid_kill"] = "-ERR No such channel!"
    session = login(server)
    with pytest.raises(Refused, match="No such channel!"):
        session.api("uuid_kill", "1")
    session.close()


def test_a_silent_connection_is_asked_and_then_given_up(
    server: FreeSwitchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "silent_s", 0.5)
    lost: SimpleQueue[str] = SimpleQueue()
    session = Session(Login("127.0.0.1", server.port, "", SECRET), lambda _event: None, lost.put)
    server.until(lambda: server.got.count("api uptime") > 1)
    assert lost.empty()
    server.silent = True
    assert "timed out" in lost.get(timeout=10)
    session.close()


# -- the doctor


def doctor(server: FreeSwitchServer, tmp_path: Path, kind: str, secret: str = SECRET) -> Any:
    path = tmp_path / "ringback.toml"
    text = f'[connectors.office]\nkind = "freeswitch"\nsecret = "{secret}"\nport = {server.port}\ncustomer = 1\n'
    path.write_text(text)
    settings = Settings(data_dir=str(tmp_path), database=str(tmp_path / "x.db"))
    return ringback(settings, "doctor", kind, "office", "--config", str(path))


def test_the_doctor_says_whether_calls_may_be_heard(server: FreeSwitchServer, tmp_path: Path) -> None:
    server.answers["api version"] = "FreeSWITCH Version 1.10.12-release+git~20240802T210227Z (git a88d069 64bit)"
    seen = doctor(server, tmp_path, "freeswitch")
    assert (seen.returncode, [line.split()[0] for line in seen.stdout.splitlines()]) == (0, ["ok"] * 3)
    server.answers["api show channels"] = "-ERR permission denied"
    seen = doctor(server, tmp_path, "freeswitch")
    assert seen.returncode == 1
    assert "calls cannot be heard: permission denied" in seen.stdout


def test_the_doctor_of_another_kind_names_the_right_one(server: FreeSwitchServer, tmp_path: Path) -> None:
    seen = doctor(server, tmp_path, "asterisk")
    assert seen.returncode == 2
    assert "`ringback doctor freeswitch office`" in seen.stderr


def test_a_wire_that_breaks_before_an_order_was_given_leaves_it_to_another_pbx(
    server: FreeSwitchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = login(server)
    monkeypatch.setattr(wire, "ANSWER_S", 0.05)
    server.silent = True
    with pytest.raises(Away):
        orders.is_online(session, "102")
    with pytest.raises(Unsure):
        orders.transfer(session, "0123abcd", "102", "default")
    session.close()
