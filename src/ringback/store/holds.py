"""Legal holds: which records nobody may delete, and why.

A hold names records, or has a filter and holds all that it matches, also what comes later: a filter is asked about the very
ids that are about to be deleted. What hangs on a held record is held with it: a CDR's recordings, voice messages, notes,
statement lines and MSDRs with their messages; a chat's messages.

Whoever deletes asks within the transaction that deletes. On PostgreSQL asking shares a lock that placing a hold takes for
itself, so that no hold is placed between the question and the deletion.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ringback.errors import Held
from ringback.query import parse_filter
from ringback.store.database import Db, value
from ringback.store.listing import Listing
from ringback.store.statements import Statement

MOST = 200  # of a customer: every deletion asks each filter


class Hold(NamedTuple):
    """`filter`: the text of a query filter, or None for a hold that names its records."""

    id: int
    resource: str
    filter: str | None
    reason: str | None


_LISTINGS: dict[str, Listing] = {}
"""What filters are read with, by table."""

_HANGS_ON: Mapping[str, Mapping[str, str]] = {
    "monitors": {"cdrs": "SELECT t.id, t.cdr_id FROM monitors t WHERE {own} AND t.cdr_id IS NOT NULL"},
    "cdr_notes": {"cdrs": "SELECT t.id, t.cdr_id FROM cdr_notes t WHERE {own}"},
    "statements": {"cdrs": "SELECT t.id, t.cdr_id FROM statements t WHERE {own} AND t.cdr_id IS NOT NULL"},
    "msdrs": {"cdrs": "SELECT t.id, t.cdr_id FROM msdrs t WHERE {own} AND t.cdr_id IS NOT NULL"},
    "voicemessages": {
        "cdrs": "SELECT t.id, c.id FROM voicemessages t JOIN cdrs c"
        " ON c.customer_id = t.customer_id AND c.live_id IN (t.live_id, t.parent_live_id) WHERE {own}"
    },
    "mediasessions": {
        "msdrs": "SELECT t.id, m.id FROM mediasessions t JOIN msdrs m"
        " ON m.customer_id = t.customer_id AND m.call_id = t.call_id WHERE {own}"
    },
    "chatmsgs": {"chats": "SELECT t.id, t.chat_id FROM chatmsgs t WHERE {own} AND t.chat_id IS NOT NULL"},
}
"""Table → the table that its rows hang on → the pairs of their ids, of the rows that are asked about."""


def holdable(*listings: Listing) -> None:
    """Makes the records of these collections ones that a hold can name or match."""
    _LISTINGS.update({each.table.name: each for each in listings if each.table is not None})


def held(db: Db, customer_id: int, table_name: str, ids: Sequence[int]) -> set[int]:
    """Which of these rows a hold keeps."""
    return set(holding(db, customer_id, table_name, ids))


def refuse_held(db: Db, customer_id: int, table_name: str, ids: Sequence[int], *, tells_reason: bool) -> None:
    """Raises Held when a hold keeps one of these rows. `tells_reason`: why the hold was placed is for administrators."""
    found = holding(db, customer_id, table_name, ids)
    if found:
        record_id = min(found)
        hold = found[record_id]
        reason = f" ({hold.reason})" if tells_reason else ""
        raise Held(f"Hold {hold.id}{reason} keeps record {record_id}: it cannot be deleted until the hold is released.")


def refuse_customer(db: Db, customer_id: int) -> None:
    """Raises Held when the customer has a hold, whatever it keeps."""
    for hold in _placed(db, customer_id)[:1]:
        raise Held(f"Hold {hold.id} ({hold.reason}) keeps the customer: release all holds before it is deleted.")


def holding(db: Db, customer_id: int, table_name: str, ids: Sequence[int]) -> dict[int, Hold]:
    """The rows among these that are held, each with a hold that keeps it."""
    assert _LISTINGS, "without ringback.resources no filter of a hold can be read"
    if not ids or not _line(table_name) & _LISTINGS.keys():
        return {}
    return _holding(db, customer_id, _placed(db, customer_id), table_name, list(ids))


def concern(db: Db, customer_id: int, table_name: str) -> bool:
    """Whether the customer has a hold that may keep rows of this table."""
    assert _LISTINGS, "without ringback.resources no filter of a hold can be read"
    line = _line(table_name)
    return any(hold.resource in line for hold in _placed(db, customer_id))


def placed(db: Db, customer_id: int, table_name: str) -> list[int]:
    """The ids of the holds that may keep rows of this table."""
    line = _line(table_name)
    return [hold.id for hold in _placed(db, customer_id) if hold.resource in line]


def begin_placing(db: Db, customer_id: int) -> int:
    """Waits until deletions under way are done, and keeps others waiting; returns how many holds the customer has."""
    _lock(db, customer_id, "pg_advisory_xact_lock")
    return int(value(db, "SELECT count(*) FROM holds WHERE customer_id = :customer", {"customer": customer_id}))


def _lock(db: Db, customer_id: int, how: str) -> None:
    """SQLite has one writer, and needs none."""
    if db.engine == "postgres":
        db.all(f"SELECT CAST({how}(hashtextextended('holds', :customer)) AS TEXT)", {"customer": customer_id})


def _placed(db: Db, customer_id: int) -> list[Hold]:
    _lock(db, customer_id, "pg_advisory_xact_lock_shared")
    sql = "SELECT id, resource, filter, reason FROM holds WHERE customer_id = :customer ORDER BY id"
    return [Hold(*row) for row in db.all(sql, {"customer": customer_id})]


def _line(table_name: str) -> set[str]:
    """The table, and those that its rows hang on."""
    return {table_name}.union(*map(_line, _HANGS_ON.get(table_name, {})))


def _holding(db: Db, customer_id: int, holds: Iterable[Hold], table_name: str, ids: Sequence[int]) -> dict[int, Hold]:
    line = _line(table_name)
    concerning = [hold for hold in holds if hold.resource in line]
    if not concerning or not ids:
        return {}
    found: dict[int, Hold] = {}
    for above, sql in _HANGS_ON.get(table_name, {}).items():
        pairs = db.all(sql.format(own=_own(db)), {"customer": customer_id, "ids": ids})
        kept = _holding(db, customer_id, concerning, above, sorted({pair[1] for pair in pairs}))
        found.update({below: kept[each] for below, each in pairs if each in kept})
    direct = [hold for hold in concerning if hold.resource == table_name]
    found.update(_named(db, customer_id, direct, ids))
    for hold in direct:
        if hold.filter is not None:
            found.update(dict.fromkeys(_matched(db, customer_id, hold, ids), hold))
    return found


def _own(db: Db) -> str:
    """The rows `t` of `:customer` that `:ids` lists. The + keeps SQLite from walking all of the customer's rows."""
    return f"{'+' if db.engine == 'sqlite' else ''}t.customer_id = :customer AND {db.among('t.id', 'ids')}"


def _named(db: Db, customer_id: int, holds: Sequence[Hold], ids: Sequence[int]) -> dict[int, Hold]:
    known = {hold.id: hold for hold in holds if hold.filter is None}
    if not known:
        return {}
    sql = (
        "SELECT object_id, hold_id FROM hold_objects WHERE customer_id = :customer"
        f" AND {db.among('object_id', 'ids')} AND {db.among('hold_id', 'holds')}"
    )
    found = db.all(sql, {"customer": customer_id, "ids": ids, "holds": list(known)})
    return {object_id: known[hold_id] for object_id, hold_id in found}


def _matched(db: Db, customer_id: int, hold: Hold, ids: Sequence[int]) -> list[int]:
    """Those of the rows that the hold's filter matches. Number by number: no index is faster for few rows."""
    listing = _LISTINGS[hold.resource]
    conditions = parse_filter(hold.filter, listing.properties())
    statement = Statement(db.engine, _unsearched(listing))
    first = "+" if db.engine == "sqlite" else ""
    sql = (
        f"SELECT t.id FROM {statement.source} WHERE {first}{statement.where(conditions)} AND {db.among('t.id', 'ids')}"
    )
    bound = {"customer": customer_id, "me": 0, "me_text": "", "sees_all": 1, "sees_presence": 1, "ids": ids}
    return [row[0] for row in db.all(sql, {**bound, **statement.values(conditions)})]


def _unsearched(listing: Listing) -> Listing:
    return Listing(listing.name, listing.record, listing.table, listing.newest, sql=listing.sql)
