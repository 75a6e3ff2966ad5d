"""The nodes of the lab, started and ended as processes of this one: Asterisk, Kamailio, phones, and sipp."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LAB = Path(os.environ.get("SIP_LAB", "/var/cache/ringback-lab"))
ROOT = Path(os.environ.get("SIP_LAB_ROOT", LAB / "root"))
ASTERISK, KAMAILIO, KAMAILIO_6 = "192.0.2.10", "192.0.2.20", "2001:db8::20"
PATIENCE_S = 20.0


@dataclass
class Leg:
    """A call as its phone tells of it."""

    state: str = ""
    call_id: str = ""
    code: int = 0
    reason: str = ""
    came_in: bool = False
    media: int = 0
    """How often the media were set up or changed."""
    transferred: int = 0
    """The last word on a transfer that the phone asked for: a SIP code."""

    @property
    def is_up(self) -> bool:
        return self.state not in {"", "DISCONNECTED"}

    @property
    def rings(self) -> bool:
        """At this phone."""
        return self.came_in and self.is_up and self.state != "CONFIRMED"


@dataclass
class Phone:
    name: str
    address: str
    process: subprocess.Popen[str]
    host: str
    transport: str
    legs: list[Leg] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    registered: int = 0
    is_ready: bool = False
    done: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def do(self, command: str, **arguments: object) -> None:
        """Returns when the phone has done it."""
        assert self.process.stdin is not None
        before = self.done
        self.process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self.process.stdin.flush()
        self.until(lambda: self.done > before, command)

    def call(self, number: str) -> Leg:
        before = len(self.legs)
        self.do("call", uri=self.uri(number))
        return self.leg(before)

    def uri(self, number: str) -> str:
        return f"sip:{number}@{self.host}" + (";transport=tcp" if self.transport == "TCP" else "")

    def leg(self, number: int) -> Leg:
        """The phone's call of that number, as soon as there is one."""
        self.until(lambda: len(self.legs) > number and bool(self.legs[number].call_id), f"call {number}")
        return self.legs[number]

    def register(self, command: str = "register") -> int:
        self.registered = 0
        self.do(command)
        self.until(lambda: self.registered != 0, "answer to REGISTER")
        return self.registered

    def talks(self, leg: Leg) -> None:
        self.until(lambda: leg.state == "CONFIRMED" and leg.media > 0, "talks")

    def ended(self, leg: Leg) -> None:
        self.until(lambda: leg.state == "DISCONNECTED", "call ended")

    def hang_up(self, leg: Leg) -> None:
        self.do("hangup", leg=self.legs.index(leg))

    def within(self, command: str, leg: Leg, **arguments: object) -> None:
        """A command about a call."""
        self.do(command, leg=self.legs.index(leg), **arguments)

    def agree(self, command: str, leg: Leg, **arguments: object) -> None:
        """One that changes its media; returns when the other side has agreed."""
        before = leg.media
        self.within(command, leg, **arguments)
        self.until(lambda: leg.media > before, command)

    def until(self, happened: Callable[[], bool], what: str) -> None:
        with self.changed:
            if not self.changed.wait_for(happened, PATIENCE_S):
                raise TimeoutError(f"phone {self.name}: not within {PATIENCE_S:.0f} s: {what}; {self.legs}")

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            with self.changed:
                getattr(self, "_" + told.pop("event"))(told)
                self.changed.notify_all()

    def _ready(self, _told: Mapping[str, Any]) -> None:
        self.is_ready = True

    def _failed(self, told: Mapping[str, Any]) -> None:
        print(f"phone {self.name}: {told['why']}", flush=True)

    def _done(self, _told: Mapping[str, Any]) -> None:
        self.done += 1

    def _registered(self, told: Mapping[str, Any]) -> None:
        self.registered = told["code"]

    def _message(self, told: dict[str, Any]) -> None:
        self.messages.append(told)

    def _incoming(self, told: Mapping[str, Any]) -> None:
        leg = self._known(told["leg"])
        leg.call_id, leg.came_in = told["call_id"], True

    def _state(self, told: Mapping[str, Any]) -> None:
        leg = self._known(told["leg"])
        leg.state, leg.call_id, leg.code, leg.reason = (told[name] for name in ("state", "call_id", "code", "reason"))

    def _media(self, told: Mapping[str, Any]) -> None:
        self._known(told["leg"]).media += 1

    def _transfer(self, told: Mapping[str, Any]) -> None:
        if told["final"]:
            self._known(told["leg"]).transferred = told["code"]

    def _known(self, number: int) -> Leg:
        while len(self.legs) <= number:
            self.legs.append(Leg())
        return self.legs[number]


class Lab:
    """A place where phones are plugged in and sipp is run. Everything ends with the stack that it was opened in."""

    def __init__(self, stack: ExitStack, logs: Path) -> None:
        self.phones: dict[str, Phone] = {}
        self._logs = logs
        self._stack = stack

    def phone(self, name: str, **given: str) -> Phone:
        """`name`: its number, or the number and a letter where it has several phones. `given`: what differs from usual."""
        if name not in self.phones:
            self.phones[name] = self._plugged_in(name, **given)
        return self.phones[name]

    def _plugged_in(
        self,
        name: str,
        address: str = "",
        registrar: str = KAMAILIO,
        transport: str = "UDP",
        password: str = "",
        registers: str = "yes",
    ) -> Phone:
        user = name[:3]
        number = len(self.phones)
        settings = {
            "name": name,
            "user": user,
            "address": address or f"192.0.2.{user}",
            "registrar": registrar,
            "transport": transport,
            "password": password or f"lab-{user}",
            "rtp_port": 20000 + 100 * number,
        }
        process = self._stack.enter_context(
            ended(
                subprocess.Popen(
                    [LAB / "venv/bin/python", HERE / "phone.py", json.dumps(settings)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=(self._logs / f"phone-{name}.log").open("w"),
                    text=True,
                )
            )
        )
        host = f"[{registrar}]" if ":" in registrar else registrar
        phone = Phone(name, settings["address"], process, host, transport)
        threading.Thread(target=phone.listen, daemon=True).start()
        phone.until(lambda: phone.is_ready, "ready")
        if registers:
            code = phone.register()
            assert code == 200, f"phone {name}: REGISTER {code}"
        return phone


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def lab(logs: Path) -> Iterator[Lab]:
    """Asterisk and Kamailio are up, and no phone yet. `logs`: a folder."""
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        _configure()
        for name, command in (
            ("asterisk", ("asterisk", "-f", "-U", "asterisk", "-G", "asterisk")),
            ("kamailio", ("kamailio", "-DD", "-E", "-m", "64", "-u", "kamailio", "-g", "kamailio")),
        ):
            log = (logs / f"{name}.log").open("w")
            stack.enter_context(ended(subprocess.Popen(["chroot", ROOT, *command], stdout=log, stderr=log, text=True)))
        until(_asterisk_is_up, "Asterisk")
        until(lambda: f"{KAMAILIO}:5060" in listeners(), "Kamailio")
        yield Lab(stack, logs)


def _configure() -> None:
    for folder in ("asterisk", "kamailio"):
        shutil.copytree(HERE / "etc" / folder, ROOT / "etc" / folder, dirs_exist_ok=True)
    subprocess.run(["chroot", ROOT, "chown", "-R", "asterisk:asterisk", "/etc/asterisk"], check=True)
    (ROOT / "run/kamailio").mkdir(exist_ok=True)
    subprocess.run(["chroot", ROOT, "chown", "kamailio:kamailio", "/run/kamailio"], check=True)


def _asterisk_is_up() -> bool:
    asked = subprocess.run(
        ["chroot", ROOT, "asterisk", "-rx", "core waitfullybooted"], capture_output=True, text=True, check=False
    )
    return asked.returncode == 0


def listeners() -> str:
    """The addresses that somebody listens on."""
    return subprocess.run(["ss", "-Hlntu"], capture_output=True, text=True, check=True).stdout


def until(happened: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    give_up = time.monotonic() + patience_s
    while not happened():
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.1)
