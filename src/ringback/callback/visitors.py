"""Addresses of visitors are not kept as they were for ever."""

from collections.abc import Iterable

from ringback.callback.rules import DAY_S, shortened
from ringback.store import callback_requests as store
from ringback.store import chats
from ringback.store.database import Database

LOT = 500


def shorten(database: Database, days: int, now: int) -> None:
    """Of the oldest ones, for each customer a lot at a time: to be called now and then."""
    customers = database.read(lambda db: db.all("SELECT id FROM customers ORDER BY id"))
    for (customer_id,) in customers:
        _of_customer(database, customer_id, now - days * DAY_S)


def _of_customer(database: Database, customer_id: int, before: int) -> None:
    found = database.read(lambda db: store.traceable(db, customer_id, before, LOT))
    if found:
        database.write(lambda db: store.shorten(db, customer_id, _short(found)), at_once=False)
    talked = database.read(lambda db: chats.traceable(db, customer_id, before, LOT))
    if talked:
        database.write(lambda db: chats.shorten(db, customer_id, _short(talked)), at_once=False)
    if database.read(lambda db: store.has_traceable_requests(db, customer_id, before)):
        database.write(lambda db: store.forget_networks(db, customer_id, before), at_once=False)


def _short(found: Iterable[tuple[int, str | None]]) -> dict[int, str | None]:
    return {row_id: shortened(ip) if ip else None for row_id, ip in found}
