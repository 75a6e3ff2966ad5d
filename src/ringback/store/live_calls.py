"""The rows of calls that are up, as a connected PBX tells of them. What users put to them (a link) is left alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from ringback.store import rows, schema
from ringback.store.database import Db


def put(db: Db, customer_id: int, calls: Mapping[int, Mapping[str, Any]]) -> None:
    """Columns by live id, of calls that are new or not as they were."""
    sql = f"SELECT id FROM calls WHERE {rows.by_ids(db)}"
    there = {row[0] for row in db.all(sql, {"customer": customer_id, "ids": list(calls)})}
    fresh = [{"id": live_id, **columns} for live_id, columns in calls.items() if live_id not in there]
    rows.insert(db, schema.calls, customer_id, fresh)
    for live_id in sorted(there):
        rows.update(db, schema.calls, customer_id, live_id, calls[live_id])


def drop(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    rows.delete(db, schema.calls, customer_id, ids)


def clear(db: Db, customer_id: int) -> None:
    """Nobody knows of any."""
    db.run("DELETE FROM calls WHERE customer_id = :customer", {"customer": customer_id})
