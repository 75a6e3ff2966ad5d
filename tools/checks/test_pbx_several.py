"""Two customers on one Asterisk, ids that two PBXs have alike, and an Asterisk that dies in the middle of a call. Run by
`tools/checks/pbx` within the lab."""

import time
from pathlib import Path
from typing import Any

import pytest
from pbx_place import VISIBLE_S, Place, record, talk  # type: ignore[attr-defined]
from tests.process import ringback

from ringback.identity import tokens
from ringback.opening import open_services
from ringback.store import accounts

OURS, THEIRS = "442079460101", "442079460201"


class Second:
    """A second customer on the same Asterisk: whose number is called from outside says whose call it is."""

    def __init__(self, place: Place) -> None:
        place.kill()
        services = open_services(place.settings)
        now, name = services.clock(), {"name": "Second", "cc": "GB"}
        self.id = services.database.write(lambda db: accounts.create_customer(db, now=now, **name))
        owner = {"email": "second@example.com", "roles": '["administrator"]', "is_root": True}
        user_id = services.database.write(lambda db: accounts.create_user(db, self.id, now=now, **owner))
        given = {"kind": tokens.API, "expiry_s": None, "now": now, "name": "test"}
        self.token, _ = services.database.write(lambda db: tokens.add(db, self.id, user_id, **given))
        services.database.close()
        toml = Path(place.settings.data_dir) / "ringback.toml"
        rule = f'[[connectors.lab.rules]]\ncustomer = {self.id}\nddi = "{THEIRS}"\n'
        again = toml.read_text().replace("connectors.lab", "connectors.again")
        toml.write_text(toml.read_text() + rule + again + rule.replace("connectors.lab", "connectors.again"))
        place.begin()
        place.until(lambda: place.server.log.read_text().count('"pbx connected"') == 2)

    def rows(self, place: Place, path: str) -> list[dict[str, Any]]:
        with place.server.client(self.token) as client:
            found: list[dict[str, Any]] = client.get(path).json()["data"]
        return found


@pytest.fixture(scope="module")
def second(place: Place) -> Second:
    return Second(place)


def imported(place: Place, *more: str) -> str:
    """What `ringback import asterisk-cel` of the whole log says."""
    toml = Path(place.settings.data_dir) / "ringback.toml"
    given = ("--customer", str(place.acme.customer_id), "--config", str(toml), *more)
    seen = ringback(place.settings, "import", "asterisk-cel", str(record.CEL), *given)
    return str(seen.stdout + seen.stderr)


def test_an_asterisk_that_is_killed_ends_its_calls_once(place: Place) -> None:
    place.ready()
    known = {row["id"] for row in place.rows("/cdrs")}
    talk(place, "101", "102")
    place.until(lambda: [row for row in place.rows("/calls") if row["state"] == "CONNECTED"])
    place.scene.kill_asterisk()
    (cdr,) = place.until(lambda: place.fresh(known), 60)
    assert ("the PBX was restarted" in cdr["info"], cdr["src"], cdr["dst"]) == (True, "101", "102")
    place.until(lambda: place.server.log.read_text().count('"pbx connected"') == 2, 60)
    assert place.rows("/calls") == []
    imported(place)
    assert len(place.fresh(known)) == 1


def test_a_call_whose_end_nobody_saw_is_put_right_by_the_log(place: Place) -> None:
    """The phones say how long it was."""
    place.ready()
    known = {row["id"] for row in place.rows("/cdrs")}
    phone, leg = talk(place, "103", "104")
    began = time.monotonic()
    live = place.until(lambda: [row for row in place.rows("/calls") if row["state"] == "CONNECTED"])[0]
    place.kill()
    time.sleep(3)
    phone.hang_up(leg)
    talked_s = time.monotonic() - began
    place.scene.quiet()
    place.begin()
    (cut,) = place.until(lambda: place.fresh(known))
    assert ("incomplete: its end was not seen" in cut["info"], cut["live_id"]) == (True, live["id"])
    assert cut["billsec"] < talked_s - 1
    place.client.post(f"/cdrs/{cut['id']}/notes", json={"text": "kept"}).raise_for_status()
    assert " 1 changed" in imported(place)
    (whole,) = place.fresh(known)
    assert (whole["id"], whole["live_id"], whole["nb_notes"], whole["info"]) == (cut["id"], live["id"], 1, None)
    assert abs(whole["billsec"] - talked_s) < 2
    assert " 0 new" in imported(place)


def test_calls_of_two_customers_are_seen_by_each_alone(place: Place, second: Second) -> None:
    place.ready()
    before = {row["id"] for row in place.rows("/cdrs")}
    phone, leg = talk(place, "outside", THEIRS)
    place.until(lambda: second.rows(place, "/calls"))
    phone.hang_up(leg)
    place.until(lambda: len({cdr["root_live_id"] for cdr in second.rows(place, "/cdrs")}) == 2)  # heard by two
    found = second.rows(place, "/cdrs")
    assert {cdr["type"] for cdr in found} == {"I"}
    place.scene.quiet()
    phone, leg = talk(place, "outside", OURS)
    place.until(lambda: place.rows("/calls"))
    assert second.rows(place, "/calls") == []
    phone.hang_up(leg)
    place.until(lambda: place.fresh(before))
    time.sleep(VISIBLE_S)
    assert second.rows(place, "/cdrs") == found


@pytest.mark.usefixtures("second")
def test_a_phone_rings_for_no_other_customer(place: Place, second: Second) -> None:
    """Whose administrator has the extension of the first one's phone 101."""
    with place.server.client(second.token) as client:
        me = client.get("/me").json()["data"]["id"]
        assert client.patch(f"/users/{me}", json={"ext": "101"}).status_code == 200
        assert client.post("/calls", json={"to": "102"}).status_code == 412
        assert client.post("/webcalls", json={"from": "101", "to": "102"}).status_code == 412
        assert client.post("/webcalls", json={"from": "102", "to": "101"}).status_code == 503
    assert place.rows("/calls") == []


def test_ids_that_two_pbxs_have_alike_are_two_calls(place: Place) -> None:
    """One Asterisk, connected under two names, is two whose ids are all alike."""
    place.ready()
    assert "--connector lab or again" in imported(place)
    for name in ("lab", "again"):
        imported(place, "--connector", name)
    known = {row["id"] for row in place.rows("/cdrs")}
    phone, leg = talk(place, "101", "102")
    place.until(lambda: len(place.rows("/calls")) == 2)
    phone.hang_up(leg)
    place.until(lambda: len(place.fresh(known)) == 2)
    time.sleep(VISIBLE_S)
    roots = {cdr["root_live_id"] for cdr in place.fresh(known)}
    assert (len(place.fresh(known)), len(roots), place.rows("/calls")) == (2, 2, [])
    for name in ("lab", "again"):
        assert " 0 new" in imported(place, "--connector", name)
