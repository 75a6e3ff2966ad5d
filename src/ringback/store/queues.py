"""Queues and who is in them, as the API shows it: a member's `status` is 0 while paused."""

from collections.abc import Mapping
from typing import NamedTuple

from ringback.store import rows, schema
from ringback.store.database import Db

Members = Mapping[int, int]
"""Status by user id."""


class Queue(NamedTuple):
    """`names`: its number before its name. `users`: of the customer, ids by extension."""

    id: int
    names: tuple[str, ...]
    members: Members
    users: Mapping[str, int]


def of(db: Db, customer_id: int) -> list[Queue]:
    bound = {"customer": customer_id}
    users = extensions(db, customer_id)
    members: dict[int, dict[int, int]] = {}
    sql = "SELECT queue_id, user_id, status FROM queue_users WHERE customer_id = :customer"
    for queue_id, user_id, status in db.all(sql, bound):
        members.setdefault(queue_id, {})[user_id] = status
    sql = "SELECT id, number, name FROM queues WHERE customer_id = :customer ORDER BY id"
    found = db.all(sql, bound)
    return [Queue(each, tuple(filter(None, names)), members.get(each, {}), users) for each, *names in found]


def extensions(db: Db, customer_id: int) -> dict[str, int]:
    """User ids by extension."""
    sql = "SELECT ext, id FROM users WHERE customer_id = :customer AND ext IS NOT NULL"
    return dict(db.all(sql, {"customer": customer_id}))


def put(db: Db, customer_id: int, found: Mapping[int, Members]) -> None:
    """Makes these the members of queues, and nobody else, by the queue's id."""
    for queue_id, members in sorted(found.items()):
        bound = {"customer": customer_id, "queue": queue_id}
        db.run("DELETE FROM queue_users WHERE customer_id = :customer AND queue_id = :queue", bound)
        links = [{"queue_id": queue_id, "user_id": user_id, "status": status} for user_id, status in members.items()]
        rows.insert(db, schema.queue_users, customer_id, links)
