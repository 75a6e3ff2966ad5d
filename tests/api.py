"""The API as a test calls it: the whole ASGI application in process, with the fixed cast of two customers.

Acme (the customer under test) has an administrator who is its root, a receptionist and two plain users, Ann and Bob.
Other Ltd has an administrator. `api.admin`, `api.ann`, … are clients with a token each; `api.nobody` has none.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec

from ringback.app import App
from ringback.identity import tokens
from ringback.services import Services
from ringback.store import rows, schema
from ringback.store.database import Db

BASE = "/v1.1/voipstudio"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def fields(self) -> list[str | None]:
        """The fields of an error answer, in order."""
        return [fault["field"] for fault in self.json["errors"]]


@dataclass(frozen=True)
class Client:
    """Calls with one token. Paths are below the base path unless they begin with `//` (the root)."""

    app: App
    token: str | None = None
    customer_id: int = 0
    user_id: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    ip: str = "127.0.0.1"

    def get(self, path: str, **params: Any) -> Answer:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any = None, **params: Any) -> Answer:
        return self.call("POST", path, body, params)

    def patch(self, path: str, body: Any = None, **params: Any) -> Answer:
        return self.call("PATCH", path, body, params)

    def put(self, path: str, body: Any = None, **params: Any) -> Answer:
        return self.call("PUT", path, body, params)

    def delete(self, path: str, **params: Any) -> Answer:
        return self.call("DELETE", path, params=params)

    def listed(self, path: str, *conditions: tuple[str, str, Any], **params: Any) -> list[Any]:
        """The rows of a collection; each condition is (property, operator, value)."""
        answer = self.get(path, **({"filter": filter_text(*conditions)} if conditions else {}), **params)
        assert answer.status == 200, answer.body
        rows_: list[Any] = answer.data
        return rows_

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """`body`: bytes as they are, anything else as JSON, None for no body."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", **self.headers, **(headers or {})}
        if self.token is not None:
            sent.setdefault("x-auth-token", self.token)
        whole = path[1:] if path.startswith("//") else BASE + path
        name, _, query = whole.partition("?")
        query = "&".join(part for part in (query, urlencode(params or {})) if part)
        return asyncio.run(_call(self.app, method, name, query, sent, raw, self.ip))


def filter_text(*conditions: tuple[str, str, Any]) -> str:
    return json.dumps([{"property": name, "operator": op, "value": value} for name, op, value in conditions])


async def _call(app: App, method: str, path: str, query: str, headers: dict[str, str], raw: bytes, ip: str) -> Answer:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": (ip, 50_000),
    }
    sent: list[dict[str, Any]] = []
    asked, enough = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        """The body; then that the client goes, which it does once a stream without an end has begun."""
        if asked.is_set():
            await enough.wait()
            return {"type": "http.disconnect"}
        asked.set()
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message.get("body") and (b"content-type", b"text/event-stream") in sent[0]["headers"]:
            enough.set()

    await app.application(scope, receive, send)  # type: ignore[arg-type]
    head = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))


class Api:
    def __init__(self, app: App) -> None:
        self.app = app
        self.services: Services = app.services
        self.nobody = Client(app)
        self.acme, people = self._customer(1, "Acme", ("admin", "reception", "ann", "bob"))
        self.admin, self.reception, self.ann, self.bob = people
        self.other, strangers = self._customer(2, "Other Ltd", ("stranger",))
        self.stranger = strangers[0]

    def _customer(self, number: int, name: str, names: tuple[str, ...]) -> tuple[int, list[Client]]:
        def work(db: Db) -> tuple[int, list[Client]]:
            found = db.all("SELECT id FROM customers WHERE name = :name", {"name": name})
            if found:  # the application was started a second time on one database
                return found[0][0], [self._client(db, found[0][0], each) for each in names]
            customer_id = db.new_ids("customers", 1)[0]
            row = {"id": customer_id, "name": name, "cc": "GB", "currency_iso": "GBP", "language": "en"}
            created = {"time_zone": "UTC", "created_at": self.services.clock()}
            columns = {**row, **created}
            db.load("customers", list(columns), [list(columns.values())])
            for index, each in enumerate(names):
                rows.insert(db, schema.users, customer_id, [user_row(each, number, index, self.services.clock())])
            return customer_id, [self._client(db, customer_id, each) for each in names]

        return self.services.database.write(work)

    def _client(self, db: Db, customer_id: int, name: str) -> Client:
        sql = "SELECT id FROM users WHERE customer_id = :customer AND first_name = :name"
        user_id = db.all(sql, {"customer": customer_id, "name": name.capitalize()})[0][0]
        token, _ = tokens.add(
            db, customer_id, user_id, kind=tokens.SESSION, expiry_s=tokens.SESSION_IDLE_S, now=self.services.clock()
        )
        return Client(self.app, token, customer_id, user_id)

    def write(self, work: Any) -> Any:
        return self.services.database.write(work)

    def run_jobs(self) -> None:
        """Runs every job that is due, in this thread."""
        while self.app.workers.run_one():
            pass


def user_row(name: str, number: int, index: int, now: int) -> dict[str, Any]:
    roles = {"admin": "administrator", "stranger": "administrator", "reception": "reception"}
    return {
        "email": f"{name}@customer{number}.example",
        "email_folded": f"{name}@customer{number}.example",
        "first_name": name.capitalize(),
        "last_name": "Tester",
        "ext": str(101 + index),
        "active": 1,
        "dnd": 0,
        "is_root": int(index == 0),
        "created_at": now,
        "roles": json.dumps([roles.get(name, "user")]),
        "visited_apps": "[]",
        "two_factor_auth": 0,
        "nb_sip_locations": 0,
    }
