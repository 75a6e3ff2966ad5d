"""Calls that the API places, sends on and ends. Run by `tools/checks/pbx` within the lab."""

import time

from pbx_place import Place


def test_a_phone_that_is_not_registered_is_told_at_once(place: Place) -> None:
    user = place.client.post(
        "/users", json={"email": "u109@acme.example", "first_name": "U", "last_name": "L", "ext": "109"}
    ).json()["data"]["id"]
    began = time.monotonic()
    assert place.client.post("/calls", json={"to": "102", "from": user}).status_code == 412
    assert time.monotonic() - began < 1


def test_a_phone_that_refuses_at_once_is_told_at_once(place: Place) -> None:
    place.ready()
    place.scene.meets("101", 486, 0.0)
    began = time.monotonic()
    made = place.client.post("/calls", json={"to": "102", "from": place.users["101"]})
    assert made.status_code in (201, 503), made.text  # it may just have been seen
    assert time.monotonic() - began < 2
    cdr = place.until(lambda: [row for row in place.rows("/cdrs") if row["t_cause"] == "User busy"])[0]
    assert (cdr["src"], cdr["billsec"]) == ("101", 0)
    place.until(lambda: not place.rows("/calls"))


def test_a_call_is_placed_transferred_and_hung_up_by_the_api(place: Place) -> None:
    place.ready()
    order = {"to": "102", "from": place.users["101"]}
    made = place.client.post("/calls", json=order, headers={"Idempotency-Key": "a"})
    again = place.client.post("/calls", json=order, headers={"Idempotency-Key": "a"})
    assert (made.status_code, again.json()["data"]["id"]) == (201, made.json()["data"]["id"])
    live_id = made.json()["data"]["id"]
    place.until(lambda: [row["dst"] for row in place.rows("/calls") if row["state"] == "CONNECTED"] == ["102"])
    legs = len(place.scene.phone("103").legs)
    assert place.client.patch(f"/calls/{live_id}", json={"dst": "103"}).status_code == 200
    third = place.scene.phone("103")
    third.until(lambda: len(third.legs) > legs and third.legs[legs].state == "CONFIRMED", "rings after the transfer")
    row = place.until(lambda: [row for row in place.rows("/calls") if row["dst"] == "103" and row["connected_at"]])[0]
    assert place.client.delete(f"/calls/{row['id']}").status_code == 204
    third.ended(third.legs[legs])
    cdrs = place.until(lambda: [row for row in place.rows("/cdrs") if row["root_live_id"] == live_id])
    assert sorted(cdr["dst"] for cdr in cdrs) == ["102", "103"]
    place.until(lambda: not place.rows("/calls"))
