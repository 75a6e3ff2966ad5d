"""Queries as SQL text: the conditions, the order and the page of a listing, on either engine.

The text depends on the shape of a query only (which attributes, operators and order); values are always bound.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from ringback.query import Condition, Order
from ringback.record import TO_WIRE, Kind, Record, attributes
from ringback.store.database import Db, Row, fold
from ringback.store.listing import Listing
from ringback.store.rows import change_number_sql

SEARCHED = "cdr_numbers"  # the full-text table of parts of numbers (SQLite)
SEARCH_FROM = 3  # a trigram index knows parts of at least three characters
SEARCH_TO = 32  # longer than any number


class Statement:
    """The FROM, the WHERE and the bound values (named with `prefix`) of a query on one engine."""

    def __init__(self, engine: str, listing: Listing, prefix: str = "v") -> None:
        self.engine = engine
        self.prefix = prefix
        self.listing = listing
        self.source = listing.rows_from()

    def where(self, conditions: Sequence[Condition]) -> str:
        base = self.listing.base()
        if self.engine == "sqlite" and not self.listing.source and any(map(self._names_rows, conditions)):
            # The + keeps SQLite from walking the index of dates and probing the search for each row. Where a table is
            # joined in, it would walk that table, of all customers.
            base = f"+{base}"
        parts = [base]
        for index, condition in enumerate(conditions):
            parts.append(self._condition(condition, f"{self.prefix}{index}"))
        return " AND ".join(parts)

    def values(self, conditions: Sequence[Condition]) -> dict[str, Any]:
        pairs = ((f"{self.prefix}{index}", self._bound(condition)) for index, condition in enumerate(conditions))
        return {name: bound for name, bound in pairs if bound is not None}

    def _condition(self, condition: Condition, name: str) -> str:
        if condition.attribute.within:
            return self._within(condition, name)
        expression = self.listing.expression(condition.attribute)
        if condition.attribute.kind is Kind.LIST:
            return _any_of_list(self.engine, expression, condition, name)
        if self._is_search(condition):
            return self._search(expression, name)
        if _folds(condition):
            expression = f"fold({expression})"
        if condition.operator in ("like", "notlike") and condition.attribute.kind in (Kind.INT, Kind.KEY):
            expression = f"CAST({expression} AS TEXT)"
        return _comparison(self.engine, expression, condition, name)

    def _within(self, condition: Condition, name: str) -> str:
        """Whether one of the rows that belong to this one fulfils the condition; for `ne` and `notlike`, whether none does.
        `eq` null: none has a value."""
        attribute = replace(condition.attribute, within="")
        operator = "ne" if condition.value is None else _POSITIVE.get(condition.operator, condition.operator)
        is_negative = condition.operator == "eq" if condition.value is None else operator != condition.operator
        one = condition.attribute.within.format(self._condition(Condition(attribute, operator, condition.value), name))
        return f"NOT {one}" if is_negative else one

    def _names_rows(self, condition: Condition) -> bool:
        """Whether the condition names the ids of the rows."""
        is_positive = condition.operator not in _POSITIVE and condition.value is not None
        return self._is_search(condition) or (bool(condition.attribute.within) and is_positive)

    def _is_search(self, condition: Condition) -> bool:
        return condition.attribute.name in self.listing.searched and _is_part_of_number(condition)

    def _search(self, expression: str, name: str) -> str:
        if self.engine == "postgres":
            return f"{expression} LIKE :{name}"
        return f't."id" IN (SELECT rowid FROM {SEARCHED} WHERE {SEARCHED} MATCH :{name})'

    def _bound(self, condition: Condition) -> Any:
        if self._is_search(condition):
            text = condition.value
            return f"%{text}%" if self.engine == "postgres" else f'{condition.attribute.name} : "{text}"'
        if isinstance(condition.value, tuple):
            return [fold(each) if isinstance(each, str) and _folds(condition) else each for each in condition.value]
        return fold(condition.value) if _folds(condition) and isinstance(condition.value, str) else condition.value


def shape(condition: Condition) -> tuple[Any, ...]:
    """What of a condition the text of a statement depends on."""
    is_null, part = condition.value is None, _is_part_of_number(condition)
    return (condition.attribute.name, condition.operator, is_null, _folds(condition), part)


def _is_part_of_number(condition: Condition) -> bool:
    text = condition.value
    if condition.operator != "like" or not isinstance(text, str):
        return False
    return text.isdecimal() and text.isascii() and SEARCH_FROM <= len(text) <= SEARCH_TO


def _folds(condition: Condition) -> bool:
    """Whether letters may differ in case: free text always, numbers when the value is not all digits."""
    kind, given = condition.attribute.kind, condition.value
    if kind in (Kind.TEXT, Kind.LIST):
        return True
    if kind is Kind.EXACT:
        return condition.operator in ("like", "notlike")
    if kind is Kind.ENUM:
        return condition.operator not in ("eq", "ne", "in")  # those have the value as it is written
    values = given if isinstance(given, tuple) else (given,)
    return kind is Kind.NUMBER and any(isinstance(each, str) and not each.isdecimal() for each in values)


_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _comparison(engine: str, expression: str, condition: Condition, name: str) -> str:
    operator = condition.operator
    if condition.value is None:
        return f"{expression} IS {'NOT ' if operator == 'ne' else ''}NULL"
    if operator == "eq":
        return f"{expression} = :{name}"
    if operator == "ne":
        return f"({expression} <> :{name} OR {expression} IS NULL)"
    if operator == "in":
        return _one_of(engine, expression, name)
    if operator in _SIGNS:
        return f"{expression} {_SIGNS[operator]} :{name}"
    place = f"instr({expression}, :{name})" if engine == "sqlite" else f"strpos({expression}, :{name})"
    return f"{place} > 0" if operator == "like" else f"({place} = 0 OR {expression} IS NULL)"


_POSITIVE = {"ne": "eq", "notlike": "like"}


def _any_of_list(engine: str, expression: str, condition: Condition, name: str) -> str:
    """Whether one of the texts of a list fulfils the condition; for `ne` and `notlike`, whether none does."""
    if condition.value is None:
        return _comparison(engine, expression, condition, name)
    positive = replace(condition, operator=_POSITIVE.get(condition.operator, condition.operator))
    if engine == "sqlite":
        texts = f"json_each({expression}) AS l"
    else:
        texts = f"json_array_elements_text(CAST({expression} AS JSON)) AS l(value)"
    one = f"EXISTS (SELECT 1 FROM {texts} WHERE {_comparison(engine, 'fold(l.value)', positive, name)})"
    return one if positive == condition else f"NOT {one}"


def _one_of(engine: str, expression: str, name: str) -> str:
    if engine == "sqlite":
        return f"{expression} IN (SELECT value FROM json_each(:{name}))"
    return f"{expression} = ANY(:{name})"


def columns_sql(listing: Listing, hidden: frozenset[str]) -> str:
    known = listing.attributes().values()
    return ", ".join("NULL" if each.name in hidden else listing.expression(each) for each in known)


def by_ids(db: Db, listing: Listing) -> str:
    """The rows of a listing, of which ids will be named. The + keeps SQLite from walking all of the customer's."""
    return f"+{listing.base()}" if db.engine == "sqlite" and not listing.source else listing.base()


def id_place(listing: Listing) -> int:
    return list(listing.attributes()).index("id")


def full_order(listing: Listing, asked: tuple[Order, ...]) -> tuple[Order, ...]:
    """The order asked for, else newest first; ties by id in the same direction."""
    known = listing.attributes()
    order = asked or (Order(known[listing.newest], descending=True),)
    if any(each.attribute.name == "id" for each in order):
        return order
    return (*order, Order(known["id"], order[-1].descending))


def order_sql(listing: Listing, order: Sequence[Order], *, reverse: bool = False) -> str:
    return ", ".join(_order_part(listing, each, reverse) for each in order)


def _order_part(listing: Listing, order: Order, reverse: bool) -> str:
    expression = listing.expression(order.attribute)
    if order.attribute.kind in (Kind.TEXT, Kind.LIST):
        expression = f"fold({expression})"
    word = "DESC" if order.descending != reverse else "ASC"
    nulls = f" NULLS {'FIRST' if reverse else 'LAST'}" if order.attribute.nullable else ""
    return f"{expression} {word}{nulls}"


class Cut(NamedTuple):
    """Where a page lies in the order. The limit stands in the text: PostgreSQL then plans once, not for each request."""

    limit: int
    skips: bool
    """Whether rows (`:offset`) are skipped."""
    reverse: bool
    """Whether the order is read from its end."""
    has_edge: bool
    """Whether the page begins at or after a given day (`:edge`)."""
    checked: bool
    """Whether each row ends with the change number of the table: the page then proves a remembered total."""


def page_sql(
    engine: str,
    listing: Listing,
    conditions: Sequence[Condition],
    order: tuple[Order, ...],
    cut: Cut,
    hidden: frozenset[str],
) -> str:
    statement = Statement(engine, listing)
    where = statement.where(conditions)
    if cut.has_edge:
        sign = "<" if order[0].descending else ">="
        where += f" AND {listing.expression(order[0].attribute)} {sign} :edge"
    by = order_sql(listing, order, reverse=cut.reverse)
    columns = columns_sql(listing, hidden)
    if cut.checked and listing.table is not None:
        columns += f", {change_number_sql(listing.table)}"
    if not cut.skips:
        return f"SELECT {columns} FROM {statement.source} WHERE {where} ORDER BY {by} LIMIT {cut.limit}"
    if listing.table is None or listing.source:
        return f"SELECT {columns} FROM {statement.source} WHERE {where} ORDER BY {by} LIMIT {cut.limit} OFFSET :offset"
    # Ids first: the skipped rows are then read from the index alone, never built.
    ids = f'SELECT t."id" AS k FROM {statement.source} WHERE {where} ORDER BY {by} LIMIT {cut.limit} OFFSET :offset'
    return f'SELECT {columns} FROM ({ids}) page JOIN "{listing.table.name}" t ON t."id" = page.k ORDER BY {by}'


def records_of(record: type[Record], rows: Sequence[Row]) -> list[Record]:
    """Rows that begin with the database values of the attributes as records. Column by column is twice as fast."""
    if not rows:
        return []
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    del columns[len(attributes(record)) :]
    for place, change in _changes(record):
        columns[place] = change(columns[place])
    return list(map(record, *columns))


@lru_cache(maxsize=1024)
def _changes(record: type[Record]) -> list[tuple[int, Callable[[Iterable[Any]], Iterable[Any]]]]:
    """The places of a record's attributes that are stored otherwise than sent, each with the change."""
    kinds = [attribute.kind for attribute in attributes(record).values()]
    return [(place, TO_WIRE[kind]) for place, kind in enumerate(kinds) if kind in TO_WIRE]
