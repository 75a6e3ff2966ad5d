"""A captured call read back whole, from any of its legs; for a plain user as far as that user has a part in it.

What ties legs together is said by messages, and a phone may write into its own whatever it likes, the Call-ID of a colleague's
call too. So `viewer`, a user's id, sees the legs that are this user's (as MSDRs are), and those of CDRs with a part of this user;
None sees all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from ringback.sip.dialogs.session import MediaSession
from ringback.sip.packet import SECOND_US, Packet
from ringback.store import legs
from ringback.store.captures import Seen, once, read_seen, sessions_of
from ringback.store.database import Db

MOST_STEPS = 4
"""From legs to the CDRs that they are linked to, and on to the legs of those."""


class Capture(NamedTuple):
    """What is left of some dialogs, by time; `is_complete` when nothing of them has been deleted."""

    packets: list[Packet]
    is_complete: bool


def of_msdr(db: Db, customer_id: int, msdr_id: int, viewer: int | None) -> Capture:
    """All legs of the whole call that this one is a leg of."""
    return _capture(db, customer_id, "id = :id", {"id": msdr_id}, viewer)


def of_cdr(db: Db, customer_id: int, cdr_id: int, viewer: int | None) -> Capture:
    """All legs of the whole call that the CDR is a hop of."""
    named = f"SELECT uniqueid FROM cdrs c WHERE customer_id = :customer AND uniqueid IS NOT NULL AND id IN ({_HOPS})"
    return _capture(db, customer_id, f"(cdr_id IN ({_HOPS}) OR call_id IN ({named}))", {"id": cdr_id}, viewer)


_HOPS = """
    SELECT c.id FROM cdrs c JOIN cdrs hop ON hop.customer_id = c.customer_id AND hop.root_live_id = c.root_live_id
    WHERE hop.customer_id = :customer AND hop.id = :id
    UNION SELECT :id
"""


def _capture(db: Db, customer_id: int, where: str, params: Mapping[str, Any], viewer: int | None) -> Capture:
    sql = f"SELECT call_id FROM msdrs WHERE customer_id = :customer AND {where}"
    names = [row[0] for row in db.all(sql, {"customer": customer_id, **params})]
    reader = _Reader(db, customer_id)
    whole = legs.whole(db, customer_id, names, reader.sessions)
    for _ in range(MOST_STEPS):
        more = [name for name in _of_one_call(db, customer_id, whole) if name not in whole]
        if not more:
            break
        whole = legs.whole(db, customer_id, [*whole, *more], reader.sessions)
    shown = list(dict.fromkeys([*names, *whole]))
    if viewer is not None:
        shown = _of_user(db, customer_id, shown, viewer)
    found = [reader.seen[name] for name in shown if name in reader.seen]
    # RTCP between two phones belongs to both legs.
    return Capture(once(chain.from_iterable(found)), _is_complete(db, customer_id, shown, reader.seen))


def _of_user(db: Db, customer_id: int, names: Sequence[str], user_id: int) -> list[str]:
    """Those of the legs that are a user's, or of a CDR with a part of the user's (or that its CDR names)."""
    own = """
        SELECT p.cdr_id FROM cdr_parties p WHERE p.customer_id = :customer AND p.user_id = :user AND p.cdr_id = {}
    """
    sql = f"""
        SELECT s.call_id FROM mediasessions s
        LEFT JOIN msdrs m ON m.customer_id = s.customer_id AND m.call_id = s.call_id
        WHERE s.customer_id = :customer AND {db.among("s.call_id", "names")} AND (
            s.user_id = :user OR s.src_id = :user_text OR s.dst_id = :user_text
            OR EXISTS ({own.format("m.cdr_id")})
            OR EXISTS (
                SELECT c.id FROM cdrs c
                WHERE c.customer_id = :customer AND c.uniqueid = s.call_id AND EXISTS ({own.format("c.id")})
            )
        )
        ORDER BY s.created_at, s.call_id
    """
    bound = {"customer": customer_id, "names": list(names), "user": user_id, "user_text": str(user_id)}
    return [row[0] for row in db.all(sql, bound)]


def _of_one_call(db: Db, customer_id: int, names: Sequence[str]) -> list[str]:
    """The legs of CDRs that are hops of one call with a CDR of these legs."""
    # CROSS JOIN is how SQLite is told in which order to look: it would begin with all of the customer's MSDRs.
    sql = f"""
        SELECT DISTINCT other.call_id FROM msdrs m CROSS JOIN cdrs c CROSS JOIN cdrs hop CROSS JOIN msdrs other
        WHERE m.customer_id = :customer AND {db.among("m.call_id", "names")}
        AND c.customer_id = m.customer_id AND c.id = m.cdr_id
        AND hop.customer_id = c.customer_id AND (hop.id = c.id OR hop.root_live_id = c.root_live_id)
        AND other.customer_id = hop.customer_id AND other.cdr_id = hop.id
        ORDER BY other.call_id
    """
    return [row[0] for row in db.all(sql, {"customer": customer_id, "names": list(names)})]


class _Reader:
    """Reads the packets of sessions, each once."""

    def __init__(self, db: Db, customer_id: int) -> None:
        self._db, self._customer_id = db, customer_id
        self.seen: dict[str, list[Seen]] = {}

    def sessions(self, names: Sequence[str]) -> dict[str, MediaSession]:
        self.seen |= read_seen(self._db, self._customer_id, [name for name in names if name not in self.seen])
        return sessions_of({name: self.seen[name] for name in names if name in self.seen})


def _is_complete(db: Db, customer_id: int, names: Iterable[str], found: Mapping[str, Sequence[Seen]]) -> bool:
    """Packets are deleted oldest first: what has its first second has all."""
    sql = f"SELECT call_id, created_at FROM mediasessions WHERE customer_id = :customer AND {db.among('call_id', 'names')}"
    began = db.all(sql, {"customer": customer_id, "names": sorted(names)})
    return all(name in found and found[name][0].packet.at_us // SECOND_US <= at for name, at in began)
