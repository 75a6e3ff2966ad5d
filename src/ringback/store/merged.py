"""One list out of several tables: each arm is a listing of its own, all of one record type.

Totals are the sums of the arms'. A page is found by its keys first: the first rows of each arm, by the arm's own index,
merged by the database; then the rows of those keys are read. Deep pages begin at the day that the counters of all arms
name together.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from ringback.query import Condition, Order, Query
from ringback.record import Record
from ringback.store.database import Db, folded
from ringback.store.listing import Listing
from ringback.store.lists import NEAR, Lists
from ringback.store.statements import Statement, by_ids, columns_sql, order_sql, records_of
from ringback.store.totals import Span, place_of

KEY = "object_id"
"""The attribute that holds the id of the row in its own table."""


@dataclass(frozen=True)
class Arm:
    listing: Listing
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Attributes that have one value in all rows of this arm."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An arm with what is left of the filter."""

    arm: Arm
    conditions: tuple[Condition, ...]
    total: int
    span: Span | None


def page(
    lists: Lists, db: Db, arms: Sequence[Arm], bound: Mapping[str, Any], query: Query, hidden: frozenset[str]
) -> tuple[list[Record], int]:
    """The records of one page and the exact number of all matches. `sort=id` is by time."""
    kept = [(arm, rest) for arm in arms if (rest := _left(arm, query.conditions)) is not None]
    if not kept:
        return [], 0
    counted = all(lists.counts(arm.listing, bound, rest) for arm, rest in kept)
    with nullcontext() if counted else lists.lane(kept[0][0].listing, bound["customer"]):
        parts = [_Part(arm, rest, *lists.total(db, arm.listing, bound, rest)) for arm, rest in kept]
        total = sum(part.total for part in parts)
        keys = _keys(db, parts, bound, query, total)
    return _records(db, parts, bound, keys, hidden), total


def _left(arm: Arm, conditions: Sequence[Condition]) -> tuple[Condition, ...] | None:
    """The conditions that depend on the row; None when no row of the arm can match."""
    if not all(_holds(each, arm.fixed[each.attribute.name]) for each in conditions if each.attribute.name in arm.fixed):
        return None
    return tuple(each for each in conditions if each.attribute.name not in arm.fixed)


def _holds(condition: Condition, value: str) -> bool:
    """Whether the condition holds for this value, compared as the database compares texts."""
    given, own = condition.value, folded(value)
    if given is None:
        return condition.operator == "ne"
    if isinstance(given, tuple):
        return own in [folded(str(each)) for each in given]
    text = folded(str(given))
    results = {
        "eq": own == text,
        "ne": own != text,
        "like": text in own,
        "notlike": text not in own,
        "gt": own > text,
        "gte": own >= text,
        "lt": own < text,
        "lte": own <= text,
    }
    return results[condition.operator]


def _order(listing: Listing, asked: tuple[Order, ...]) -> tuple[Order, ...]:
    known = listing.attributes()
    newest = known[listing.newest]
    order = tuple(Order(newest, each.descending) if each.attribute.name == "id" else each for each in asked)
    order = order or (Order(newest, descending=True),)
    return (*order, Order(known[KEY], order[-1].descending))


def _keys(db: Db, parts: Sequence[_Part], bound: Mapping[str, Any], query: Query, total: int) -> list[tuple[int, int]]:
    """The rows of the page as (number of the part, id in its table)."""
    wanted = min(query.limit, total - query.offset)
    if wanted <= 0:
        return []
    listing = parts[0].arm.listing
    order = _order(listing, query.order)
    edge, offset = None, query.offset
    spans = [part.span for part in parts if part.span is not None]
    if offset > NEAR and len(spans) == len(parts) and [each.attribute.name for each in order] == [listing.newest, KEY]:
        edge, offset = place_of(db, bound, spans, order[0].descending, offset)
    values = {**bound, "limit": wanted, "offset": offset, "reach": offset + wanted}
    if edge is not None:
        values["edge"] = edge
    for number, part in enumerate(parts):
        values |= _statement(db, number, part).values(part.conditions)
    arms = " UNION ALL ".join(_arm_sql(db, number, part, order, edge is not None) for number, part in enumerate(parts))
    by = ", ".join(_by(f"o{n}", each) for n, each in enumerate(order))
    way = "DESC" if order[-1].descending else "ASC"
    sql = f"SELECT part, k FROM ({arms}) merged ORDER BY {by}, part {way} LIMIT :limit OFFSET :offset"
    return [(row[0], row[1]) for row in db.all(sql, values)]


def _statement(db: Db, number: int, part: _Part) -> Statement:
    return Statement(db.engine, part.arm.listing, prefix=f"v{number}_")


def _arm_sql(db: Db, number: int, part: _Part, order: tuple[Order, ...], has_edge: bool) -> str:
    """The keys of the arm's first rows, with the values that the merged order goes by."""
    listing, statement = part.arm.listing, _statement(db, number, part)
    where = statement.where(part.conditions)
    if has_edge:
        where += f" AND {listing.expression(order[0].attribute)} {'<' if order[0].descending else '>='} :edge"
    values = ", ".join(f"{_value(listing, each)} AS o{n}" for n, each in enumerate(order))
    key = listing.expression(listing.attributes()[KEY])
    first = (
        f"SELECT {number} AS part, {key} AS k, {values} FROM {statement.source}"
        f" WHERE {where} ORDER BY {order_sql(listing, order)} LIMIT :reach"
    )
    return f"SELECT * FROM ({first}) arm{number}"


def _value(listing: Listing, order: Order) -> str:
    """What the list is ordered by, as `order_sql` has it, without its direction."""
    return order_sql(listing, [order]).removesuffix(" NULLS LAST").rpartition(" ")[0]


def _by(name: str, order: Order) -> str:
    nulls = " NULLS LAST" if order.attribute.nullable else ""
    return f"{name} {'DESC' if order.descending else 'ASC'}{nulls}"


def _records(
    db: Db, parts: Sequence[_Part], bound: Mapping[str, Any], keys: Sequence[tuple[int, int]], hidden: frozenset[str]
) -> list[Record]:
    found: dict[tuple[int, int], Record] = {}
    for number, part in enumerate(parts):
        ids = [key for each, key in keys if each == number]
        if not ids:
            continue
        listing = part.arm.listing
        key = listing.expression(listing.attributes()[KEY])
        sql = (
            f"SELECT {columns_sql(listing, hidden)}, {key} FROM {listing.rows_from()}"
            f" WHERE {by_ids(db, listing)} AND {db.among(key, 'ids')}"
        )
        rows = db.all(sql, {**bound, "ids": ids})
        records = records_of(listing.record, rows)
        found |= {(number, row[-1]): record for row, record in zip(rows, records, strict=True)}
    return [found[key] for key in keys if key in found]
