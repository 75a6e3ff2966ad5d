"""Records what a real Asterisk tells of real calls: for each scene the AMI events, the CEL file, the call records and the phones' own log.

As root: `tools/lab/up python3 tools/lab/ledger/record.py --into FOLDER [SCENE…]`. Asterisk runs on a copy of its files.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import lab  # noqa: E402 - stands beside this folder

ROOT = Path("/mnt/asterisk")
CEL = ROOT / "var/log/asterisk/cel-custom/Master.csv"
CDR = ROOT / "var/log/asterisk/cdr-csv/Master.csv"
OUTSIDE = "192.0.2.107"
QUIET_S = 1.2
SETTLED_S = 1.0
BOOTED_S = 60.0


class Ami:
    """The manager interface. `heard`: every event since the scene began, as the lines that came."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._changed = threading.Condition()
        self._socket = socket.create_connection(("127.0.0.1", 5038))
        threading.Thread(target=self._listen, daemon=True).start()
        self.action(Action="Login", Username="ledger", Secret="ledger")
        self.booted = self.until("Event: FullyBooted")
        for name in ("VarSet", "TestEvent", "RTCPSent", "RTCPReceived", "SuccessfulAuth", "ChallengeSent"):
            self.action(Action="Filter", Operation="Add", Filter=f"!Event: {name}")

    def action(self, **fields: str) -> None:
        text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        self._socket.sendall((text + "\r\n").encode())

    def until(self, *parts: str, patience_s: float = 20.0) -> str:
        """The first event of the scene that holds all these texts."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._found(parts), patience_s)
        if not found:
            raise TimeoutError(f"no event with {parts}")
        return str(found)

    def channel(self, prefix: str) -> str:
        """The name of the newest channel that begins so."""
        self.until("Event: Newchannel", f"Channel: {prefix}")
        lines = [line for text in self.heard if "Event: Newchannel" in text for line in text.splitlines()]
        return [line[9:] for line in lines if line.startswith(f"Channel: {prefix}")][-1]

    def _found(self, parts: tuple[str, ...]) -> str | None:
        return next((text for text in self.heard if all(part in text for part in parts)), None)

    def _listen(self) -> None:
        left = b""
        while block := self._socket.recv(65536):
            *texts, left = (left + block).split(b"\r\n\r\n")
            with self._changed:
                self.heard += [text.decode() for text in texts if b"Event: " in text]
                self._changed.notify_all()


class Scene:
    """What a scene plays with."""

    def __init__(self, place: lab.Lab, stack: ExitStack, logs: Path) -> None:
        self._stack, self._logs = stack, logs
        self.asterisk = started(stack, logs)
        self.place, self.ami = place, Ami()
        self.once_restarted: Callable[[], object] = lambda: None

    def kill_asterisk(self) -> None:
        """And start it again; phones register anew."""
        heard = [self.ami.booted, *self.ami.heard]
        self.asterisk.kill()
        self.asterisk.wait()
        (ROOT / "var/run/asterisk/asterisk.ctl").unlink(missing_ok=True)
        self.asterisk = started(self._stack, self._logs)
        self.ami = Ami()
        self.ami.heard[:0] = heard
        for name in ("101", "102", "103", "104", "105"):
            self.phone(name).register()
        self.once_restarted()

    def phone(self, name: str) -> lab.Phone:
        if name == "outside":
            return self.place.phone("107", registrar=lab.ASTERISK, registers="")
        return self.place.phone(name, registrar=lab.ASTERISK)

    def meets(self, name: str, code: int | None, after_s: float = 0.5) -> lab.Phone:
        phone = self.phone(name)
        phone.do("meet", code=code, after_s=after_s)
        return phone

    def forwards_to(self, number: str) -> None:
        """Phone 110 answers the next calls with 302 to that number."""
        self.place.forwards_to = number  # type: ignore[attr-defined]

    def dtmf(self, prefix: str, digits: str) -> None:
        """The channel hears the digits."""
        name = self.ami.channel(prefix)
        for digit in digits:
            self.ami.action(Action="PlayDTMF", Channel=name, Digit=digit, Receive="true", Duration="80")
            time.sleep(0.2)

    def talk(self, seconds: float = 1.5) -> None:
        time.sleep(seconds)

    def quiet(self) -> None:
        """No call is up."""
        lab.until(lambda: "0 active channels" in cli("core show channels count").splitlines(), "calls ended")


def cli(command: str) -> str:
    asked = ["chroot", str(ROOT), "asterisk", "-rx", command]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


@contextmanager
def copied() -> Iterator[None]:
    """A root of our own over the lab's, which stays as it is."""
    folder = Path("/mnt")
    run("mount", "-t", "tmpfs", "tmpfs", str(folder))
    for name in ("upper", "work", "asterisk"):
        (folder / name).mkdir()
    layers = f"lowerdir={lab.ROOT},upperdir={folder}/upper,workdir={folder}/work"
    run("mount", "-t", "overlay", "overlay", "-o", layers, str(ROOT))
    run("mount", "-t", "proc", "proc", str(ROOT / "proc"))
    run("mount", "-t", "tmpfs", "tmpfs", str(ROOT / "tmp"))
    for file in (HERE / "etc").iterdir():
        (ROOT / "etc/asterisk" / file.name).write_text(file.read_text())
    CEL.parent.mkdir(exist_ok=True)
    for log in (CEL, CDR):
        log.unlink(missing_ok=True)  # of calls that were placed in the lab before
    run("chroot", str(ROOT), "chown", "-R", "asterisk:asterisk", "/etc/asterisk", "/var/log/asterisk")
    yield


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def started(stack: ExitStack, logs: Path) -> subprocess.Popen[str]:
    log = (logs / "asterisk.log").open("a")
    command = ["chroot", str(ROOT), "asterisk", "-f", "-U", "asterisk", "-G", "asterisk"]
    process = stack.enter_context(lab.ended(subprocess.Popen(command, stdout=log, stderr=log, text=True)))
    lab.until(lambda: "fully booted" in cli("core waitfullybooted"), "Asterisk", BOOTED_S)
    return process


def forwarding_phone(place: lab.Lab, stack: ExitStack) -> None:
    """Phone 110: every INVITE gets 302."""
    place.forwards_to = ""  # type: ignore[attr-defined]
    uas = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    uas.bind(("192.0.2.110", 5060))

    def unplug() -> None:
        with suppress(OSError):  # it is connected to nobody, and wakes up all the same
            uas.shutdown(socket.SHUT_RDWR)

    stack.callback(unplug)

    def answer() -> None:
        while True:
            data, peer = uas.recvfrom(65536)
            if not data:
                return
            head = data.decode().split("\r\n")
            if head[0].startswith("INVITE"):
                kept = [line for line in head if line.startswith(("Via:", "From:", "Call-ID:", "CSeq:"))]
                to = next(line for line in head if line.startswith("To:"))
                contact = f"Contact: <sip:{place.forwards_to}@{lab.ASTERISK}>"  # type: ignore[attr-defined]
                lines = ["SIP/2.0 302 Moved Temporarily", *kept, f"{to};tag=lab", contact, "Content-Length: 0", "", ""]
                uas.sendto("\r\n".join(lines).encode(), peer)

    threading.Thread(target=answer, daemon=True).start()


def watched(phones: Mapping[str, lab.Phone], told: list[str], began: float) -> None:
    """Notes when the calls of the phones change, as the phones themselves tell it."""
    for phone in phones.values():
        if not hasattr(phone, "watched"):
            phone.watched = phone._state  # type: ignore[attr-defined]
        original = phone.watched  # type: ignore[attr-defined]

        def state(event: dict[str, Any], phone: lab.Phone = phone, original: Any = original) -> None:
            told.append(
                f"{time.time() - began:7.3f} {phone.name} call {event['leg']}: {event['state']} {event['code']} {event['reason']}"
            )
            original(event)

        phone._state = state  # type: ignore[method-assign]


def hang_up_all(scene: Scene) -> None:
    """A phone that has transferred its call keeps it. Who hung up is given time to be heard first, and what rings ends with its
    caller: a phone that hangs up in a race with them would make it another call."""
    phones = list(scene.place.phones.values())

    def up() -> list[tuple[lab.Phone, lab.Leg]]:
        return [(phone, leg) for phone in phones for leg in list(phone.legs) if leg.is_up]

    with suppress(TimeoutError):
        lab.until(lambda: not up(), "calls ended", SETTLED_S)
    for phone, leg in up():
        if not leg.rings:
            with suppress(TimeoutError):  # it may end at this very moment
                phone.hang_up(leg)
    lab.until(lambda: not any(leg.rings for _, leg in up()), "nothing rings any more")


def record(name: str, play: Any, scene: Scene, into: Path) -> None:
    scene.ami.heard.clear()
    told: list[str] = []
    CEL.parent.mkdir(exist_ok=True)
    logs = {"cel": CEL, "cdr": CDR}
    before = {kind: len(_written(log)) for kind, log in logs.items()}
    began = time.time()
    watched(scene.place.phones, told, began)
    for phone in scene.place.phones.values():
        phone.legs_before = len(phone.legs)  # type: ignore[attr-defined]
    try:
        play(scene)
        hang_up_all(scene)
        scene.quiet()
        time.sleep(QUIET_S)
    finally:
        for kind, log in logs.items():
            (into / f"{name}.{kind}.csv").write_bytes(_written(log)[before[kind] :])
        (into / f"{name}.ami").write_text("".join(f"{text}\r\n\r\n" for text in scene.ami.heard), newline="")
        doc = " ".join((play.__doc__ or "").split())
        (into / f"{name}.phones").write_text("\n".join([f"{doc}", f"began {began:.3f}", *told, ""]))
    print(f"{name}: {len(scene.ami.heard)} events, {time.time() - began:.0f} s", flush=True)


def _written(log: Path) -> bytes:
    return log.read_bytes() if log.exists() else b""


def main() -> None:
    from scenes import SCENES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("scenes", nargs="*")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    chosen = {name: play for name, play in SCENES.items() if not given.scenes or name in given.scenes}
    failed = []
    with ExitStack() as stack:
        stack.enter_context(copied())
        scene = Scene(lab.Lab(stack, given.into), stack, given.into)
        forwarding_phone(scene.place, stack)
        for name in ("101", "102", "103", "104", "105", "outside"):
            scene.phone(name)
        for name, play in chosen.items():
            for phone in ("101", "102", "103", "104", "105", "outside"):
                scene.meets(phone, 200)
            try:
                record(name, play, scene, given.into)
            except Exception as error:
                failed.append(name)
                print(f"{name}: {error!r}", flush=True)
                hang_up_all(scene)
                cli("channel request hangup all")
                time.sleep(2)
    print("failed:", *failed)


if __name__ == "__main__":
    main()
