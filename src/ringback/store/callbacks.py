"""Call Me Back: the visitors of a widget, what they request, the hosts that it runs on, and deletions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ringback.store import rows, schema
from ringback.store.database import Db, value

HOSTS = 100
_HOST = re.compile(r"[a-z0-9_.:\[\]-]{1,255}")
OPEN = ("NEW", "REQUESTED", "CALLING", "OFFLINE")
"""The states of a request that may still lead to a call."""


def add_visitors(db: Db, customer_id: int, visitors: Sequence[Mapping[str, Any]]) -> list[int]:
    """One row per opened widget (columns of `schema.callmeback_visitors`)."""
    fixed = [{"state": "NEW", "last_seen_at": each["created_at"], **each} for each in visitors]
    return rows.insert(db, schema.callmeback_visitors, customer_id, fixed)


def add_requests(db: Db, customer_id: int, requests: Sequence[Mapping[str, Any]]) -> list[int]:
    """One row per request to be called back (columns of `schema.callmeback_requests`)."""
    return rows.insert(
        db, schema.callmeback_requests, customer_id, [{"state": "REQUESTED", **each} for each in requests]
    )


def seen_on(db: Db, customer_id: int, setting_id: int, host: str, at: int) -> None:
    """Notes that the widget was loaded on a host; what is no host, and the 101st host, is passed over."""
    if not _HOST.fullmatch(host.lower()):
        return
    bound = {"customer": customer_id, "setting": setting_id, "host": host.lower(), "at": at}
    sql = (
        "UPDATE callmeback_domains SET seen_at = :at"
        " WHERE customer_id = :customer AND setting_id = :setting AND host = :host"
    )
    if db.run(sql, bound):
        return
    count = "SELECT count(*) FROM callmeback_domains WHERE customer_id = :customer AND setting_id = :setting"
    if value(db, count, bound) < HOSTS:
        row = {"setting_id": setting_id, "host": host.lower(), "seen_at": at}
        rows.insert(db, schema.callmeback_domains, customer_id, [row])


def delete_settings(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    """Open requests end refused; visitors, requests and calls stay as history."""
    bound = {"customer": customer_id, "ids": list(ids), "open": list(OPEN)}
    still_open = f"customer_id = :customer AND {db.among('setting_id', 'ids')} AND {db.among('state', 'open')}"
    waiting = db.all(f"SELECT visitor_id FROM callmeback_requests WHERE {still_open}", bound)
    sql = f"UPDATE callmeback_visitors SET state = 'REFUSED' WHERE {rows.by_ids(db)}"
    db.run(sql, {"customer": customer_id, "ids": [row[0] for row in waiting if row[0] is not None]})
    db.run(
        "UPDATE callmeback_requests SET state = 'REFUSED', stage = 'refused', open_number = NULL,"
        f" reason = 'removed' WHERE {still_open}",
        bound,
    )
    for table in (schema.callmeback_visitors, schema.callmeback_requests):
        rows.changed(db, table, customer_id)
    db.run(f"DELETE FROM callmeback_domains WHERE customer_id = :customer AND {db.among('setting_id', 'ids')}", bound)
    rows.delete(db, schema.callmeback_settings, customer_id, ids)


def delete_buttons(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    """Settings that use one are left without."""
    among = db.among("button_id", "ids")
    sql = f"UPDATE callmeback_settings SET button_id = NULL WHERE customer_id = :customer AND {among}"
    db.run(sql, {"customer": customer_id, "ids": list(ids)})
    rows.delete(db, schema.callmeback_buttons, customer_id, ids)
