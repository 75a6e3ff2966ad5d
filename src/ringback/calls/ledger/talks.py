"""Who heard whom, and how long: from who was in which bridge, through the halves of pairs between."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ringback.calls.ledger.state import Call, Leg, Move

_GAP_US = 1_000_000
"""While a pair of halves is taken out of the middle nobody hears anybody for a moment; that is no end."""
_PARTY = 8
"""More than so many in one bridge: nobody says who talked to whom."""


@dataclass(slots=True, eq=False)
class Talk:
    """`first` began before `second`. `total_us`: of all spans together."""

    first: Leg
    second: Leg
    started_us: int
    ended_us: int
    total_us: int = 0


def talks(call: Call) -> dict[tuple[int, int], Talk]:
    """By the orders of the two legs, in the order in which they began to talk."""
    found: dict[tuple[int, int], Talk] = {}
    running: dict[tuple[int, int], Talk] = {}
    bridges: dict[str, dict[int, Leg]] = {}
    place: dict[int, str] = {}
    for move in call.moves:
        _apply(move, bridges, place)
        pairs = dict(_pairs(bridges, place))
        for key in [key for key in running if key not in pairs]:
            _stop(running.pop(key), move.at_us)
        for key, (one, other) in pairs.items():
            if key not in running:
                running[key] = _start(found, key, one, other, move.at_us)
    for talk in running.values():
        _stop(talk, call.last_us)
    return found


def _apply(move: Move, bridges: dict[str, dict[int, Leg]], place: dict[int, str]) -> None:
    order = move.leg.order
    before = place.pop(order, "")
    if before:
        bridges[before].pop(order)
        if not bridges[before]:
            del bridges[before]
    if move.bridge:
        place[order] = move.bridge
        bridges.setdefault(move.bridge, {})[order] = move.leg


def _pairs(
    bridges: dict[str, dict[int, Leg]], place: dict[int, str]
) -> Iterator[tuple[tuple[int, int], tuple[Leg, Leg]]]:
    done: set[str] = set()
    for name in bridges:
        if name not in done:
            room = sorted(_room(name, bridges, place, done), key=lambda leg: leg.order)
            if len(room) <= _PARTY:
                for at, one in enumerate(room):
                    yield from (((one.order, other.order), (one, other)) for other in room[at + 1 :])


def _room(name: str, bridges: dict[str, dict[int, Leg]], place: dict[int, str], done: set[str]) -> Iterable[Leg]:
    """The parties that hear each other in this bridge and those that halves join to it."""
    waiting, parties = [name], dict[int, Leg]()
    done.add(name)
    while waiting:
        for leg in bridges[waiting.pop()].values():
            if leg.peer is None:
                party = leg.taken_by or leg
                parties[party.order] = party
                continue
            behind = place.get(leg.peer.order)
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
