"""Callbacks asked for on a web page, through a real Asterisk to real phones. Run by `tools/checks/pbx` within the lab."""

import time
from typing import Any

import pbx_callbacks
import pytest
from pbx_callbacks import SETTINGS, Site, over, rung_once, talk, talked
from pbx_place import Place

__all__ = ["SETTINGS"]
NUMBER, QUEUE_DDI = "07400 123456", "442079460400"


@pytest.fixture(autouse=True)
def ready(place: Place) -> None:
    pbx_callbacks.ready(place)


@pytest.mark.parametrize("first", ["agent", "visitor"])
def test_both_answer_and_talk(place: Place, first: str) -> None:
    site = Site(place, dial_first=first)
    phone = place.scene.phone("101" if first == "agent" else "outside")
    legs = len(phone.legs)
    token = site.asked()
    phone.until(lambda: len(phone.legs) > legs, "is rung")
    rang_s = time.monotonic() - site.clicked
    print(f"{first} first: {rang_s * 1000:.0f} ms from the request to the ringing phone")
    site.until(token, "CONNECTED")
    agent, leg = talk(place, "101")
    talk(place, "outside")
    time.sleep(1.2)
    agent.hang_up(leg)
    site.until(token, "ENDED")
    cdr = over(site)
    assert (cdr["destination"], cdr["disposition"]) == ("callmeback", "CONNECTED")
    assert 1 <= cdr["billsec"] <= 4
    assert bool(cdr["charge"]) is (first == "agent")
    (visitor,) = [row for row in place.rows("/callmeback/visitors") if row["cdr_id"] == cdr["id"]]
    assert visitor["state"] == "ENDED"


def test_the_visitor_hangs_up(place: Place) -> None:
    site = Site(place)
    token = site.asked()
    talked(site, token)


@pytest.mark.parametrize(
    ("first", "who", "code", "told"),
    [
        ("agent", "101", 486, ("FAILED", "agent", "busy")),
        ("agent", "outside", 486, ("FAILED", "visitor", "busy")),
        ("agent", "outside", None, ("FAILED", "visitor", "no_answer")),
        ("visitor", "outside", 486, ("FAILED", "visitor", "busy")),
        ("visitor", "outside", None, ("FAILED", "visitor", "no_answer")),
        ("visitor", "101", 486, ("FAILED", "agent", "busy")),
        ("visitor", "101", None, ("FAILED", "agent", "no_answer")),
    ],
)
def test_one_of_them_does_not_answer(place: Place, first: str, who: str, code: int | None, told: Any) -> None:
    site = Site(place, dial_first=first)
    place.scene.meets(who, code, 0.2)
    token = site.asked()
    site.until(token, *told)
    cdr = over(site)
    assert (cdr["destination"], cdr["billsec"] > 0) == ("callmeback", False), cdr


def test_a_number_that_the_dial_plan_does_not_have(place: Place) -> None:
    """Numbers abroad: `00…` is no line of it."""
    place.client.post("/rates", json={"prefix": "48", "destination": "Poland", "price": 0.02})
    site = Site(place, allowed_countries=["PL"])
    token = site.asked(number="+48 512 345 678")
    site.until(token, "FAILED", "agent", "failed")
    assert site.row()["reason"].startswith("agent: failed: The PBX does not do it")


def test_the_visitor_gives_up_while_the_agent_is_rung(place: Place) -> None:
    site = Site(place)
    agent = place.scene.meets("101", None)
    legs = len(agent.legs)
    token = site.asked()
    agent.until(lambda: len(agent.legs) > legs, "is rung")
    assert site.ask("DELETE", f"/requests/{token}").status_code == 204
    site.until(token, "FAILED", "visitor", "cancelled")
    agent.ended(agent.legs[legs])
    visitor = place.scene.phone("outside")
    assert len(visitor.legs) == visitor.legs_before


def test_a_queue_answers(place: Place) -> None:
    """The queue answers by itself, so the visitor is called at once and waits in it with the agent's phone ringing."""
    place.client.post("/ddis", json={"e164": QUEUE_DDI, "destination": "400"})
    site = Site(place, ddi_e164=QUEUE_DDI, dial_first="visitor")
    token = site.asked()
    talked(site, token)
    assert over(site)["destination"] == "callmeback"


def test_a_call_does_not_last_longer_than_it_may(place: Place) -> None:
    site = Site(place, max_duration=2)
    token = site.asked()
    site.until(token, "CONNECTED")
    began = time.monotonic()
    site.until(token, "ENDED")
    assert 1.0 < time.monotonic() - began < 4.5


@pytest.mark.parametrize("after", ["CALLING", "CONNECTED"])
def test_a_server_that_is_killed_rings_nobody_again(place: Place, after: str) -> None:
    site = Site(place)
    place.scene.meets("outside", 200, 3.0)
    agent, token = place.scene.phone("101"), site.asked()
    agent.until(lambda: len(agent.legs) > agent.legs_before, "is rung")
    place.until(lambda: site.ask("GET", f"/requests/{token}").json()["state"] == after)
    place.kill()
    place.begin()
    rung_once(site, token)


def test_what_is_not_allowed_rings_nobody(place: Place) -> None:
    dear, abroad = Site(place, max_call_rate=0.01), Site(place, allowed_countries=["PL"])
    assert dear.request().json() == {"error": "refused"}
    assert dear.row()["reason"].startswith("price")
    assert abroad.request().json() == {"error": "country"}
    site = Site(place)
    assert site.ask("POST", "/requests", origin="https://evil.example", number=NUMBER).status_code == 403
    assert site.request("09098 790000").json() == {"error": "number"}
    assert site.request("112").json() == {"error": "number"}
    time.sleep(1)
    for name in ("101", "outside"):
        phone = place.scene.phone(name)
        assert len(phone.legs) == phone.legs_before
