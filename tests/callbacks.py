"""What tests of Call Me Back share: a widget that may call, a page that asks, and a PBX that writes down what it is told."""

import itertools
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from ringback.callback import proof
from ringback.connectors.orders import NotDone, Offline, Origination
from ringback.store import rows, schema
from tests.api import Answer, Api, Client

PAGE = "https://shop.example"
DDI, VISITOR = "442079460101", "447400123456"
_sessions = itertools.count(1)


class FakePbx:
    """`asked`: the orders, in their order; `placed`: those that were taken; `cuts`: the channels that were to be hung up. `trouble`:
    what each order raises."""

    def __init__(self, customer_id: int) -> None:
        self.customer_id, self.is_connected = customer_id, True
        self.asked: list[Origination] = []
        self.placed: list[Origination] = []
        self.limits: list[tuple[str, int]] = []
        self.cuts: list[str] = []
        self.trouble: NotDone | Offline | None = None

    def customers(self) -> set[int]:
        return {self.customer_id}

    def place(self, order: Origination) -> None:
        self.asked.append(order)
        if self.trouble is not None:
            raise self.trouble
        self.placed.append(order)

    def limit(self, channel_id: str, most_s: int) -> None:
        self.limits.append((channel_id, most_s))

    def cut(self, channel_id: str) -> None:
        self.cuts.append(channel_id)


class Page:
    """A page with a widget on it, in one browser at one address."""

    def __init__(self, api: Api, key: str, origin: str = PAGE, ip: str = "203.0.113.7") -> None:
        self.client = Client(api.app, headers={"origin": origin, "user-agent": "Firefox"}, ip=ip)
        self.key, self.session = key, f"session-{next(_sessions)}"
        self.visitor = ""

    def ask(self, method: str, path: str = "", body: Any = None) -> Answer:
        return self.client.call(method, f"//callme/{self.key}{path}", body)

    def opened(self, **more: Any) -> dict[str, Any]:
        answer = self.ask(
            "POST", "/visitors", {"session": self.session, "page": f"{PAGE}/bikes", "referer": "", **more}
        )
        assert answer.status == 201, answer.body
        self.visitor = answer.json["visitor"]
        challenge: dict[str, Any] = answer.json["challenge"]
        return challenge

    def solved(self) -> dict[str, Any]:
        answer = self.ask("GET", "/challenge")
        return {"salt": answer.json["salt"], "nonce": solution(answer.json["salt"], answer.json["bits"])}

    def request(self, number: str = VISITOR, **more: Any) -> Answer:
        body = {"visitor": self.visitor, "number": number, "country": "GB", "website": "", **self.solved(), **more}
        return self.ask("POST", "/requests", body)

    def state(self, token: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/requests/{token}").json
        return found


def solution(salt: str, bits: int) -> str:
    """As a browser finds it."""
    base = sha256(f"{salt}:".encode())
    for nonce in itertools.count():
        tried = base.copy()
        tried.update(str(nonce).encode())
        if int.from_bytes(tried.digest()[:4], "big") >> (32 - bits) == 0:
            return str(nonce)
    raise AssertionError("never")


def easy(monkeypatch: Any) -> None:
    """Challenges that cost the tests nothing."""
    monkeypatch.setattr(proof, "BITS", 1)
    monkeypatch.setattr(proof, "MOST_BITS", 1)


def staffed(api: Api) -> FakePbx:
    """Ann (103) has a free phone at a connected PBX, the DDI leads to her, and calls to Great Britain cost 0.02 a minute."""
    pbx = FakePbx(api.acme)
    api.services.desk.callers[:] = [pbx]
    rate = {"prefix": "44", "destination": "UK", "price_micro": 20_000, "minimum_s": 0, "increment_s": 1}

    def work(db: Any) -> None:
        rows.insert(db, schema.ddis, api.acme, [{"e164": DDI, "destination": str(api.ann.user_id)}])
        rows.insert(db, schema.rates, api.acme, [rate])
        rows.update(db, schema.users, api.acme, api.ann.user_id, {"presence": "available"})

    api.write(work)
    return pbx


def widget(api: Api, **changes: Any) -> dict[str, Any]:
    given = {"name": "Shop", "ddi_e164": DDI, "allowed_domains": ["shop.example"], "allowed_countries": ["GB", "PL"]}
    answer = api.admin.post("/callmeback/settings", {**given, **changes})
    assert answer.status == 201, answer.body
    setting: dict[str, Any] = answer.data
    return setting


def requests(api: Api) -> list[dict[str, Any]]:
    return sorted(api.admin.listed("/callmeback/requests"), key=lambda row: row["id"])


def columns(api: Api, *names: str) -> Iterator[Any]:
    """Of all requests, in their order."""
    sql = f"SELECT {', '.join(names)} FROM callmeback_requests ORDER BY id"
    yield from api.services.database.read(lambda db: db.all(sql))
