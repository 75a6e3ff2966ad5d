"""Retention of a month, by the server itself, while a client lists and changes calls; on a copy of the database."""

import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.server import serving
from ringback.jobs import queue, retain
from ringback.settings import BASE_PATHS
from ringback.store.database import Database, value
from ringback.store.engines import open_database, sqlite_path

PORT = 8972
MONTH_S = 30 * 86_400
USUAL = 300
LIST = f"{BASE_PATHS[0]}/cdrs?limit=100"

Line = tuple[str, float, float | None, str]


def measured(engine: str, url: str, folder: Path, token: str) -> Iterator[Line]:
    with _copied(engine, url, folder) as copy:
        database = open_database(copy, 600)
        try:
            with serving(copy, folder, PORT):
                yield from _watched(database, token)
        finally:
            database.close()


def _watched(database: Database, token: str) -> Iterator[Line]:
    customer_id = data.customer(database, int(time.time()))
    client = _Client(token)
    there = _rows(database)
    usual_lists, usual_writes = ([_ms(work) for _ in range(USUAL)][10:] for work in (client.list, client.change))
    before = database.size().total
    told = _told(database, customer_id)
    _begin(database, customer_id)
    lists: list[float] = []
    writes: list[float] = []
    began = time.perf_counter()
    while _told(database, customer_id) == told:
        lists += [_ms(client.list) for _ in range(10)]
        writes.append(_ms(client.change))
    seconds = time.perf_counter() - began
    gone = there - _rows(database)
    while _runs(database, customer_id):
        time.sleep(0.1)
    space_s = time.perf_counter() - began - seconds
    freed = (before - database.size().total) / (1 << 20)
    yield (
        "retention of a month, rows/s",
        gone / seconds,
        None,
        f"{gone:,} calls; then {freed:,.0f} MiB to the disk in {space_s:.0f} s",
    )
    yield (
        "100 newest while retention runs",
        statistics.median(lists),
        statistics.median(usual_lists),
        "bare: without it",
    )
    slow = sorted(writes)[len(writes) * 99 // 100]
    note = f"bare: without it; 99 of 100 within {slow:.0f} ms, all within {max(writes):.0f} ms"
    yield ("a change while retention runs", statistics.median(writes), statistics.median(usual_writes), note)


def _begin(database: Database, customer_id: int) -> None:
    """A rule that leaves all but the oldest month, and its job now instead of at night."""
    now = int(time.time())
    oldest = database.read(lambda db: value(db, "SELECT min(calldate) FROM cdrs"))
    days = (now - oldest - MONTH_S) // 86_400
    sql = "UPDATE customers SET retention = :rules WHERE id = :id"
    database.write(lambda db: db.run(sql, {"rules": json.dumps({"cdrs": days}), "id": customer_id}))
    database.write(lambda db: queue.enqueue(db, customer_id, retain.KIND, {}, now=now, key=retain.KIND))


def _rows(database: Database) -> int:
    return int(database.read(lambda db: value(db, "SELECT count(*) FROM cdrs")))


def _told(database: Database, customer_id: int) -> int:
    """How often the audit log has told of retention."""
    sql = "SELECT count(*) FROM auditlog WHERE customer_id = :customer AND action = 'retain'"
    return int(database.read(lambda db: value(db, sql, {"customer": customer_id})))


def _runs(database: Database, customer_id: int) -> bool:
    sql = "SELECT 1 FROM jobs WHERE customer_id = :customer AND kind = 'retain' AND state = 'running'"
    return bool(database.read(lambda db: value(db, sql, {"customer": customer_id})))


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


class _Client:
    """Lists the newest calls, and changes the newest."""

    def __init__(self, token: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", PORT)
        self._headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        self._newest = json.loads(self._answer("GET", LIST))["data"][0]["id"]
        self._changes = 0

    def list(self) -> None:
        self._answer("GET", LIST)

    def change(self) -> None:
        self._changes += 1
        body = [{"id": self._newest, "info": f"change {self._changes}"}]
        self._answer("PATCH", f"{BASE_PATHS[0]}/cdrs", json.dumps(body))

    def _answer(self, method: str, path: str, body: Any = None) -> bytes:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content[:300]
        return content


@contextmanager
def _copied(engine: str, url: str, folder: Path) -> Iterator[str]:
    if engine == "sqlite":
        copy = folder / "thinned.db"
        try:
            shutil.copy(sqlite_path(url), copy)
            yield str(copy)
        finally:
            for each in folder.glob("thinned.db*"):
                each.unlink()
        return
    import psycopg

    with psycopg.connect(url) as connection:
        name = connection.info.dbname
    with psycopg.connect(_named(url, "template1"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS thinned")
        connection.execute(f'CREATE DATABASE thinned TEMPLATE "{name}"')
        yield _named(url, "thinned")
        connection.execute("DROP DATABASE thinned WITH (FORCE)")


def _named(url: str, name: str) -> str:
    """The same server's database of another name."""
    head, mark, options = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}{mark}{options}"
