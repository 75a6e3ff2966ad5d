"""A call as a ladder: its messages in causal order, each an arrow from one participant to another (RFC 3665 draws such).

This is what the diagram says; `svg.py` draws it.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from ringback.sip import sdp
from ringback.sip.causes import of_reason
from ringback.sip.headers import headers
from ringback.sip.holding import Holding
from ringback.sip.ladder.participants import Participant, Participants
from ringback.sip.message import CSeq, SipMessage, address, decoded, user_of
from ringback.sip.order import Scanned, causal
from ringback.sip.packet import Packet
from ringback.sip.quality import quality
from ringback.sip.reports import is_bare

MOST = 2_000
_LONGEST = 300  # characters of a label or summary
HOLD, RESUME = "hold", "resume"
_TO_SOMEBODY = frozenset({"INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH"})


class Outcome(StrEnum):
    """What an arrow is, and so how it is drawn."""

    REQUEST = "request"
    PROVISIONAL = "provisional"
    SUCCESS = "success"
    REDIRECT = "redirect"
    CLIENT_ERROR = "client error"
    SERVER_ERROR = "server error"  # 6xx too: nobody can be reached
    REPORTS = "RTCP reports"
    UNREADABLE = "not readable"


_BY_CLASS = (Outcome.PROVISIONAL, Outcome.SUCCESS, Outcome.REDIRECT, Outcome.CLIENT_ERROR, Outcome.SERVER_ERROR)


class Step(NamedTuple):
    """One arrow; of RTCP one for all reports between two participants until the next message.

    ``delta_us``: from the step before, as captured, so negative where clocks differ; None of the first. ``copy``: 2 for
    the first retransmission. ``leg``: which Call-ID, from 0; None of RTCP. ``change``: `HOLD`, `RESUME` or empty.
    """

    at_us: int
    delta_us: int | None
    source: int
    target: int
    outcome: Outcome
    label: str
    summary: str
    copy: int
    leg: int | None
    change: str
    packets: tuple[Packet, ...]


class Hold(NamedTuple):
    """The participant in this column held the call from one step to another; None: to the end of what was captured."""

    column: int
    first: int
    last: int | None


class Ladder(NamedTuple):
    """``legs``: Call-IDs in order. ``left_out``: messages beyond `MOST` steps. ``until_us``: when the last of all came."""

    participants: list[Participant]
    steps: list[Step]
    holds: list[Hold]
    legs: list[str]
    left_out: int
    until_us: int


def ladder(packets: Iterable[Packet]) -> Ladder:
    """Nothing captured gives an empty ladder."""
    seen = [one for one in causal(packets) if one[1] is not None or is_bare(one[0].payload)]
    participants = Participants(seen)
    drawing = _Drawing(participants, _Holding(seen))
    for step in drawing.steps_of(seen):
        drawing.add(step)
    until_us = max((packet.at_us for packet, _ in seen), default=0)
    return Ladder(
        participants.all(), drawing.steps, drawing.all_holds(), list(drawing.legs), drawing.left_out, until_us
    )


class _Drawing:
    """The steps so far, and what of them bears on those to come."""

    def __init__(self, participants: Participants, holding: "_Holding") -> None:
        self._participants = participants
        self.steps: list[Step] = []
        self.legs: dict[str, int] = {}
        self.left_out = 0
        self._copies: dict[tuple[object, ...], int] = {}
        self._offered: set[tuple[str, CSeq | None]] = set()
        self._holding = holding

    def add(self, step: Step) -> None:
        before = self.steps[-1].at_us if self.steps else None
        self.steps.append(step._replace(delta_us=None if before is None else step.at_us - before))

    def all_holds(self) -> list[Hold]:
        return self._holding.among(len(self.steps))

    def steps_of(self, seen: Iterable[Scanned]) -> Iterator[Step]:
        for is_sip, run in groupby(seen, key=lambda one: one[1] is not None):
            for one in [[one] for one in run] if is_sip else [list(run)]:
                if len(self.steps) >= MOST:
                    self.left_out += len(one)
                else:
                    yield from self._steps(one)

    def _steps(self, seen: list[Scanned]) -> Iterator[Step]:
        """Of one message, or of RTCP without a message between."""
        packet, message = seen[0]
        if message is None:
            yield from self._reports(packet for packet, _ in seen)
        else:
            yield self._message(packet, message)

    def _message(self, packet: Packet, message: SipMessage) -> Step:
        source, target = self._participants.column(packet.src), self._participants.column(packet.dst)
        assert source is not None and target is not None  # noqa: PT018 -- both have sent or got SIP
        same = packet.src, packet.dst, packet.payload
        copy = self._copies.get(same, 0) + 1
        self._copies[same] = copy
        leg = self.legs.setdefault(message.call_id, len(self.legs))
        change = self._holding.change(message, source, len(self.steps))
        summary = " · ".join(filter(None, self._summary(packet, message)))[:_LONGEST]
        label = _label(message)[:_LONGEST]
        return Step(packet.at_us, None, source, target, _outcome(message), label, summary, copy, leg, change, (packet,))

    def _reports(self, packets: Iterable[Packet]) -> Iterator[Step]:
        pairs: dict[tuple[int, int], list[Packet]] = {}
        for packet in packets:
            ends = self._participants.column(packet.src), self._participants.column(packet.dst)
            if ends[0] is not None and ends[1] is not None:
                pairs.setdefault((min(ends[0], ends[1]), max(ends[0], ends[1])), []).append(packet)
            else:
                self.left_out += 1
        for (source, target), found in pairs.items():
            label = f"RTCP, {len(found)} packets" if len(found) > 1 else "RTCP"
            at_us = found[0].at_us
            yield Step(at_us, None, source, target, Outcome.REPORTS, label, _heard(found), 1, None, "", tuple(found))

    # -- what a message says ------------------------------------------------------------------------------------------

    def _summary(self, packet: Packet, message: SipMessage) -> Iterator[str]:
        if _is_unreadable(message):
            yield decoded(packet.payload[:80]).strip().split("\n")[0]
            return
        yield self._media(message)
        yield of_reason(message.reason) or message.reason
        yield from _purpose(packet.payload, message)
        if message.malformed:
            yield "malformed"

    def _media(self, message: SipMessage) -> str:
        """Who offers and who answers: RFC 3264, with the exchanges of RFC 3261 section 13.2.1."""
        if b"v=0" not in message.body:
            return ""
        exchange = message.call_id, message.cseq
        if message.is_request:
            verb = "answers" if message.method == "ACK" else "offers"
            self._offered.add(exchange)
        else:
            verb = "answers" if exchange in self._offered else "offers"
        streams = sdp.streams(message.body)
        return f"{verb} {', '.join(_stream(stream, len(streams) > 1) for stream in streams) or 'no media'}"


class _Saying(NamedTuple):
    """A message, on whichever hop. ``tag``: of who says it."""

    call_id: str
    tag: str
    cseq: CSeq | None
    status: int


class _Holding:
    """Who holds which call, and which messages say so."""

    def __init__(self, seen: Iterable[Scanned]) -> None:
        self._changes: dict[_Saying, bool] = {}
        holding: Holding[_Saying] = Holding()
        for _, message in seen:
            if message is not None:
                self._changes |= {each.mark: each.is_held for each in holding.heard(message, _saying(message))}
        self._told: set[_Saying] = set()
        self._open: dict[tuple[str, str], Hold] = {}
        self._done: list[Hold] = []

    def change(self, message: SipMessage, column: int, step: int) -> str:
        """What this message makes of it. The same message passed on by a proxy says the same."""
        saying = _saying(message)
        is_held = self._changes.get(saying)
        if is_held is None:
            return ""
        if saying not in self._told:
            self._told.add(saying)
            self._begin_or_end(saying, is_held, column, step)
        return HOLD if is_held else RESUME

    def _begin_or_end(self, saying: _Saying, is_held: bool, column: int, step: int) -> None:
        who = saying.call_id, saying.tag
        if is_held:
            self._open[who] = Hold(column, step, None)
        elif who in self._open:
            self._done.append(self._open.pop(who)._replace(last=step))

    def among(self, steps: int) -> list[Hold]:
        """As far as these many steps show them."""
        found = [each for each in (*self._done, *self._open.values()) if each.first < steps]
        return [each if each.last is None or each.last < steps else each._replace(last=None) for each in found]


def _saying(message: SipMessage) -> _Saying:
    tag = message.from_tag if message.is_request else message.to_tag
    return _Saying(message.call_id, tag, message.cseq, message.status)


def _is_unreadable(message: SipMessage) -> bool:
    return not message.status and not message.request_uri


def _outcome(message: SipMessage) -> Outcome:
    if _is_unreadable(message):
        return Outcome.UNREADABLE
    return Outcome.REQUEST if message.is_request else _BY_CLASS[min(message.status // 100, 5) - 1]


def _label(message: SipMessage) -> str:
    if _is_unreadable(message):
        return "not readable as SIP"
    if not message.is_request:
        method = "" if message.method == "INVITE" else f" ({message.method})"
        return f"{message.status} {message.reason_phrase}{method}"
    if message.method == "REGISTER":
        return f"REGISTER {message.to.user}"
    if message.method in _TO_SOMEBODY and message.to.tag:
        return f"re-{message.method}"
    return f"{message.method} {user_of(message.request_uri)}" if message.method in _TO_SOMEBODY else message.method


def _stream(stream: sdp.Media, is_named: bool) -> str:
    words = [stream.kind] if is_named or stream.kind != "audio" else []
    words += stream.codecs
    words += [stream.direction] if stream.direction != "sendrecv" else []
    return " ".join(words)


def _purpose(payload: bytes, message: SipMessage) -> Iterator[str]:
    """Of a request or response what tells most of why it was sent."""
    if message.is_request and message.method == "REFER":
        yield f"to {_party(_header(payload, 'refer-to'))}"
    if message.is_request and message.method == "NOTIFY":
        event = _header(payload, "event").partition(";")[0]
        told = decoded(message.body[:120]).strip().split("\n")[0].strip() if event == "refer" else ""
        yield f"{event}: {told}" if told else event
    if message.replaces:
        yield "replaces another call"
    if 300 <= message.status < 400:
        yield f"to {_party(message.contact_text)}"
    if message.status >= 300:
        yield _header(payload, "warning")


def _party(text: str) -> str:
    found = address(text)
    return found.user or found.uri


def _header(payload: bytes, name: str) -> str:
    return next(iter(headers(payload).get(name, [])), "")


def _heard(packets: Iterable[Packet]) -> str:
    measured = quality(packets)
    if measured is None:
        return "no reception report"
    words = [f"lost {measured.lost}"] + ([f"{measured.fraction_lost:.1%} at worst"] if measured.fraction_lost else [])
    words.append(f"jitter {measured.jitter}")
    if measured.round_trip_ms is not None:
        words.append(f"round trip {measured.round_trip_ms:.0f} ms")
    return " · ".join(words)
