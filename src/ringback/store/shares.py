"""Shares: links that show the signalling of one call to whoever has them, until they end or are revoked."""

from collections.abc import Sequence
from typing import NamedTuple

from ringback.store import rows, schema
from ringback.store.database import Db


class Share(NamedTuple):
    """One that has not ended."""

    id: int
    customer_id: int
    user_id: int
    cdr_id: int


def add(
    db: Db, customer_id: int, token_hash: str, *, cdr_id: int, user_id: int, created_at: int, expires_at: int
) -> int:
    row = {"hash": token_hash, "cdr_id": cdr_id, "user_id": user_id, "created_at": created_at, "expires_at": expires_at}
    return rows.insert(db, schema.shares, customer_id, [row])[0]


def of(db: Db, token_hash: str, now: int) -> Share | None:
    """Whose link it is, is what its token says."""
    sql = "SELECT id, customer_id, user_id, cdr_id FROM shares WHERE hash = :hash AND expires_at > :now"
    return next((Share(*row) for row in db.all(sql, {"hash": token_hash, "now": now})), None)


def delete(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    rows.delete(db, schema.shares, customer_id, ids)


def sweep(db: Db, now: int) -> None:
    """Removes those that have ended."""
    db.run("DELETE FROM shares WHERE expires_at <= :now", {"now": now})
