"""What hostile pages can have a real Asterisk dial, by its own log; and what becomes of callbacks when an order is lost on its way, or
Asterisk is killed. Run by `tools/checks/pbx` within the lab."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pbx_callbacks
import pytest
from pbx_callbacks import DDI, ORIGIN, SETTINGS, Site, over, rung_once
from pbx_place import Place, record  # type: ignore[attr-defined]
from tests.callbacks import solution

__all__ = ["SETTINGS"]
ECHO_DDI = "442079460601"
"""Leads to an extension that answers by itself, so that nobody is busy."""
_n = itertools.count(1)

NO_NUMBERS = (
    "102", "400", "*8102", "*97", "#1", "PJSIP/102", "Local/102@internal", "${EXTEN}", "${SHELL(id)}", "$[1+1]", "07400123456&PJSIP/102",
    "07400123456,1,Hangup()", "07400123456|s|1", "07400123456@internal", "07400123456/n", "07400123456\r\nAction: Originate\r\n\r\n",
    "07400123456\nVariable: x=y", "07400123456\0", "sip:102@192.0.2.10", "tel:+447400123456", "07400123456#", "07400123456w1", "",
    "٠٧٤٠٠١٢٣٤٥٦", "०७४००१२३४५६", "\uff10\uff17400123456", "𝟎7400123456", "O7400123456", "07400123456\u200b", "\u202e65432100470",
    "+", "0" * 40, "9" * 15, "4474001234567890", "<script>alert(1)</script>", "' OR 1=1 --",
)  # fmt: skip
NOT_CALLED = (
    "999", "112", "911", "+44999", "+44 112", "116123", "118118", "1471",
    "09098790000", "+44 0 9098790000", "0871 234 5678", "0845 123 4567", "0800 111 111", "07012345678", "0300 123 4567", "05511 234567",
    "+870773111111", "+8816 123 4567", "+883510000000", "+979 123456789", "+80012345678", "+878 10 1234 5678",
    "+12025550123", "+19005550123", "+33612345678", "+33892700000", "+5355551234", "+44 1534 123456", DDI, f"+44 0 {DDI[2:]}",
)  # fmt: skip
TEXTS = (
    "${SHELL(touch /tmp/owned)}",
    "x\r\nAction: Originate\r\nChannel: PJSIP/102\r\n\r\n",
    "a,b&c|d@e/n",
    "<script>",
    "A" * 5_000,
)
ORIGINS = (
    "https://evil.example",
    "null",
    "https://shop.example.evil.example",
    "https://shop.example@evil.example",
    "file://",
)
BODIES: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[" * 5_000,
    b"\xff\xfe",
    b'{"number":7}',
    b'{"number":"\\ud800"}',
    b'"' + b"a" * 1_000_000 + b'"',
)
SPELT = (
    "07400 444444",
    "+44 7400 444444",
    "+44 0 7400 444444",
    "00447400444444",
    "+4407400444444",
    "004407400444444",
    "7400444444",
)


class Crowd:
    """Pages in a thousand browsers, each at an address of its own."""

    def __init__(self, place: Place, key: str) -> None:
        self._client = httpx.Client(base_url=place.server.url, timeout=60)
        self.key = key

    def ask(self, method: str, path: str, origin: str = ORIGIN, key: str = "", **more: Any) -> httpx.Response:
        n = next(_n)
        headers = {"origin": origin, "x-forwarded-for": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"}
        return self._client.request(method, f"/callme/{key or self.key}{path}", headers=headers, **more)

    def solved(self) -> dict[str, str]:
        found = self.ask("GET", "/challenge").json()
        return {"salt": found["salt"], "nonce": solution(found["salt"], found["bits"])}

    def request(self, number: str, **more: Any) -> int:
        """`more`: other words of the request, in place of what they are."""
        opened = {
            "session": f"session-{next(_n)}",
            "page": more.pop("page", ORIGIN),
            "referer": more.pop("referer", ""),
        }
        visitor = self.ask("POST", "/visitors", json=opened).json()["visitor"]
        body = {"number": number, "country": "GB", "visitor": visitor, **self.solved(), **more}
        return self.ask("POST", "/requests", json=body).status_code

    def unasked(self, **more: Any) -> int:
        return self.ask("POST", "/requests", **more).status_code


@pytest.fixture(autouse=True)
def ready(place: Place) -> None:
    pbx_callbacks.ready(place)


@pytest.fixture
def crowd(place: Place) -> Crowd:
    """Calls anywhere are cheap, and every INVITE is logged. All numbers outside are busy."""
    for prefix in ("1", "33", "53", "8", "9"):
        place.client.post("/rates", json={"prefix": prefix, "destination": prefix, "price": 0.01})
    place.client.post("/ddis", json={"e164": ECHO_DDI, "destination": "601"})
    place.scene.meets("outside", 486, 0.0)
    record.cli("pjsip set logger on")
    return Crowd(place, Site(place, ddi_e164=ECHO_DDI, dial_first="visitor", allowed_countries=["GB"]).key)


def invited() -> Counter[str]:
    """How many calls Asterisk began to each address, whatever it sent again."""
    text = (record.ROOT / "var/log/asterisk/full").read_text(errors="replace")
    sent = re.findall(r"<--- Transmitting SIP request.*?\nINVITE sip:(\S+?)@.*?\nCall-ID: (\S+)", text, re.DOTALL)
    return Counter(number for number, _ in set(sent))


def texts() -> Iterator[tuple[str, str]]:
    """Each of the words that a page says, as no page would say it."""
    for name, said in itertools.product(("name", "page", "referer", "country", "visitor", "website"), TEXTS):
        yield name, f"https://shop.example/{said}" if name in ("page", "referer") else said


def test_a_thousand_hostile_requests_ring_nobody_and_nobody_twice(place: Place, crowd: Crowd) -> None:
    gone = Site(place)
    for row in place.rows("/callmeback/settings"):
        if row["public_key"] == gone.key:
            place.client.delete(f"/callmeback/settings/{row['id']}").raise_for_status()
    with ThreadPoolExecutor(6) as pool:
        refused = Counter(pool.map(crowd.request, (*NO_NUMBERS, *NOT_CALLED)))
        refused.update(pool.map(lambda origin: crowd.unasked(origin=origin, json={"number": "1"}), ORIGINS * 40))
        refused.update(pool.map(lambda body: crowd.unasked(content=body), BODIES * 40))
        refused.update(
            pool.map(lambda key: crowd.unasked(key=key, json={"number": "1"}), (gone.key, "A" * 16, "1") * 60)
        )
        refused.update(pool.map(lambda n: crowd.unasked(json={"number": f"0740010{n:04}"}), range(260)))
        fine = {f"0740020{n:04}": words for n, words in enumerate(texts())}
        taken = Counter(pool.map(lambda each: crowd.request(each[0], **dict([each[1]])), fine.items()))
    with ThreadPoolExecutor(25) as pool:
        replayed = crowd.solved()
        once = list(pool.map(lambda n: crowd.unasked(json={"number": f"0740030{n:04}", **replayed}), range(50)))
        solved = [{"number": SPELT[n % len(SPELT)], "country": "GB", **crowd.solved()} for n in range(50)]
        same = list(pool.map(lambda body: crowd.unasked(json=body), solved))
    assert refused.total() + taken.total() + len(once) + len(same) > 1_000
    assert set(refused) <= {400, 403, 404, 429}, refused
    assert (once.count(201), same.count(201)) == (1, 1)
    assert taken[201] == len(fine) - len(TEXTS), taken  # who fills in what nobody sees is a program
    rows = place.until(lambda: over_all(place), 60)
    place.scene.quiet()
    numbers = Counter("0" + row["number"][2:] for row in rows if row["state"] != "REFUSED")
    assert invited() == numbers
    assert set(numbers) <= {*fine, "07400444444", *(f"0740030{n:04}" for n in range(50))}
    assert set(numbers.values()) == {1}
    assert not (record.ROOT / "tmp/owned").exists()
    assert len(place.rows("/callmeback/cdrs", limit=1_000)) == len(numbers)


def over_all(place: Place) -> list[dict[str, Any]]:
    """All requests, once none is open, and each call has its CDR."""
    rows = place.rows("/callmeback/requests", limit=1_000)
    placed = [row for row in rows if row["state"] != "REFUSED"]
    return rows if all(row["state"] == "FAILED" and row["cdr_id"] for row in placed) else []


@pytest.mark.parametrize(("first", "how"), [("agent", "cut"), ("visitor", "cut"), ("visitor", "killed")])
def test_an_order_that_is_lost_on_its_way_rings_each_once(place: Place, first: str, how: str) -> None:
    """The wire breaks at the first word of Asterisk's answer: of a visitor that is rung first the order is out, of an agent not yet."""
    site = Site(place, dial_first=first)
    number = f"07400 33{next(_n):04}"
    solved = site.solved()
    place.relay.cut_after(1)
    token = site.ask("POST", "/requests", number=number, country="GB", **solved).json()["request"]
    if how == "killed":
        rung = place.scene.phone("outside")
        rung.until(lambda: len(rung.legs) > rung.legs_before, "is rung")
        place.kill()
        place.begin()
    rung_once(site, token)
    assert site.request(number).json() == {"error": "later"}


def test_a_call_that_asterisk_does_not_survive_is_over_and_rings_nobody_again(place: Place) -> None:
    site = Site(place)
    visitor = place.scene.meets("outside", None)
    number = f"07400 34{next(_n):04}"
    token = site.asked(number=number)
    visitor.until(lambda: len(visitor.legs) > visitor.legs_before, "is rung")
    site.until(token, "CALLING", "visitor")
    place.scene.kill_asterisk()
    site.until(token, "FAILED", "visitor", "no_answer")
    assert "the PBX was restarted" in over(site)["info"]
    assert site.request(number).json() == {"error": "later"}
