"""Places the calls of `scenarios.py`, and writes for each what the phones saw: `<scenario>.json`.

With `--record` it is also the collector: what Asterisk and Kamailio report is written beside it, `<scenario>.hep`, HEP
packets one after the other.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import facts
from lab import Lab, lab
from scenarios import SCENARIOS, Told

COLLECTOR = ("192.0.2.5", 9060)
LATE_S = 0.7
"""What is reported after the phones have hung up: acknowledgements, last RTCP."""
PHONES = ("101", "102", "103", "104")


class Recorder:
    """Every HEP packet that comes."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(COLLECTOR)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            self.packets.append(self._socket.recv(65_535))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--logs", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("scenario", nargs="*", help="all of them without")
    given = parser.parse_args()
    recorder = Recorder() if given.record else None
    with lab(given.logs) as opened:
        for place in (registered, *SCENARIOS):
            if place is registered or not given.scenario or place.__name__ in given.scenario:
                began = time.monotonic()
                run(opened, place, given.into, recorder)
                print(f"{place.__name__}: {time.monotonic() - began:.1f} s", flush=True)


def registered(lab: Lab) -> Told:
    """The phones of all calls register at Kamailio, each after it has been challenged."""
    for name in PHONES:
        lab.phone(name)
    return [], []


def run(lab: Lab, place: Callable[[Lab], Told], into: Path, recorder: Recorder | None) -> None:
    packets_before = len(recorder.packets) if recorder else 0
    before = {name: len(phone.messages) for name, phone in lab.phones.items()}
    truths, others = place(lab)
    time.sleep(LATE_S)
    seen = [
        facts.message(name, phone.address, told)
        for name, phone in lab.phones.items()
        for told in phone.messages[before.get(name, 0) :]
    ]
    name = place.__name__
    expected = facts.expected(place.__doc__ or "", truths, [*seen, *others])
    (into / f"{name}.json").write_text(json.dumps(expected, indent=1) + "\n")
    if recorder:
        (into / f"{name}.hep").write_bytes(b"".join(recorder.packets[packets_before:]))


if __name__ == "__main__":
    main()
