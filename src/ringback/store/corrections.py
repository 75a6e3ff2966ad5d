"""CDRs of calls that were not seen to their end, put right when they are told of again, completely.

Ids, labels, metadata and notes stay, and so do recordings and traces. A charge that changes is booked as a line of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ringback.calls.rating import Deck
from ringback.store import billing, cdrs, outbox
from ringback.store.billing import Line
from ringback.store.database import Db

MARK = "incomplete: "
"""Stands in `info` of the root of such a call."""
_KEPT = {"info", "destination", "uniqueid"}


class Known(NamedTuple):
    """A CDR that is stored."""

    id: int
    root_live_id: int
    info: str | None
    billsec: int
    dst: str | None
    charge: int | None


def known(db: Db, customer_id: int, keys: Iterable[str]) -> dict[str, Known]:
    """By their keys, of those that are stored."""
    sql = f"""
        SELECT source_key, id, root_live_id, info, billsec, dst, charge FROM cdrs
        WHERE customer_id = :customer AND {db.among("source_key", "keys")}
    """
    return {key: Known(*row) for key, *row in db.all(sql, {"customer": customer_id, "keys": list(keys)})}


def due(there: Mapping[str, Known], told: Mapping[str, str | None]) -> list[str]:
    """The keys of those that are to be put right. `told`: what `info` says now, by key: of a call that is complete no mark."""
    marked = {each.root_live_id: key for key, each in there.items() if MARK in (each.info or "")}
    whole = {root for root, key in marked.items() if MARK not in (told[key] or "")}
    return [key for key, each in there.items() if each.root_live_id in whole]


def correct(db: Db, customer_id: int, deck: Deck, found: Sequence[tuple[Known, Mapping[str, Any]]], now: int) -> None:
    """`found`: each CDR with its columns as they are told now."""
    lines = []
    for before, told in found:
        columns = _rated(deck, before, _better(before, told))
        cdrs.amend(db, customer_id, before.id, columns)
        difference = (before.charge or 0) - (columns.get("charge", before.charge) or 0)
        if difference:
            lines.append(Line(now, f"Corrected: {billing.of_call(told, told['dst'])}", difference, before.id))
    outbox.changed(db, customer_id, "cdr.updated", [each.id for each, _ in found])
    if lines:
        billing.book(db, customer_id, lines, now)


def _better(before: Known, told: Mapping[str, Any]) -> dict[str, Any]:
    """What is known now, beside what only a connection hears of (codecs, who had it called) and a user has written."""
    found = {name: each for name, each in told.items() if each is not None and name not in _KEPT}
    return {**found, "info": told["info"]} if MARK in (before.info or "") else found


def _rated(deck: Deck, before: Known, columns: Mapping[str, Any]) -> Mapping[str, Any]:
    """With another charge where another time or number is charged for."""
    if (columns["billsec"], columns.get("dst")) == (before.billsec, before.dst):
        return columns
    return billing.rate(deck, columns)
