"""Writing rows, and counting them in the same transaction.

Lists answer exact totals from counters, not by counting anew; so every insert and delete of a counted table goes
through here. A counter is (customer, table, attribute, value, day) → n: attribute "" counts all rows of the day. The row
(attribute "#", day 0) is the table's change number; cached totals are good as long as it stands.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Table

from ringback.store.database import Db, Params, first
from ringback.store.schema import columns, counted

DAY_S = 86_400
CHANGES = "#"
EVERYTHING = ""

_ADD = """
    INSERT INTO counters (customer_id, resource, attribute, value, day, n)
    VALUES (:customer, :resource, :attribute, :value, :day, :n)
    ON CONFLICT (customer_id, resource, attribute, value, day) DO UPDATE SET n = counters.n + excluded.n
"""


def change_number_sql(table: Table) -> str:
    """The change number of the customer's rows of a table, as an expression."""
    return (
        f"(SELECT n FROM counters WHERE customer_id = :customer AND resource = '{table.name}'"
        f" AND attribute = '{CHANGES}' AND value = '' AND day = 0)"
    )


def insert(db: Db, table: Table, customer_id: int, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Inserts rows and returns their ids. A row may bring its `id` (from `Db.new_ids`); columns it lacks are NULL."""
    if not rows:
        return []
    names = columns(table)
    ids = _ids(db, table, rows) if "id" in names else []
    blank = dict.fromkeys(names)
    fixed = [{**blank, **row, "customer_id": customer_id} for row in rows]
    for row, row_id in zip(fixed, ids, strict=False):
        row["id"] = row_id
    db.load(table.name, names, list(map(itemgetter(*names), fixed)))
    count(db, table, customer_id, fixed, +1)
    return ids


def _ids(db: Db, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    fresh = iter(db.new_ids(table.name, sum("id" not in row for row in rows)))
    return [row["id"] if "id" in row else next(fresh) for row in rows]


def update(db: Db, table: Table, customer_id: int, row_id: int, changes: Mapping[str, Any]) -> None:
    """Changes one row; counts follow when a counted attribute changes."""
    if not changes:
        return
    before: list[dict[str, Any]] = []
    if not counted_columns(table).isdisjoint(changes):
        lock(db, table, customer_id, [row_id])
        before = _counted_rows(db, table, customer_id, [row_id])
    sets = ", ".join(f'"{name}" = :{name}_' for name in changes)
    params = {f"{name}_": value for name, value in changes.items()}
    sql = f'UPDATE "{table.name}" SET {sets} WHERE customer_id = :customer AND id = :id'
    db.run(sql, {**params, "customer": customer_id, "id": row_id})
    count(db, table, customer_id, before, -1)
    count(db, table, customer_id, [{**row, **changes} for row in before], +1)
    changed(db, table, customer_id)


def save(
    db: Db,
    table: Table,
    customer_id: int,
    row_id: int | None,
    columns: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> int:
    """Changes the row, or makes one (None) with what is not given from `defaults`; returns its id.

    The row stays locked, so that what follows (its members, say) does not mix with that of another transaction.
    """
    if row_id is None:
        return insert(db, table, customer_id, [{**defaults, **columns}])[0]
    lock(db, table, customer_id, [row_id])
    update(db, table, customer_id, row_id, columns)
    return row_id


def exists(db: Db, table: Table, customer_id: int, row_id: int) -> bool:
    """Whether the customer has this row."""
    sql = f'SELECT 1 FROM "{table.name}" WHERE customer_id = :customer AND id = :id'
    return first(db, sql, {"customer": customer_id, "id": row_id}) is not None


def delete(db: Db, table: Table, customer_id: int, ids: Sequence[int]) -> None:
    """Deletes the customer's rows of these ids; counts follow."""
    if not ids:
        return
    lock(db, table, customer_id, ids)
    delete_where(db, table, customer_id, by_ids(db), {"customer": customer_id, "ids": list(ids)})


def delete_where(db: Db, table: Table, customer_id: int, where: str, bound: Params) -> None:
    """Deletes rows of the customer, whose condition `where` names; counts follow."""
    spec = counted(table)
    sql = f'DELETE FROM "{table.name}" WHERE {where}'
    if spec is None:
        db.run(sql, bound)
        return
    names = [spec[0], *spec[1]]
    gone = db.all(f"{sql} RETURNING {', '.join(names)}", bound)
    count(db, table, customer_id, [dict(zip(names, row, strict=True)) for row in gone], -1)


def lock(db: Db, table: Table, customer_id: int, ids: Sequence[int]) -> None:
    """Keeps these rows from other transactions until the end of this one: what is read of them afterwards stays true.

    All in one order, so that two transactions cannot wait for each other. SQLite has one writer, and needs nothing.
    """
    if db.engine == "postgres":
        sql = f'SELECT 1 FROM "{table.name}" WHERE {by_ids(db)} ORDER BY id FOR UPDATE'
        db.all(sql, {"customer": customer_id, "ids": list(ids)})


def by_ids(db: Db) -> str:
    """The rows of `:customer` that `:ids` lists. The + keeps SQLite from walking all of the customer's rows."""
    own = "+customer_id" if db.engine == "sqlite" else "customer_id"
    return f"{own} = :customer AND {db.among('id', 'ids')}"


def counted_columns(table: Table) -> frozenset[str]:
    """On which its counters depend."""
    spec = counted(table)
    return frozenset() if spec is None else frozenset({spec[0], *spec[1]})


def _counted_rows(db: Db, table: Table, customer_id: int, ids: Sequence[int]) -> list[dict[str, Any]]:
    spec = counted(table)
    if spec is None:
        return []
    names = [spec[0], *spec[1]]
    listed = ", ".join(f'"{name}"' for name in names)
    sql = f'SELECT {listed} FROM "{table.name}" WHERE {by_ids(db)}'
    return [dict(zip(names, row, strict=True)) for row in db.all(sql, {"customer": customer_id, "ids": list(ids)})]


def count(db: Db, table: Table, customer_id: int, rows: Sequence[Mapping[str, Any]], sign: int) -> None:
    """Adds rows to (+1) or takes them from (-1) the counters of a counted table; others have none."""
    spec = counted(table)
    tally = _tally(spec, rows) if spec is not None else None
    if not tally:
        return
    tally[(CHANGES, "", 0)] = sign
    bound = [
        {"customer": customer_id, "resource": table.name, "attribute": a, "value": v, "day": d, "n": n * sign}
        for (a, v, d), n in sorted(tally.items())  # sorted: two transactions take the rows in one order, no deadlock
    ]
    db.many(_ADD, bound)


def changed(db: Db, table: Table, customer_id: int) -> None:
    """Moves the change number of a counted table: rows are the same number, but filters may match others of them."""
    if counted(table) is not None:
        bound = {"customer": customer_id, "resource": table.name, "attribute": CHANGES, "value": "", "day": 0, "n": 1}
        db.many(_ADD, [bound])


def _tally(spec: tuple[str, tuple[str, ...]], rows: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, str, int]]:
    """How many rows there are by (attribute, value, day). Column by column: imports spend their time here."""
    day_column, names = spec
    days = [row[day_column] // DAY_S for row in rows]
    tally = Counter({(EVERYTHING, "", day): n for day, n in Counter(days).items()})
    for name in names:
        values = Counter(zip([row.get(name) for row in rows], days, strict=True))
        for (value, day), n in values.items():
            if value is not None:
                tally[(name, str(value), day)] += n
    return tally
