"""What a B2BUA does on one side of a call after what it heard on the other: ties between two Call-IDs (`causality.py` has
those within one).

Which leg a B2BUA sends for which is asked twice, and not by one rule. Here the messages are those of one call, and only their order is open:
a tie that is wrong moves an arrow, and any clock overrules it. So the best guess is taken. Nothing but messages can be
asked: dialogs are read from messages in order, and so come later. `legs.parent` asks which of all of a customer's calls belong together, of
dialogs with their times; a tie that is wrong there shows one call's messages under another, so doubt ties nothing. What both
share is who the parties of an INVITE are (`identities.parties`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from ringback.sip.identities import Parties, parties
from ringback.sip.order.causality import BRIDGED, Fact, Key, Keys

_MOST = 64  # legs into one B2BUA that are looked at
_Leg = tuple[str, str]
"""Call-ID and From tag."""


def bridges(facts: Sequence[Fact]) -> Iterator[tuple[Fact, Keys]]:
    """What a B2BUA does on one side after what it heard on the other, where it is plain which two legs it connects.

    A leg that it calls out on belongs to the one it was called on with the same numbers, to the only one with the same
    callee, or to the only one. With other callees (a queue, a menu) nothing but the INVITEs is tied.
    """
    invites = [each for each in facts if each.is_initial and each.is_first]
    if len({each.call for each in invites}) < 2:
        return
    inward: dict[str, dict[_Leg, Fact]] = defaultdict(dict)
    outward: dict[tuple[str, _Leg], Fact] = {}
    for each in sorted(invites, key=lambda it: it.number):
        inward[each.dst][each.call, each.from_tag] = each
        if len(each.vias) == 1:
            outward.setdefault((each.src, (each.call, each.from_tag)), each)
    said = {each.place: parties(each.message) for each in invites}
    pairs = [
        (it, found)
        for (host, _), it in outward.items()
        if (found := _incoming(it, inward.get(host, {}), said)) is not None
    ]
    legs = _Bridges(pairs, said)
    for each in facts:
        yield each, legs.keys(each)


def _incoming(out: Fact, inward: dict[_Leg, Fact], said: Mapping[int, Parties]) -> Fact | None:
    """``said``: by the place of an INVITE."""
    others = [each for leg, each in inward.items() if leg[0] != out.call][:_MOST]
    same_callee = [each for each in others if said[each.place].dst == said[out.place].dst]
    same = [each for each in same_callee if said[each.place].src == said[out.place].src]
    fitting = same or same_callee or others
    return fitting[0] if len(fitting) == 1 else None


class _Bridges:
    def __init__(self, pairs: Sequence[tuple[Fact, Fact]], said: Mapping[int, Parties]) -> None:
        self._outs: dict[_Leg, list[tuple[str, _Leg]]] = defaultdict(list)
        self._in: dict[_Leg, tuple[str, _Leg]] = {}
        self._last_number = {}
        twins: dict[_Leg, list[_Leg]] = defaultdict(list)
        for out, it in pairs:
            leg, outer = (out.call, out.from_tag), (it.call, it.from_tag)
            self._outs[outer].append((out.src, leg))
            self._in[leg] = out.src, outer
            self._last_number[outer] = it.number
            if said[out.place].dst == said[it.place].dst:
                twins[outer].append(leg)
        self._twin = {outer: legs[0] for outer, legs in twins.items() if len(legs) == 1}
        self._twin |= {leg: outer for outer, leg in list(self._twin.items())}

    def keys(self, it: Fact) -> Keys:
        leg = it.call, it.from_tag
        if it.is_initial or it.method == "CANCEL":
            return self._asked(it, leg)
        if it.status and it.method == "INVITE" and it.status not in (100, 401, 407):
            return self._answered(it, leg)
        if it.method == "BYE" and not it.status:
            return self._hung_up(it)
        return Keys((), ())

    def _asked(self, it: Fact, leg: _Leg) -> Keys:
        if it.status:
            return Keys((), ())
        needs: tuple[Key, ...] = ()
        gives: tuple[Key, ...] = ()
        if leg in self._in and self._in[leg][0] == it.src:
            needs = ((BRIDGED, it.method, leg),)
        outs = self._outs.get(leg, [])
        if it.is_first and it.number == self._last_number.get(leg):
            gives = tuple((BRIDGED, it.method, out) for host, out in outs if host == it.dst)
        return Keys(gives, needs)

    def _answered(self, it: Fact, leg: _Leg) -> Keys:
        outer = self._in.get(leg)
        if outer is not None and outer[0] == it.dst and self._twin.get(leg) == outer[1] and it.is_first:
            return Keys(((BRIDGED, it.status, outer[1]),), ())
        if leg in self._outs and leg in self._twin and self._in[self._twin[leg]][0] == it.src:
            return Keys((), ((BRIDGED, it.status, leg),))
        return Keys((), ())

    def _hung_up(self, it: Fact) -> Keys:
        """By whoever is first: in a call both From and To tag may be that of its INVITE."""
        for leg in ((it.call, it.from_tag), (it.call, it.to_tag)):
            twin = self._twin.get(leg)
            if twin is not None:
                host = (self._in.get(leg) or self._in[twin])[0]
                if it.dst == host and it.is_first:
                    return Keys(((BRIDGED, "BYE", twin),), ())
                if it.src == host:
                    return Keys((), ((BRIDGED, "BYE", leg),))
        return Keys((), ())
