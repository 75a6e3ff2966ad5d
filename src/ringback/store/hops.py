"""Hops of calls that programs bring in one by one: each once by its key, and those of one linkedid as one tree."""

from collections.abc import Mapping, Sequence
from typing import Any

from ringback.store import billing, outbox
from ringback.store.database import Db


def add(db: Db, customer_id: int, hops: Sequence[Mapping[str, Any]], now: int) -> int:
    """Stores the hops (columns of `schema.cdrs` with `source_key`) whose key is not known; returns how many were new. Those
    that bring no charge are billed by the customer's deck.

    One at a time for a customer: of two hops of a call that come at once, the second finds the tree of the first.
    """
    _one_at_a_time(db, customer_id)
    unique = {hop["source_key"]: hop for hop in reversed(hops)}  # of equal keys the first counts
    known = _known(db, customer_id, list(unique))
    fresh = [hop for hop in unique.values() if hop["source_key"] not in known][::-1]
    placed = _in_trees(db, customer_id, fresh)
    ids = billing.insert(db, customer_id, placed, billing.deck_for(db, customer_id, placed), now)
    outbox.changed(db, customer_id, "cdr.created", ids)
    return len(fresh)


def _one_at_a_time(db: Db, customer_id: int) -> None:
    """SQLite has one writer anyway."""
    if db.engine == "postgres":
        sql = "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"
        db.all(sql, {"name": f"ringback ingest {customer_id}"})


def _known(db: Db, customer_id: int, keys: Sequence[str]) -> set[str]:
    sql = f"SELECT source_key FROM cdrs WHERE customer_id = :customer AND {db.among('source_key', 'keys')}"
    return {row[0] for row in db.all(sql, {"customer": customer_id, "keys": keys})}


def _in_trees(db: Db, customer_id: int, hops: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The first hop of a call that came in is the root; of several at once the one whose uniqueid is the linkedid."""
    live_ids = db.new_ids("live", len(hops)) if hops else []
    numbered = [{**hop, "live_id": live_id} for hop, live_id in zip(hops, live_ids, strict=True)]
    roots = _roots(db, customer_id, sorted({hop["linkedid"] for hop in numbered if hop.get("linkedid")}))
    for hop in sorted(numbered, key=lambda each: each.get("uniqueid") != each.get("linkedid")):
        root = roots.setdefault(hop["linkedid"], hop["live_id"]) if hop.get("linkedid") else hop["live_id"]
        hop["root_live_id"] = root
        hop["parent_live_id"] = None if root == hop["live_id"] else root
    return numbered


def _roots(db: Db, customer_id: int, linkedids: Sequence[str]) -> dict[str, int]:
    """The roots of the calls that are here, whether a program or an import brought them."""
    found: dict[str, int] = {}
    for column in ("uniqueid", "linkedid") if linkedids else ():
        sql = f"""
            SELECT {column}, min(root_live_id) FROM cdrs
            WHERE customer_id = :customer AND {db.among(column, "names")} GROUP BY {column}
        """
        found |= dict(db.all(sql, {"customer": customer_id, "names": linkedids}))
    return found
