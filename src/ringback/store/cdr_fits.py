"""Which CDR an MSDR fits, and which of several: the rules of `cdr_links`.

They fit when the CDR began within five seconds of the dialog's first INVITE and its two numbers are the dialog's. Numbers are
the same when their digits are, or when one is the other without its country or trunk prefix and still has seven digits; a
side that is a user fits by the user as well, and the caller by the number in `clid`, which is what a PBX puts on the trunk in
place of the extension.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ringback.calls.numbers import normal

WINDOW_S = 5
SAME_S = 2
"""By so much a PBX and a capture agent may differ in when and how long a call was."""
_SHORTEST = 7
_CLID_NUMBER = re.compile(r"<([^<>]*)>\s*$")


class Cdr(NamedTuple):
    """Columns of `schema.cdrs`."""

    id: int
    root_live_id: int | None
    calldate: int
    duration: int
    billsec: int
    src: str | None
    src_id: str | None
    dst: str | None
    dst_id: str | None
    clid: str | None


class Msdr(NamedTuple):
    """Columns of `schema.msdrs`, and when the last message was."""

    id: int
    call_id: str
    created_at: int
    duration: int
    src: str | None
    src_id: str | None
    dst: str | None
    dst_id: str | None
    src_ip: str | None
    dst_ip: str | None
    cdr_id: int | None
    is_told: int | None
    updated_at: int


Call = Sequence[Cdr]
"""Hops of one call, by time."""
Captured = Sequence[Msdr]
"""Legs of one call."""
Pair = tuple[Call, Captured]


# -- numbers ------------------------------------------------------------------------------------------------------------


def fits(src: str | None, src_id: str | None, dst: str | None, dst_id: str | None, cdr: Cdr) -> bool:
    """Whether the CDR has these parties."""
    shown = _CLID_NUMBER.search(cdr.clid or "")
    sources = [cdr.src, shown[1] if shown else cdr.clid]
    return _is_party(src, src_id, sources, cdr.src_id) and _is_party(dst, dst_id, [cdr.dst], cdr.dst_id)


def is_leg(msdr: Msdr, cdr: Cdr) -> bool:
    """As far as these two tell."""
    is_near = abs(msdr.created_at - cdr.calldate) <= WINDOW_S
    return is_near and fits(msdr.src, msdr.src_id, msdr.dst, msdr.dst_id, cdr)


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


# -- times --------------------------------------------------------------------------------------------------------------


def calls(cdrs: Iterable[Cdr]) -> list[list[Cdr]]:
    found: dict[tuple[str, int], list[Cdr]] = {}
    for cdr in cdrs:
        key = ("call", cdr.root_live_id) if cdr.root_live_id is not None else ("cdr", cdr.id)
        found.setdefault(key, []).append(cdr)
    return list(found.values())


def is_plainly_one(legs: Captured) -> bool:
    """Whether legs with the same parties are of one call for sure: all are within one of them, and a B2BUA sends none on between
    the same two hosts."""
    first, last = min(leg.created_at for leg in legs), max(leg.updated_at for leg in legs)
    has_all = any(leg.created_at <= first + 1 and leg.updated_at >= last - 1 for leg in legs)
    return has_all and len(set(map(_hop, legs))) == len(legs)


def _is_one(legs: Captured) -> bool:
    """The same of legs that were as long as their CDR: then the two of a B2BUA may also be on one machine with both phones."""
    return all(n <= 1 + (src == dst) for (src, dst), n in Counter(map(_hop, legs)).items())


def _hop(leg: Msdr) -> tuple[str | None, str | None]:
    return leg.src_ip, leg.dst_ip


def call_of(pairs: Sequence[Pair]) -> Call | None:
    """Of the calls that have the parties of a captured one that which it clearly is."""
    nearest = _nearest(pairs)
    return nearest[0][0] if len(nearest) == 1 else None


def legs_of(pairs: Sequence[Pair]) -> Captured:
    """Of the captured calls that have the parties of a call the legs that clearly are its own."""
    nearest = _nearest(pairs)
    legs = [leg for _, captured in nearest for leg in captured]
    return legs if len(nearest) == 1 or _is_one(legs) else []


def pairs(call: Call, captured: Sequence[Captured]) -> list[Pair]:
    """With those that may be this call: not those of which the PBX says otherwise, nor any others where it says which is."""
    ids = {cdr.id for cdr in call}
    told = [{leg.cdr_id for leg in legs if leg.is_told} - {None} for legs in captured]
    own = [(call, legs) for legs, cdrs in zip(captured, told, strict=True) if not ids.isdisjoint(cdrs)]
    return own or [(call, legs) for legs, cdrs in zip(captured, told, strict=True) if not cdrs]


def _nearest(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Of several those that were as long, in all and of talk, and of these the nearest in time: one that clocks cannot make so
    late is no other call's."""
    if len(pairs) < 2:
        return pairs
    agreeing = [pair for pair in pairs if _agrees(*pair)]
    least_s = min(map(_gap_s, agreeing), default=0)
    return [pair for pair in agreeing if _gap_s(pair) - least_s <= SAME_S]


def _agrees(call: Call, captured: Captured) -> bool:
    return any(
        abs(leg.duration - cdr.billsec) <= SAME_S
        and (leg.duration > 0) == (cdr.billsec > 0)
        and abs(leg.updated_at - leg.created_at - cdr.duration) <= SAME_S
        for leg in captured
        for cdr in call
    )


def _gap_s(pair: Pair) -> int:
    call, captured = pair
    return abs(min(leg.created_at for leg in captured) - min(cdr.calldate for cdr in call))
