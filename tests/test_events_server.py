"""Streams of live changes from a running server: how soon, through which doors, over a kill, and what a silent client costs."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ringback.identity import tokens
from ringback.rest import asgi
from ringback.rest.outlets import BEAT_S
from ringback.services import Services
from ringback.settings import BASE_PATHS
from ringback.store import cdrs, live_calls, outbox
from ringback.streams.subscriptions import Streams
from tests.process import Login, Process
from tests.streaming import Listener, Told
from tests.test_cdrs import call
from tests.test_events import _form

SOON_S = 10.0
Begin = Callable[..., Process]


@pytest.fixture
def listeners() -> Iterator[list[Listener]]:
    made: list[Listener] = []
    yield made
    for each in made:
        each.close()


def put(services: Services, acme: Login, *ids: int, **changes: Any) -> float:
    """Live calls as a connected PBX puts them; returns when."""
    row = {"start_time": 1, "state": "RINGING", **changes}
    rows = dict.fromkeys(ids, row)
    services.database.write(lambda db: live_calls.put(db, acme.customer_id, rows, services.clock()))
    return time.monotonic()


def stored(services: Services, acme: Login) -> int:
    def work(db: Any) -> int:
        (cdr_id,) = cdrs.insert(db, acme.customer_id, [call(services.clock())])
        outbox.changed(db, acme.customer_id, "cdr.created", [cdr_id])
        return cdr_id

    made: int = services.database.write(work)
    return made


def socket_of(server: Process, query: str = "", **headers: str) -> ClientConnection:
    url = f"{server.url.replace('http', 'ws')}{BASE_PATHS[0]}/events/socket?{query}"
    return connect(url, additional_headers=headers, proxy=None, open_timeout=SOON_S)


def heard(one: ClientConnection) -> Told:
    found = json.loads(one.recv(SOON_S))
    return Told(found["event"], found["id"], found["data"])


def ticket(server: Process, acme: Login) -> str:
    with server.client(acme.token) as client:
        return str(client.post("/events/tickets").json()["data"]["ticket"])


def test_a_change_made_elsewhere_arrives_at_once(
    begin: Begin, acme: Login, services: Services, listeners: list[Listener]
) -> None:
    """On PostgreSQL it was made by another process; on SQLite, which belongs to one server, by this one."""
    server = begin()
    listeners.append(Listener(server, X_Auth_Token=acme.token))
    assert (listeners[0].status, listeners[0].headers["x-accel-buffering"]) == (200, "no")
    assert listeners[0].next().name == "reset"
    put(services, acme, 5)
    assert listeners[0].next().name == "call.created"
    with server.client(acme.token) as client:
        for n in range(3):
            began = time.monotonic()
            if services.database.engine == "postgres":
                put(services, acme, 5, src=str(n))
            else:
                assert client.patch("/calls/5", json={"action_text": str(n)}).status_code == 200
            told = listeners[0].next()
            assert time.monotonic() - began < 0.5
            assert told.data == client.get("/calls/5").json()["data"]


def test_two_servers_tell_the_same_in_the_same_order(
    begin: Begin, acme: Login, services: Services, listeners: list[Listener]
) -> None:
    first, second = begin(), begin()
    listeners += [Listener(each, X_Auth_Token=acme.token) for each in (first, second)]
    assert [each.next().name for each in listeners] == ["reset", "reset"]
    made = [stored(services, acme) for _ in range(30)]
    found = [[each.next() for _ in made] for each in listeners]
    assert found[0] == found[1]
    assert [each.data["id"] for each in found[0]] == made
    again = Listener(second, X_Auth_Token=acme.token, Last_Event_ID=found[0][9].id)
    listeners.append(again)
    assert [again.next().data["id"] for _ in made[10:]] == made[10:]


def test_after_a_kill_it_goes_on_without_loss_and_without_double(
    begin: Begin, acme: Login, services: Services, listeners: list[Listener]
) -> None:
    made, arrived, last = [], [], ""
    for _ in range(3):
        server = begin()
        one = Listener(server, X_Auth_Token=acme.token, **({"Last_Event_ID": last} if last else {}))
        listeners.append(one)
        if not last:
            last = one.next().id
        made += [stored(services, acme) for _ in range(20)]
        for _ in range(12):
            told = one.until("cdr.created")
            arrived.append(told.data["id"])
            last = told.id
        server.end(signal.SIGKILL)
        made += [stored(services, acme) for _ in range(5)]
    one = Listener(begin(), X_Auth_Token=acme.token, Last_Event_ID=last)
    listeners.append(one)
    while len(arrived) < len(made):
        arrived.append(one.until("cdr.created").data["id"])
    assert arrived == made


def test_a_websocket_says_the_same(begin: Begin, acme: Login, services: Services) -> None:
    server = begin()
    good = ticket(server, acme)
    with socket_of(server, f"ticket={good}") as one:
        assert heard(one).name == "reset"
        put(services, acme, 5)
        told = heard(one)
        with server.client(acme.token) as client:
            assert (told.name, told.data) == ("call.created", client.get("/calls/5").json()["data"])
        one.send("whatever a client says means nothing")
        put(services, acme, 5, state="CONNECTED")
        last = heard(one)
        assert last.name == "call.updated"
    made = stored(services, acme)
    with socket_of(server, f"last_event_id={last.id}", **{"X-Auth-Token": acme.token}) as one:
        assert heard(one).data["id"] == made
    for query in (f"ticket={good}", "ticket=x", f"ticket={acme.token}", f"token={acme.token}", ""):
        with pytest.raises(InvalidStatus) as refused, socket_of(server, query):
            pass
        assert refused.value.response.status_code == 401
        assert set(json.loads(refused.value.response.body)) == {"message", "errors"}
    plain = f"{server.url.replace('http', 'ws')}{BASE_PATHS[0]}/cdrs"
    with pytest.raises(InvalidStatus) as refused, connect(plain, proxy=None):
        pass
    assert refused.value.response.status_code == 404


def test_what_a_client_says_through_a_websocket_is_bounded(begin: Begin, acme: Login) -> None:
    server = begin()
    with socket_of(server, f"ticket={ticket(server, acme)}") as one:
        assert heard(one).name == "reset"
        with suppress(ConnectionClosed):
            one.send("x" * 1_000_000)
        with pytest.raises(ConnectionClosed):
            one.recv(SOON_S)
        assert one.close_code == 1009
    with server.client() as client:
        assert client.get("/ping").status_code == 200


def test_streams_end_with_their_token_and_with_the_server(
    begin: Begin, acme: Login, services: Services, listeners: list[Listener]
) -> None:
    server = begin()
    with server.client(acme.token) as client:
        other = client.post("/apitokens", json={"name": "wall"}).json()["data"]["token"]
        one = Listener(server, X_Auth_Token=other)
        listeners.append(one)
        assert one.next().name == "reset"
        with socket_of(server, **{"X-Auth-Token": other}) as lost:
            assert heard(lost).name == "reset"
            assert client.delete(f"/apitokens/{other}").status_code == 204
            with pytest.raises(ConnectionClosed):
                lost.recv(SOON_S)
            assert lost.close_code == 4401
        with pytest.raises(EOFError):
            one.next()
    last = Listener(server, X_Auth_Token=acme.token)
    listeners.append(last)
    assert last.next().name == "reset"
    with socket_of(server, **{"X-Auth-Token": acme.token}) as kept:
        assert heard(kept).name == "reset"
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < 5
        with pytest.raises(ConnectionClosed):
            kept.recv(SOON_S)
        assert kept.close_code == 1012
    with pytest.raises(EOFError):
        last.next()
    assert "Traceback" not in server.log.read_text()


def test_a_client_that_does_not_read_is_dropped_and_others_are_not(
    begin: Begin, acme: Login, services: Services, listeners: list[Listener]
) -> None:
    server = begin(RINGBACK_METRICS_TOKEN="secret")
    slow = server.connect()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(f"GET {BASE_PATHS[0]}/events HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {acme.token}\r\n\r\n".encode())
    assert slow.recv(12)
    quick = Listener(server, X_Auth_Token=acme.token)
    listeners.append(quick)
    assert quick.next().name == "reset"
    ids = range(1, 901)
    rounds = 0
    while open_streams(server) == 2:
        rounds += 1
        assert rounds < 100
        put(services, acme, *ids, src_name="x" * 200 + str(rounds))
        assert {quick.next().data["id"] for _ in ids} == set(ids)
    assert open_streams(server) == 1
    slow.close()
    put(services, acme, 1, src_name="y")
    assert quick.next().data["src_name"] == "y"
    assert server.log.read_text().count("Traceback") == 0


def open_streams(server: Process) -> int:
    with server.client() as client:
        text = client.get(f"{server.url}/metrics", headers={"Authorization": "Bearer secret"}).text
    (line,) = (line for line in text.splitlines() if line.startswith("ringback_streams "))
    return int(float(line.split()[1]))


def test_heartbeats_come_when_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, acme: Login, services: Services
) -> None:
    """Without a server, so that nobody waits for 15 seconds."""
    assert BEAT_S == 15
    monkeypatch.setattr("ringback.rest.asgi.BEAT_S", 0.01)
    hashed = tokens.hash_of(acme.token)
    who = services.database.read(lambda db: tokens.callers(db, [hashed], services.idle, services.clock()))[hashed]
    one = Streams().open(who, "", _form, "first")
    one.tell([], 7)
    sent: list[str] = []

    async def follow() -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def put(text: str) -> None:
            sent.append(text)
            if len(sent) == 3:
                gone.set_result(None)

        assert not await asgi._pour(one, put, gone)

    asyncio.run(follow())
    assert sent[0] == "first"
    assert [json.loads(text) for text in sent[1:]] == [["heartbeat", f"7-{one.view}", {}]] * 2
