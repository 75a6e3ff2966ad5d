"""The HEP collector beside the bare cost: a socket read, and a batched insert of the same bytes, committed alike.

`python -m benchmarks.hep [CALLS]`: messages a second, by TCP, of calls that each have seven messages of about 1,000 bytes. Once with
the messages of a call close together, once with each of them in another batch, as those of long calls are.
"""

import os
import random
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from ringback import first_login
from ringback.opening import open_services
from ringback.settings import Settings
from ringback.store.slices.sqlite import SqliteSlices, connected

PORT = 8973
CALLS = 8_000
TOGETHER = 200
BATCH = 4_000
_COMMAND = (sys.executable, "-c", "from ringback.cli import main; main()", "collect", "hep")
_SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0\r\na=sendrecv\r\n"
_TALK = (("INVITE", 1, _SDP), ("100 Trying", 1, ""), ("180 Ringing", 1, ""), ("200 OK", 1, _SDP), ("ACK", 1, ""))
_END = (("BYE", 2, ""), ("200 OK", 2, ""))

Line = tuple[int, str, float, float | None, str]


def measured(folder: Path) -> Iterator[Line]:
    yield from _measured(folder, CALLS)


def _measured(folder: Path, calls: int) -> Iterator[Line]:
    for name, together in (("close together", TOGETHER), ("far apart", calls)):
        sent = list(frames(calls, together))
        bare, bare_us = _bare(folder, sent)
        ours, ours_us = _ours(folder, sent)
        note = f"CPU a message: {ours_us:.0f} µs, bare {bare_us:.0f} µs"
        yield len(sent), f"HEP messages/s, those of a call {name}", ours, bare, note


def frames(calls: int, together: int, seed: int = 1) -> Iterator[bytes]:
    source = random.Random(seed)
    for start in range(0, calls, together):
        ids = [f"{source.getrandbits(64):016x}@pbx" for _ in range(start, min(start + together, calls))]
        for place, (what, number, body) in enumerate((*_TALK, *_END)):
            for call_id in ids:
                yield _hep(place, _sip(what, number, body, call_id, source))


def _sip(what: str, number: int, body: str, call_id: str, source: random.Random) -> bytes:
    start = f"SIP/2.0 {what}" if what[0].isdigit() else f"{what} sip:200@192.0.2.2 SIP/2.0"
    method = "BYE" if number == 2 else "ACK" if what == "ACK" else "INVITE"
    tag = ";tag=b" if what not in ("INVITE", "100 Trying") else ""
    head = (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}{method}{call_id}\r\nMax-Forwards: 70\r\n"
        f'From: "Ann" <sip:101@192.0.2.1>;tag=a\r\nTo: <sip:200@192.0.2.2>{tag}\r\nCall-ID: {call_id}\r\n'
        f"CSeq: {number} {method}\r\nContact: <sip:101@192.0.2.1:5060>\r\nUser-Agent: Phone 1.0\r\n"
    )
    pad = "x" * source.randint(700 - min(700, len(head) + len(body)), 1_100 - len(head) - len(body))
    return f"{head}X-Pad: {pad}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _hep(place: int, payload: bytes) -> bytes:
    seconds, microseconds = divmod(time.time_ns() // 1_000, 1_000_000)
    ends = (b"\xc0\0\2\1", b"\xc0\0\2\2") if place in (0, 4, 5) else (b"\xc0\0\2\2", b"\xc0\0\2\1")
    values = [(1, b"\2"), (2, b"\x11"), (3, ends[0]), (4, ends[1]), (7, b"\x13\xc4"), (8, b"\x13\xc4")]
    values += [(9, struct.pack("!I", seconds)), (10, struct.pack("!I", microseconds)), (11, b"\1")]
    values += [(12, b"\0\0\7\xd1"), (14, b"key"), (15, payload)]
    body = b"".join(struct.pack("!HHH", 0, kind, 6 + len(value)) + value for kind, value in values)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def _ours(folder: Path, frames: Sequence[bytes]) -> tuple[float, float]:
    """Messages a second until the last is committed, and the processor time of each in µs."""
    with tempfile.TemporaryDirectory(dir=folder) as data_dir:
        customer_id = customer(data_dir)
        log = Path(data_dir) / "log"
        given = {
            "RINGBACK_DATA_DIR": data_dir,
            "RINGBACK_HEP_LISTEN": f"127.0.0.1:{PORT}",
            "RINGBACK_HEP_SOURCES": f"customer={customer_id} key=key",
        }
        with log.open("w") as errors, subprocess.Popen(_COMMAND, env={**os.environ, **given}, stderr=errors) as process:
            while '"collecting"' not in log.read_text():
                time.sleep(0.1)
            before, began = _cpu_s(process.pid), time.perf_counter()
            _send(frames)
            _until_stored(Path(data_dir) / "ringback.db", len(frames))
            took, used = time.perf_counter() - began, _cpu_s(process.pid) - before
            process.send_signal(signal.SIGTERM)
    return len(frames) / took, used / len(frames) * 1e6


def customer(data_dir: str) -> int:
    services = open_services(Settings(data_dir=data_dir))
    named = {"customer": "Bench", "cc": "GB", "currency_iso": "GBP", "email": "bench@example.com"}
    made = first_login.create(services, password="not needed here", **named)
    services.database.close()
    assert made is not None
    return made.customer_id


def _send(frames: Sequence[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", PORT)) as agent:
        for start in range(0, len(frames), 100):
            agent.sendall(b"".join(frames[start : start + 100]))


def _until_stored(path: Path, n: int) -> None:
    slices = SqliteSlices(path)
    while sum(map(_last, slices.folder.glob("*/*.db"))) < n:
        time.sleep(0.05)


def _last(path: Path) -> int:
    """The number of the last message of a slice."""
    with closing(connected(path)) as connection:
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM packets").fetchone()[0])


def _cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _bare(folder: Path, frames: Sequence[bytes]) -> tuple[float, float]:
    """The same, of a loop that reads the socket, cuts by length, and inserts with one index."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "bare.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    database.executescript("CREATE TABLE m (id INTEGER PRIMARY KEY, n INT, data BLOB); CREATE INDEX i ON m (n);")
    with socket.create_server(("127.0.0.1", PORT)) as listener:
        sender = threading.Thread(target=_send, args=(frames,))
        sender.start()
        taken, _ = listener.accept()
        began, used = time.perf_counter(), time.thread_time()
        with taken:
            _insert(database, taken)
        took, used = time.perf_counter() - began, time.thread_time() - used
        sender.join()
    database.close()
    return len(frames) / took, used / len(frames) * 1e6


def _insert(database: sqlite3.Connection, taken: socket.socket) -> None:
    rest, rows, n = b"", [], 0
    while data := taken.recv(1 << 18):
        rest += data
        at = 0
        while len(rest) - at >= 6 and len(rest) - at >= (length := int.from_bytes(rest[at + 4 : at + 6], "big")):
            n += 1
            rows.append((n, rest[at : at + length]))
            at += length
        rest = rest[at:]
        if len(rows) >= BATCH:
            commit(database, rows)
            rows = []
    commit(database, rows)


def commit(database: sqlite3.Connection, rows: Sequence[tuple[int, bytes]]) -> None:
    database.execute("BEGIN")
    database.executemany("INSERT INTO m (n, data) VALUES (?, ?)", rows)
    database.execute("COMMIT")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for size, name, ours, bare, note in _measured(Path(temporary), int(sys.argv[1]) if sys.argv[1:] else CALLS):
            print(f"{size:,} messages: {name}: {ours:,.0f}, bare {bare:,.0f} ({note})", flush=True)
