"""The lab with a server that is connected to it, for the checks that `tools/checks/pbx` runs within the lab. The phones say what
happened; nothing that is expected there comes from our own output."""

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
from tests.process import COMMAND, ROOT, Login, Process, login

from ringback.settings import Settings
from ringback.store import migrate

sys.path[:0] = [str(ROOT / "tools/lab/ledger"), str(ROOT / "tools/lab")]

import lab  # type: ignore[import-not-found] # noqa: E402 - stands in a folder of its own
import record  # type: ignore[import-not-found] # noqa: E402

from scenes import SCENES  # type: ignore[import-not-found] # noqa: E402

PHONES = ("101", "102", "103", "104", "105", "outside")
VISIBLE_S = 1.0
PATIENCE_S = 15.0
_TOLD = re.compile(r"\s*([\d.]+) (\w+) call (\d+): (\w+) (\d+)")


class Relay:
    """Between the server and Asterisk's manager interface: a wire that can be cut. `is_shut`: nobody gets through any more."""

    def __init__(self) -> None:
        self.is_shut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._left: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        ends, self._ends = self._ends, []
        for each in ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut_after(self, count: int | None) -> None:
        """When Asterisk has said so many bytes more, wherever in a message that is; None: not any more."""
        self._left = count

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if self.is_shut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", 5038))
            except OSError:  # nobody is there now
                near.close()
                continue
            self._ends += [near, far]
            threading.Thread(target=_pass_on, args=(near, far), daemon=True).start()
            threading.Thread(target=_pass_on, args=(far, near, self._spent), daemon=True).start()

    def _spent(self, data: bytes) -> bytes:
        """What of it still goes through."""
        left = self._left
        if left is None or len(data) < left:
            self._left = None if left is None else left - len(data)
            return data
        self._left = None
        threading.Thread(target=self.cut).start()
        return data[:left]


def _pass_on(one: socket.socket, other: socket.socket, spent: Callable[[bytes], bytes] = lambda data: data) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(spent(data))
        other.shutdown(socket.SHUT_RDWR)


class Rang(NamedTuple):
    """What a phone says of a call that came to it. `talked_s` is None when it was not answered there."""

    phone: str
    talked_s: float | None


class Played(NamedTuple):
    """`took_s`: from the first to the last word of a phone, by their own logs."""

    rang: list[Rang]
    took_s: float
    cdrs: list[dict[str, Any]]
    live_left: int


class Place:
    """The lab with a server that is connected to it. `more`: lines of the connector's section, and sections below it;
    `settings`: lines before it."""

    def __init__(self, stack: ExitStack, folder: Path, more: str = "", settings: str = "") -> None:
        self.settings = Settings(data_dir=str(folder), database=str(folder / "ringback.db"))
        migrate.upgrade(self.settings.database)
        self.acme: Login = login(self.settings)
        self.relay = Relay()
        self._toml = folder / "ringback.toml"
        self._toml.write_text(
            f'{settings}[connectors.lab]\nkind = "asterisk"\nuser = "ledger"\nsecret = "ledger"\nport = {self.relay.port}\n'
            f'customer = {self.acme.customer_id}\ndial_context = "internal"\n{more}'
        )
        stack.enter_context(record.copied())
        self.scene = record.Scene(lab.Lab(stack, folder), stack, folder)
        self.begin()
        self.scene.once_restarted = lambda: self.connected(1)
        stack.callback(self.end)
        self.users = {ext: self._user(ext) for ext in PHONES if ext != "outside"}
        for name in PHONES:
            self.scene.phone(name)
        record.forwarding_phone(self.scene.place, stack)

    def begin(self) -> None:
        command = (*COMMAND, "serve", "--port", "0", "--config", str(self._toml))
        self.server = Process(command, self.settings)
        self.client: httpx.Client = self.server.client(self.acme.token)
        self.connected()

    def connected(self, before: int = 0) -> None:
        """More often than so, as this server's log says."""
        self.until(lambda: self.server.log.read_text().count('"pbx connected"') > before, 60)

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

    def fresh(self, known: set[int]) -> list[dict[str, Any]]:
        """CDRs that are not among those known by their ids."""
        return [row for row in self.rows("/cdrs") if row["id"] not in known]

    def until(self, happened: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        give_up = time.monotonic() + patience_s
        while not (found := happened()):
            assert time.monotonic() < give_up, self.server.log.read_text()[-2000:]
            time.sleep(0.05)
        return found


def play(place: Place, name: str) -> Played:
    place.ready()
    known = {row["id"] for row in place.rows("/cdrs")}
    told: list[str] = []
    record.watched(place.scene.place.phones, told, time.time())
    SCENES[name](place.scene)
    record.hang_up_all(place.scene)
    place.scene.quiet()
    place.until(lambda: place.fresh(known) and not place.rows("/calls"))
    time.sleep(VISIBLE_S)  # what is doubled has come by then
    return Played(list(rang(told)), took_s(told), place.fresh(known), len(place.rows("/calls")))


def took_s(told: list[str]) -> float:
    times = [float(found[1]) for found in map(_TOLD.match, told) if found]
    return max(times) - min(times)


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


def talk(place: Place, caller: str, number: str) -> tuple[Any, Any]:
    phone = place.scene.phone(caller)
    leg = phone.call(number)
    phone.talks(leg)
    return phone, leg
