"""Simulated calls through a proxy and a B2BUA, with the true order of cause and effect.

A hop is sent at one true time and arrives at another. Who captures it sees it by a clock of its own, which may be wrong.
"""

import random
from collections import defaultdict
from itertools import count, pairwise
from typing import NamedTuple

from ringback.sip.packet import Endpoint, Packet

START_US = 1_795_341_600_000_000
HOSTS = {"uac": "192.0.2.1", "proxy": "192.0.2.2", "b2bua": "192.0.2.3", "uas": "192.0.2.4"}


class Hop(NamedTuple):
    """One message on its way from one host to the next; ``sent_us`` and ``came_us`` are true times."""

    src: str
    dst: str
    payload: bytes
    sent_us: int
    came_us: int


class Network:
    """Hosts handle one event after the other. What a host sends is an effect of what came to it last, unless it waited."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.hops: list[Hop] = []
        self.effects: list[tuple[int, int]] = []
        """Pairs of places: the first caused the second."""
        self._cause: dict[str, int] = {}
        self._now: dict[str, int] = defaultdict(lambda: START_US)
        self._branches = count(1)

    def branch(self) -> str:
        return f"z9hG4bK{next(self._branches):06}"

    def wait(self, host: str, least_us: int, most_us: int) -> None:
        self._now[host] += self._dice.randint(least_us, most_us)
        self._cause.pop(host, None)

    def send(self, src: str, dst: str, text: str) -> None:
        sent_us = self._now[src] = self._now[src] + self._dice.randint(1, 400)
        came_us = max(sent_us + self._dice.randint(1, 30_000), self._now[dst] + 1)
        self._now[dst] = came_us
        if src in self._cause:
            self.effects.append((self._cause[src], len(self.hops)))
        self._cause[dst] = len(self.hops)
        self.hops.append(Hop(src, dst, text.encode(), sent_us, came_us))

    def call_id(self, place: int) -> str:
        return self.hops[place].payload.decode().partition("Call-ID: ")[2].partition("\r\n")[0]

    def happened_before(self) -> list[tuple[int, int]]:
        """Pairs of places: the first came to the host that then sent the second, or the same host sent both."""
        events: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)
        for place, hop in enumerate(self.hops):
            events[hop.src].append((place, place, True))
            events[hop.dst].append((place, place, False))
        pairs = []
        for told in events.values():
            for at, (_, one, _) in enumerate(told):
                pairs += [(one, other) for _, other, is_sent in told[at + 1 :] if is_sent]
        return pairs


class Leg:
    """One Call-ID between two ends, through the hosts of ``path``."""

    def __init__(self, net: Network, call_id: str, path: list[str], caller: str, callee: str) -> None:
        self.net, self.call_id, self.path = net, call_id, path
        self.from_ = f"<sip:{caller}@example.com>;tag=from-{call_id}"
        self.to, self.to_tag = f"<sip:{callee}@example.com>", f";tag=to-{call_id}"
        self.callee = callee
        self._vias: dict[tuple[str, int, bool], list[str]] = {}

    def request(self, method: str, number: int, *, tagged: bool, back: bool = False, more: str = "") -> None:
        path = self.path[::-1] if back else self.path
        known = self._vias.get(("INVITE", number, back)) if method == "CANCEL" else None
        vias = known or [f"SIP/2.0/UDP {HOSTS[host]}:5060;branch={self.net.branch()}" for host in path[:-1]]
        self._vias[method, number, back] = vias
        for at, (src, dst) in enumerate(pairwise(path)):
            self._sent(
                src,
                dst,
                f"{method} sip:{self.callee}@{HOSTS[dst]} SIP/2.0",
                vias[at::-1],
                method,
                number,
                tagged,
                back,
                more,
            )

    def refused_ack(self, number: int, from_: int = 0) -> None:
        """Each hop acknowledges for itself what is no success, in the transaction of the INVITE."""
        src, dst = self.path[from_ : from_ + 2]
        vias = self._vias["INVITE", number, False][from_ : from_ + 1]
        self._sent(src, dst, f"ACK sip:{self.callee}@{HOSTS[dst]} SIP/2.0", vias, "ACK", number, True, False, "")

    def answer(
        self, status: int, method: str, number: int, *, at: int = -1, back: bool = False, more: str = ""
    ) -> None:
        """From the host ``at`` of the path back to who asked; refusals of INVITE are acknowledged hop by hop."""
        path = self.path[::-1] if back else self.path
        last = at % len(path)
        vias = self._vias[method, number, back]
        for place in range(last, 0, -1):
            self._sent(
                path[place],
                path[place - 1],
                f"SIP/2.0 {status} Whatever",
                vias[place - 1 :: -1] if place else [],
                method,
                number,
                status > 100,
                back,
                more,
            )
            if method == "INVITE" and status >= 300:
                self.refused_ack(number, place - 1)

    def trying(self, number: int) -> None:
        for place in range(1, len(self.path)):
            vias = self._vias["INVITE", number, False][place - 1 :: -1]
            self._sent(
                self.path[place], self.path[place - 1], "SIP/2.0 100 Trying", vias, "INVITE", number, False, False, ""
            )

    def _sent(
        self,
        src: str,
        dst: str,
        start: str,
        vias: list[str],
        method: str,
        number: int,
        tagged: bool,
        back: bool,
        more: str,
    ) -> None:
        from_, to = self.from_, self.to + (self.to_tag if tagged else "")
        if back:
            from_, to = to, from_
        lines = [
            start,
            *(f"Via: {via}" for via in vias),
            f"From: {from_}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
        ]
        lines += [more] if more else []
        self.net.send(src, dst, "\r\n".join([*lines, "Content-Length: 0", "", ""]))


def call(dice: random.Random) -> Network:
    """A call from uac over the proxy to the B2BUA, which calls the uas: answered, refused, or cancelled."""
    net = Network(dice)
    one = Leg(net, "one", ["uac", "proxy", "b2bua"], "101", "102")
    two = Leg(net, "two", ["b2bua", "uas"], "101", "102")
    number = 1
    one.request("INVITE", number, tagged=False)
    one.trying(number)
    if dice.random() < 0.5:
        one.answer(407, "INVITE", number)
        number += 1
        one.request("INVITE", number, tagged=False)
        one.trying(number)
    two.request("INVITE", 7, tagged=False)
    two.trying(7)
    net.wait("uas", 0, 3_000_000)
    reliable = dice.random() < 0.3
    two.answer(180, "INVITE", 7)
    one.answer(180, "INVITE", number, more="RSeq: 5" if reliable else "")
    if reliable:
        one.request("PRACK", number + 1, tagged=True, more=f"RAck: 5 {number} INVITE")
        one.answer(200, "PRACK", number + 1)
    dice.choice((_answered, _refused, _cancelled))(net, one, two, number, dice)
    return net


def _answered(net: Network, one: Leg, two: Leg, number: int, dice: random.Random) -> None:
    net.wait("uas", 0, 5_000_000)
    two.answer(200, "INVITE", 7)
    two.request("ACK", 7, tagged=True)
    one.answer(200, "INVITE", number)
    one.request("ACK", number, tagged=True)
    if dice.random() < 0.5:
        one.request("INVITE", number + 5, tagged=True)
        one.trying(number + 5)
        one.answer(200, "INVITE", number + 5)
        one.request("ACK", number + 5, tagged=True)
    net.wait("uac", 0, 5_000_000)
    net.wait("uas", 0, 5_000_000)
    if dice.random() < 0.5:
        one.request("BYE", number + 6, tagged=True)
        one.answer(200, "BYE", number + 6)
        two.request("BYE", 8, tagged=True)
        two.answer(200, "BYE", 8)
    else:
        two.request("BYE", 3, tagged=True, back=True)
        two.answer(200, "BYE", 3, back=True)
        one.request("BYE", 4, tagged=True, back=True)
        one.answer(200, "BYE", 4, back=True)


def _refused(net: Network, one: Leg, two: Leg, number: int, dice: random.Random) -> None:
    net.wait("uas", 0, 5_000_000)
    two.answer(486, "INVITE", 7)
    one.answer(486, "INVITE", number)


def _cancelled(net: Network, one: Leg, two: Leg, number: int, dice: random.Random) -> None:
    net.wait("uac", 0, 5_000_000)
    one.request("CANCEL", number, tagged=False)
    one.answer(200, "CANCEL", number)
    two.request("CANCEL", 7, tagged=False)
    one.answer(487, "INVITE", number)
    two.answer(200, "CANCEL", 7)
    two.answer(487, "INVITE", 7)


def seen(net: Network, agents: dict[str, int], skew_us: dict[str, int], tick_us: int) -> dict[int, Packet]:
    """What was seen of each hop, by its place. Hosts with an agent see what they send and what comes to them, at the
    time of their own clock, which moves a tick at a time."""
    found: dict[int, Packet] = {}
    for place, hop in enumerate(net.hops):
        times = [(host, at_us) for host, at_us in ((hop.src, hop.sent_us), (hop.dst, hop.came_us)) if host in agents]
        sightings = tuple((agents[host], (at_us + skew_us[host]) // tick_us * tick_us) for host, at_us in times)
        if sightings:
            src, dst = (Endpoint(HOSTS[host], 5060) for host in (hop.src, hop.dst))
            found[place] = Packet(sightings[0][1], "UDP", src, dst, hop.payload, sightings)
    return found
