"""Re-rating: the calls of a period get the rates and charges of the deck as it is now, in steps.

What was billed stays as it was written: the difference of each changed call is a line of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ringback.calls.rating import Deck, Rate, charge
from ringback.store import billing, rows, schema
from ringback.store.billing import Line
from ringback.store.database import Db, value

STEP = 1_000

_COLUMNS = ("id", "calldate", "type", "context", "dst", "dst_id", "dst_name", "billsec", "rate", "charge")
_NEXT = """
    SELECT calldate, id FROM cdrs
    WHERE customer_id = :customer AND type = 'O' AND (calldate, id) > (:at, :after) AND calldate < :end AND id <= :up_to
    ORDER BY calldate, id LIMIT :n
"""
_STORE = (
    "UPDATE cdrs SET rate = :rate, charge = :charge, dst_name = :dst_name WHERE customer_id = :customer AND id = :id"
)


class Period(NamedTuple):
    """Outbound calls from `start` to before `end`, that were there when it began (`up_to`: the highest id). `at` and `after`:
    date and id of the last call that is done."""

    start: int
    end: int
    up_to: int
    at: int
    after: int = 0


class Done(NamedTuple):
    """`calls`: looked at. `difference`: what the customer got back, or pays (negative)."""

    calls: int = 0
    changed: int = 0
    difference: int = 0
    is_all: bool = False

    def plus(self, other: "Done") -> "Done":
        sums = (self.calls + other.calls, self.changed + other.changed, self.difference + other.difference)
        return Done(*sums, other.is_all)


def period(db: Db, customer_id: int, start: int, end: int) -> Period:
    highest = value(db, "SELECT max(id) FROM cdrs WHERE customer_id = :customer", {"customer": customer_id})
    return Period(start, end, highest or 0, start)


def about(db: Db, customer_id: int, start: int, end: int) -> int:
    """How many calls that will be, by whole days: to show how far it is."""
    sql = """
        SELECT coalesce(sum(n), 0) FROM counters WHERE customer_id = :customer AND resource = 'cdrs'
        AND attribute = 'type' AND value = 'O' AND day >= :first AND day < :end
    """
    bound = {"customer": customer_id, "first": start // rows.DAY_S, "end": -(-end // rows.DAY_S)}
    return int(value(db, sql, bound))


class _Change(NamedTuple):
    cdr: Mapping[str, Any]
    by: Rate
    charge: int

    @property
    def difference(self) -> int:
        return (self.cdr["charge"] or 0) - self.charge


def step(db: Db, customer_id: int, deck: Deck, left: Period, now: int) -> tuple[Done, Period | None]:
    """Re-rates the next calls; what was done, and what is left (None: nothing). Calls without a rate stay as they are."""
    bound = {"customer": customer_id, "n": STEP, **left._asdict()}
    found = db.all(_NEXT, bound)
    if not found:
        return Done(is_all=True), None
    at, after = found[-1]
    ids = [row[1] for row in found]
    rows.lock(db, schema.cdrs, customer_id, ids)
    changes = [change for cdr in _read(db, customer_id, ids) if (change := _change(deck, cdr)) is not None]
    _store(db, customer_id, changes)
    lines = [_line(change, now) for change in changes if change.difference]
    if lines:
        billing.book(db, customer_id, lines, now)
    done = Done(len(ids), len(changes), sum(line.amount for line in lines))
    return done, left._replace(at=at, after=after)


def _read(db: Db, customer_id: int, ids: Sequence[int]) -> list[dict[str, Any]]:
    """As they are now that they are locked, oldest first."""
    sql = f"SELECT {', '.join(_COLUMNS)} FROM cdrs WHERE {rows.by_ids(db)} ORDER BY calldate, id"
    found = db.all(sql, {"customer": customer_id, "ids": list(ids)})
    return [dict(zip(_COLUMNS, row, strict=True)) for row in found]


def _change(deck: Deck, cdr: Mapping[str, Any]) -> _Change | None:
    """A charge of nothing without a rate stays: another row has the charge of that call."""
    if cdr["charge"] == 0 and cdr["rate"] is None:
        return None
    by = billing.rate_of(deck, cdr)
    if by is None:
        return None
    change = _Change(cdr, by, charge(by, cdr["billsec"]))
    return None if (cdr["rate"], cdr["charge"]) == (by.price, change.charge) else change


def _store(db: Db, customer_id: int, changes: Sequence[_Change]) -> None:
    if not changes:
        return
    bound = [
        {
            "customer": customer_id,
            "id": change.cdr["id"],
            "rate": change.by.price,
            "charge": change.charge,
            "dst_name": change.cdr["dst_name"] or change.by.destination,
        }
        for change in changes
    ]
    db.many(_STORE, bound)
    rows.changed(db, schema.cdrs, customer_id)


def _line(change: _Change, now: int) -> Line:
    description = f"Re-rated: {billing.of_call(change.cdr, change.by.destination)}"
    return Line(now, description, change.difference, change.cdr["id"])
