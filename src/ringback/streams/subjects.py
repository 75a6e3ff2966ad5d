"""What streams tell of: a subject is a sort of record, and how a caller may see it.

Nothing of a record is kept for streams. When an event is sent, the record is read through the listing that the caller's own
requests are answered from, so that roles, policies, masks and tenancy are the same; who may not see it hears nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ringback.record import Record
from ringback.rest.access import Caller
from ringback.rest.endpoint import Resource, bound_to
from ringback.store.database import Db
from ringback.store.listing import Listing
from ringback.store.lists import Lists
from ringback.store.statements import by_ids

Seen = Callable[[Caller], Resource]


def _as_it_is(record: Record, _now: int) -> Record:
    return record


@dataclass(frozen=True, slots=True)
class Subject:
    """`name`: what the kinds of its events begin with, such as `call` of `call.created`."""

    name: str
    seen: Seen
    ended: Seen | None = None
    """Where those are found that have just ceased to be, for everybody or for the caller: their event is `.ended`."""
    finish: Callable[[Record, int], Record] = _as_it_is
    """The last touch: (record, UTC seconds now)."""


def seen_by_each(
    db: Db, lists: Lists, seen: Seen, callers: Iterable[Caller], ids: Sequence[int], now: int
) -> dict[Caller, Mapping[int, Record]]:
    """What each of the callers, all of one customer, sees of these records, by id; read once for those who see the same."""
    found: dict[Caller, Mapping[int, Record]] = {}
    for alike in _alike(seen, callers) if ids else ():
        if _is_personal(seen(alike[0]).seen_by(alike[0])):
            users = _concerned(db, seen, alike, ids)
            found |= {each: _records(db, lists, seen, each, ids, now) for each in alike if each.user_id in users}
        else:
            found |= dict.fromkeys(alike, _records(db, lists, seen, alike[0], ids, now))
    return found


def _alike(seen: Seen, callers: Iterable[Caller]) -> Iterable[list[Caller]]:
    """Callers whose listing is the same, but for who they are; without those to whom it is closed."""
    groups: dict[tuple[object, ...], list[Caller]] = {}
    for caller in callers:
        resource = seen(caller)
        if resource.closed_by.isdisjoint(caller.policies):
            listing = resource.seen_by(caller)
            key = listing.name, listing.where, resource.hidden_from(caller)
            groups.setdefault(key, []).append(caller)
    return groups.values()


def _is_personal(listing: Listing) -> bool:
    """Whether it depends on who looks."""
    texts = (listing.where, listing.source, *map(listing.expression, listing.attributes().values()))
    return any(":me" in text or ":sees" in text for text in texts)


def _records(db: Db, lists: Lists, seen: Seen, caller: Caller, ids: Sequence[int], now: int) -> Mapping[int, Record]:
    resource = seen(caller)
    bound = {**bound_to(caller), "now": now}
    found = lists.some(db, resource.seen_by(caller), bound, ids, resource.hidden_from(caller))
    return {record.id: record for record in found}  # type: ignore[attr-defined]


def _concerned(db: Db, seen: Seen, callers: Sequence[Caller], ids: Sequence[int]) -> set[int]:
    """The users among the callers to whom one of these rows belongs.

    In one query, where there may be a thousand users, of whom a call concerns two.
    """
    listing = seen(callers[0]).seen_by(callers[0])
    users = {caller.user_id for caller in callers}
    if ":me" not in listing.where:
        return users
    where = by_ids(db, listing).replace(":me_text", "CAST(u.id AS TEXT)").replace(":me", "u.id")
    own_id = listing.expression(listing.attributes()["id"])
    sql = f"""
        SELECT DISTINCT u.id FROM {listing.rows_from()} JOIN users u ON u.customer_id = :customer
        WHERE {where} AND {db.among(own_id, "ids")} AND {db.among("u.id", "users")}
    """
    return {row[0] for row in db.all(sql, {**bound_to(callers[0]), "ids": list(ids), "users": sorted(users)})}
