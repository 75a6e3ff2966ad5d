"""Calls to measure with: two years of one customer, spread over days, users, types and numbers as an office has them."""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

from ringback.store import cdrs, rows, schema
from ringback.store.database import Database, Db, value

START = 1_704_067_200  # 2024-01-01
SPAN_S = 2 * 365 * 86_400
USERS = 50
BATCH = 10_000
NUMBERS = 200_000


def customer(database: Database, now: int) -> int:
    """The customer with its administrator; made once."""
    existing = database.read(lambda db: value(db, "SELECT min(id) FROM customers"))
    return int(existing) if existing else database.write(lambda db: _made(db, now))


def _made(db: Db, now: int) -> int:
    customer_id = db.new_ids("customers", 1)[0]
    row = {"id": customer_id, "name": "Benchmark", "created_at": now}
    db.load("customers", list(row), [list(row.values())])
    for number in range(USERS):
        rows.insert(db, schema.users, customer_id, [_user(number, now)])
    return customer_id


def _user(number: int, now: int) -> dict[str, Any]:
    return {
        "email": f"user{number}@bench.example",
        "email_folded": f"user{number}@bench.example",
        "first_name": f"User {number}",
        "ext": str(100 + number),
        "active": 1,
        "dnd": 0,
        "is_root": int(number == 0),
        "created_at": now,
        "roles": '["administrator"]',
        "visited_apps": "[]",
        "two_factor_auth": 0,
        "nb_sip_locations": 0,
    }


def fill(database: Database, customer_id: int, n: int) -> None:
    """Adds calls until the customer has `n`."""
    there = int(database.read(lambda db: value(db, "SELECT count(*) FROM cdrs")))
    for batch in _batches(calls(n, there), BATCH):
        database.write(partial(cdrs.insert, customer_id=customer_id, cdrs=batch))


def calls(n: int, start: int = 0) -> Iterator[dict[str, Any]]:
    """Calls number `start` to `n`, the same each time, nearly in order of their dates, as a PBX writes them."""
    chance = random.Random(start)
    for number in range(start, n):
        yield _call(chance, START + number * SPAN_S // n + chance.randrange(600))


def _call(chance: random.Random, at: int) -> dict[str, Any]:
    direction = chance.choices("OIM", (5, 4, 1))[0]
    user = 100_001 + chance.randrange(USERS)
    outside = f"4420{chance.randrange(NUMBERS) * 37 % 100_000_000:08}"
    inside = str(user - 100_001 + 100)
    billsec = 0 if direction == "M" else int(chance.expovariate(1 / 120))
    ours, theirs = {"id": str(user), "name": f"User {inside}"}, {"id": "0", "name": None}
    src, dst = (ours, theirs) if direction == "O" else (theirs, ours)
    return {
        "calldate": at,
        "duration": billsec + 8,
        "billsec": billsec,
        "type": direction,
        "disposition": "RINGING" if direction == "M" else "CONNECTED",
        "destination": "out" if direction == "O" else "in",
        "context": "PSTN_CALL",
        "user_id": user,
        "clid": f'"Caller {inside}" <{outside}>',
        "src": inside if direction == "O" else outside,
        "src_id": src["id"],
        "src_name": src["name"],
        "src_codec": "alaw",
        "src_ua": "Yealink SIP-T46S 66.85.0.5",
        "dst": outside if direction == "O" else inside,
        "dst_id": dst["id"],
        "dst_name": dst["name"],
        "dst_codec": "alaw",
        "rate": 150,
        "charge": billsec * 150 // 60,
        "t_cause": "Normal Clearing",
        "uniqueid": f"{at}.{chance.randrange(1_000_000)}",
    }


def _batches(rows_: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows_:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
