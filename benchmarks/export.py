"""CSV export: rows a second and memory, beside the driver and the csv writer alone."""

import csv
import io
import subprocess
import time
from collections.abc import Iterator

from benchmarks.bare import COLUMNS, EXTRA
from benchmarks.server import Client, peak_memory_kb
from ringback.settings import BASE_PATHS
from ringback.store.database import Database

Line = tuple[str, float, float | None, str]


def measured(client: Client, process: subprocess.Popen[bytes], database: Database, customer_id: int) -> Iterator[Line]:
    before = peak_memory_kb(process)
    client.get(f"{BASE_PATHS[0]}/cdrs.csv")  # the first reads the file from the disk, which the bare run then need not
    began = time.perf_counter()
    client.get(f"{BASE_PATHS[0]}/cdrs.csv")
    seconds = time.perf_counter() - began
    grown = (peak_memory_kb(process) - before) / 1024
    lines, bare_s = bare_rows(database, customer_id)
    yield ("CSV export, rows/s", lines / seconds, lines / bare_s, f"memory grew by {grown:.0f} MB")


def bare_rows(database: Database, customer_id: int, at_most: int | None = None) -> tuple[int, float]:
    """Rows and seconds of fetching in lots and writing them with the csv module."""
    began = time.perf_counter()
    sql = f"SELECT {COLUMNS}, {EXTRA} FROM cdrs WHERE customer_id = :customer ORDER BY calldate DESC, id DESC"
    if at_most is not None:
        sql += f" LIMIT {at_most}"
    rows = 0
    with database.stream(sql, {"customer": customer_id}, 2_000) as lots:
        for lot in lots:
            buffer = io.StringIO()
            csv.writer(buffer).writerows(lot)
            rows += len(lot)
    return rows, time.perf_counter() - began
