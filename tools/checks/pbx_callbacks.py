"""Web pages whose visitors ask to be called back, in the lab: 101 is the agent, `outside` the visitor."""

import itertools
import time
from typing import Any

import httpx
from pbx_place import Place
from tests.callbacks import solution

ORIGIN = "https://shop.example"
SETTINGS = 'trusted_proxies = "127.0.0.1"\n'
"""Each page is at an address of its own: five requests of one are enough for an hour."""
DDI = "442079460101"
_numbers = itertools.count(10)


class Site:
    """A page with a widget on it."""

    def __init__(self, place: Place, **changes: Any) -> None:
        self.place = place
        given = {"name": "Shop", "ddi_e164": DDI, "allowed_domains": ["shop.example"], **changes}
        answer = place.client.post("/callmeback/settings", json=given)
        assert answer.status_code == 201, answer.text
        self.key = answer.json()["data"]["public_key"]
        n = next(_numbers)
        self.address = f"10.9.{n // 250}.{n % 250 + 1}"

    def ask(self, method: str, path: str = "", origin: str = ORIGIN, **body: Any) -> httpx.Response:
        url = f"{self.place.server.url}/callme/{self.key}{path}"
        headers = {"origin": origin, "x-forwarded-for": self.address}
        return httpx.request(method, url, headers=headers, json=body or None)

    def solved(self) -> dict[str, str]:
        opened = self.ask("POST", "/visitors", session=f"session-{next(_numbers)}", page=f"{ORIGIN}/bikes").json()
        self.visitor, challenge = opened["visitor"], opened["challenge"]
        nonce = solution(challenge["salt"], challenge["bits"])
        return {"salt": challenge["salt"], "nonce": nonce, "visitor": self.visitor}

    def request(self, number: str = "", **more: Any) -> httpx.Response:
        """A number of its own each time: nobody is rung twice within two minutes."""
        body = {"number": number or f"07400 12{next(_numbers):04}", "country": "GB", **self.solved(), **more}
        self.clicked = time.monotonic()
        return self.ask("POST", "/requests", **body)

    def asked(self, **more: Any) -> str:
        answer = self.request(**more)
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["request"]
        return token

    def until(self, token: str, *told: Any) -> None:
        """(state, side, reason)"""

        def seen() -> bool:
            found = self.ask("GET", f"/requests/{token}").json()
            self.last = tuple(found[name] for name in ("state", "side", "reason"))
            return self.last == (*told, *[None] * (3 - len(told)))

        try:
            self.place.until(seen, 40)
        except AssertionError:
            raise AssertionError(f"{self.last} instead of {told}") from None

    def row(self) -> dict[str, Any]:
        """The newest request."""
        return max(self.place.rows("/callmeback/requests"), key=lambda row: row["id"])


def ready(place: Place) -> None:
    """Calls to Great Britain cost 0.02 a minute; 101 is free."""
    place.client.post("/rates", json={"prefix": "44", "destination": "UK", "price": 0.02})
    place.client.post("/ddis", json={"e164": DDI, "destination": "101"})
    place.ready()
    place.until(lambda: [row for row in place.rows("/users") if row["ext"] == "101" and row["presence"] == "available"])


def talk(place: Place, name: str) -> tuple[Any, Any]:
    """The newest call of the phone, once it is talked in."""
    phone = place.scene.phone(name)

    def up() -> list[Any]:
        return [leg for leg in phone.legs[phone.legs_before :] if leg.state == "CONFIRMED"]

    phone.until(lambda: bool(up()), "answers")
    return phone, up()[-1]


def over(site: Site) -> dict[str, Any]:
    """The CDR of the request."""
    place = site.place
    cdr_id = place.until(lambda: site.row()["cdr_id"])
    (cdr,) = [row for row in place.rows("/callmeback/cdrs") if row["id"] == cdr_id]
    place.until(lambda: not place.rows("/calls"))
    return cdr


def talked(site: Site, token: str) -> None:
    """Both answer, the visitor hangs up, and the request is over."""
    site.until(token, "CONNECTED")
    visitor, leg = talk(site.place, "outside")
    visitor.hang_up(leg)
    site.until(token, "ENDED")


def rung_once(site: Site, token: str) -> None:
    """They talk after all, and neither phone had a second call."""
    talked(site, token)
    assert over(site)["destination"] == "callmeback"
    for name in ("101", "outside"):
        phone = site.place.scene.phone(name)
        assert len(phone.legs) == phone.legs_before + 1
