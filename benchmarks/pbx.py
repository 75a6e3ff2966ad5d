"""A connected Asterisk: from the text of its manager interface to stored CDRs, beside the bare cost.

`python -m benchmarks.pbx [CALLS]`: events a second and core, with 500 calls up at once. Each call is what an Asterisk 22 told of one between
two phones (tests/ledger/ami): 49 events, 15 of them CEL, which is passed over, and the
answers to what is asked of its channels. `python -m benchmarks.pbx memory [CALLS]
[URL]` (`make bench-memory`, 100,000 calls, some minutes): the memory of the process as the calls come in, with the database of that URL.

Bare: the same bytes out of a socket, cut into messages, their headers into a dictionary, one row a call with one index, committed
each second.
"""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.machine import measured_on
from ringback import first_login
from ringback.connectors.asterisk.connection import Connection
from ringback.connectors.settings import Connector
from ringback.opening import open_services
from ringback.services import Services
from ringback.settings import Settings
from ringback.store.database import value

CALLS, AT_ONCE = 2_000, 500
MANY, STEPS = 100_000, (10_000, 25_000, 50_000, 75_000, 100_000, 125_000, 150_000, 175_000)
TOLD = Path(__file__).parent.parent / "tests/ledger/ami/answered_internal.txt"
_FIRST_US = 1_795_345_825_000_000
_STAMP = re.compile(r"(?<=Timestamp: )(\d+)\.(\d+)")
_GREETING = b"Asterisk Call Manager/11.0.0\r\n"

Line = tuple[int, str, float, float | None, str]


def measured(folder: Path) -> Iterator[Line]:
    yield from _measured(folder, CALLS)


def _measured(folder: Path, calls: int) -> Iterator[Line]:
    ours = Ours(folder, calls, (calls,))
    bare = _bare(folder, calls)
    note = f"by the clock {ours.events / ours.took_s:,.0f}"
    yield calls, "AMI events/s into CDRs, per second of CPU", ours.events / ours.cpu_s, bare, note


def memory(calls: int, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        steps = [each for each in STEPS if each < calls] + [calls]
        ours = Ours(Path(folder), calls, steps, url)
        for step, megabytes in zip(steps, ours.memory_mb, strict=True):
            print(f"{step:,} calls: {megabytes:.0f} MB", flush=True)
        print(f"by the clock {ours.took_s:,.0f} s, of CPU {ours.cpu_s:,.0f} s. {measured_on()}", flush=True)


def events() -> list[str]:
    """Of one call, in their order."""
    text = TOLD.read_text().replace("\r\n", "\n")
    return [f"{each}\n\n".replace("\n", "\r\n") for each in text.split("\n\n") if each.strip()]


def told(calls: int) -> Iterator[str]:
    """The events of so many calls, `AT_ONCE` of them up at the same time."""
    template = events()
    for first in range(0, calls, AT_ONCE):
        some = range(first, min(first + AT_ONCE, calls))
        for event in template:
            yield "".join(_of(event, number) for number in some)


def _of(event: str, number: int) -> str:
    """The event of another call, an hour later for each 500 calls."""
    later_s = number // AT_ONCE * 3_600
    text = event.replace("1795345825.0", f"1795345825.{2 * number}").replace(
        "1795345825.1", f"1795345825.{2 * number}b"
    )
    text = text.replace("-00000000", f"-{2 * number:08x}").replace("-00000001", f"-{2 * number + 1:08x}")
    text = _BRIDGE.sub(lambda found: f"{found[0][:24]}{number:012x}", text)
    return _STAMP.sub(lambda found: f"{int(found[1]) + later_s}.{found[2]}", text)


_BRIDGE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# -- the side that tells: `python -m benchmarks.pbx tell CALLS`, its port on its output


def tell(calls: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(_GREETING)
            ready, writing = threading.Event(), threading.Lock()
            threading.Thread(target=_answer, args=(connection, ready, writing), daemon=True).start()
            ready.wait()
            for text in told(calls):
                with writing:
                    connection.sendall(text.encode())
            threading.Event().wait()


def _answer(connection: socket.socket, ready: threading.Event, writing: threading.Lock) -> None:
    left = b""
    while data := connection.recv(65_536):
        *blocks, left = (left + data).split(b"\r\n\r\n")
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.decode().split("\r\n"))
            head = f"ActionID: {fields.get('ActionID', '')}\r\n"
            with writing:
                connection.sendall(
                    _ANSWERS.get(fields["Action"], _ANSWERS[""]).replace("\r\n", f"\r\n{head}", 1).encode()
                )
                if fields["Action"] in _LISTS:
                    connection.sendall(f"Event: ListComplete\r\n{head}EventList: Complete\r\n\r\n".encode())
            if fields["Action"] == "CoreShowChannels":
                ready.set()


_LISTS = {"CoreShowChannels", "DeviceStateList", "PJSIPShowContacts", "QueueStatus"}
_ANSWERS = {
    "": "Response: Success\r\n\r\n",
    "Challenge": "Response: Success\r\nChallenge: 1\r\n\r\n",
    "CoreSettings": "Response: Success\r\nAsteriskVersion: 22.10.1\r\n\r\n",
    "CoreShowChannels": "Response: Success\r\nEventList: start\r\n\r\n",
    "Getvar": "Response: Success\r\nVariable: it\r\nValue: ulaw\r\n\r\n",
}


# -- the side that is measured


class Ours:
    """A connection in this process. `memory_mb`: when so many calls of `steps` were stored. `url`: of an empty database; empty for one in
    the folder."""

    def __init__(self, folder: Path, calls: int, steps: Sequence[int], url: str = "") -> None:
        self.events = calls * len(events())
        command = [sys.executable, "-m", "benchmarks.pbx", "tell", str(calls)]
        with (
            tempfile.TemporaryDirectory(dir=folder) as data_dir,
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as teller,
        ):
            assert teller.stdout is not None
            services, customer_id = _opened(data_dir, url)
            port = int(teller.stdout.readline())
            connector = Connector("bench", "asterisk", "user", "secret", port=port, customer=customer_id)
            connection = Connection(services, connector)
            used, began = time.process_time(), time.perf_counter()
            connection.start()
            self.memory_mb = list(_watched(services, steps))
            self.took_s, self.cpu_s = time.perf_counter() - began, time.process_time() - used
            teller.kill()
            connection.stop()
            services.database.close()


def _opened(data_dir: str, url: str) -> tuple[Services, int]:
    services = open_services(Settings(data_dir=data_dir, database=url))
    named = {"customer": "Bench", "cc": "GB", "currency_iso": "GBP", "email": "bench@example.com"}
    made = first_login.create(services, password="not needed here", **named)
    assert made is not None
    return services, made.customer_id


def _watched(services: Services, steps: Sequence[int]) -> Iterator[float]:
    """MB of memory when so many calls were stored."""
    for step in steps:
        while _stored(services) < step:
            services.database.settle()  # as a server does
            time.sleep(0.05)
        yield _memory_mb()


def _stored(services: Services) -> int:
    found: int = services.database.read(lambda db: value(db, "SELECT count(*) FROM cdrs"))
    return found


def _memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _bare(folder: Path, calls: int) -> float:
    """Events per second of CPU."""
    database = sqlite3.connect(Path(tempfile.mkdtemp(dir=folder)) / "bare.db", isolation_level=None)
    database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    database.executescript("CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT, at TEXT); CREATE INDEX i ON c (name);")
    ours, theirs = socket.socketpair()
    sender = threading.Thread(target=_send, args=(theirs, calls))
    with ours:
        sender.start()
        used = 0.0
        rows, count, left = [], 0, b""
        while True:
            data = ours.recv(65_536)
            began = time.thread_time()
            *blocks, left = (left + data).split(b"\r\n\r\n")
            for block in blocks:
                message = dict(line.partition(": ")[::2] for line in block.decode().split("\r\n"))
                count += 1
                if message.get("Event") == "Hangup" and message["Uniqueid"] == message["Linkedid"]:
                    rows.append((message["Linkedid"], message["Timestamp"]))
            if len(rows) >= AT_ONCE or not data:
                database.execute("BEGIN")
                database.executemany("INSERT INTO c (name, at) VALUES (?, ?)", rows)
                database.execute("COMMIT")
                rows = []
            used += time.thread_time() - began
            if not data:
                break
        sender.join()
    database.close()
    return count / used


def _send(connection: socket.socket, calls: int) -> None:
    with connection:
        for text in told(calls):
            connection.sendall(text.encode())


if __name__ == "__main__":
    if sys.argv[1:2] == ["tell"]:
        tell(int(sys.argv[2]))
    elif sys.argv[1:2] == ["memory"]:
        memory(int(sys.argv[2]) if sys.argv[2:] else MANY, "".join(sys.argv[3:4]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            for size, name, rate, bare, note in _measured(Path(temporary), int(sys.argv[1]) if sys.argv[1:] else CALLS):
                print(f"{size:,} calls: {name}: {rate:,.0f}, bare {bare:,.0f} ({note})", flush=True)
