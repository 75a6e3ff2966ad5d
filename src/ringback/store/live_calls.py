"""The rows of calls that are up, as a connected PBX tells of them. What users put to them (a link) is left alone.

What a call was at its end stays a while in `ended_calls`, for streams.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ringback.store import outbox, rows, schema
from ringback.store.database import Db

_COLUMNS = ", ".join(schema.columns(schema.calls))


def put(db: Db, customer_id: int, calls: Mapping[int, Mapping[str, Any]], now: int) -> None:
    """Columns by live id, of calls that are new or not as they were."""
    sql = f"SELECT id, user_id, peer_user_id FROM calls WHERE {rows.by_ids(db)}"
    there = {live_id: set(users) for live_id, *users in db.all(sql, {"customer": customer_id, "ids": list(calls)})}
    _keep(db, customer_id, [each for each, users in there.items() if users - _users(calls[each])], now)
    fresh = [{"id": live_id, **columns} for live_id, columns in calls.items() if live_id not in there]
    rows.insert(db, schema.calls, customer_id, fresh)
    for live_id in sorted(there):
        rows.update(db, schema.calls, customer_id, live_id, calls[live_id])
    outbox.changed(db, customer_id, "call.created", [row["id"] for row in fresh])
    outbox.changed(db, customer_id, "call.updated", sorted(there))


def link(db: Db, customer_id: int, live_id: int, columns: Mapping[str, Any]) -> None:
    """What a user puts to a call."""
    rows.update(db, schema.calls, customer_id, live_id, columns)
    outbox.changed(db, customer_id, "call.updated", [live_id])


def drop(db: Db, customer_id: int, ids: Sequence[int], now: int) -> None:
    """These calls have ended."""
    _keep(db, customer_id, ids, now)
    rows.delete(db, schema.calls, customer_id, ids)
    outbox.changed(db, customer_id, "call.ended", ids)


def _keep(db: Db, customer_id: int, ids: Sequence[int], now: int) -> None:
    """As they are now: they end, for everybody or for a user who was in them."""
    if not ids:
        return
    bound = {"customer": customer_id, "ids": list(ids)}
    db.run(f"DELETE FROM ended_calls WHERE {db.among('id', 'ids')}", {"ids": list(ids)})  # maybe somebody else's before
    sql = f"INSERT INTO ended_calls ({_COLUMNS}, ended_at) SELECT {_COLUMNS}, :now FROM calls WHERE {rows.by_ids(db)}"
    db.run(sql, {**bound, "now": now})


def _users(columns: Mapping[str, Any]) -> set[int | None]:
    return {None, columns.get("user_id"), columns.get("peer_user_id")}


def clear(db: Db, customer_id: int, now: int) -> None:
    """Nobody knows of any."""
    found = db.all("SELECT id FROM calls WHERE customer_id = :customer", {"customer": customer_id})
    drop(db, customer_id, [row[0] for row in found], now)
