"""Calls through a real Asterisk that a running server is connected to: run by `tools/checks/pbx` within the lab. The phones say
what happened; nothing that is expected here comes from our own output."""

import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.process import COMMAND, ROOT, Login, Process, login

from ringback.settings import Settings
from ringback.store import migrate

sys.path[:0] = [str(ROOT / "tools/lab/ledger"), str(ROOT / "tools/lab")]

import lab  # type: ignore[import-not-found] # noqa: E402 - stands in a folder of its own
import record  # type: ignore[import-not-found] # noqa: E402

from scenes import SCENES  # type: ignore[import-not-found] # noqa: E402

PHONES = ("101", "102", "103", "104", "105", "outside")
# fmt: off
PLAYED = (
    "answered_internal", "answered_callee_hangs_up", "answered_inbound", "answered_outbound", "busy", "rejected",
    "cancelled", "held", "ring_group", "ring_group_one_busy", "ring_group_local", "hunt", "local_optimised",
    "forward_to_mobile", "menu_to_phone", "echo_test", "queue_first_member", "queue_second_member", "queue_abandoned",
    "blind_by_callee", "blind_by_caller", "blind_to_mobile", "attended_by_callee", "attended_by_caller", "picked_up",
    "originated_agent_first", "originated_customer_first", "blind_by_program", "redirected",
)
# fmt: on
VISIBLE_S = 1.0
PATIENCE_S = 15.0
_TOLD = re.compile(r"\s*([\d.]+) (\w+) call (\d+): (\w+) (\d+)")


class Relay:
    """Between the server and Asterisk's manager interface: a wire that can be cut."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        ends, self._ends = self._ends, []
        for each in ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = socket.create_connection(("127.0.0.1", 5038))
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
        other.shutdown(socket.SHUT_RDWR)


class Rang(NamedTuple):
    """What a phone says of a call that came to it. `talked_s` is None when it was not answered there."""

    phone: str
    talked_s: float | None


class Played(NamedTuple):
    rang: list[Rang]
    cdrs: list[dict[str, Any]]
    live_left: int


class Place:
    """The lab with a server that is connected to it."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.settings = Settings(data_dir=str(folder), database=str(folder / "ringback.db"))
        migrate.upgrade(self.settings.database)
        self.acme: Login = login(self.settings)
        self.relay = Relay()
        self._toml = folder / "ringback.toml"
        self._toml.write_text(
            f'[connectors.lab]\nkind = "asterisk"\nuser = "ledger"\nsecret = "ledger"\nport = {self.relay.port}\n'
            f'customer = {self.acme.customer_id}\ndial_context = "internal"\n'
        )
        stack.enter_context(record.copied())
        self.scene = record.Scene(lab.Lab(stack, folder), stack, folder)
        self.begin()
        stack.callback(self.end)
        self.users = {ext: self._user(ext) for ext in PHONES if ext != "outside"}
        for name in PHONES:
            self.scene.phone(name)

    def begin(self) -> None:
        command = (*COMMAND, "serve", "--port", "0", "--config", str(self._toml))
        self.server = Process(command, self.settings)
        self.client: httpx.Client = self.server.client(self.acme.token)
        self.until(lambda: '"pbx connected"' in self.server.log.read_text())

    def end(self) -> None:
        """Of whichever server runs now."""
        self.client.close()
        self.server.popen.kill()
        self.server.popen.wait()

    def kill(self) -> None:
        self.client.close()
        self.server.end(signal.SIGKILL)

    def _user(self, ext: str) -> int:
        given = {"email": f"u{ext}@acme.example", "first_name": f"U{ext}", "last_name": "Lab", "ext": ext}
        user_id: int = self.client.post("/users", json=given).raise_for_status().json()["data"]["id"]
        return user_id

    def ready(self) -> None:
        """Every phone answers, and nobody talks."""
        record.hang_up_all(self.scene)
        self.scene.quiet()
        self.scene.ami.heard.clear()
        for name in PHONES:
            self.scene.meets(name, 200)
        for phone in self.scene.place.phones.values():
            phone.legs_before = len(phone.legs)

    def rows(self, path: str, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(path, params={"limit": 200, **params}).json()["data"]
        return found

    def until(self, happened: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        give_up = time.monotonic() + patience_s
        while not (found := happened()):
            assert time.monotonic() < give_up, self.server.log.read_text()[-2000:]
            time.sleep(0.05)
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(stack, tmp_path_factory.mktemp("pbx"))


def play(place: Place, name: str) -> Played:
    place.ready()
    known = {row["id"] for row in place.rows("/cdrs")}
    told: list[str] = []
    record.watched(place.scene.place.phones, told, time.time())
    SCENES[name](place.scene)
    record.hang_up_all(place.scene)
    place.scene.quiet()
    time.sleep(VISIBLE_S)
    found = [row for row in place.rows("/cdrs") if row["id"] not in known]
    return Played(list(rang(told)), found, len(place.rows("/calls")))


def rang(told: list[str]) -> Iterator[Rang]:
    """Of each call that came to a phone, by its own log."""
    calls: dict[tuple[str, str], dict[str, float]] = {}
    for line in told:
        found = _TOLD.match(line)
        if found is not None:
            calls.setdefault((found[2], found[3]), {}).setdefault(found[4], float(found[1]))
    for (phone, _), states in calls.items():
        if "INCOMING" in states:
            up, down = states.get("CONFIRMED"), states.get("DISCONNECTED")
            yield Rang(phone, None if up is None or down is None else down - up)


@pytest.mark.parametrize("name", PLAYED)
def test_the_cdrs_of_a_call_are_what_its_phones_did(place: Place, name: str) -> None:
    played = play(place, name)
    roots = [cdr for cdr in played.cdrs if cdr["parent_live_id"] is None]
    assert len(roots) == 1, played
    assert {cdr["root_live_id"] for cdr in played.cdrs} == {roots[0]["live_id"]}
    ids = {cdr["live_id"] for cdr in played.cdrs}
    assert {cdr["parent_live_id"] for cdr in played.cdrs} <= ids | {None}
    assert not any("incomplete" in (cdr["info"] or "") for cdr in played.cdrs)
    assert played.live_left == 0
    for each in played.rang:
        _check_reached(played, each, place.users.get(each.phone), is_sent_on=name.startswith(("blind", "attended")))


def _check_reached(played: Played, each: Rang, user_id: int | None, *, is_sent_on: bool) -> None:
    """There is a CDR of the phone; where it talked, they say how long. A phone that has transferred its call keeps it until the
    scene is over, so that its own log says too much."""
    own = [cdr for cdr in played.cdrs if _is_of(cdr, user_id)]
    assert own, (each, played.cdrs)
    talks = [cdr["billsec"] for cdr in own if cdr["disposition"] in {"CONNECTED", "ON_HOLD"}]
    if each.talked_s is not None:
        assert talks, (each, own)
        assert max(talks) <= sum(one.talked_s or 0 for one in played.rang) + 8
        assert is_sent_on or sum(talks) >= int(each.talked_s) - 2, (each, own)


def _is_of(cdr: dict[str, Any], user_id: int | None) -> bool:
    """Of the user, or of somebody outside."""
    if user_id is not None:
        return str(user_id) in (cdr["src_id"], cdr["dst_id"])
    return any((cdr[side] or "").startswith("447") for side in ("src", "dst"))


def talk(place: Place, caller: str, number: str) -> tuple[Any, Any]:
    phone = place.scene.phone(caller)
    leg = phone.call(number)
    phone.talks(leg)
    return phone, leg


def test_a_phone_that_is_not_registered_is_told_at_once(place: Place) -> None:
    user = place.client.post(
        "/users", json={"email": "u109@acme.example", "first_name": "U", "last_name": "L", "ext": "109"}
    ).json()["data"]["id"]
    began = time.monotonic()
    assert place.client.post("/calls", json={"to": "102", "from": user}).status_code == 412
    assert time.monotonic() - began < 1


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


def test_a_wire_that_is_cut_and_a_server_that_is_killed_lose_and_double_nothing(place: Place) -> None:
    """Calls begin, go on and end while the wire is cut, and while no server runs."""
    place.ready()
    known = {row["id"] for row in place.rows("/cdrs")}
    one, first = talk(place, "101", "102")
    two, second = talk(place, "103", "07700900456")
    place.until(lambda: len(place.rows("/calls")) == 2)
    place.relay.cut()
    time.sleep(0.5)
    place.kill()
    one.hang_up(first)
    time.sleep(1)
    place.begin()
    place.relay.cut()
    three, third = talk(place, "104", "105")
    place.until(lambda: {row["src"] for row in place.rows("/calls")} == {"103", "104"})
    place.kill()
    place.begin()
    two.hang_up(second)
    three.hang_up(third)
    place.scene.quiet()
    fresh = place.until(lambda: [found for found in [_fresh(place, known)] if len(found) == 3])[0]
    assert sorted((cdr["src"], cdr["dst"]) for cdr in fresh) == [
        ("101", "102"),
        ("103", "447700900456"),
        ("104", "105"),
    ]
    by = {cdr["src"]: cdr for cdr in fresh}
    assert "its end was not seen" in by["101"]["info"]
    assert by["103"]["info"] is None
    time.sleep(VISIBLE_S)
    assert (len(_fresh(place, known)), place.rows("/calls")) == (3, [])


def _fresh(place: Place, known: set[int]) -> list[dict[str, Any]]:
    return [row for row in place.rows("/cdrs") if row["id"] not in known]
