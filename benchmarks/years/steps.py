"""What an operator does with the folder, step by step; each step checks what is true afterwards and gives its figures."""

import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import export, imports
from benchmarks.years.office import DAY_S, EXTENSIONS, Known
from benchmarks.years.place import Api, Place, Ran, conditions, cpu_s
from ringback.settings import BASE_PATHS
from ringback.store import migrate
from ringback.store.engines import open_database
from ringback.store.schema import cdrs, columns

CUSTOMER = 1
MONTH_D, YEAR_D = 30, 365
TIMES = 60
APART_S = 0.02
BARE_ROWS = 1_000_000
NEWEST = "/cdrs?limit=100"
_SUMMARY = re.compile(r"(\d+) read: (\d+) new, (\d+) known already,(?: \d+ changed,)? (\d+) refused")


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table. `bar` is what it has to hold, `held` whether it does."""

    name: str
    value: str
    bar: str = ""
    held: bool | None = None
    note: str = ""


@dataclass(slots=True)
class Work:
    """`source`: the folder of the PBX. `token`: an administrator's."""

    folder: Path
    known: Known
    token: str = ""

    @property
    def source(self) -> Path:
        return self.folder / "pbx"

    @property
    def place(self) -> Place:
        return Place(self.folder / "data")


Step = Callable[[Work], Iterator[Figure]]


def _rate(n: int, seconds: float) -> str:
    return f"{n / seconds:,.0f} rows/s"


# -- in


def imported(kind: str, name: str, wanted: Callable[[Known], tuple[int, int]]) -> Step:
    """`wanted`: how many are new and how many are refused."""

    def step(work: Work) -> Iterator[Figure]:
        new, refused = wanted(work.known)
        ran, found = _import(work, kind, name)
        assert found == (new + refused, new, 0, refused), (kind, found, new, refused)
        note = f"{new:,} new, {refused} refused; {ran.note()}"
        yield Figure(f"import {kind}", _rate(new, ran.seconds), note=note)
        if kind == "asterisk-cdr":
            yield _beside_bare(work, new / ran.cpu_s)

    return step


def _beside_bare(work: Work, ours: float) -> Figure:
    """`ours`: rows per second of CPU time, which is fair also where others share the machine. Bare loads as many rows:
    a table that grows takes them ever more slowly."""
    source = open_database(str(work.place.database), 600)
    names = columns(cdrs)
    places = [names.index(name) for name in ("id", "src", "dst")]
    listed = ", ".join(f'"{name}"' for name in names)
    rows, taken_s = 0, 0.0
    with tempfile.TemporaryDirectory(dir=work.folder) as empty:
        migrate.upgrade(f"{empty}/bare.db")
        bare = open_database(f"{empty}/bare.db")
        with source.stream(f"SELECT {listed} FROM cdrs ORDER BY id", {}, 2_000) as lots:
            for lot in lots:
                began = time.process_time()
                bare.write(partial(imports.load, names, lot, places))
                taken_s += time.process_time() - began
                rows += len(lot)
        bare.close()
    source.close()
    ratio = ours / (rows / taken_s)
    note = f"{ours:,.0f} beside {rows / taken_s:,.0f} rows of a bulk insert per second of CPU"
    return Figure("the import beside bare, CPU time", f"{ratio * 100:.0f} %", "25 %", ratio >= 0.25, note)


def known_already(work: Work) -> Iterator[Figure]:
    facts = work.known
    for kind, name, n, refused in (
        ("asterisk-cdr", "Master.csv", facts.calls, facts.broken),
        ("recordings", "monitor", facts.recordings, 0),
        ("voicemail", "voicemail", facts.voicemails, 0),
    ):
        ran, found = _import(work, kind, name)
        assert found == (n + refused, 0, n, refused), (kind, found)
        yield Figure(
            f"the same again: {kind}", _rate(n, ran.seconds), "nothing new", True, f"{n:,} known; {ran.note()}"
        )


def _import(work: Work, kind: str, name: str) -> tuple[Ran, tuple[int, ...]]:
    where = ("--customer", str(CUSTOMER), "--country", "GB", "--time-zone", "Europe/London")
    ran = work.place.ran("import", kind, str(work.source / name), *where, statuses=(0, 1))
    found = _SUMMARY.search(ran.out)
    assert found, ran.out[-3000:]
    return ran, tuple(map(int, found.groups()))


# -- seen


def lists(work: Work) -> Iterator[Figure]:
    facts = work.known
    middle = datetime.fromtimestamp((facts.until - 800) * DAY_S, UTC).replace(day=1)
    after = datetime(middle.year + middle.month // 12, middle.month % 12 + 1, 1, tzinfo=UTC)
    of_month = conditions(("calldate", "gte", f"{middle:%F}"), ("calldate", "lt", f"{after:%F}"))
    in_month = facts.between(*(int(each.timestamp()) // DAY_S for each in (middle, after)))
    ext = EXTENSIONS[7]
    with work.place.served(work.token) as api:
        user = api.asked("GET", f"/users?filter={conditions(('ext', 'eq', ext))}")["data"][0]["id"]
        first_ms = yield from _page(api, "first page of 100", NEWEST, facts.calls)
        yield from _page(api, "100 of a month", f"{NEWEST}&filter={of_month}", in_month)
        yield from _page(
            api, "100 of a user", f"{NEWEST}&filter={conditions(('user_id', 'eq', user))}", facts.users[ext]
        )
        yield from _page(api, "100 missed", f"{NEWEST}&filter={conditions(('type', 'eq', 'M'))}", facts.types["M"])
        last = f"{NEWEST}&page={-(-facts.calls // 100)}"
        yield from _page(api, "last page of 100", last, facts.calls, within_ms=3 * first_ms)
        for name, n in (("monitors", facts.recordings), ("voicemessages", facts.voicemails)):
            yield from _page(api, f"100 {name}", f"/{name}?limit=100", n)


def _page(api: Api, name: str, path: str, total: int, within_ms: float | None = None) -> Generator[Figure, None, float]:
    times = []
    for _ in range(TIMES + 2):
        ms, found = api.timed(path)
        assert found == total, (name, found, total)
        times.append(ms)
    ms = statistics.median(times[2:])
    bar = ("3 times the first page", ms <= within_ms) if within_ms else ("exact total", True)
    yield Figure(name, f"{ms:.2f} ms", *bar, f"{total:,} in all")
    return ms


# -- out


def csv_at_once(work: Work) -> Iterator[Figure]:
    with work.place.served(work.token) as api:
        api.timed(NEWEST)
        before, taken_s = api.peak_memory_mib(), api.cpu_s()
        began = time.perf_counter()
        lines, size = api.fetched(f"{BASE_PATHS[0]}/cdrs.csv")
        seconds, taken_s = time.perf_counter() - began, api.cpu_s() - taken_s
        grown = api.peak_memory_mib() - before
    assert lines == work.known.calls + 1, lines
    yield Figure("GET /cdrs.csv", _rate(lines, seconds), note=f"{size / (1 << 20):,.0f} MiB in {seconds:,.1f} s")
    bare = _bare_csv(work)
    ratio = lines / taken_s / bare
    note = f"{lines / taken_s:,.0f} beside {bare:,.0f} rows of driver and csv module per second of CPU"
    yield Figure("the CSV beside bare, CPU time", f"{ratio:.2f}", "0.6", ratio >= 0.6, note)
    yield Figure("memory of the server meanwhile", f"+{grown:.0f} MiB", "50 MiB", grown < 50)


def _bare_csv(work: Work) -> float:
    """Rows per second of CPU time."""
    database = open_database(str(work.place.database), 600)
    began = time.process_time()
    rows, _ = export.bare_rows(database, CUSTOMER, BARE_ROWS)
    taken_s = time.process_time() - began
    database.close()
    return rows / taken_s


def exports(work: Work) -> Iterator[Figure]:
    facts = work.known
    with work.place.served(work.token) as api:
        for resource, form, n in (
            ("cdrs", "csv", facts.calls),
            ("cdrs", "parquet", facts.calls),
            ("monitors", "zip", facts.recordings),
        ):
            yield _exported(api, resource, form, n)


def _exported(api: Api, resource: str, form: str, n: int) -> Figure:
    began = time.perf_counter()
    made = api.asked("POST", "/exports", {"resource": resource, "format": form})["data"]
    while made["state"] in {"waiting", "running"}:
        time.sleep(0.1)
        made = api.asked("GET", f"/exports/{made['id']}")["data"]
    seconds = time.perf_counter() - began
    assert (made["state"], made["rows"]) == ("done", n), made
    lines, size = api.fetched(made["url"])
    assert size == made["size"], (size, made)
    assert form != "csv" or lines == n + 1, lines
    api.asked("DELETE", f"/exports/{made['id']}")
    return Figure(
        f"POST /exports, {resource} as {form}",
        _rate(n, seconds),
        note=f"{size / (1 << 20):,.0f} MiB in {seconds:,.1f} s",
    )


# -- safe


def backed_up(work: Work) -> Iterator[Figure]:
    ran = work.place.ran("backup", str(work.folder / "backup"), "--verify")
    taken = sum(file.stat().st_size for file in (work.folder / "backup").rglob("*") if file.is_file())
    note = f"{taken / (1 << 20):,.0f} MiB in the backup; {ran.note()}"
    yield Figure("backup --verify", _rate(work.known.calls, ran.seconds), "undamaged", True, note)


def restored(work: Work) -> Iterator[Figure]:
    elsewhere = Place(work.folder / "restored")
    ran = elsewhere.ran("restore", str(work.folder / "backup"))
    yield Figure("restore", _rate(work.known.calls, ran.seconds), note=ran.note())
    ran = elsewhere.ran("doctor", "verify", "--against", str(work.folder / "backup"))
    yield Figure("doctor verify", _rate(work.known.calls, ran.seconds), "no difference", True, ran.note())
    for each in (elsewhere.folder, work.folder / "backup"):
        shutil.rmtree(each)


# -- let go


def month_gone(work: Work) -> Iterator[Figure]:
    yield from _thinned(work, "a month", ("cdrs",), work.known.first + MONTH_D)


def years_gone(work: Work) -> Iterator[Figure]:
    first = work.known.until - YEAR_D
    yield from _thinned(work, "four years", ("cdrs", "monitors", "voicemessages"), first)
    ran = work.place.ran("doctor")
    yield Figure("doctor", f"{ran.seconds:,.1f} s", "no fault", True, ran.out.strip().splitlines()[-1])


def _thinned(work: Work, name: str, kinds: tuple[str, ...], first: int) -> Iterator[Figure]:
    """All before the day `first` goes, and a part of that day."""
    days = int(time.time()) // DAY_S - first
    sizes = work.place.size_mib()
    with work.place.served(work.token) as api:
        api.asked("PATCH", f"/customers/{CUSTOMER}", {"retention": dict.fromkeys(kinds, days)})
        before = api.timed(NEWEST)[1]
        usual = statistics.median(_lists(api, 200)[10:])
        watched = _watched(work.place, api, before)
        after = api.timed(NEWEST)[1]
        younger = conditions(("calldate", "gte", f"{datetime.fromtimestamp((first + 1) * DAY_S, UTC):%F}"))
        kept = work.known.between(first + 1, work.known.until + 1)
        assert api.timed(f"{NEWEST}&filter={younger}")[1] == kept
        assert kept <= after <= kept + work.known.days[first], (after, kept)
        _audio_gone(work.place, api)
    gone, ms = before - after, statistics.median(watched.lists)
    rate = gone / watched.seconds
    note = f"{gone:,} calls; {watched.seconds:,.1f} s, of CPU {watched.cpu_s:,.1f} s"
    yield Figure(f"retention of {name}", _rate(gone, watched.seconds), "20,000 rows/s", rate >= 20_000, note)
    note = f"usually {usual:.2f} ms; 99 of 100 within {_slow(watched.lists):.0f} ms"
    yield Figure("100 newest meanwhile", f"{ms:.2f} ms", "twice the usual", ms <= 2 * usual, note)
    yield _freed(sizes, work.place.size_mib(), watched.space_s)


def _freed(before: tuple[float, float], after: tuple[float, float], seconds: float) -> Figure:
    freed = f"{before[0]:,.0f} → {after[0]:,.0f} MiB"
    return Figure("the database's files", freed, note=f"{seconds:.1f} s; audio {before[1]:,.0f} → {after[1]:,.0f} MiB")


@dataclass(frozen=True, slots=True)
class _Watched:
    lists: list[float]
    seconds: float
    space_s: float
    cpu_s: float


def _watched(place: Place, api: Api, total: int) -> _Watched:
    """`ringback retain` beside a client that lists all the time. The clocks run from the last list that was whole."""
    told = f"/auditlog?limit=1&filter={conditions(('action', 'eq', 'retain'))}"
    entries = api.timed(told)[1]
    process = place.started("retain", "--customer", str(CUSTOMER))
    began, taken_s, lists = time.perf_counter(), 0.0, list[float]()
    while api.timed(told)[1] == entries:
        over = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        assert over is None or over.si_status == 0, over
        ms, found = api.timed(NEWEST)
        if found == total:
            began, taken_s = time.perf_counter(), cpu_s(process)
        else:
            lists.append(ms)
        time.sleep(APART_S)
    ended, taken_s = time.perf_counter(), cpu_s(process) - taken_s
    assert process.wait() == 0
    return _Watched(lists or [api.timed(NEWEST)[0]], ended - began, time.perf_counter() - ended, taken_s)


def _lists(api: Api, n: int) -> list[float]:
    times = []
    for _ in range(n):
        times.append(api.timed(NEWEST)[0])
        time.sleep(APART_S)
    return times


def _slow(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]


def _audio_gone(place: Place, api: Api) -> None:
    """The server deletes the files in the background: waits until there are as many as records."""
    wanted = sum(api.timed(f"/{name}?limit=1")[1] for name in ("monitors", "voicemessages"))
    until = time.monotonic() + 120
    while (there := sum(file.is_file() for file in (place.folder / "blobs").rglob("*"))) != wanted:
        assert time.monotonic() < until, (there, wanted)
        time.sleep(0.2)


# -- all


def _settled(work: Work) -> Iterator[Figure]:
    """A customer with its administrator and a token, as docs/operating.md has it."""
    run: Callable[..., Any] = work.place.ran
    run("migrate")
    run("customer", "create", "Five Years Ltd", "--country", "GB", "--currency", "GBP", "--time-zone", "Europe/London")
    owner = ("owner@office.example", "--customer", str(CUSTOMER), "--first-name", "Olga", "--last-name", "Owner")
    run("user", "create", *owner, "--ext", "900", "--role", "administrator")
    work.token = run("token", "create", "--user", owner[0], "--name", "five-years").out.split()[-1]
    yield from ()


STEPS: Mapping[str, Step] = {
    "customer": _settled,
    "users": imported("users", "users.csv", lambda known: (known.people, 0)),
    "contacts": imported("contacts", "contacts.csv", lambda known: (known.contacts, 0)),
    "rates": imported("rates", "rates.csv", lambda known: (known.rates, 0)),
    "calls": imported("asterisk-cdr", "Master.csv", lambda known: (known.calls, known.broken)),
    "recordings": imported("recordings", "monitor", lambda known: (known.recordings, 0)),
    "voicemail": imported("voicemail", "voicemail", lambda known: (known.voicemails, 0)),
    "again": known_already,
    "lists": lists,
    "csv": csv_at_once,
    "exports": exports,
    "backup": backed_up,
    "restore": restored,
    "month": month_gone,
    "years": years_gone,
}
