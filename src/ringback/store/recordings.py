"""Which call a recording belongs to: the one with its uniqueid, and of several hops of that the one that talked longest.

Either may come in first. A recording without a call waits, and is linked when the CDR comes; so is one whose CDR was
deleted and comes in anew, and one whose call turns out to have had a longer hop.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ringback.store import cdr_links, rows, schema
from ringback.store.database import Db, first

_SAME = (
    "live_id",
    "user_id",
    "sip_endpoint_id",
    "type",
    "context",
    "src",
    "src_id",
    "src_name",
    "dst",
    "dst_id",
    "dst_name",
)
_TALKED_LONGEST = "ORDER BY disposition = 'CONNECTED' DESC, billsec DESC, id LIMIT 1"
_CALL = f"SELECT id, calldate, uniqueid, {', '.join(_SAME)} FROM cdrs WHERE customer_id = :customer"


def source_key(uniqueid: str, digest: str) -> str:
    """What makes taking a recording in idempotent, wherever it comes from. `digest`: of its audio as it came."""
    return f"recording:{uniqueid[:200]}/{digest}"


def of_call(db: Db, customer_id: int, uniqueid: str) -> dict[str, Any] | None:
    """What a recording takes over from the call with this uniqueid; None without such a call."""
    sql = f"{_CALL} AND uniqueid = :uniqueid {_TALKED_LONGEST}"
    return _taken_over(first(db, sql, {"customer": customer_id, "uniqueid": uniqueid}))


def between(db: Db, customer_id: int, caller: str, called: str, earliest: int, latest: int) -> dict[str, Any] | None:
    """The same of the only call between two numbers that began in that time; None without one, or with several."""
    ids = cdr_links.one_call(db, customer_id, caller, called, earliest, latest)
    sql = f"{_CALL} AND {db.among('id', 'ids')} {_TALKED_LONGEST}"
    return _taken_over(first(db, sql, {"customer": customer_id, "ids": ids})) if ids else None


def _taken_over(found: tuple[Any, ...] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    cdr_id, calldate, uniqueid, *values = found
    row = dict(zip(_SAME, values, strict=True))
    parties = {"caller": row["src"], "called": row["dst"]}
    return {**row, **parties, "cdr_id": cdr_id, "timestamp": calldate, "uniqueid": uniqueid}


def insert(db: Db, customer_id: int, row: Mapping[str, Any]) -> None:
    """Inserts a recording, linked when the call of its `uniqueid` is there. Raises Taken when its source is known.

    CDRs are counted first, as `cdrs.insert` does: of a CDR and its recording that come at once, one waits for the other
    and finds it.
    """
    rows.changed(db, schema.cdrs, customer_id)
    call = of_call(db, customer_id, row["uniqueid"]) if row.get("uniqueid") else None
    rows.insert(db, schema.monitors, customer_id, [{**row, **_news(call, row)}])


def link(db: Db, customer_id: int, uniqueids: Iterable[str | None]) -> int:
    """Links the recordings of calls that have come in, within the same transaction; returns how many were linked."""
    named = sorted({each for each in uniqueids if each})
    sql = f"""
        SELECT id, uniqueid, cdr_id, user_id FROM monitors
        WHERE customer_id = :customer AND {db.among("uniqueid", "uniqueids")} ORDER BY id
    """
    found = db.all(sql, {"customer": customer_id, "uniqueids": named}) if named else []
    return sum(_link(db, customer_id, *row) for row in found)


def _link(db: Db, customer_id: int, monitor_id: int, uniqueid: str, cdr_id: int | None, user_id: int | None) -> bool:
    call = of_call(db, customer_id, uniqueid)
    if call is None or call["cdr_id"] == cdr_id:
        return False
    rows.update(db, schema.monitors, customer_id, monitor_id, _news(call, {"user_id": user_id}))
    return True


def _news(call: Mapping[str, Any] | None, row: Mapping[str, Any]) -> dict[str, Any]:
    """The call knows best; but whose recording it is may be known without it."""
    if call is None:
        return {}
    return {**call, "user_id": row.get("user_id") if call["user_id"] is None else call["user_id"]}
