"""Dialogs whose place another one took (RFC 3891). Only the other one says so: it may be stored first, later, or in another lot.

Kept among the keys of legs (`sip/legs.py`): by whoever took the place, with the second of its answer.
"""

from collections.abc import Mapping, Sequence
from functools import reduce

from ringback.calls.numbers import clean
from ringback.sip import causes, legs
from ringback.sip.dialogs.session import REPLACED_US, MediaSession, replaced
from ringback.sip.packet import SECOND_US
from ringback.store import rows, schema
from ringback.store.database import Db


def told(db: Db, customer_id: int, sessions: Mapping[str, MediaSession]) -> dict[str, MediaSession]:
    """Sessions, by their Call-IDs as stored, as they stand beside all that took the place of another. What they take the place
    of is noted, and told of those that have ended before."""
    for name, session in sessions.items():
        if session.replaces and session.answered_at_us is not None:
            _note(db, customer_id, name, clean(session.replaces), session.answered_at_us // SECOND_US)
    taken = _taken(db, customer_id, [name for name, each in sessions.items() if each.t_cause == causes.NORMAL_CLEARING])
    if not taken:
        return dict(sessions)
    return {name: reduce(replaced, taken.get(name, ()), session) for name, session in sessions.items()}


def _note(db: Db, customer_id: int, name: str, other: str, at: int) -> None:
    key = legs.REPLACES + other
    if len(key) > legs.LONGEST_KEY:
        return
    sql = """
        INSERT INTO leg_keys (customer_id, key, at, call_id) VALUES (:customer, :key, :at, :call_id)
        ON CONFLICT (customer_id, key, at, call_id) DO NOTHING
    """
    db.run(sql, {"customer": customer_id, "key": key, "at": at, "call_id": name})
    _correct(db, customer_id, other, at)


def _correct(db: Db, customer_id: int, name: str, at: int) -> None:
    sql = """
        SELECT m.id FROM msdrs m JOIN mediasessions s ON s.customer_id = m.customer_id AND s.id = m.media_session_id
        WHERE m.customer_id = :customer AND m.call_id = :name AND m.t_cause = :cause
        AND s.updated_at BETWEEN :first AND :last
    """
    near_s = REPLACED_US // SECOND_US
    bound = {"customer": customer_id, "name": name, "cause": causes.NORMAL_CLEARING}
    for (msdr_id,) in db.all(sql, {**bound, "first": at - near_s, "last": at + near_s}):
        rows.update(db, schema.msdrs, customer_id, msdr_id, {"t_cause": causes.REPLACED})


def _taken(db: Db, customer_id: int, names: Sequence[str]) -> dict[str, list[int]]:
    """When (µs) others took the places of these."""
    found: dict[str, list[int]] = {}
    if names:
        sql = f"SELECT key, at FROM leg_keys WHERE customer_id = :customer AND {db.among('key', 'keys')}"
        for key, at in db.all(sql, {"customer": customer_id, "keys": [legs.REPLACES + name for name in names]}):
            found.setdefault(key.removeprefix(legs.REPLACES), []).append(at * SECOND_US)
    return found
