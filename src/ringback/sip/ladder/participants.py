"""Who takes part in a call: every address that SIP came from or went to, and what its messages say that it is."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ringback.sip import sdp
from ringback.sip.headers import hops
from ringback.sip.message import SipMessage
from ringback.sip.order import Scanned
from ringback.sip.packet import Endpoint

MOST = 12
_LONGEST = 100  # characters of a name
_MOST_OF_ADDRESS = 64  # participants at one address that a connection may belong to
_STREAMS = frozenset({"TCP", "TLS", "WS", "WSS", "SCTP"})
_BUILD = re.compile(r"\+\S+")
_OWN_OF_A_PROXY = (100, 407)


class Participant(NamedTuple):
    """``name``: its user agent, else its number or role. ``role``: ``caller 101``, ``phone 102`` (which is called and calls),
    ``proxy``, ``B2BUA``; empty where nothing tells."""

    name: str
    role: str
    address: str


class _Facts:
    """What is known of one participant."""

    def __init__(self, ends: Iterable[Endpoint]) -> None:
        self.ends = list(ends)
        self.agents: Counter[str] = Counter()
        self.forwards = False
        self.asks: dict[str, str] = {}
        """Call-ID of an INVITE that it sent → the number it calls from."""
        self.is_asked: dict[str, str] = {}
        """Call-ID of an INVITE that it got → the number that was called."""
        self.registers = self.is_registrar = False

    def participant(self) -> Participant:
        role = self._role()
        number = self._number(role)
        if not self.agents:
            return Participant(
                number or role[:1].upper() + role[1:] or "Unknown", role if number else "", self._address()
            )
        ((agent, _),) = self.agents.most_common(1)
        return Participant(_BUILD.sub("", agent)[:_LONGEST], f"{role} {number}".strip(), self._address())

    def _role(self) -> str:
        if self.forwards:
            return "proxy"
        if self.asks.keys() - self.is_asked.keys() and self.is_asked.keys() - self.asks.keys():
            return "B2BUA" if len(self._numbers()) > 1 else "phone"
        if self.asks or self.is_asked:
            return "caller" if self.asks else "callee"
        return "registrar" if self.is_registrar else "phone" if self.registers else ""

    def _numbers(self) -> set[str]:
        """A phone is called by the number that it calls from, a B2BUA by those of others."""
        return {*self.asks.values(), *self.is_asked.values()}

    def _number(self, role: str) -> str:
        numbers = {"caller": self.asks, "callee": self.is_asked, "phone": self.asks}.get(role, {})
        return next(iter(numbers.values()), "")[:_LONGEST]

    def _address(self) -> str:
        """Several ports of one address are its connections."""
        return str(self.ends[0]) if len(self.ends) == 1 else self.ends[0].ip


class Participants:
    """In the order of the call's flow, at most `MOST`; the last stands for all others where there are more."""

    def __init__(self, seen: Sequence[Scanned]) -> None:
        said = [(packet, message) for packet, message in seen if message is not None]
        groups = _joined(said)
        self._column = {end: number for number, ends in enumerate(groups) for end in ends}
        self._facts = [_Facts(ends) for ends in groups]
        self._media: dict[Endpoint, int] = {}
        for packet, message in said:
            self._learn(self._column[packet.src], self._column[packet.dst], message, packet.payload)

    def all(self) -> list[Participant]:
        found = [each.participant() for each in self._facts]
        if len(found) <= MOST:
            return found
        return [*found[: MOST - 1], Participant("Others", f"{len(found) - MOST + 1} participants", "")]

    def column(self, end: Endpoint) -> int | None:
        """Whose end this is: of signalling, of media that its SDP named, or of an address that is one participant's
        alone; None where nobody's."""
        found = self._column.get(end, self._media.get(end))
        if found is None:
            there = {number for known, number in self._column.items() if known.ip == end.ip}
            found = there.pop() if len(there) == 1 else None
        return None if found is None else min(found, MOST - 1)

    def _learn(self, src: int, dst: int, message: SipMessage, payload: bytes) -> None:
        for stream in sdp.streams(message.body) if b"v=0" in message.body else ():
            for end in (stream.rtp, *stream.rtcp):
                self._media.setdefault(end, src)  # first by its owner, then by whoever passes it on
        sender, receiver = self._facts[src], self._facts[dst]
        is_forwarded = message.is_request and sum(1 for _ in hops(payload)) > 1
        sender.forwards = sender.forwards or is_forwarded
        self._learn_agent(sender, message, is_forwarded)
        if message.is_request:
            _learn_role(sender, receiver, message)

    def _learn_agent(self, sender: _Facts, message: SipMessage, is_forwarded: bool) -> None:
        """A proxy passes on what the agents behind it are called."""
        agent = message.user_agent or message.server
        is_own = not is_forwarded if message.is_request else not sender.forwards or message.status in _OWN_OF_A_PROXY
        if agent and is_own:
            sender.agents[agent] += 1


def _learn_role(sender: _Facts, receiver: _Facts, message: SipMessage) -> None:
    if message.method == "INVITE" and not message.to.tag:
        sender.asks.setdefault(message.call_id, message.from_.user)
        receiver.is_asked.setdefault(message.call_id, message.to.user)
    elif message.method == "REGISTER":
        sender.registers = receiver.is_registrar = True


# -- one participant, several ports -------------------------------------------------------------------------------------


def _joined(said: Sequence[Scanned]) -> list[list[Endpoint]]:
    """The ends in order of appearance; those of one address that are connections of one agent together.

    Ports of one address stay apart where they are of datagrams, talk with one another, or are of different agents:
    two phones behind one NAT.
    """
    agents: dict[Endpoint, str] = {}
    streamed: set[Endpoint] = set()
    apart: set[str] = set()
    for packet, message in said:
        for end in (packet.src, packet.dst):
            agents.setdefault(end, "")
        agents[packet.src] = agents[packet.src] or (message.user_agent if message is not None else "")
        streamed.update((packet.src, packet.dst) if packet.transport in _STREAMS else ())
        apart.update((packet.src.ip,) if packet.src.ip == packet.dst.ip else ())
    groups: list[list[Endpoint]] = []
    of_address: dict[str, list[list[Endpoint]]] = defaultdict(list)
    for end, agent in agents.items():
        near = of_address[end.ip]
        may_join = end in streamed and end.ip not in apart
        known = next(_fitting(near[:_MOST_OF_ADDRESS], agent, agents), None) if may_join else None
        if known is None:
            groups.append([end])
            near.append(groups[-1])
        else:
            known.append(end)
    return groups


def _fitting(groups: Iterable[list[Endpoint]], agent: str, agents: dict[Endpoint, str]) -> Iterator[list[Endpoint]]:
    for group in groups:
        if not agent or next((found for each in group if (found := agents[each])), agent) == agent:
            yield group
