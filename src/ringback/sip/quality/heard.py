"""How each side of a call heard the other: the reports of its ends, by direction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ringback.sip.dialogs.session import DST, SRC, MediaSession
from ringback.sip.packet import Endpoint, Packet
from ringback.sip.quality.mos import mos
from ringback.sip.reports import reports, voice_reports
from ringback.sip.reports.rtcp import ReportBlock, RoundTrips, RtcpReport, VoiceMetrics
from ringback.sip.sdp import Media, audio

_OTHER = {SRC: DST, DST: SRC}
_NO_SPEECH = frozenset({"telephone-event", "cn", "red"})
_USUAL_CLOCK = 8_000


class Direction(NamedTuple):
    """Audio from one side to the other, as its receiver reports. ``src`` is who called.

    ``lost``, ``packets``: None where no report said. ``loss``: 0 to 1 of all packets. ``jitter_ms`` mean of the reports,
    ``jitter_max_ms`` the most. ``round_trip_ms``: mean, both ways. ``mos``: our estimate (module mos), ``mos_reported``:
    what the receiver itself computed, to converse rather than to listen. None: nobody said.
    """

    from_: str
    to: str
    codec: str | None
    packets: int | None
    lost: int | None
    loss: float | None
    jitter_ms: float | None
    jitter_max_ms: float | None
    round_trip_ms: float | None
    mos: float | None
    mos_reported: float | None

    def told(self) -> dict[str, Any]:
        return {name.rstrip("_"): value for name, value in self._asdict().items()}


@dataclass(slots=True)
class _Stream:
    """One source as it is heard: the first and the last word on it."""

    first: ReportBlock
    last: ReportBlock
    fractions: list[float] = field(default_factory=list)

    def add(self, block: ReportBlock) -> None:
        self.last = block
        self.fractions.append(block.fraction_lost)


@dataclass(slots=True)
class _Heard:
    """What was said of one direction."""

    streams: dict[int, _Stream] = field(default_factory=dict)
    jitters: list[int] = field(default_factory=list)
    voice: list[VoiceMetrics] = field(default_factory=list)
    codec: str = ""

    def add(self, block: ReportBlock) -> None:
        self.streams.setdefault(block.ssrc, _Stream(block, block)).add(block)
        self.jitters.append(block.jitter)


def directions(session: MediaSession) -> list[Direction]:
    """Those of which somebody said something: from src to dst first."""
    listening = _Listening(session)
    for packet in session.rtcp:
        listening.add(packet)
    return list(listening.directions())


def codecs(session: MediaSession) -> list[str]:
    """That both sides have, as the callee orders them."""
    return [name for name, _ in _common(session, DST)]


def description(session: MediaSession, side: str) -> bytes:
    """The SDP of one side as agreed on; empty without."""
    if session.agreement is None:
        return b""
    offers = session.agreement.offerer == session.caller_tag
    return session.agreement.offer if offers == (side == SRC) else session.agreement.answer


class _Listening:
    """Reports in, directions out. Whose a report is, its addresses say; behind NAT, the source that it names."""

    def __init__(self, session: MediaSession) -> None:
        self._session = session
        self._heard = {SRC: _Heard(), DST: _Heard()}  # by who hears
        self._ends = _sides(session)
        self._sources: dict[int, str] = {}
        self._sent: dict[int, int] = {}
        self._trips = RoundTrips()
        self._trips_us: list[int] = []

    def add(self, packet: Packet) -> None:
        told = voice_reports.report(packet.payload)
        if told is not None:
            self._told(told)
            return
        side = self._ends.get(packet.src) or _OTHER.get(self._ends.get(packet.dst, ""), "")
        for report in reports(packet.payload):
            self._report(packet.at_us, report, side)

    def _told(self, told: voice_reports.VoiceReport) -> None:
        side = self._ends.get(told.end, "") if told.end else ""
        if not side and told.by_caller is not None:
            side = SRC if told.by_caller else DST
        for hears, metrics in ((side, told.local), (_OTHER.get(side, ""), told.remote)):
            if hears and metrics is not None:
                self._heard[hears].voice.append(metrics)
                self._heard[hears].codec = told.codec

    def _report(self, at_us: int, report: RtcpReport, side: str) -> None:
        self._trips.sent(at_us, report)
        if report.packets:
            self._sent[report.ssrc] = max(report.packets, self._sent.get(report.ssrc, 0))
        if side:
            self._sources.setdefault(report.ssrc, side)
        by = side or self._sources.get(report.ssrc, "")
        for block in report.blocks:
            hears = by or _OTHER.get(self._sources.get(block.ssrc, ""), "")
            if hears:
                self._heard[hears].add(block)
            trip_us = self._trips.round_trip_us(at_us, block)
            self._trips_us += [] if trip_us is None else [trip_us]
        if by:
            self._heard[by].voice += report.voice

    def directions(self) -> Iterator[Direction]:
        for hears in (DST, SRC):
            heard = self._heard[hears]
            if heard.streams or heard.voice:
                yield self._direction(heard, hears)

    def _direction(self, heard: _Heard, hears: str) -> Direction:
        common = _common(self._session, hears)
        codec, clock = common[0] if common else (heard.codec or None, 0)
        per_ms = (clock or _USUAL_CLOCK) / 1000
        voice = heard.voice[-1] if heard.voice else VoiceMetrics()
        jitter = _mean(heard.jitters) / per_ms if heard.jitters else voice.jitter_ms
        worst = max(heard.jitters) / per_ms if heard.jitters else jitter
        packets, lost, loss = self._loss(heard.streams)
        loss = voice.loss if loss is None else loss
        trip = _mean(self._trips_us) / 1000 if self._trips_us else voice.round_trip_ms
        estimate = None if loss is None else mos(codec or "", loss, jitter or 0, trip or 0)
        return Direction(
            from_=_OTHER[hears],
            to=hears,
            codec=codec,
            packets=packets,
            lost=lost,
            loss=_rounded(loss),
            jitter_ms=_rounded(jitter),
            jitter_max_ms=_rounded(worst),
            round_trip_ms=_rounded(trip),
            mos=estimate,
            mos_reported=voice.mos_cq or voice.mos_lq,
        )

    def _loss(self, streams: dict[int, _Stream]) -> tuple[int | None, int | None, float | None]:
        """Packets sent, lost, and the part that this is."""
        if not streams:
            return None, None, None
        lost = sum(max(each.last.lost, 0) for each in streams.values())
        sent = sum(self._sent.get(ssrc, 0) for ssrc in streams)
        if all(ssrc in self._sent for ssrc in streams):
            return sent, lost, min(lost / sent, 1.0)
        spans = [each.last.highest - each.first.highest for each in streams.values()]
        between = sum(each.last.lost - each.first.lost for each in streams.values())
        if min(spans) > 0:
            return None, lost, min(max(between / sum(spans), 0.0), 1.0)
        return None, lost, _mean([fraction for each in streams.values() for fraction in each.fractions])


def _sides(session: MediaSession) -> dict[Endpoint, str]:
    """Whose an address of audio is, with its RTCP; those that both sides name are nobody's."""
    found: dict[Endpoint, str] = {}
    for body, tag in session.described:
        side = SRC if tag == session.caller_tag else DST
        for stream in audio(body):
            for end in (stream.rtp, *stream.rtcp):
                found[end] = side if found.get(end, side) == side else ""
    return found


def _common(session: MediaSession, hears: str) -> list[tuple[str, int]]:
    """Name and clock of what one side hears: its own formats, in its order, that the other has too (RFC 3264 section 7)."""
    ours = next(audio(description(session, hears)), None)
    theirs = next(audio(description(session, _OTHER[hears])), None)
    if ours is None or theirs is None:
        return []
    there = {name.lower() for name, _ in _formats(theirs)}
    return [each for each in _formats(ours) if each[0].lower() in there]


def _formats(stream: Media) -> list[tuple[str, int]]:
    both = zip(stream.codecs, stream.clocks, strict=True)
    return [(name, clock) for name, clock in both if name.lower() not in _NO_SPEECH]


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)
