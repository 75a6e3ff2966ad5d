"""Whether the messages of one Call-ID, by their times, are plainly in the order of cause and effect: as nearly all are, for
less than a tenth of what `causality.py` takes. What is not plain may be in order all the same."""

from collections.abc import Sequence

from ringback.sip.message import SipMessage
from ringback.sip.packet import Packet

_ASKED, _RANG, _OVER = range(3)
"""How far a request is: it was sent, or tried; something is known of it; there is a final answer."""
_Asked = tuple[str, int]
"""Whose request (From tag), and its CSeq number."""


def is_plain(seen: Sequence[tuple[Packet, SipMessage | None]]) -> bool:
    """Whether these, by time, are of one call and of one clock (or it is not known whose), and plainly in order."""
    clocks = {tuple(clock for clock, _ in packet.sightings) for packet, _ in seen}
    if len(clocks) != 1 or len(clock := clocks.pop()) > 1:
        return False
    if clock and len({packet.at_us for packet, _ in seen}) < len(seen):
        return False  # of two at one instant a clock says nothing: what is likely counts
    messages = [(packet, message) for packet, message in seen if message is not None]
    if len({message.call_id for _, message in messages}) > 1:
        return False
    plain = Plain()
    return all(plain.follows(packet, message) for packet, message in messages)


class Plain:
    """Takes the messages one after the other."""

    def __init__(self) -> None:
        self._stages: dict[str, tuple[int, int]] = {}
        """By From tag the number of its last request, and how far that is."""
        self._reached: dict[tuple[str, int, str, int], tuple[str, ...]] = {}
        """By message, whichever hop it was seen on: the hosts that have it."""
        self._answered: set[tuple[_Asked, str, str]] = set()
        self._refused: set[tuple[_Asked, str, str]] = set()
        self._acked: set[tuple[_Asked, str, str]] = set()
        """INVITEs with the way (from, to) that their final answers, and the ACKs of these, went back and forth."""
        self._are_acked: set[_Asked] = set()
        self._initial: set[_Asked] = set()
        self._is_in_dialog = False

    def follows(self, packet: Packet, message: SipMessage) -> bool:
        """Whether it plainly comes after all before it. A message without CSeq is tied to nothing."""
        if message.cseq is None:
            return True
        tag, number, status = message.from_tag, message.cseq.number, message.status
        way = packet.src.ip, packet.dst.ip
        if not self._is_of_one_hop(message, way) and not self._is_passed_on((tag, number, message.method, status), way):
            return False
        kind = self._response if status else self._request
        return kind((tag, number), way, message) and self._is_further(tag, number, _stage(message))

    def _is_of_one_hop(self, message: SipMessage, way: tuple[str, str]) -> bool:
        """RFC 3261 sections 16.7 and 17.1.1.3: a 100, and the ACK of a refusal."""
        if message.method == "ACK" and message.cseq is not None:
            return ((message.from_tag, message.cseq.number), *way) in self._refused
        return message.status == 100

    def _is_passed_on(self, copy: tuple[str, int, str, int], way: tuple[str, str]) -> bool:
        """A proxy sends on what it has: the hop before is there already."""
        hosts = self._reached.get(copy)
        if hosts is None:
            self._reached[copy] = way
            return True
        if way[1] not in hosts:
            self._reached[copy] = (*hosts, way[1])
        return way[0] in hosts

    def _is_further(self, tag: str, number: int, stage: int) -> bool:
        before = self._stages.get(tag)
        self._stages[tag] = number, stage
        return before is None or before <= (number, stage)

    def _request(self, asked: _Asked, way: tuple[str, str], message: SipMessage) -> bool:
        method = message.method
        if method == "ACK":
            self._acked.add((asked, *way))
            self._are_acked.add(asked)
            return (asked, *way) in self._answered
        if method == "INVITE" and not message.to_tag:
            self._initial.add(asked)
        elif method in ("INVITE", "BYE"):
            self._is_in_dialog = True
        return True

    def _response(self, asked: _Asked, way: tuple[str, str], message: SipMessage) -> bool:
        src, dst = way
        if message.status < 200 or message.method != "INVITE":
            return self._is_asked(asked, message.method, src, dst)
        self._answered.add((asked, dst, src))
        if message.status >= 300:
            self._refused.add((asked, dst, src))
            return (asked, dst, src) not in self._acked
        return asked not in self._are_acked and not (self._is_in_dialog and asked in self._initial)

    def _is_asked(self, asked: _Asked, method: str, src: str, dst: str) -> bool:
        """Where a stage does not tell: what answers came from where the request had gone."""
        hosts = self._reached.get((*asked, method, 0))
        return hosts is not None and src in hosts and dst in hosts


def _stage(message: SipMessage) -> int:
    if message.method == "ACK":
        return _OVER
    if message.method == "CANCEL":
        return _RANG
    if not message.status or message.status == 100:
        return _ASKED
    return _RANG if message.status < 200 else _OVER
