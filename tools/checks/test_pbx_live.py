"""Queues, presence and logins of phones as the real Asterisk has them. Run by `tools/checks/pbx` within the lab."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pbx_place import Place, record, talk  # type: ignore[attr-defined]

CONNECTOR = 'sip_domain = "192.0.2.10"\nsip_passwords = true\n'


def in_queue(place: Place, queue_id: int) -> dict[int, bool]:
    found = place.client.get(f"/queues/{queue_id}", params={"include": "users"}).json()["data"]["users"]
    return {each["id"]: each["status"] for each in found}


def shown(name: str) -> str:
    """What Asterisk says of its queue."""
    told: str = record.cli(f"queue show {name}")
    return told


@pytest.fixture(scope="module")
def support(place: Place) -> int:
    made = place.client.post("/queues", json={"name": "Support"})
    found: int = made.json()["data"]["id"]
    return found


def test_the_members_of_a_queue_are_asterisks(place: Place, support: int) -> None:
    static = {place.users["102"]: True, place.users["103"]: True}
    place.until(lambda: in_queue(place, support) == static)
    record.cli("queue add member PJSIP/104 to support")
    place.until(lambda: in_queue(place, support) == {**static, place.users["104"]: True})
    record.cli("queue pause member PJSIP/104 queue support")
    place.until(lambda: in_queue(place, support) == {**static, place.users["104"]: False})
    record.cli("queue remove member PJSIP/104 from support")
    place.until(lambda: in_queue(place, support) == static)


def test_members_are_logged_in_paused_and_logged_out_by_the_api(place: Place, support: int) -> None:
    def patched(*users: Any) -> Any:
        return place.client.patch(f"/queues/{support}", json={"users": list(users)})

    static = [place.users["102"], place.users["103"]]
    assert patched(*static, place.users["101"]).status_code == 200
    assert "PJSIP/101 " in shown("support")
    paused = patched(*({"id": each} for each in static), {"id": place.users["101"], "status": False})
    assert paused.status_code == 200
    assert "(paused" in next(line for line in shown("support").splitlines() if "PJSIP/101 " in line)
    assert patched(*static).status_code == 200
    assert "PJSIP/101 " not in shown("support")
    refused = patched(place.users["102"])
    assert (refused.status_code, "not removed" in refused.json()["message"]) == (503, True)
    place.until(lambda: sorted(in_queue(place, support)) == sorted(static))


def test_a_call_rings_who_is_logged_in_and_not_paused(place: Place, support: int) -> None:
    """102 and 103 are paused by the API, 104 is logged in: the caller's call comes to that phone."""
    place.ready()
    users = [{"id": place.users[each], "status": False} for each in ("102", "103")]
    place.client.patch(f"/queues/{support}", json={"users": [*users, {"id": place.users["104"]}]}).raise_for_status()
    fourth = place.scene.phone("104")
    legs = len(fourth.legs)
    caller, leg = talk(place, "101", "400")
    fourth.until(lambda: len(fourth.legs) > legs and fourth.legs[legs].state == "CONFIRMED", "is called")
    caller.hang_up(leg)
    awake = [{"id": place.users[each], "status": True} for each in ("102", "103")]
    place.client.patch(f"/queues/{support}", json={"users": awake}).raise_for_status()
    place.scene.quiet()


@contextmanager
def cut_off(place: Place) -> Iterator[None]:
    """Inside, the server has no connection to Asterisk."""
    place.relay.is_shut = True
    place.relay.cut()
    yield
    place.relay.is_shut = False


def reach(place: Place, ext: str) -> tuple[Any, Any]:
    found = place.client.get(f"/users/{place.users[ext]}").json()["data"]
    return found["presence"], found["nb_sip_locations"]


def test_presence_follows_phones(place: Place) -> None:
    place.ready()
    place.until(lambda: reach(place, "101") == reach(place, "102") == ("available", 1))
    phone = place.scene.phone("101")
    phone.register("unregister")
    place.until(lambda: reach(place, "101") == ("offline", 0))
    phone.register()
    place.until(lambda: reach(place, "101") == ("available", 1))
    place.scene.meets("102", None)
    leg = phone.call("102")
    place.until(lambda: reach(place, "102")[0] == "ringing")
    phone.hang_up(leg)
    place.scene.meets("102", 200)
    phone, leg = talk(place, "101", "102")
    place.until(lambda: (reach(place, "101")[0], reach(place, "102")[0]) == ("busy", "busy"))
    phone.hang_up(leg)
    place.until(lambda: reach(place, "102") == ("available", 1))
    with cut_off(place):
        place.until(lambda: reach(place, "102") == (None, None))
    place.until(lambda: reach(place, "102") == ("available", 1), 60)


def test_presence_is_known_while_no_phone_is_registered(place: Place) -> None:
    """A list of contacts that is empty is refused by Asterisk."""
    phones = [place.scene.phone(name) for name in ("101", "102", "103", "104", "105")]
    for phone in phones:
        phone.register("unregister")
    with cut_off(place):
        place.until(lambda: reach(place, "102") == (None, None))
    place.until(lambda: reach(place, "101") == reach(place, "102") == ("offline", 0), 60)
    for phone in phones:
        phone.register()
    place.until(lambda: reach(place, "102") == ("available", 1))


def test_me_has_what_the_phone_logs_in_with(place: Place) -> None:
    place.client.patch(f"/users/{place.acme.user_id}", json={"ext": "110"}).raise_for_status()
    me = place.client.get("/me").json()["data"]
    assert (me["sip_domain"], me["sip_password"]) == ("192.0.2.10", None)
    place.client.patch(f"/users/{place.users['105']}", json={"ext": "905"}).raise_for_status()
    place.client.patch(f"/users/{place.acme.user_id}", json={"ext": "105"}).raise_for_status()
    assert place.client.get("/me").json()["data"]["sip_password"] == "lab-105"
    assert "lab-105" not in place.server.log.read_text()
