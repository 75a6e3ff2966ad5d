"""The order of cause and effect among captured packets, whatever the clocks say that captured them.

What must come after what is told by SIP (`causality.py`; between the sides of a B2BUA `bridges.py`) and by each capture
agent's own clock, which only goes forward. From both follows how far the clocks are apart (`clocks.py`); messages that nothing
ties are laid by the times so corrected.
Where all of that contradicts itself the weaker gives way (`graph.py`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from ringback.sip.message import SipMessage, scan
from ringback.sip.order.bridges import bridges
from ringback.sip.order.causality import EMITTED, WEAK, Fact, Key, Keys, fact, keys
from ringback.sip.order.clocks import Clock, offsets
from ringback.sip.order.graph import CERTAIN, GUESSED, LIKELY, Graph
from ringback.sip.order.plain import is_plain
from ringback.sip.packet import Packet
from ringback.sip.reports import is_bare

Scanned = tuple[Packet, SipMessage | None]
"""A packet and what it says; None where it is no SIP (RTCP, RTP, STUN, keep-alives)."""

MOST_TIED = 64
"""Clocks that one rule compares, and messages that it ties across two legs."""
MOST_APART_US = 10_000_000
"""What likely ties may say about clocks."""

_Sightings = Sequence[tuple[Clock, int]]
_Sides = dict[Key, tuple[list[Fact], list[Fact]]]
"""By rule who gives it and who needs it."""


def causal(packets: Iterable[Packet]) -> list[Scanned]:
    """Every packet once, in causal order; what nothing orders by time, ties as given."""
    return _laid([(packet, _message(packet)) for packet in packets])


def each_call(packets: Iterable[Packet]) -> Iterator[Scanned]:
    """Call by call, each in causal order: what is enough to read many calls. What is no SIP comes last, by time."""
    calls: dict[str | None, list[Scanned]] = defaultdict(list)
    for packet in packets:
        message = _message(packet)
        calls[None if message is None else message.call_id].append((packet, message))
    others = calls.pop(None, [])
    for call in (*calls.values(), others):
        yield from _laid(call)


def _laid(seen: list[Scanned]) -> list[Scanned]:
    seen.sort(key=lambda one: one[0].at_us)
    if is_plain(seen):
        return seen
    facts = _facts(seen)
    certain = _sides(keys(facts))
    likely = _sides(bridges(facts)) | {key: certain.pop(key) for key in list(certain) if key[0] in WEAK}
    order = _Order(seen, certain, likely)
    return seen if order.is_by_time() else order.laid()


def _facts(seen: Sequence[Scanned]) -> list[Fact]:
    told: set[tuple[object, ...]] = set()
    found: list[Fact] = []
    for place, (packet, message) in enumerate(seen):
        if message is not None:
            same = packet.src, packet.dst, packet.payload
            one = fact(place, packet, message, same not in told)
            told.add(same)
            found += [one] if one is not None else []
    return found


def _sides(found: Iterable[tuple[Fact, Keys]]) -> _Sides:
    """Only rules that somebody gives and somebody needs."""
    gives: dict[Key, list[Fact]] = {}
    needs: dict[Key, list[Fact]] = {}
    for it, said in found:
        for key in said.gives:
            gives.setdefault(key, []).append(it)
        for key in said.needs:
            needs.setdefault(key, []).append(it)
    return {key: (givers, needs[key]) for key, givers in gives.items() if key in needs}


class _Order:
    """``seen``: by captured time."""

    def __init__(self, seen: Sequence[Scanned], certain: _Sides, likely: _Sides) -> None:
        self._seen, self._certain = seen, certain
        self._sightings = [_sightings(packet) for packet, _ in seen]
        self._likely = list(self._pairs(likely))

    def _pairs(self, likely: _Sides) -> Iterator[tuple[Fact, Fact]]:
        """Likely ties count only where no clock has seen one message before the other: it would know better."""
        for givers, needers in likely.values():
            for giver in givers[:MOST_TIED]:
                for needer in needers[:MOST_TIED]:
                    if self._is_open(giver, needer):
                        yield giver, needer

    def _is_open(self, one: Fact, other: Fact) -> bool:
        """Unknown clocks are taken for one."""
        if not one.packet.sightings or not other.packet.sightings:
            return False
        first, second = dict(one.packet.sightings), dict(other.packet.sightings)
        return all(first[clock] == second[clock] for clock in first.keys() & second.keys())

    def is_by_time(self) -> bool:
        """Whether the captured times contradict nothing."""
        certain = all(givers[-1].place < needers[0].place for givers, needers in self._certain.values())
        return certain and all(one.place < other.place for one, other in self._likely) and self._is_clockwise()

    def _is_clockwise(self) -> bool:
        last: dict[Clock, int] = {}
        for sightings in self._sightings:
            for clock, at_us in sightings:
                if last.get(clock, at_us) > at_us:
                    return False
                last[clock] = at_us
        return True

    def laid(self) -> list[Scanned]:
        graph = Graph(len(self._seen))
        for givers, needers in self._certain.values():
            self._tie(graph, givers, needers)
        for one, other in self._likely:
            graph.edge(one.place, other.place, GUESSED)
        self._chain(graph)
        apart = offsets(self._least())
        ranks = [(at_us + apart.get(clock, 0), place) for place, ((clock, at_us), *_) in enumerate(self._sightings)]
        return [self._seen[place] for place in graph.order(ranks)]

    def _tie(self, graph: Graph, givers: Sequence[Fact], needers: Sequence[Fact]) -> None:
        """Through a node of its own, so that there are no more edges than messages."""
        between = graph.node()
        for giver in givers:
            graph.edge(giver.place, between, CERTAIN)
        for needer in needers:
            graph.edge(between, needer.place, CERTAIN)

    def _chain(self, graph: Graph) -> None:
        """A clock's own order. At one instant it has none."""
        clocks: dict[Clock, list[tuple[int, int]]] = defaultdict(list)
        for place, sightings in enumerate(self._sightings):
            for clock, at_us in sightings:
                clocks[clock].append((at_us, place))
        for times in clocks.values():
            before: int | None = None
            for _, same in groupby(sorted(times), key=lambda each: each[0]):
                after = graph.node()
                for _, place in same:
                    if before is not None:
                        graph.edge(before, place, LIKELY)
                    graph.edge(place, after, LIKELY)
                before = after

    # -- what the clocks must be ----------------------------------------------------------------------------------------

    def _least(self) -> dict[tuple[Clock, Clock], int]:
        least: dict[tuple[Clock, Clock], int] = {}
        for key, (givers, needers) in self._certain.items():
            if key[0] not in EMITTED:
                self._bound(givers, needers, least)
        likely: dict[tuple[Clock, Clock], int] = {}
        for giver, needer in self._likely:
            self._bound([giver], [needer], likely)
        known = {frozenset(pair) for pair in least}
        likely = {pair: gap for pair, gap in likely.items() if frozenset(pair) not in known and gap <= MOST_APART_US}
        return least | likely

    def _bound(self, givers: Sequence[Fact], needers: Sequence[Fact], least: dict[tuple[Clock, Clock], int]) -> None:
        """The cause was there, on every clock that saw it, before any clock saw the effect."""
        latest = self._extremes(givers, max)
        earliest = self._extremes(needers, min)
        for one, given_us in list(latest.items())[:MOST_TIED]:
            for other, needed_us in list(earliest.items())[:MOST_TIED]:
                if one != other:
                    gap = given_us - needed_us
                    least[one, other] = max(least.get((one, other), gap), gap)

    def _extremes(self, facts: Iterable[Fact], extreme: Callable[[int, int], int]) -> dict[Clock, int]:
        found: dict[Clock, int] = {}
        for each in facts:
            for clock, at_us in self._sightings[each.place]:
                found[clock] = extreme(found.get(clock, at_us), at_us)
        return found


def _sightings(packet: Packet) -> _Sightings:
    return packet.sightings or [((packet.src.ip, packet.dst.ip), packet.at_us)]


def _message(packet: Packet) -> SipMessage | None:
    """Text is taken for SIP however damaged it is; reports on media, and bytes that no text starts with, are not."""
    first = packet.payload.lstrip(b"\r\n")[:1]
    if not b" " <= first <= b"~" or is_bare(packet.payload):
        return None
    return scan(packet.payload)
