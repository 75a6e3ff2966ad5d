"""Exact totals and places of pages from the counters (`rows.py`), without counting or skipping rows.

A query qualifies when its filter is a range of dates, one counted attribute, or both: whole days are summed from the
counters, and only the two days at the edges are counted in the index.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringback.query import Condition, Order
from ringback.record import Attribute, Kind
from ringback.store.database import Db, first, value
from ringback.store.listing import Listing
from ringback.store.rows import DAY_S, change_number_sql
from ringback.store.schema import counted
from ringback.store.statements import Statement


@dataclass(frozen=True, slots=True)
class Span:
    """A query that counters can answer: one tally and a half-open range of seconds."""

    resource: str
    attribute: str
    values: tuple[str, ...]
    low: int | None
    high: int | None


def span_of(listing: Listing, bound: Mapping[str, Any], conditions: Sequence[Condition]) -> Span | None:
    """The query as counters see it; None when they cannot answer it."""
    base, day = listing.base_tally(), listing.day_attribute()
    if base is None or day is None or listing.table is None:
        return None
    spec = counted(listing.table)
    dates = [condition for condition in conditions if condition.attribute.name == day]
    others = [condition for condition in conditions if condition.attribute.name != day]
    limits = _limits(dates)
    if limits is None or spec is None:
        return None
    if not others:
        return Span(base.resource, base.attribute, (str(bound[base.value]) if base.value else base.fixed,), *limits)
    only = others[0]
    if len(others) > 1 or base.attribute or only.attribute.name not in spec[1] or only.value is None:
        return None
    if only.operator not in ("eq", "in"):
        return None
    values = tuple(map(str, only.value)) if isinstance(only.value, tuple) else (str(only.value),)
    return Span(base.resource, only.attribute.name, tuple(dict.fromkeys(values)), *limits)


def _limits(dates: Sequence[Condition]) -> tuple[int | None, int | None] | None:
    """The half-open range of seconds that all date conditions leave; None when they are no range."""
    low: int | None = None
    high: int | None = None
    for condition in dates:
        at = condition.value
        if not isinstance(at, int) or condition.operator not in ("eq", "gt", "gte", "lt", "lte"):
            return None
        if condition.operator in ("eq", "gt", "gte"):
            start = at + (condition.operator == "gt")
            low = start if low is None else max(low, start)
        if condition.operator in ("eq", "lt", "lte"):
            end = at + (condition.operator != "lt")
            high = end if high is None else min(high, end)
    return low, high


_DAYS = "customer_id = :customer AND resource = :resource{n} AND attribute = :attribute{n} AND {values}"


def counted_total(db: Db, listing: Listing, bound: Mapping[str, Any], span: Span) -> int:
    """Whole days from the counters, the two days at the edges by counting their rows in the index."""
    low, high = span.low, span.high
    if low is not None and high is not None and low >= high:
        return 0
    first_day = None if low is None else -(-low // DAY_S)
    end_day = None if high is None else high // DAY_S
    if first_day is not None and end_day is not None and first_day > end_day:
        return _rows_between(db, listing, bound, span, low, high)  # within one day
    total = _days_total(db, bound, span, first_day, end_day)
    if low is not None and first_day is not None and low % DAY_S:
        total += _rows_between(db, listing, bound, span, low, first_day * DAY_S)
    if high is not None and end_day is not None and high % DAY_S:
        total += _rows_between(db, listing, bound, span, end_day * DAY_S, high)
    return total


def _days_where(db: Db, number: int = 0) -> str:
    return _DAYS.format(n=number, values=db.among("value", f"values{number}"))


def _days_bound(bound: Mapping[str, Any], spans: Sequence[Span]) -> dict[str, Any]:
    values: dict[str, Any] = {"customer": bound["customer"]}
    for n, span in enumerate(spans):
        values |= {f"resource{n}": span.resource, f"attribute{n}": span.attribute, f"values{n}": list(span.values)}
    return values


def _days_total(db: Db, bound: Mapping[str, Any], span: Span, first_day: int | None, end_day: int | None) -> int:
    where, values = _days_where(db), _days_bound(bound, [span])
    if first_day is not None:
        where, values = f"{where} AND day >= :first_day", {**values, "first_day": first_day}
    if end_day is not None:
        where, values = f"{where} AND day < :end_day", {**values, "end_day": end_day}
    return int(value(db, f"SELECT coalesce(sum(n), 0) FROM counters WHERE {where}", values))


def _rows_between(
    db: Db, listing: Listing, bound: Mapping[str, Any], span: Span, low: int | None, high: int | None
) -> int:
    known = listing.attributes()
    day = listing.day_attribute()
    assert day is not None
    conditions = [Condition(known[day], "gte", low), Condition(known[day], "lt", high)]
    base = listing.base_tally()
    if base is not None and base.attribute != span.attribute:
        conditions.append(Condition(known[span.attribute], "in", _typed(known[span.attribute], span.values)))
    statement = Statement(db.engine, listing)
    where = statement.where(conditions)
    return int(
        value(db, f"SELECT count(*) FROM {statement.source} WHERE {where}", {**bound, **statement.values(conditions)})
    )


def _typed(attribute: Attribute, values: Sequence[str]) -> tuple[int | str, ...]:
    return tuple(int(each) if attribute.kind in (Kind.INT, Kind.BOOL) else each for each in values)


def by_day(listing: Listing, order: tuple[Order, ...]) -> bool:
    return [each.attribute.name for each in order] == [listing.day_attribute(), "id"]


def place_of(
    db: Db, bound: Mapping[str, Any], spans: Sequence[Span], descending: bool, offset: int
) -> tuple[int | None, int]:
    """Where to begin for the row at `offset`: a bound on the day attribute, and how many rows to skip after it.
    Several spans, all with the same limits, are one list.

    Rows of whole days before (in reading order) are summed by the counters. Where the range of dates begins inside a
    day, that day is counted whole by the counters though not all of it matches; then the plain offset is used.
    """
    starts = spans[0].high if descending else spans[0].low
    if starts is not None and starts % DAY_S:
        return None, offset
    values, within = _days_bound(bound, spans), ""
    if starts is not None:
        within = f" AND day {'<' if descending else '>='} :starts"
        values["starts"] = starts // DAY_S
    days = (f"SELECT day, n FROM counters WHERE {_days_where(db, n)}{within}" for n in range(len(spans)))
    way = "DESC" if descending else "ASC"
    sql = f"""
        SELECT day, skipped FROM (
            SELECT day, n, sum(n) OVER (ORDER BY day {way}) - n AS skipped
            FROM (SELECT day, sum(n) AS n FROM ({" UNION ALL ".join(days)}) u GROUP BY day) d
        ) w WHERE skipped <= :offset AND skipped + n > :offset
    """
    row = first(db, sql, {**values, "offset": offset})
    if row is None:
        return None, offset
    day, skipped = int(row[0]), int(row[1])
    return (day + 1 if descending else day) * DAY_S, offset - skipped


def change_number(db: Db, listing: Listing, bound: Mapping[str, Any], conditions: Sequence[Condition]) -> int | None:
    """Moves with every insert, update and delete of the table; None when the total depends on other tables too."""
    if listing.table is None or listing.day_attribute() is None:
        return None
    if any(each.attribute.within for each in conditions):
        return None
    if any("SELECT" in text for text in (listing.where, *(listing.expression(each.attribute) for each in conditions))):
        return None
    found = value(db, f"SELECT {change_number_sql(listing.table)}", {"customer": bound["customer"]})
    return None if found is None else int(found)
