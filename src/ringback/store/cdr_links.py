"""Which CDR an MSDR is a leg of. A wrong link would show one call's messages under another, so doubt means no link.

The rule (`cdr_fits`): the CDR has the dialog's numbers and began about when it did. Of several hops of one call it is the first.
Where a CDR fits several captured calls, or a captured call the CDRs of several calls, their times must tell them apart. What comes
in later may make a link doubtful, or clear: then it changes. What the PBX itself said (`call_ids`) stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ringback.sip.dialogs.session import MediaSession
from ringback.store import captures, legs, rows, schema
from ringback.store.cdr_fits import (
    WINDOW_S,
    Call,
    Cdr,
    Msdr,
    Pair,
    call_of,
    calls,
    fits,
    is_leg,
    is_plainly_one,
    legs_of,
    pairs,
)
from ringback.store.database import Db

MOST_ALIKE = 16
"""Of more CDRs or legs between the same numbers at about one time nothing is told."""


def link(db: Db, customer_id: int, msdr_ids: Sequence[int]) -> None:
    """Links these MSDRs, as far as it is clear."""
    # The + keeps SQLite from walking all of the customer's rows.
    own = "+m.customer_id" if db.engine == "sqlite" else "m.customer_id"
    sql = f"{_MSDRS} WHERE {own} = :customer AND {db.among('m.id', 'ids')}"
    found = db.all(sql, {"customer": customer_id, "ids": list(msdr_ids)})
    _Links(db, customer_id).settle(Msdr(*row) for row in found)


def link_near(db: Db, customer_id: int, cdrs: Sequence[Mapping[str, Any]]) -> None:
    """Links what may be legs of these CDRs (columns of `schema.cdrs`): they came in after their capture."""
    if not cdrs:
        return
    starts = [row["calldate"] for row in cdrs]
    bound = {"customer": customer_id, "first": min(starts) - WINDOW_S, "last": max(starts) + WINDOW_S}
    if not db.all(f"SELECT 1 FROM msdrs m WHERE {_NEAR} LIMIT 1", bound):
        return
    links = _Links(db, customer_id)
    alike = {_key(cdr): cdr for cdr in map(_cdr, cdrs)}.values()
    links.settle(list({leg.id: leg for cdr in alike for leg in links.legs(cdr)}.values()))


def _cdr(row: Mapping[str, Any]) -> Cdr:
    columns: list[Any] = [row.get(name) for name in Cdr._fields]
    return Cdr(*columns)


def one_call(db: Db, customer_id: int, src: str, dst: str, first: int, last: int) -> list[int]:
    """The CDRs between these two numbers that began from `first` to `last`, when they are hops of one call; else none."""
    bound = {"customer": customer_id, "first": first, "last": last}
    fitting = [cdr for cdr in (Cdr(*row) for row in db.all(_CDRS, bound)) if fits(src, None, dst, None, cdr)]
    return [cdr.id for cdr in fitting] if len(calls(fitting)) == 1 else []


# Sessions of which there is no row any more ended with their talk.
_MSDRS = """
    SELECT m.id, m.call_id, m.created_at, m.duration, m.src, m.src_id, m.dst, m.dst_id, m.src_ip, m.dst_ip, m.cdr_id, m.is_told,
        COALESCE(s.updated_at, m.created_at + m.duration)
    FROM msdrs m LEFT JOIN mediasessions s ON s.customer_id = m.customer_id AND s.id = m.media_session_id
"""
_NEAR = "m.customer_id = :customer AND m.created_at BETWEEN :first AND :last"
_CDRS = f"""
    SELECT {", ".join(Cdr._fields)} FROM cdrs
    WHERE customer_id = :customer AND calldate BETWEEN :first AND :last
    ORDER BY calldate, id
"""


def _ids(call: Call) -> tuple[int, ...]:
    return tuple(cdr.id for cdr in call)


_Key = tuple[int, str | None, str | None, str | None, str | None, str | None]


def _key(row: Cdr | Msdr) -> _Key:
    """What `is_leg` goes by: a flood of equal calls is compared once."""
    if isinstance(row, Cdr):
        return row.calldate, row.src, row.src_id, row.dst, row.dst_id, row.clid
    return row.created_at, row.src, row.src_id, row.dst, row.dst_id, None


class _Links:
    """Reads and compares what is needed, each once."""

    def __init__(self, db: Db, customer_id: int) -> None:
        self._db, self._customer_id = db, customer_id
        self._cdrs: dict[int, list[Cdr]] = {}
        self._msdrs: dict[int, list[Msdr]] = {}
        self._calls_of: dict[_Key, list[list[Cdr]]] = {}
        self._legs_of: dict[_Key, list[Msdr]] = {}
        self._pairs_of: dict[tuple[int, ...], list[Pair]] = {}
        self._wholes: dict[str, str] = {}

    def settle(self, found: Iterable[Msdr]) -> None:
        """Links these, and whatever fits one of the same CDRs."""
        alike = {_key(msdr): msdr for msdr in found}.values()
        few = [near for near in map(self._calls, alike) if len(near) <= MOST_ALIKE]
        fitting = {_ids(call): call for near in few for call in near}.values()
        doubtful = {leg.id: leg for call in fitting for leg in self._legs(call)}
        for msdr in doubtful.values():
            if not msdr.is_told or msdr.cdr_id is None:
                self._link(msdr)

    def _link(self, msdr: Msdr) -> None:
        call = self._call(msdr)
        cdr_id = next((cdr.id for cdr in call or () if is_leg(msdr, cdr)), None)
        if cdr_id != msdr.cdr_id:
            rows.update(self._db, schema.msdrs, self._customer_id, msdr.id, {"cdr_id": cdr_id, "is_told": None})

    def _call(self, msdr: Msdr) -> Call | None:
        """The call that it is clearly a leg of."""
        near = self._calls(msdr)
        if len(near) > MOST_ALIKE:
            return None
        found = call_of([pair for call in near for pair in self._pairs(call) if msdr in pair[1]])
        return found if found and msdr in legs_of(self._pairs(found)) else None

    def _calls(self, msdr: Msdr) -> list[list[Cdr]]:
        """Those that have its parties."""
        at, key = msdr.created_at, _key(msdr)
        if at not in self._cdrs:
            self._cdrs[at] = [Cdr(*row) for row in self._db.all(_CDRS, self._about(at))]
        if key not in self._calls_of:
            self._calls_of[key] = calls(cdr for cdr in self._cdrs[at] if is_leg(msdr, cdr))
        return self._calls_of[key]

    def _legs(self, call: Call) -> list[Msdr]:
        return list({leg.id: leg for cdr in call for leg in self.legs(cdr)}.values())

    def legs(self, cdr: Cdr) -> list[Msdr]:
        """Those that have its parties."""
        at, key = cdr.calldate, _key(cdr)
        if at not in self._msdrs:
            sql = f"{_MSDRS} WHERE {_NEAR} ORDER BY m.created_at, m.id"
            self._msdrs[at] = [Msdr(*row) for row in self._db.all(sql, self._about(at))]
        if key not in self._legs_of:
            self._legs_of[key] = [msdr for msdr in self._msdrs[at] if is_leg(msdr, cdr)]
        return self._legs_of[key]

    def _about(self, at: int) -> dict[str, int]:
        return {"customer": self._customer_id, "first": at - WINDOW_S, "last": at + WINDOW_S}

    def _pairs(self, call: Call) -> list[Pair]:
        """With the captured calls that have its parties; none where there are too many."""
        key = _ids(call)
        if key not in self._pairs_of:
            self._pairs_of[key] = self._paired(call)
        return self._pairs_of[key]

    def _paired(self, call: Call) -> list[Pair]:
        found = self._legs(call)
        if len(found) > MOST_ALIKE:
            return []
        if is_plainly_one(found):
            return pairs(call, [found])
        apart: dict[str, list[Msdr]] = {}
        for leg in found:
            apart.setdefault(self._whole(leg.call_id), []).append(leg)
        return pairs(call, list(apart.values()))

    def _whole(self, call_id: str) -> str:
        """A name for the whole call that it belongs to, as far as messages tell."""
        if call_id not in self._wholes:
            whole = {call_id, *legs.whole(self._db, self._customer_id, [call_id], self._sessions)}
            self._wholes |= dict.fromkeys(whole, min(whole))
        return self._wholes[call_id]

    def _sessions(self, names: Sequence[str]) -> dict[str, MediaSession]:
        return captures.sessions_of(captures.read_seen(self._db, self._customer_id, names))
