"""Who heard whom, and how long: from who was in which bridge, through the halves of pairs between."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from ringback.calls.ledger.state import Call, Leg, Move

_GAP_US = 1_000_000
"""While a pair of halves is taken out of the middle nobody hears anybody for a moment; that is no end."""
_PARTY = 8
"""More than so many in one bridge: nobody says who talked to whom."""
_LOOKED_AT = 100


@dataclass(slots=True, eq=False)
class Talk:
    """`first` began before `second`. `total_us`: of all spans together."""

    first: Leg
    second: Leg
    started_us: int
    ended_us: int
    total_us: int = 0


Pairs = dict[tuple[int, int], tuple[Leg, Leg]]


@dataclass(slots=True)
class _Bridges:
    """Who is where: legs by their orders in bridges, and the bridge of each."""

    legs: dict[str, dict[int, Leg]] = field(default_factory=dict)
    place: dict[int, str] = field(default_factory=dict)


def talks(call: Call) -> dict[tuple[int, int], Talk]:
    """By the orders of the two legs, in the order in which they began to talk."""
    found: dict[tuple[int, int], Talk] = {}
    running: dict[tuple[int, int], Talk] = {}
    bridges = _Bridges()
    for move in call.moves:
        names = {bridges.place.get(move.leg.order, ""), move.bridge}
        before = _pairs(bridges, names)
        _apply(move, bridges)
        after = _pairs(bridges, names)
        own = {key for key in running if move.leg.order in key}  # in a crowd the pairs before are not all known
        for key in (before.keys() | own) - after.keys():
            if key in running:
                _stop(running.pop(key), move.at_us)
        for key, (one, other) in after.items():
            if key not in running:
                running[key] = _start(found, key, one, other, move.at_us)
    for talk in running.values():
        _stop(talk, call.last_us)
    return found


def _apply(move: Move, bridges: _Bridges) -> None:
    order = move.leg.order
    before = bridges.place.pop(order, "")
    if before:
        bridges.legs[before].pop(order)
        if not bridges.legs[before]:
            del bridges.legs[before]
    if move.bridge:
        bridges.place[order] = move.bridge
        bridges.legs.setdefault(move.bridge, {})[order] = move.leg


def _pairs(bridges: _Bridges, names: Iterable[str]) -> Pairs:
    """Those who hear each other in these bridges and in those that halves join to them: nobody else is touched by a move."""
    done: set[str] = set()
    found: Pairs = {}
    for name in sorted(names):
        if name in bridges.legs and name not in done:
            room = sorted(_room(name, bridges, done), key=lambda leg: leg.order)
            for at, one in enumerate(room if len(room) <= _PARTY else []):
                found |= {(one.order, other.order): (one, other) for other in room[at + 1 :]}
    return found


def _room(name: str, bridges: _Bridges, done: set[str]) -> Iterable[Leg]:
    """The parties in this bridge and behind the halves in it; one more than count is enough."""
    waiting, parties = [name], dict[int, Leg]()
    done.add(name)
    while waiting and len(parties) <= _PARTY:
        for leg in islice(bridges.legs[waiting.pop()].values(), _LOOKED_AT):
            if leg.peer is None:
                party = leg.taken_by or leg
                parties[party.order] = party
                continue
            behind = bridges.place.get(leg.peer.order)
            if behind is not None and behind not in done:
                done.add(behind)
                waiting.append(behind)
    return parties.values()


def _start(found: dict[tuple[int, int], Talk], key: tuple[int, int], one: Leg, other: Leg, at_us: int) -> Talk:
    talk = found.get(key)
    if talk is None:
        talk = found[key] = Talk(one, other, at_us, at_us)
    elif at_us - talk.ended_us > _GAP_US:
        talk.ended_us = at_us
    return talk


def _stop(talk: Talk, at_us: int) -> None:
    """What is counted begins where the last span ended, or where this one began."""
    until_us = max(at_us, talk.ended_us)
    talk.total_us += until_us - talk.ended_us
    talk.ended_us = until_us
