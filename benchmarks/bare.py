"""The bare cost: the same rows by the driver's own cursor into msgspec, without HTTP, rights or a total."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from ringback.resources.history.cdrs import Cdr
from ringback.store.database import Database, percent_style
from ringback.store.engines import sqlite_path

_encode = msgspec.json.Encoder().encode
COLUMNS = ", ".join(f'"{name}"' for name in Cdr.__struct_fields__ if name not in ("call_id", "is_root"))
EXTRA = "live_id, parent_live_id IS NULL"

Run = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]


def cursor(database: Database, url: str) -> Run:
    """A function that runs a statement on a connection of its own and fetches all."""
    if database.engine == "sqlite":
        sqlite = sqlite3.connect(sqlite_path(url))
        return lambda sql, params: sqlite.execute(sql, params).fetchall()
    postgres = psycopg.connect(url, autocommit=True)
    return lambda sql, params: postgres.execute(percent_style(sql), params).fetchall()


def page(run: Run, customer_id: int, where: str, params: dict[str, Any], limit: int) -> bytes:
    """The newest rows of a condition that an index serves, as JSON."""
    sql = (
        f"SELECT {COLUMNS}, {EXTRA} FROM cdrs WHERE customer_id = :customer {where}"
        f" ORDER BY calldate DESC, id DESC LIMIT {limit}"
    )
    found = run(sql, {"customer": customer_id, **params})
    return _encode({"data": _records(found)})


def _records(found: Sequence[tuple[Any, ...]]) -> list[Cdr]:
    return [Cdr(*row) for row in found]
