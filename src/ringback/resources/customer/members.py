"""Lists of ids in a record: which rows of one table belong to a row of another, through a table of links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from ringback.errors import Fault, Invalid
from ringback.rest.endpoint import Call
from ringback.store import rows
from ringback.store.database import Db, value


@dataclass(frozen=True)
class Members:
    """`attribute` of the record lists the ids of rows of `of`; `link` has the columns `one` (record) and `other` (member)."""

    attribute: str
    link: Table
    one: str
    other: str
    of: Table

    def faults(self, db: Db, customer_id: int, ids: Sequence[int], element: str = "") -> list[Fault]:
        """One for each id that the customer does not have. `element`: what follows the index in the field's path."""
        sql = f'SELECT id FROM "{self.of.name}" WHERE {rows.by_ids(db)}'
        there = {row[0] for row in db.all(sql, {"customer": customer_id, "ids": list(ids)})}
        wrong = [index for index, each in enumerate(ids) if each not in there]
        return [Fault(f"{self.attribute}[{index}]{element}", "There is no such record.") for index in wrong]

    def replace(self, db: Db, customer_id: int, record_id: int, members: Mapping[int, Mapping[str, Any]]) -> None:
        """Makes `members` (id → further columns of the link) the members of the record, and nobody else."""
        self.clear(db, customer_id, [record_id])
        links = [{self.one: record_id, self.other: each, **more} for each, more in members.items()]
        rows.insert(db, self.link, customer_id, links)

    def clear(self, db: Db, customer_id: int, ids: Sequence[int], column: str | None = None) -> None:
        """Forgets the links of these records, or with `column` those that name these ids there."""
        among = db.among(column or self.one, "ids")
        sql = f'DELETE FROM "{self.link.name}" WHERE customer_id = :customer AND {among}'
        db.run(sql, {"customer": customer_id, "ids": list(ids)})


def ids_sql(link: str, one: str, other: str) -> str:
    """The members of row `t` as a JSON list of ids, ascending."""
    picked = f"SELECT {other} FROM {link} WHERE customer_id = t.customer_id AND {one} = t.id ORDER BY {other}"
    return f"(SELECT '[' || coalesce(string_agg(CAST({other} AS TEXT), ','), '') || ']' FROM ({picked}) m)"


def name_faults(db: Db, table: Table, customer_id: int, record_id: int | None, given: Mapping[str, Any]) -> list[Fault]:
    """A fault when another row of the customer has the given name."""
    sql = f'SELECT 1 FROM "{table.name}" WHERE customer_id = :customer AND name = :name AND id <> :id'
    bound = {"customer": customer_id, "name": given.get("name"), "id": record_id or 0}
    return [Fault("name", "This value is already used.")] if value(db, sql, bound) else []


def save_group(
    call: Call,
    table: Table,
    members: Members,
    record_id: int | None,
    columns: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> int:
    """Stores a named record with its members, which `columns` has as a list of ids (None: nobody)."""
    rest = {name: each for name, each in columns.items() if name != members.attribute}
    ids = (columns[members.attribute] or []) if members.attribute in columns else None
    faults = name_faults(call.db, table, call.customer_id, record_id, rest)
    faults += members.faults(call.db, call.customer_id, ids or [])
    if faults:
        raise Invalid(faults=faults)
    saved = rows.save(call.db, table, call.customer_id, record_id, rest, defaults)
    if ids is not None:
        members.replace(call.db, call.customer_id, saved, {each: {} for each in ids})
    return saved
