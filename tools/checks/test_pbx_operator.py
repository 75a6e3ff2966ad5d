"""What an operator does with a connected Asterisk, through the API, and what happens to bad settings and bad names. Run by
`tools/checks/pbx` within the lab."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pbx_place import Place, record, talk  # type: ignore[attr-defined]

LOADED_S = 60.0
SPOOL = Path("/mnt/asterisk/var/spool/asterisk/monitor")
CONNECTOR = f'recordings = "{SPOOL}"\nremove_recordings = true\n'
EVIL = "=cmd|/C calc!A0<script>alert</script>"
DIALPLAN = """
[internal](+)
exten = 901,1,MixMonitor(${UNIQUEID}.wav)
 same = n,Dial(PJSIP/102,8,tT)
"""
LIMITED = """
[deaf]
secret = ledger
read = cdr
write = command
[mute]
secret = ledger
read = cdr
write = all
"""


@pytest.fixture(scope="module", autouse=True)
def prepared(place: Place) -> None:
    """A rate deck, an extension that records, a caller outside with an evil name, and logins that may not enough."""
    for prefix, price in (("447", 0.1), ("44", 0.012)):
        rate = {"prefix": prefix, "destination": "Drama", "price": price, "minimum_s": 30, "increment_s": 6}
        place.client.post("/rates", json=rate).raise_for_status()
    etc = record.ROOT / "etc/asterisk"
    for name, more in (("extensions", DIALPLAN), ("manager", LIMITED)):
        with (etc / f"{name}.conf").open("a") as file:
            file.write(more)
    phones = (etc / "pjsip.conf").read_text()
    (etc / "pjsip.conf").write_text(phones.replace("callerid = Outside <", f'callerid = "{EVIL}" <'))
    for each in ("dialplan reload", "manager reload", "module reload res_pjsip.so"):
        record.cli(each)


def live(place: Place, **wanted: Any) -> Any:
    """The call that is as wanted, as soon as there is one."""

    def found() -> Any:
        return [row for row in place.rows("/calls") if all(row[name] == value for name, value in wanted.items())]

    return place.until(found, LOADED_S)[0]


def over(place: Place, live_id: int) -> Any:
    return place.until(lambda: [row for row in place.rows("/cdrs") if row["live_id"] == live_id], LOADED_S)[0]


# -- live


def test_a_call_to_the_outside_says_what_it_costs_while_it_lasts(place: Place) -> None:
    place.ready()
    phone, leg = talk(place, "101", "07700900456")
    signalled = {"src_codec": "ulaw", "src_ua": "Lab phone 101", "src_call_id": leg.call_id}
    call = live(place, state="CONNECTED", **signalled)
    assert (call["dst"], call["dst_rate"], call["min_charge"], call["src_rate"]) == ("447700900456", 0.1, 0.05, None)
    assert [row["id"] for row in place.rows(f"/users/{place.users['101']}/calls")] == [call["id"]]
    assert place.rows(f"/users/{place.users['102']}/calls") == []
    linked = {"action_url": "https://crm.example/1", "action_text": "Customer"}
    assert place.client.patch(f"/calls/{call['id']}", json=linked).json()["data"]["action_text"] == "Customer"
    phone.within("hold", leg)
    live(place, state="ON_HOLD", action_url="https://crm.example/1")
    phone.within("resume", leg)
    live(place, state="CONNECTED")
    time.sleep(1)  # the first second costs what the first 30 do
    phone.hang_up(leg)
    cdr = over(place, call["id"])
    assert (cdr["rate"], cdr["charge"], cdr["type"]) == (0.1, 0.05, "O")


def test_who_leaves_a_message_is_connected_since_the_mailbox_answered(place: Place) -> None:
    place.ready()
    place.scene.meets("101", None)
    phone = place.scene.phone("102")
    leg = phone.call("201")
    phone.talks(leg)
    call = live(place, context="VOICEMAIL", state="CONNECTED")
    now = time.time()
    assert call["start_time"] <= call["connected_at"] <= now
    assert call["duration"] <= now - call["connected_at"]
    phone.hang_up(leg)
    assert over(place, call["id"])["disposition"] == "VM"


def test_a_number_outside_is_called_first_once_for_each_key(place: Place) -> None:
    place.ready()
    phones = [place.scene.phone(name) for name in ("outside", "102")]
    legs = [len(phone.legs) for phone in phones]
    order, key = {"from": "07700900456", "to": "102"}, {"Idempotency-Key": "web"}
    made = place.client.post("/webcalls", json=order, headers=key)
    again = place.client.post("/webcalls", json=order, headers=key)
    assert (made.status_code, again.json()["data"]["id"]) == (201, made.json()["data"]["id"])
    for phone, number in zip(phones, legs, strict=True):
        phone.talks(phone.leg(number))
    assert place.client.post("/webcalls", json={"from": "101", "to": "102"}, headers=key).status_code == 400
    live_id = made.json()["data"]["id"]
    record.hang_up_all(place.scene)
    over(place, live_id)
    place.until(lambda: not place.rows("/calls"))
    assert [len(phone.legs) for phone in phones] == [number + 1 for number in legs]


@pytest.mark.parametrize("number", ["102\r\nAction: Command", "102,1,System(id)", "102&PJSIP/103", "102@internal", ""])
def test_no_number_carries_a_command(place: Place, number: str) -> None:
    for path, order in (
        ("/calls", {"to": number, "from": place.users["101"]}),
        ("/webcalls", {"from": number, "to": "102"}),
        ("/webcalls", {"from": "101", "to": number}),
    ):
        assert place.client.post(path, json=order).status_code == 400
    assert place.rows("/calls") == []


def test_a_stream_is_opened_once_by_a_ticket(place: Place) -> None:
    ticket = place.client.post("/events/tickets").json()["data"]["ticket"]
    with place.server.client("") as stranger:
        with stranger.stream("GET", "/events", params={"ticket": ticket}) as answer:
            assert answer.status_code == 200
        assert stranger.get("/events", params={"ticket": ticket}).status_code == 401


# -- recordings


def test_a_recording_is_removed_once_its_mp3_is_stored(place: Place) -> None:
    place.ready()
    phone, leg = talk(place, "101", "901")
    path = place.until(lambda: list(SPOOL.glob("*.wav")))[0]
    time.sleep(2)
    assert path.exists()
    phone.hang_up(leg)
    (monitor,) = place.until(lambda: place.rows("/monitors"), LOADED_S)
    place.until(lambda: not path.exists())
    mp3 = place.client.get(f"/monitors/{monitor['id']}.mp3").content
    assert (mp3[0], mp3[1] & 0xE0) == (0xFF, 0xE0)


# -- bad input


def test_a_callers_evil_name_is_text_everywhere(place: Place) -> None:
    place.ready()
    phone, leg = talk(place, "outside", "442079460101")
    call = live(place, state="CONNECTED")
    assert (call["src_name"], call["src"]) == (EVIL, "447700900123")
    assert place.client.get(f"/calls/{call['id']}").headers["content-type"].startswith("application/json")
    phone.hang_up(leg)
    assert over(place, call["id"])["src_name"] == EVIL
    cells = [cell for line in csv.reader(place.client.get("/cdrs.csv").text.splitlines()) for cell in line]
    found = [cell for cell in cells if EVIL in cell]
    assert found
    assert not [cell for cell in found if cell.startswith("=")]


@pytest.fixture
def broken(place: Place) -> Iterator[None]:
    """Connections that cannot be: a wrong secret, a login that may do nothing, one that hears nothing, nobody there."""
    place.kill()
    toml = Path(place.settings.data_dir) / "ringback.toml"
    whole = toml.read_text()
    section = whole[whole.index("[connectors.lab]") :].replace("remove_recordings = true\n", "")
    section = section.replace(f"port = {place.relay.port}", "port = 5038")
    bad = (
        ("secret", 'secret = "ledger"', 'secret = "wrong"'),
        ("deaf", 'user = "ledger"', 'user = "deaf"'),
        ("mute", 'user = "ledger"', 'user = "mute"'),
        ("nobody", "port = 5038", "port = 5999"),
    )
    more = "".join(section.replace("connectors.lab", f"connectors.{name}").replace(old, new) for name, old, new in bad)
    toml.write_text(whole + more)
    place.begin()
    yield
    place.kill()
    toml.write_text(whole)
    place.begin()


@pytest.mark.usefixtures("broken")
def test_what_cannot_be_connected_is_one_clear_line_and_the_rest_goes_on(place: Place) -> None:
    def told(name: str) -> list[str]:
        lines = place.server.log.read_text().splitlines()
        return [line for line in lines if f'"pbx": "{name}"' in line and '"level": "warning"' in line]

    place.until(lambda: all(map(told, ("secret", "nobody", "deaf", "mute"))), 60)
    place.ready()
    phone, leg = talk(place, "101", "102")
    live(place, state="CONNECTED")
    phone.hang_up(leg)
    place.until(lambda: not place.rows("/calls"))
    assert len(told("secret")) == len(told("nobody")) == len(told("deaf")) == 1
    assert "mute does not hear events of" in told("mute")[0]
    assert "login as ledger refused" in told("secret")[0]
    assert "127.0.0.1:5999 cannot be reached: Connection refused" in told("nobody")[0]
    assert "ringback doctor asterisk deaf" in told("deaf")[0]
