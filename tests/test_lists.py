"""Collections against a plain evaluation in Python: whatever the filter, order and page, the rows and the total agree.

The same rows are asked for through counters, indexes, full-text search and honest counting, without the caller noticing.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from ringback.query import Query, parse
from ringback.record import attributes
from ringback.resources.history.cdrs import ALL, OF_USER, Cdr
from ringback.store import cdrs, rows, schema
from ringback.store.database import Db, Params, Row, fold
from ringback.store.listing import Listing
from ringback.store.lists import Lists
from tests.api import Api, filter_text

START = 1_700_000_000
NAMES = (None, "Żółć", "ŻÓŁĆ sp. z o.o.", "Ann", "ann", "Ünïcode", "50% _off_")


def random_call(chance: random.Random, people: list[int]) -> dict[str, Any]:
    user = chance.choice([None, *people])
    return {
        "calldate": START + chance.randrange(40 * 86_400),
        "duration": chance.randrange(5),
        "billsec": 0,
        "type": chance.choice("OIM"),
        "disposition": chance.choice(["CONNECTED", "RINGING"]),
        "destination": "out",
        "context": "PSTN_CALL",
        "src": chance.choice(["anonymous", "Anonymous", f"4420794{chance.randrange(1000):05}"]),
        "dst": f"1202555{chance.randrange(10_000):04}",
        "src_name": chance.choice(NAMES),
        "user_id": user,
        "dst_id": chance.choice(["0", str(people[0])]),
    }


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a is not None and a == b,
    "ne": lambda a, b: a is None or a != b,
    "like": lambda a, b: a is not None and str(b) in str(a),
    "notlike": lambda a, b: a is None or str(b) not in str(a),
    "gt": lambda a, b: a is not None and a > b,
    "gte": lambda a, b: a is not None and a >= b,
    "lt": lambda a, b: a is not None and a < b,
    "lte": lambda a, b: a is not None and a <= b,
    "in": lambda a, b: a in b,
}


def random_conditions(chance: random.Random, people: list[int]) -> list[tuple[str, str, Any]]:
    day = chance.choice(["2023-11-20", "2023-12-01 06:30:00", "2023-12-10"])
    choices: list[tuple[str, str, Any]] = [
        ("calldate", chance.choice(["gt", "gte"]), day),
        ("calldate", chance.choice(["lt", "lte"]), "2023-12-15 12:00:00"),
        ("type", chance.choice(["eq", "ne"]), chance.choice(["o", "I"])),
        ("type", "in", ["O", "M"]),
        ("disposition", chance.choice(["gt", "lte"]), "d"),
        ("user_id", chance.choice(["eq", "ne"]), chance.choice([None, *people])),
        ("duration", chance.choice(["eq", "gt", "lte"]), "2"),
        ("src", chance.choice(["like", "notlike"]), chance.choice(["7940", "ANON", "01", "+44 20"])),
        ("src", "eq", "ANONYMOUS"),
        ("src_name", chance.choice(["eq", "like", "ne"]), chance.choice(["żółć", "ANN", "% _"])),
        ("id", "in", "1,2,3,50"),
    ]
    return chance.sample(choices, chance.randrange(4))


def matches(row: dict[str, Any], query: Query) -> bool:
    def folded(value: Any) -> Any:
        return tuple(fold(each) for each in value) if isinstance(value, tuple) else fold(value)

    for condition in query.conditions:
        mine = row[condition.attribute.name]
        if condition.value is None:
            if (mine is None) != (condition.operator == "eq"):
                return False
        elif not OPERATORS[condition.operator](folded(mine), folded(condition.value)):
            return False
    return True


def expected(found: list[dict[str, Any]], query: Query) -> list[int]:
    order = [(each.attribute.name, each.descending) for each in query.order] or [("calldate", True)]
    if "id" not in dict(order):
        order.append(("id", order[-1][1]))
    kept = [row for row in found if matches(row, query)]
    for name, descending in reversed(order):
        there = [row for row in kept if row[name] is not None]
        there.sort(key=lambda row: fold_any(row[name]), reverse=descending)
        kept = there + [row for row in kept if row[name] is None]
    return [row["id"] for row in kept]


def fold_any(value: Any) -> Any:
    return fold(value)


SORTS = (
    "",
    "calldate",
    "-calldate",
    "duration",
    "-id",
    "id",
    "src_name",
    '[{"property":"user_id","direction":"DESC"}]',
)


@pytest.mark.parametrize("seed", range(4))
def test_any_query_gives_the_same_rows_as_a_plain_evaluation(api: Api, seed: int) -> None:
    chance = random.Random(seed)
    people = [api.ann.user_id, api.bob.user_id]
    calls = [random_call(chance, people) for _ in range(1_500)]
    api.write(lambda db: cdrs.insert(db, api.acme, calls))
    api.write(lambda db: cdrs.insert(db, api.other, [random_call(chance, people) for _ in range(50)]))
    names = [*schema.cdrs.columns.keys()]
    stored = api.services.database.read(
        lambda db: db.all(f"SELECT {', '.join(names)} FROM cdrs WHERE customer_id = {api.acme}")
    )
    found = [dict(zip(names, row, strict=True)) for row in stored]
    mine = [row for row in found if people[0] == row["user_id"] or row["dst_id"] == str(people[0])]
    for _ in range(60):
        conditions = random_conditions(chance, people)
        params = [("filter", filter_text(*conditions)), ("sort", chance.choice(SORTS)), ("limit", "70")]
        page = str(chance.choice([1, 2, 9, 16, 21, 30]))
        query = parse([*params, ("page", page)], attributes(Cdr))
        for listing, rows_, bound in ((ALL, found, {}), (OF_USER, mine, {"parent": people[0]})):
            check(api, listing, {"customer": api.acme, **bound}, query, expected(rows_, query))


def check(api: Api, listing: Listing, bound: dict[str, Any], query: Query, ids: list[int]) -> None:
    lists = api.services.lists
    records, total = api.services.database.read(lambda db: lists.page(db, listing, bound, query))
    assert total == len(ids), query
    assert [record.id for record in records] == ids[query.offset : query.offset + query.limit], query  # type: ignore[attr-defined]


def counters(db: Db) -> dict[tuple[Any, ...], int]:
    sql = "SELECT resource, attribute, value, day, n FROM counters WHERE n <> 0 AND attribute <> '#'"
    return {row[:4]: row[4] for row in db.all(sql)}


def counted_anew(db: Db) -> dict[tuple[Any, ...], int]:
    tally: dict[tuple[Any, ...], int] = {}
    for table in schema.metadata.sorted_tables:
        spec = schema.counted(table)
        if spec is None:
            continue
        for name in ("", *spec[1]):
            value = f'CAST("{name}" AS TEXT)' if name else "''"
            day = f'"{spec[0]}" / 86400'
            where = f'WHERE "{name}" IS NOT NULL' if name else ""
            sql = f'SELECT {value}, {day}, count(*) FROM "{table.name}" {where} GROUP BY 1, 2'
            tally |= {(table.name, name, row[0], row[1]): row[2] for row in db.all(sql)}
    return tally


def test_counters_equal_the_rows_after_any_writes(api: Api) -> None:
    chance = random.Random(5)
    people = [api.ann.user_id, api.bob.user_id]
    ids: list[int] = []
    for _ in range(30):
        ids += api.write(lambda db: cdrs.insert(db, api.acme, [random_call(chance, people) for _ in range(20)]))
        gone = chance.sample(ids, 7)
        api.write(lambda db, gone=gone: cdrs.delete(db, api.acme, gone))
        ids = [each for each in ids if each not in gone]
        changed, target = {"type": chance.choice("OIM"), "user_id": chance.choice(people)}, ids[0]
        api.write(lambda db, c=changed, each=target: rows.update(db, schema.cdrs, api.acme, each, c))
    assert api.services.database.read(counters) == api.services.database.read(counted_anew)


@pytest.mark.parametrize("entries", [(), (("type", "eq", "O"),), (("duration", "gte", 0), ("type", "ne", "M"))])
def test_a_total_is_counted_once_and_again_after_a_change(api: Api, entries: tuple[Any, ...]) -> None:
    lists = Lists()
    query = parse([("filter", filter_text(*entries))], attributes(Cdr))
    bound = {"customer": api.acme}
    call = {**random_call(random.Random(1), [1]), "type": "O"}
    for n in range(1, 4):
        api.write(lambda db: cdrs.insert(db, api.acme, [call]))
        for _ in range(2):
            records, total = api.services.database.read(lambda db: lists.page(db, ALL, bound, query))
            assert (len(records), total) == (n, n)


class Asked:
    """A transaction that notes the statements it is asked for."""

    def __init__(self, db: Db) -> None:
        self.db = db
        self.statements: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def all(self, sql: str, params: Params = {}) -> list[Row]:
        self.statements.append(sql)
        return self.db.all(sql, params)

    def alone(self, sql: str, params: Params = {}) -> list[Row]:
        self.statements.append(sql)
        return self.db.alone(sql, params)


def test_a_page_with_a_remembered_total_is_one_statement(api: Api) -> None:
    lists, query = Lists(), parse([], attributes(Cdr))

    def work(db: Db) -> tuple[int, int]:
        asked = Asked(db)
        total = lists.page(asked, ALL, {"customer": api.acme}, query)[1]
        return total, len(asked.statements)

    api.write(lambda db: cdrs.insert(db, api.acme, [random_call(random.Random(1), [1])]))
    assert api.services.database.read(work) == (1, 3)  # the change number, the counters, the page
    assert api.services.database.read(work) == (1, 1)


def test_a_read_cannot_write(api: Api) -> None:
    for ask in (lambda db: db.run("DELETE FROM tokens"), lambda db: db.alone("DELETE FROM tokens RETURNING id")):
        with pytest.raises(Exception, match=r"read-only|readonly|cannot be used"):
            api.services.database.read(ask)
    assert api.admin.get("/cdrs").status == 200
