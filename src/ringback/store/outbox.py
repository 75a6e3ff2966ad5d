"""What has changed lately, in one order a customer: for streams, which read each record anew for whom they send it to.

`changed` is called in the transaction that changes something; it takes no lock. The order is made when that is committed, by one
writer at a time (`number`): numbers of a customer grow in the order in which anybody can see the changes, so who has seen one has
missed none before it. A number is UTC microseconds, or a little more: none is given twice, even by a database that was restored.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ringback.store.database import Database, Db

KEPT_S, MOST_KEPT = 600, 10_000
SETTLED_S = 60
"""By then every reader has read what it came after."""
MANY = 1_000
NOTHING, SOMETHING, BEGIN = 0, "many", "begin"
LOT = 5_000


class Change(NamedTuple):
    """`kind`: `call.created`, or `SOMETHING` with the id `NOTHING`: more than anybody wants to hear of one by one."""

    number: int
    kind: str
    object_id: int


def changed(db: Db, customer_id: int, kind: str, ids: Iterable[int]) -> None:
    """Tells streams, when this transaction is committed, of records of one kind, such as `cdr.created`."""
    found = [(kind, each) for each in ids]
    if not found:
        return
    rows = found if len(found) <= MANY else [(SOMETHING, NOTHING)]
    fresh = db.new_ids("events", len(rows))
    lines = [(row_id, customer_id, *row) for row_id, row in zip(fresh, rows, strict=True)]
    db.load("events", ("id", "customer_id", "kind", "object_id"), lines)
    db.wake()


def begin(db: Db, customers: Iterable[int]) -> None:
    """So that these customers have something that others can come after."""
    for customer_id in sorted(customers):
        changed(db, customer_id, BEGIN, [NOTHING])


def has_new(db: Db) -> bool:
    """Whether there is something to number."""
    return bool(db.all("SELECT 1 FROM events WHERE number IS NULL LIMIT 1"))


def number(db: Db, now: int) -> bool:
    """Numbers what was committed; whether there is more."""
    if db.engine == "postgres":
        db.all("SELECT pg_advisory_xact_lock(hashtextextended('ringback events', 0))")
    fresh = db.all("SELECT customer_id, id FROM events WHERE number IS NULL ORDER BY id LIMIT :n", {"n": LOT})
    last = lasts(db, {row[0] for row in fresh})
    numbered = []
    for customer_id, row_id in fresh:
        last[customer_id] = max(last.get(customer_id, 0) + 1, now * 1_000_000)
        numbered.append({"customer": customer_id, "id": row_id, "number": last[customer_id]})
    db.many("UPDATE events SET number = :number WHERE customer_id = :customer AND id = :id", numbered)
    mark = """
        INSERT INTO event_marks (customer_id, last) VALUES (:customer, :last)
        ON CONFLICT (customer_id) DO UPDATE SET last = excluded.last
    """
    db.many(mark, [{"customer": customer_id, "last": each} for customer_id, each in sorted(last.items())])
    return len(fresh) == LOT


def lasts(db: Db, customers: Iterable[int]) -> dict[int, int]:
    """The number of each customer's last event, which is always there; nothing of a customer that never had one."""
    sql = f"SELECT customer_id, last FROM event_marks WHERE {db.among('customer_id', 'customers')}"
    return dict(db.all(sql, {"customers": list(customers)}))


def since(db: Db, customer_id: int, seen: int, n: int) -> list[Change] | None:
    """What came after `seen`, at most `n`; None when `seen` is gone, and with it maybe more, or never was."""
    sql = """
        SELECT number, kind, object_id FROM events
        WHERE customer_id = :customer AND number >= :seen ORDER BY number LIMIT :n
    """
    rows = [Change(*row) for row in db.all(sql, {"customer": customer_id, "seen": seen, "n": n + 1})]
    return rows[1:] if rows and rows[0].number == seen else None


def prune(database: Database, now: int) -> None:
    """Takes away what nobody comes back for; of each customer the newest of a minute ago stays, which others come after."""
    while database.write(lambda db: number(db, now), at_once=False):
        pass
    database.write(lambda db: _prune(db, now), at_once=False)


def _prune(db: Db, now: int) -> None:
    newest = "SELECT max(number) FROM events e WHERE e.customer_id = events.customer_id AND e.number <= :lately"
    sql = f"DELETE FROM events WHERE number < :until AND number < ({newest})"
    db.run(sql, {"until": (now - KEPT_S) * 1_000_000, "lately": (now - SETTLED_S) * 1_000_000})
    for customer_id in _long(db):
        nth = "SELECT number FROM events WHERE customer_id = :customer ORDER BY number DESC LIMIT 1 OFFSET :n"
        sql = f"DELETE FROM events WHERE customer_id = :customer AND number <= ({nth})"
        db.run(sql, {"customer": customer_id, "n": MOST_KEPT})
    db.run("DELETE FROM ended_calls WHERE ended_at < :until", {"until": now - KEPT_S})


def _long(db: Db) -> Sequence[int]:
    sql = "SELECT customer_id FROM events WHERE number IS NOT NULL GROUP BY customer_id HAVING count(*) > :n"
    return [row[0] for row in db.all(sql, {"n": MOST_KEPT})]
