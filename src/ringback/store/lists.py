"""Collections: one page with its exact total, one row, a stream of all.

Totals, and the day on which a page begins, come from the counters (`totals.py`) where these can answer; then a page costs
the same wherever it lies. Everything else is counted honestly, remembered until the table changes, and bounded in time
and in how many run at once.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from ringback.errors import Unavailable
from ringback.query import Condition, Order, Query
from ringback.record import MAX_INT, Record
from ringback.store.database import Database, Db, Row, value
from ringback.store.listing import Listing
from ringback.store.statements import (
    Cut,
    Statement,
    by_ids,
    columns_sql,
    full_order,
    id_place,
    order_sql,
    page_sql,
    records_of,
    shape,
)
from ringback.store.totals import Span, by_day, change_number, counted_total, place_of, span_of

NEAR = 1_000  # an offset up to here is cheaper to skip than to look up
SLOW_AT_ONCE = 2
STREAMS_AT_ONCE = 4  # each holds a connection for as long as its reader takes
SLOW_WAIT_S = 0.5  # a waiting request holds a reader that others need
TOTALS_KEPT = 5_000
STATEMENTS_KEPT = 1_000
STREAM_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class _Sought:
    """A page as it is asked for."""

    listing: Listing
    bound: Mapping[str, Any]
    query: Query
    order: tuple[Order, ...]
    span: Span | None
    hidden: frozenset[str]

    @property
    def by_days(self) -> bool:
        """Whether counters know the total, and an index has the rows in their order."""
        return self.span is not None and by_day(self.listing, self.order)


class Lists:
    """Reads collections; keeps statements and totals. One for the process, used by all its threads."""

    def __init__(self) -> None:
        self._statements: OrderedDict[tuple[Any, ...], str] = OrderedDict()
        self._totals: OrderedDict[tuple[Any, ...], tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._lanes: dict[int, threading.BoundedSemaphore] = {}
        self._streams: dict[int, threading.BoundedSemaphore] = {}

    def page(
        self, db: Db, listing: Listing, bound: Mapping[str, Any], query: Query, hidden: frozenset[str] = frozenset()
    ) -> tuple[list[Record], int]:
        """The records of one page and the exact number of all matches. `bound` has `customer` and what `where` needs."""
        order = full_order(listing, query.order)
        span = span_of(listing, bound, query.conditions)
        with nullcontext() if span is not None else self.lane(listing, bound["customer"]):
            sought = _Sought(listing, bound, query, order, span, hidden)
            known = self._known(_key(listing, bound, query.conditions)) if sought.by_days else None
            if known is not None:
                changes, total = known
                rows = self._rows(db, sought, total, checked=True)
                if rows and rows[0][-1] == changes:
                    return records_of(listing.record, rows), total
            total = self._total(db, listing, bound, query.conditions, span)
            return records_of(listing.record, self._rows(db, sought, total)), total

    def counts(self, listing: Listing, bound: Mapping[str, Any], conditions: Sequence[Condition]) -> bool:
        """Whether counters know the total."""
        return span_of(listing, bound, conditions) is not None

    def total(
        self, db: Db, listing: Listing, bound: Mapping[str, Any], conditions: Sequence[Condition]
    ) -> tuple[int, Span | None]:
        """The exact number of matches, and their span where counters know it. Counting goes within `lane`."""
        span = span_of(listing, bound, conditions)
        return self._total(db, listing, bound, conditions, span), span

    def some(
        self,
        db: Db,
        listing: Listing,
        bound: Mapping[str, Any],
        ids: Sequence[int],
        hidden: frozenset[str] = frozenset(),
    ) -> list[Record]:
        """The records of these ids, in the order of the ids; what is not there is left out."""
        picked = columns_sql(listing, hidden)
        own_id = listing.expression(listing.attributes()["id"])
        sql = f"SELECT {picked} FROM {listing.rows_from()} WHERE {by_ids(db, listing)} AND {db.among(own_id, 'ids')}"
        rows = db.all(sql, {**bound, "ids": list(ids)})
        records = records_of(listing.record, rows)
        found = {row[id_place(listing)]: record for row, record in zip(rows, records, strict=True)}
        return [found[each] for each in dict.fromkeys(ids) if each in found]

    @contextmanager
    def stream(
        self,
        database: Database,
        listing: Listing,
        bound: Mapping[str, Any],
        query: Query,
        hidden: frozenset[str] = frozenset(),
    ) -> Iterator[Iterator[list[Row]]]:
        """Every match in order, as rows of database values in lots, in one snapshot. A customer has a few at a time."""
        statement = Statement(database.engine, listing)
        conditions = statement.where(query.conditions)
        order = order_sql(listing, full_order(listing, query.order))
        sql = f"SELECT {columns_sql(listing, hidden)} FROM {statement.source} WHERE {conditions} ORDER BY {order}"
        with self._lock:
            lane = self._streams.setdefault(bound["customer"], threading.BoundedSemaphore(STREAMS_AT_ONCE))
        if not lane.acquire(blocking=False):
            raise Unavailable(f"At most {STREAMS_AT_ONCE} exports run at a time. Try again when one has ended.")
        try:
            with database.stream(sql, {**bound, **statement.values(query.conditions)}, STREAM_ROWS) as lots:
                yield lots
        finally:
            lane.release()

    def matching_ids(
        self, database: Database, listing: Listing, bound: Mapping[str, Any], conditions: Sequence[Condition], n: int
    ) -> list[int]:
        """Up to `n` ids of matches, for wipes in steps; without the time limit of requests."""
        statement = Statement(database.engine, listing)
        own_id = listing.expression(listing.attributes()["id"])
        sql = f"SELECT {own_id} FROM {statement.source} WHERE {statement.where(conditions)} LIMIT :limit"
        with database.stream(sql, {**bound, **statement.values(conditions), "limit": n}, n) as lots:
            return [row[0] for row in next(lots, [])]

    # -- one page -----------------------------------------------------------------------------------------------------

    def _rows(self, db: Db, sought: _Sought, total: int, *, checked: bool = False) -> list[Row]:
        """The rows of the page. `checked`: of the newest state if need be, each with the change number at its end."""
        query, order, span = sought.query, sought.order, sought.span
        wanted = min(query.limit, total - query.offset)
        if wanted <= 0:
            return []
        offset, reverse, edge = query.offset, False, None
        from_end = total - offset - wanted
        if offset > NEAR and from_end < (NEAR if sought.by_days else offset):
            reverse, offset = True, from_end
        elif offset > NEAR and span is not None and sought.by_days:
            edge, offset = place_of(db, sought.bound, [span], order[0].descending, offset)
        cut = Cut(wanted if reverse else query.limit, offset > 0, reverse, edge is not None, checked)
        sql = self._page_sql(db.engine, sought, cut)
        values = Statement(db.engine, sought.listing).values(query.conditions)
        ask = db.alone if checked else db.all
        rows = ask(sql, {**sought.bound, **values, "offset": offset, "edge": edge or 0})
        return rows[::-1] if reverse else rows

    def _page_sql(self, engine: str, sought: _Sought, cut: Cut) -> str:
        listing, conditions, order, hidden = sought.listing, sought.query.conditions, sought.order, sought.hidden
        asked = tuple(shape(condition) for condition in conditions)
        by = tuple((each.attribute.name, each.descending) for each in order)
        key = (engine, listing.name, listing.where, asked, by, cut, hidden)
        with self._lock:
            if key in self._statements:
                self._statements.move_to_end(key)
                return self._statements[key]
        sql = page_sql(engine, listing, conditions, order, cut, hidden)
        with self._lock:
            self._statements[key] = sql
            if len(self._statements) > STATEMENTS_KEPT:
                self._statements.popitem(last=False)
        return sql

    # -- totals -------------------------------------------------------------------------------------------------------

    def _total(
        self,
        db: Db,
        listing: Listing,
        bound: Mapping[str, Any],
        conditions: Sequence[Condition],
        span: Span | None,
    ) -> int:
        """The exact number of matches: remembered while the table stands as it is, else from the counters or counted."""
        changes = change_number(db, listing, bound, conditions)
        key = _key(listing, bound, conditions)
        known = self._known(key)
        if changes is not None and known is not None and known[0] == changes:
            return known[1]
        total = (
            counted_total(db, listing, bound, span) if span is not None else _counted(db, listing, bound, conditions)
        )
        if changes is not None:
            with self._lock:
                self._totals[key] = (changes, total)
                if len(self._totals) > TOTALS_KEPT:
                    self._totals.popitem(last=False)
        return total

    def _known(self, key: tuple[Any, ...]) -> tuple[int, int] | None:
        """A remembered total with the change number that it belongs to."""
        with self._lock:
            return self._totals.get(key)

    @contextmanager
    def lane(self, listing: Listing, customer_id: int) -> Iterator[None]:
        """Lets a customer have a few queries at a time that no counter answers."""
        if listing.day_attribute() is None:
            yield
            return
        with self._lock:
            lane = self._lanes.setdefault(customer_id, threading.BoundedSemaphore(SLOW_AT_ONCE))
        if not lane.acquire(timeout=SLOW_WAIT_S):
            raise Unavailable("Too many slow queries at a time. Narrow the dates, or try again shortly.")
        try:
            yield
        finally:
            lane.release()


def _key(listing: Listing, bound: Mapping[str, Any], conditions: Sequence[Condition]) -> tuple[Any, ...]:
    """What a total depends on. Where it is remembered, it does not depend on the time."""
    others = sorted((name, each) for name, each in bound.items() if name != "now")
    return listing.name, listing.where, tuple(conditions), tuple(others)


def _counted(db: Db, listing: Listing, bound: Mapping[str, Any], conditions: Sequence[Condition]) -> int:
    statement = Statement(db.engine, listing)
    where, day = statement.where(conditions), listing.day_attribute()
    if day is not None and db.engine == "sqlite" and not listing.source:
        # Any date. Where no index helps, SQLite would walk one of them, be it that of numbers, whose rows lie everywhere.
        where += f" AND {listing.expression(listing.attributes()[day])} >= -{MAX_INT}"
    sql = f"SELECT count(*) FROM {statement.source} WHERE {where}"
    return int(value(db, sql, {**bound, **statement.values(conditions)}))
