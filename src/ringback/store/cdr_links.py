"""Which CDR an MSDR is a leg of. A wrong link would show one call's messages under another, so doubt means no link.

The rule: the CDR began within five seconds of the dialog's first INVITE; its two numbers are the dialog's; and no CDR
of another call fits. Of several hops of one call it is the first. Numbers are the same when their digits are, or when one
is the other without its country or trunk prefix and still has seven digits; a side that is a user fits by the user as well,
and the caller by the number in `clid`, which is what a PBX puts on the trunk in place of the extension.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ringback.calls.numbers import normal
from ringback.store import rows, schema
from ringback.store.database import Db

WINDOW_S = 5
_SHORTEST = 7
_CLID_NUMBER = re.compile(r"<([^<>]*)>\s*$")


class _Cdr(NamedTuple):
    id: int
    root_live_id: int | None
    src: str | None
    src_id: str | None
    dst: str | None
    dst_id: str | None
    clid: str | None


class _Msdr(NamedTuple):
    id: int
    created_at: int
    src: str | None
    src_id: str | None
    dst: str | None
    dst_id: str | None


def link(db: Db, customer_id: int, msdr_ids: Sequence[int]) -> int:
    """Links these MSDRs, as far as they have no CDR yet; returns how many were linked."""
    sql = f"{_MSDRS} WHERE {rows.by_ids(db)} AND cdr_id IS NULL"
    found = db.all(sql, {"customer": customer_id, "ids": list(msdr_ids)})
    return _linked(db, customer_id, [_Msdr(*row) for row in found])


def link_near(db: Db, customer_id: int, calldates: Sequence[int]) -> int:
    """Links what is not linked yet and began about when one of these CDRs did: they came in after their capture."""
    if not calldates:
        return 0
    starts = sorted(calldates)
    bound = {"customer": customer_id, "first": starts[0] - WINDOW_S, "last": starts[-1] + WINDOW_S}
    # The + keeps SQLite from walking all that were never linked.
    sql = f"{_MSDRS} WHERE customer_id = :customer AND created_at BETWEEN :first AND :last AND +cdr_id IS NULL"
    found = db.all(sql, bound)
    return _linked(db, customer_id, [msdr for row in found if _is_near((msdr := _Msdr(*row)).created_at, starts)])


def one_call(db: Db, customer_id: int, src: str, dst: str, first: int, last: int) -> list[int]:
    """The CDRs between these two numbers that began from `first` to `last`, when they are hops of one call; else none."""
    leg = _Msdr(0, first, src, None, dst, None)
    bound = {"customer": customer_id, "first": first, "last": last}
    fitting = [cdr for cdr in (_Cdr(*row) for row in db.all(_CDRS, bound)) if _fits(leg, cdr)]
    return [cdr.id for cdr in fitting] if all(_is_one_call(fitting[0], each) for each in fitting) else []


def _is_near(at: int, starts: Sequence[int]) -> bool:
    place = bisect_left(starts, at - WINDOW_S)
    return place < len(starts) and starts[place] <= at + WINDOW_S


_MSDRS = "SELECT id, created_at, src, src_id, dst, dst_id FROM msdrs"
_CDRS = """
    SELECT id, root_live_id, src, src_id, dst, dst_id, clid FROM cdrs
    WHERE customer_id = :customer AND calldate BETWEEN :first AND :last
    ORDER BY calldate, id
"""


def _linked(db: Db, customer_id: int, msdrs: Iterable[_Msdr]) -> int:
    """How many were. Those that began in one second may be of the same CDRs, which are read once."""
    by_start: dict[int, list[_Msdr]] = {}
    for msdr in msdrs:
        by_start.setdefault(msdr.created_at, []).append(msdr)
    linked = 0
    for at, some in by_start.items():
        bound = {"customer": customer_id, "first": at - WINDOW_S, "last": at + WINDOW_S}
        near = [_Cdr(*row) for row in db.all(_CDRS, bound)]
        linked += sum(_link(db, customer_id, msdr, near) for msdr in some)
    return linked


def _link(db: Db, customer_id: int, msdr: _Msdr, near: Iterable[_Cdr]) -> bool:
    fitting = [cdr for cdr in near if _fits(msdr, cdr)]
    if not fitting or not all(_is_one_call(fitting[0], each) for each in fitting):
        return False
    rows.update(db, schema.msdrs, customer_id, msdr.id, {"cdr_id": fitting[0].id})
    return True


def _is_one_call(one: _Cdr, other: _Cdr) -> bool:
    return one.id == other.id or (one.root_live_id is not None and one.root_live_id == other.root_live_id)


def _fits(msdr: _Msdr, cdr: _Cdr) -> bool:
    shown = _CLID_NUMBER.search(cdr.clid or "")
    sources = [cdr.src, shown[1] if shown else cdr.clid]
    return _is_party(msdr.src, msdr.src_id, sources, cdr.src_id) and _is_party(
        msdr.dst, msdr.dst_id, [cdr.dst], cdr.dst_id
    )


def _is_party(number: str | None, user: str | None, numbers: Iterable[str | None], user_of_cdr: str | None) -> bool:
    if user is not None and user != "0" and user == user_of_cdr:
        return True
    return number is not None and any(other is not None and _same(normal(number), normal(other)) for other in numbers)


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long_ = sorted((_national(one), _national(other)), key=len)
    return len(short) >= _SHORTEST and short.isdecimal() and long_.isdecimal() and long_.endswith(short)


def _national(number: str) -> str:
    """Without the zeros that are dialled in front of a national or international number."""
    return number.lstrip("0") if number.isdecimal() else number
