"""Two real Asterisks of one customer, each with phones of its own, whose extensions and ids are alike. Run by `tools/checks/pbx` within
the lab."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pbx_place import Place, lab, record  # type: ignore[attr-defined]

SOUTH = "192.0.2.11"
PHONES = {"101": "192.0.2.113", "102": "192.0.2.115"}
"""Of the second one: where its phones of these extensions are."""
FOLDERS = ("etc/south", "var/lib/south", "var/log/south", "var/spool/south", "run/south")
CONFIGURED = """
[directories]
astetcdir => /etc/south
astmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules
astvarlibdir => /var/lib/asterisk
astdbdir => /var/lib/south
astkeydir => /var/lib/asterisk
astdatadir => /usr/share/asterisk
astspooldir => /var/spool/south
astrundir => /run/south
astlogdir => /var/log/south

[options]
transmit_silence = yes
"""


def cli(command: str) -> str:
    asked = ["chroot", str(record.ROOT), "asterisk", "-C", "/etc/south/asterisk.conf", "-rx", command]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def configured() -> None:
    """As the first one, at another address and port."""
    root = record.ROOT
    subprocess.run(["ip", "address", "add", f"{SOUTH}/32", "dev", "lo"], check=True)
    shutil.copytree(root / "etc/asterisk", root / "etc/south")
    for name in FOLDERS[1:]:
        (root / name).mkdir(parents=True)
    for name, old, new in (("pjsip", lab.ASTERISK, SOUTH), ("manager", "5038", "5039")):
        path = root / f"etc/south/{name}.conf"
        path.write_text(path.read_text().replace(old, new))
    modules = next(root.glob("usr/lib/*/asterisk/modules")).relative_to(root)
    text = CONFIGURED.replace("usr/lib/x86_64-linux-gnu/asterisk/modules", str(modules))
    (root / "etc/south/asterisk.conf").write_text(text)
    record.run("chroot", str(root), "chown", "-R", "asterisk:asterisk", *(f"/{each}" for each in FOLDERS))


@pytest.fixture(scope="module")
def south(place: Place) -> Iterator[dict[str, Any]]:
    """Its phones, by their extensions; the server is connected to both Asterisks, under names of their own."""
    with ExitStack() as stack:
        configured()
        log = stack.enter_context((Path(place.settings.data_dir) / "south.log").open("w"))
        command = ["chroot", str(record.ROOT), "asterisk", "-C", "/etc/south/asterisk.conf"]
        own = ["-f", "-U", "asterisk", "-G", "asterisk"]
        stack.enter_context(lab.ended(subprocess.Popen([*command, *own], stdout=log, stderr=log, text=True)))
        lab.until(lambda: "fully booted" in cli("core waitfullybooted"), "the second Asterisk", 60)
        place.kill()
        toml = Path(place.settings.data_dir) / "ringback.toml"
        section = toml.read_text().replace("connectors.lab", "connectors.south")
        toml.write_text(toml.read_text() + section.replace(f"port = {place.relay.port}", "port = 5039"))
        place.begin()
        place.connected(1)
        yield {
            name: place.scene.place.phone(f"{name}south", address=address, registrar=SOUTH)
            for name, address in PHONES.items()
        }


def reach(place: Place, ext: str) -> tuple[Any, Any]:
    found = place.client.get(f"/users/{place.users[ext]}").json()["data"]
    return found["presence"], found["nb_sip_locations"]


def connected_calls(place: Place) -> Any:
    return [row for row in place.rows("/calls") if row["state"] == "CONNECTED"]


def test_phones_of_both_are_a_users_phones(place: Place, south: dict[str, Any]) -> None:
    place.until(lambda: reach(place, "101") == reach(place, "102") == ("available", 2), 60)
    place.scene.phone("102").register("unregister")
    place.until(lambda: reach(place, "102") == ("available", 1))
    south["102"].register("unregister")
    place.until(lambda: reach(place, "102") == ("offline", 0))
    place.scene.phone("102").register()
    south["102"].register()
    place.until(lambda: reach(place, "102") == ("available", 2))


def test_calls_of_both_are_live_side_by_side_and_each_ends_where_it_is(place: Place, south: dict[str, Any]) -> None:
    place.ready()
    known = {row["id"] for row in place.rows("/cdrs")}
    here, there = place.scene.phone("101"), south["101"]
    legs = [(phone, phone.call("102")) for phone in (here, there)]
    for phone, leg in legs:
        phone.talks(leg)

    def of(leg: Any) -> Any:
        return place.until(lambda: [row for row in connected_calls(place) if row["src_call_id"] == leg.call_id])[0]

    first, second = (of(leg) for _, leg in legs)
    assert place.client.delete(f"/calls/{second['id']}").status_code == 204
    there.ended(legs[1][1])
    place.until(lambda: [row["id"] for row in place.rows("/calls")] == [first["id"]])
    assert legs[0][1].state == "CONFIRMED"
    here.hang_up(legs[0][1])
    place.until(lambda: len(place.fresh(known)) == 2)
    found = place.fresh(known)
    assert {row["live_id"] for row in found} == {first["id"], second["id"]}
    assert {(row["src"], row["dst"], row["disposition"], row["parent_live_id"]) for row in found} == {
        ("101", "102", "CONNECTED", None)
    }


def test_an_order_rings_the_phone_where_it_is(place: Place, south: dict[str, Any]) -> None:
    """101 is registered at the second one alone: its phone there rings, and calls on from there."""
    place.ready()
    phone, other = south["101"], south["102"]
    place.scene.phone("101").register("unregister")
    place.until(lambda: reach(place, "101") == ("available", 1))
    legs, others = len(phone.legs), len(other.legs)
    answer = place.client.post("/calls", json={"from": place.users["101"], "to": "102"})
    assert answer.status_code == 201, answer.text
    phone.talks(phone.leg(legs))
    other.talks(other.leg(others))
    place.until(lambda: connected_calls(place))
    phone.hang_up(phone.leg(legs))
    place.until(lambda: not place.rows("/calls"))
    place.scene.phone("101").register()
