"""Captured signalling beside its bare cost: the import of a pcap file, and a trace out of many stored messages.

`python -m benchmarks.captures [MESSAGES] [FOLDER]`: of that many messages in one slice, 1,000,000 where it does not say. Bare is,
of the import, cutting the same file into records and a batched insert of them, committed alike; of a trace, one look for the same packets
by their index. Both are processor time where the name says so: others may work on the machine.
"""

import random
import sqlite3
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks import hep
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Options, Unwatched
from ringback.opening import open_services
from ringback.services import Services
from ringback.settings import Settings
from ringback.sip import capture, trace
from ringback.sip.capture.hep import read
from ringback.sip.packet import SECOND_US, Packet
from ringback.store import incoming, signalling, slices, whole_calls
from ringback.store.captured_calls import Calls
from ringback.store.database import Db, value
from ringback.store.slices.sqlite import connected

STORED = 1_000_000
TRACES = 100
CALLERS = 200_000
APART_US = 15_000
"""Between two calls of the ones that a trace is looked for in."""
OFTEN = 10
"""One in so many calls is of the same caller, as behind a trunk that shows one number."""
_LOT = 4_000
_PER_CALL = 7


def measured(folder: Path, stored: int = STORED) -> Iterator[hep.Line]:
    yield from _import(folder)
    yield from _traces(folder, stored)


# -- import -----------------------------------------------------------------------------------------------------------


def _import(folder: Path) -> Iterator[hep.Line]:
    packets = [read(each, 0).packet for each in hep.frames(hep.CALLS, hep.TOGETHER)]
    with tempfile.TemporaryDirectory(dir=folder) as data_dir:
        file = Path(data_dir) / "calls.pcap"
        file.write_bytes(b"".join(capture.write(packets)))
        customer_id = hep.customer(data_dir)
        services = open_services(Settings(data_dir=data_dir))
        run = partial(IMPORTERS["pcap"].run, services, customer_id, file, Options(), Unwatched())
        ours_s, bare_s = _cpu_s(run), _cpu_s(partial(_insert, file, Path(data_dir) / "bare.db"))
        services.database.close()
    n = len(packets)
    note = f"CPU a message: {ours_s / n * 1e6:.0f} µs, bare {bare_s / n * 1e6:.0f} µs"
    yield n, "import of a pcap, messages per second of CPU", n / ours_s, n / bare_s, note


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _insert(file: Path, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        database.executescript("CREATE TABLE m (id INTEGER PRIMARY KEY, n INT, data BLOB); CREATE INDEX i ON m (n);")
        rows: list[tuple[int, bytes]] = []
        for n, record in enumerate(_records(file)):
            rows.append((n, record))
            if len(rows) >= _LOT:
                hep.commit(database, rows)
                rows = []
        hep.commit(database, rows)


def _records(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.read(24)
        while head := opened.read(16):
            yield opened.read(struct.unpack_from("<I", head, 8)[0])


# -- traces -----------------------------------------------------------------------------------------------------------


def _traces(folder: Path, stored: int) -> Iterator[hep.Line]:
    """Of calls of many callers, and of the one who calls often; each first with nothing of the slice read by this process."""
    with tempfile.TemporaryDirectory(dir=folder) as data_dir:
        customer_id = hep.customer(data_dir)
        services = open_services(Settings(data_dir=data_dir))
        _fill(services, customer_id, stored)
        (slice_file,) = Path(data_dir).glob("*.signalling/*/*.db")
        for name, caller in (("", "src <> '100'"), (" of a caller of many calls", "src = '100'")):
            ids = services.database.read(partial(_some, customer_id=customer_id, caller=caller))
            ours = [_ms(partial(_trace, services, customer_id, each)) for each in ids]
            bare = [_ms(partial(_look, slice_file, services, each)) for each in ids]
            note = f"9 of 10 within {sorted(ours)[len(ours) * 9 // 10]:.1f} ms, the first {ours[0]:.1f} ms"
            yield stored, f"trace{name}", statistics.median(ours), statistics.median(bare), note
        services.database.close()


def _fill(services: Services, customer_id: int, stored: int) -> None:
    calls, chance = Calls(), random.Random(3)
    span = slices.span(int(time.time()), None)
    at_us = span.now // 86_400 * 86_400 * SECOND_US
    for first in range(0, stored // _PER_CALL, hep.TOGETHER):
        packets = list(_packets(first, at_us + first * APART_US, chance))
        for start in range(0, len(packets), _LOT):
            messages = list(incoming.of_file(packets[start : start + _LOT], span))
            store = partial(
                signalling.store, customer_id=customer_id, messages=messages, users_by_extension={}, calls=calls
            )
            services.database.write(store, at_once=False)


def _packets(first: int, at_us: int, chance: random.Random) -> Iterator[Packet]:
    """Calls side by side, with callers of their own."""
    callers = [b"100" if n % OFTEN == 0 else b"%d" % (10_000 + chance.randrange(CALLERS)) for n in range(hep.TOGETHER)]
    for n, frame in enumerate(hep.frames(hep.TOGETHER, hep.TOGETHER, seed=first)):
        packet = read(frame, 0).packet
        caller = b"<sip:%s@" % callers[n % hep.TOGETHER]
        yield packet._replace(
            at_us=at_us + n * APART_US // _PER_CALL, payload=packet.payload.replace(b"<sip:101@", caller)
        )


def _some(db: Db, customer_id: int, caller: str) -> list[int]:
    sql = f"SELECT id FROM msdrs WHERE customer_id = :customer AND {caller}"
    found = [row[0] for row in db.all(sql, {"customer": customer_id})]
    return random.Random(1).sample(found, min(TRACES, len(found)))


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1_000


def _trace(services: Services, customer_id: int, msdr_id: int) -> str:
    found = services.database.read(lambda db: whole_calls.of_msdr(db, customer_id, msdr_id, None))
    return "".join(trace.text(found.packets))


def _look(slice_file: Path, services: Services, msdr_id: int) -> Sequence[object]:
    bound = {"id": msdr_id}
    name = services.database.read(lambda db: value(db, "SELECT call_id FROM msdrs WHERE id = :id", bound))
    with closing(connected(slice_file)) as connection:
        sql = "SELECT at_us, ends, payload FROM packets WHERE call = ? ORDER BY at_us"
        return connection.execute(sql, (slices.call_hash(name),)).fetchall()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if sys.argv[2:] else None) as temporary:
        for size, name, ours, bare, note in measured(Path(temporary), int(sys.argv[1]) if sys.argv[1:] else STORED):
            print(f"{size:,} messages: {name}: {ours:,.1f}, bare {bare or 0:,.1f} ({note})", flush=True)
