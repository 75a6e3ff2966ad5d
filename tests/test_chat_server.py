"""Chats through a running server: over a kill, through two processes, and what hostile pages get."""

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from ringback.services import Services
from ringback.store import rows, schema
from tests.callbacks import DDI, PAGE, solution
from tests.process import Login, Process

SOON_S = 10.0
Begin = Callable[..., Process]


class Visitor:
    """A page that chats; `seen` is what it has."""

    def __init__(self, server: Process, key: str) -> None:
        self.key = key
        opened = self.post(server, "/visitors", {"session": "session-1", "page": f"{PAGE}/bikes"})
        self.token, self.challenge = opened["visitor"], opened["challenge"]
        self.chat, self.seen = 0, 0
        self.texts: list[str] = []

    def post(self, server: Process, path: str, body: Any) -> Any:
        answer = httpx.post(f"{server.url}/callme/{self.key}{path}", json=body, headers={"Origin": PAGE})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def open(self, server: Process, origin: str = PAGE) -> ClientConnection:
        url = f"{server.url.replace('http', 'ws')}/callme/{self.key}/chat"
        return connect(url, origin=Origin(origin), proxy=None, open_timeout=SOON_S, legacy=True)

    def greet(self, server: Process) -> ClientConnection:
        one = self.open(server)
        send(one, "hello", visitor=self.token, chat=self.chat, seen=self.seen)
        return one

    def proof(self) -> dict[str, str]:
        return {"salt": self.challenge["salt"], "nonce": solution(self.challenge["salt"], self.challenge["bits"])}

    def hear(self, one: ClientConnection, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            frame: dict[str, Any] = json.loads(one.recv(SOON_S))
            if frame["is"] == "message":
                self.texts.append(frame["text"])
                self.chat, self.seen = frame["chat"], frame["number"]
            if until(frame):
                return frame


def send(one: ClientConnection, do: str, **frame: Any) -> None:
    one.send(json.dumps({"do": do, **frame}))


def text(wanted: str) -> Callable[[dict[str, Any]], bool]:
    return lambda frame: frame.get("text") == wanted


def state(wanted: str | None) -> Callable[[dict[str, Any]], bool]:
    return lambda frame: frame["is"] == "chat" and frame["state"] == wanted


def widget(server: Process, acme: Login, services: Services) -> str:
    number = {"e164": DDI, "destination": str(acme.user_id)}
    services.database.write(lambda db: rows.insert(db, schema.ddis, acme.customer_id, [number]))
    given = {"name": "Shop", "ddi_e164": DDI, "allowed_domains": ["shop.example"], "chat_enabled": True}
    with server.client(acme.token) as client:
        client.post("/chats/presence", json={"is_online": True})
        answer = client.post("/callmeback/settings", json={**given, "allowed_countries": ["GB"]})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["public_key"])


def waiting(server: Process, acme: Login) -> int:
    with server.client(acme.token) as client:
        (chat,) = client.get("/chats").json()["data"]
        return int(chat["id"])


def test_after_a_kill_nothing_is_lost_and_nothing_comes_twice(begin: Begin, acme: Login, services: Services) -> None:
    server = begin()
    visitor = Visitor(server, widget(server, acme, services))
    one = visitor.greet(server)
    visitor.hear(one, state(None))
    send(one, "say", id="message-0", text="0", **visitor.proof())
    visitor.hear(one, state("WAITING"))
    chat_id = waiting(server, acme)
    with server.client(acme.token) as client:
        assert client.post(f"/chats/{chat_id}/take").status_code == 200
    visitor.hear(one, state("ACTIVE"))
    for round_ in range(3):
        with server.client(acme.token) as client:
            body = {"chat_id": chat_id, "message": f"operator {round_}", "key": f"operator-{round_}"}
            assert client.post("/chatmsgs", json=body).status_code == 201
        send(one, "say", id=f"visitor-{round_}", text=f"visitor {round_}")
        if round_ % 2:
            visitor.hear(one, text(f"visitor {round_}"))
        server.end(signal.SIGKILL)
        server = begin()
        one = visitor.greet(server)
        send(one, "say", id=f"visitor-{round_}", text=f"visitor {round_}")  # it does not know whether it arrived
        with server.client(acme.token) as client:
            assert client.post("/chatmsgs", json=body).status_code == 201
        visitor.hear(one, state("ACTIVE"))
    send(one, "say", id="message-9", text="9")
    visitor.hear(one, text("9"))
    said = ["0", *(f"{who} {n}" for n in range(3) for who in ("operator", "visitor")), "9"]
    assert sorted(visitor.texts) == sorted(said)
    with server.client(acme.token) as client:
        kept = client.get(f"/chats/{chat_id}/chatmsgs?sort=id").json()["data"]
    assert [each["message"] for each in kept] == visitor.texts
    one.close()


def test_what_another_process_stored_arrives_soon(begin: Begin, acme: Login, services: Services) -> None:
    """SQLite belongs to one server; PostgreSQL has several."""
    first = begin()
    second = begin() if services.database.engine == "postgres" else first
    visitor = Visitor(first, widget(first, acme, services))
    with visitor.greet(first) as one:
        send(one, "say", id="message-0", text="0", **visitor.proof())
        visitor.hear(one, state("WAITING"))
        chat_id = waiting(second, acme)
        with second.client(acme.token) as client:
            client.post(f"/chats/{chat_id}/take")
            visitor.hear(one, state("ACTIVE"))
            began = time.monotonic()
            client.post("/chatmsgs", json={"chat_id": chat_id, "message": "Hello"})
            visitor.hear(one, text("Hello"))
            assert time.monotonic() - began < 2


def closed(one: ClientConnection) -> int | None:
    """The code with which the server ended it; None where the connection broke before it was read."""
    with suppress(ConnectionClosed):
        while True:
            one.recv(SOON_S)
    return one.close_code if one.close_code != 1006 else None


def test_hostile_pages_are_cut_off_and_the_server_goes_on(begin: Begin, acme: Login, services: Services) -> None:
    server = begin()
    visitor = Visitor(server, widget(server, acme, services))
    for origin in ("https://evil.example", "null", "https://shop.example.evil.example"):
        with pytest.raises(InvalidStatus):
            visitor.open(server, origin)
    for frame, code in ((b"x" * 1_000_000, 1009), (b"x" * 20_000, 4400), (b"[]", 4400), (b"\xff{}", 1007)):
        with visitor.open(server) as one:
            one.send(frame, text=True)
            assert closed(one) == code
    assert server.log.read_text().count("\n") == 1, server.log.read_text()
    with visitor.greet(server) as one:
        with suppress(ConnectionClosed):
            for _ in range(1_000):
                send(one, "typing")
        assert closed(one) in (4429, None)
    with visitor.greet(server) as one:
        visitor.hear(one, state(None))
    with server.client(acme.token) as client:
        assert client.get("/chats").json()["data"] == []
