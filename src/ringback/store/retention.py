"""How long a customer's records are kept: the rules, which records they say go next, and how each goes.

A rule is `kind: days`, or `monitors_bytes`, `voicemessages_bytes` and `sip_bytes`: how many bytes there may be, of which the
oldest go first. A `Stage` is one sort of rows under one rule; its rows go oldest first, as an index has them. Captured packets go
in whole slices.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Table

from ringback.store import cdrs, holds, legs, rows, schema, slices
from ringback.store.database import Database, Db, value
from ringback.store.rows import DAY_S

DAYS = ("cdrs", "monitors", "voicemessages", "msdrs", "sip", "chats", "sms", "auditlog")
"""Kinds that are kept for a number of days."""
BYTES = ("monitors_bytes", "voicemessages_bytes", "sip_bytes")
"""Kinds of which a number of bytes is kept."""
NEVER = 2**62
BEGIN = (-NEVER, 0)

Take = Callable[[Db, int, Sequence[int], int], bool]
"""(db, customer, ids, most) → whether these rows are gone. What hangs on them goes first, at most `most` rows at a time."""


class Candidate(NamedTuple):
    """`size`: bytes of its audio."""

    at: int
    id: int
    size: int


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    rule: str
    table: Table
    at: str
    """The column of the record's date."""
    take: Take
    where: str = ""
    size: str = "0"

    @property
    def by_size(self) -> bool:
        return self.rule in BYTES

    def oldest(self, db: Db, customer_id: int, cut: int, after: tuple[int, int], n: int) -> list[Candidate]:
        """Up to `n` rows from before `cut` that come after (date, id)."""
        sql = f"""
            SELECT {self.at}, id, {self.size} FROM {self.table.name} t
            WHERE customer_id = :customer AND {self.at} < :cut AND ({self.at}, id) > (:at, :id) {self.where}
            ORDER BY {self.at}, id LIMIT :n
        """
        bound = {"customer": customer_id, "cut": cut, "at": after[0], "id": after[1], "n": n}
        return [Candidate(*row) for row in db.all(sql, bound)]


def rules_of(text: str | None) -> dict[str, int]:
    """The rules that the customer has set, from its `retention`."""
    return {name: each for name, each in json.loads(text or "{}").items() if each is not None}


def of_customer(db: Db, customer_id: int) -> dict[str, int]:
    text = value(db, "SELECT retention FROM customers WHERE id = :customer", {"customer": customer_id})
    return rules_of(text)


def span_of_packets(db: Db, customer_id: int, now: int) -> slices.Span:
    return slices.span(now, of_customer(db, customer_id).get("sip"))


def cut_of(rule: str, limit: int, now: int) -> int:
    """What is from before this instant goes; where bytes are counted, anything may."""
    return NEVER if rule in BYTES else now - limit * DAY_S


def bytes_of(database: Database, customer_id: int, table: Table) -> int:
    """The audio that the rows of a table have; without the time limit of requests."""
    sql = f"SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM {table.name} WHERE customer_id = :customer"
    with database.stream(sql, {"customer": customer_id}, 1) as lots:
        return int(next(lots)[0][0])


# -- how each goes ----------------------------------------------------------------------------------------------------


def whole(table: Table) -> Take:
    """Rows that nothing hangs on."""

    def take(db: Db, customer_id: int, ids: Sequence[int], _: int) -> bool:
        rows.delete(db, table, customer_id, ids)
        return True

    return take


def take_cdrs(db: Db, customer_id: int, ids: Sequence[int], _: int) -> bool:
    cdrs.delete(db, customer_id, ids)
    return True


def take_messages(db: Db, customer_id: int, ids: Sequence[int], most: int) -> bool:
    """The packets of media sessions; the sessions stay."""
    db.slices.begin(customer_id)
    for day, calls in _calls(db, customer_id, ids).items():
        most -= db.slices.remove(customer_id, day, list(calls), most)
        if most <= 0:
            return False
    sql = f"UPDATE mediasessions SET slice_day = NULL WHERE {rows.by_ids(db)}"
    db.run(sql, {"customer": customer_id, "ids": list(ids)})
    return True


def take_sessions(db: Db, customer_id: int, ids: Sequence[int], most: int) -> bool:
    """Media sessions with their packets and MSDRs."""
    if not take_messages(db, customer_id, ids, most):
        return False
    sessions = f"SELECT call_id FROM mediasessions WHERE {rows.by_ids(db)}"
    sql = f"SELECT id FROM msdrs WHERE customer_id = :customer AND call_id IN ({sessions})"
    msdrs = [row[0] for row in db.all(sql, {"customer": customer_id, "ids": list(ids)})]
    rows.delete(db, schema.msdrs, customer_id, msdrs)
    legs.forget(db, customer_id, sessions, ids)
    rows.delete(db, schema.mediasessions, customer_id, ids)
    return True


def take_chats(db: Db, customer_id: int, ids: Sequence[int], most: int) -> bool:
    """Chats with their messages. One with a message that is held for itself stays, with that message."""
    of_chats = f"customer_id = :customer AND {db.among('chat_id', 'ids')}"
    bound = {"customer": customer_id, "ids": list(ids), "n": most}
    found = [row[0] for row in db.all(f"SELECT id FROM chatmsgs WHERE {of_chats} LIMIT :n", bound)]
    kept = holds.held(db, customer_id, schema.chatmsgs.name, found)
    rows.delete(db, schema.chatmsgs, customer_id, [each for each in found if each not in kept])
    if len(kept) < len(found) == most:
        return False
    staying = {row[0] for row in db.all(f"SELECT DISTINCT chat_id FROM chatmsgs WHERE {of_chats}", bound)}
    rows.delete(db, schema.chats, customer_id, [each for each in ids if each not in staying])
    return True


def _calls(db: Db, customer_id: int, ids: Sequence[int]) -> dict[int, dict[int, int]]:
    """By slice the calls of media sessions, with the sessions' ids."""
    sql = f"SELECT slice_day, call_id, id FROM mediasessions WHERE {rows.by_ids(db)} AND slice_day IS NOT NULL"
    found: dict[int, dict[int, int]] = {}
    for day, call_id, session_id in db.all(sql, {"customer": customer_id, "ids": list(ids)}):
        found.setdefault(day, {})[slices.call_hash(call_id)] = session_id
    return found


# -- captured packets -------------------------------------------------------------------------------------------------


def days_going(db: Db, customer_id: int, rule: str, limit: int, now: int) -> list[slices.Slice]:
    """The slices that go, oldest first. Today's stays however large it is: calls of now are in it."""
    there = db.slices.listed(customer_id)
    found = [each for each in there if each.day not in (slices.KEPT, slices.day_of(now))]
    if rule not in BYTES:
        cut = cut_of(rule, limit, now)
        return [each for each in found if slices.begin_of(each.day) + DAY_S <= cut]
    excess = sum(each.size for each in there) - limit
    going: list[slices.Slice] = []
    for each in found:
        if excess > 0:
            going.append(each)
            excess -= each.size
    return going


def keep_held(db: Db, customer_id: int, day: int, after: int, n: int) -> int | None:
    """Moves the packets of held sessions out of a slice that is to go: of the `n` sessions that come after the id `after`.
    Returns the last id, None when there is no further session."""
    sql = """
        SELECT id FROM mediasessions WHERE customer_id = :customer AND slice_day = :day AND id > :after
        ORDER BY id LIMIT :n
    """
    ids = [row[0] for row in db.all(sql, {"customer": customer_id, "day": day, "after": after, "n": n})]
    held = holds.held(db, customer_id, schema.mediasessions.name, ids)
    db.slices.begin(customer_id)
    for calls in _calls(db, customer_id, sorted(held)).values():
        for row in calls:
            db.slices.add(customer_id, slices.KEPT, db.slices.read(customer_id, day, [row], slices.MOST))
    kept = f"UPDATE mediasessions SET slice_day = {slices.KEPT} WHERE {rows.by_ids(db)}"
    db.run(kept, {"customer": customer_id, "ids": sorted(held)})
    return ids[-1] if ids else None
