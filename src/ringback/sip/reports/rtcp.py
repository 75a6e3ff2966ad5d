"""RTCP reports (RFC 3550 section 6, RFC 3611): what each end says of what it sends and hears; round trips by them."""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ringback.sip.packet import MOST_PARTS

SR, RR, SDES, BYE, XR = 200, 201, 202, 203, 207
_CNAME = 1
_VOIP_METRICS = 7
_UNAVAILABLE = 127
_KINDS = {SR: "SR", RR: "RR", SDES: "SDES", BYE: "BYE", 204: "APP", 205: "RTPFB", 206: "PSFB", XR: "XR"}


class ReportBlock(NamedTuple):
    """How one source is heard (section 6.4.1).

    ``fraction_lost``: 0 to 1 since the last report. ``lost``: packets since the start, negative with duplicates.
    ``jitter``: timestamp units. ``last_sr``: middle 32 bits of that report's NTP time, 0 when none came.
    ``delay_s``: from its arrival to this report. ``highest``: sequence number, with its cycles.
    """

    ssrc: int
    fraction_lost: float
    lost: int
    jitter: int
    last_sr: int
    delay_s: float
    highest: int = 0


class VoiceMetrics(NamedTuple):
    """How one voice stream is heard, as its receiver computed it (RFC 3611 section 4.7, RFC 6035 section 4.6).

    ``loss``, ``discarded``: 0 to 1 of all packets. ``delay_ms``: within this end, one way. ``r``: 0 to 120 (G.107),
    ``mos_lq`` to listen, ``mos_cq`` to converse: 1 to 5. None: not said.
    """

    ssrc: int = 0
    loss: float | None = None
    discarded: float | None = None
    jitter_ms: float | None = None
    round_trip_ms: float | None = None
    delay_ms: float | None = None
    r: float | None = None
    mos_lq: float | None = None
    mos_cq: float | None = None


class RtcpReport(NamedTuple):
    """One RTCP packet of a compound. ``ntp``: middle 32 bits of the sender's time; SR only, as ``packets``, ``octets``.

    ``text``: the CNAME of an SDES, the reason of a BYE; empty when there is none.
    """

    kind: str
    ssrc: int
    ntp: int = 0
    packets: int = 0
    octets: int = 0
    blocks: tuple[ReportBlock, ...] = ()
    text: str = ""
    voice: tuple[VoiceMetrics, ...] = ()


class RoundTrips:
    """Round trips by the sender reports that went by (RFC 3550 section 6.4.1), as seen from where was captured.

    From a sender report to the report that names it, less what the other end says it waited. Both times are of the
    capture's clock, so no other clock needs to be right; beside the sender it is the whole round trip.
    """

    def __init__(self) -> None:
        self._sent_at_us: dict[tuple[int, int], int] = {}

    def sent(self, at_us: int, report: RtcpReport) -> None:
        if report.ntp:
            self._sent_at_us.setdefault((report.ssrc, report.ntp), at_us)

    def round_trip_us(self, at_us: int, block: ReportBlock) -> int | None:
        """None where the sender report was not captured. Agents that write its time in microseconds are a bit off."""
        near = (block.last_sr, block.last_sr - 1, block.last_sr + 1) if block.last_sr else ()
        times = (self._sent_at_us.get((block.ssrc, ntp)) for ntp in near)
        sent_at_us = next((at for at in times if at is not None), None)
        if sent_at_us is None:
            return None
        return max(at_us - sent_at_us - round(block.delay_s * 1_000_000), 0)


def reports(payload: bytes) -> list[RtcpReport]:
    """The reports of a compound packet in order; kinds other than SR, RR, SDES, BYE and XR by name alone."""
    return [_report(kind, count, body) for kind, count, body in islice(_parts(payload), MOST_PARTS)]


def _parts(payload: bytes) -> Iterator[tuple[int, int, bytes]]:
    start = 0
    while start + 8 <= len(payload):
        first, kind, words = struct.unpack_from("!BBH", payload, start)
        end = start + 4 * (words + 1)
        yield kind, first & 31, payload[start + 4 : end]
        start = end


def _report(kind: int, count: int, body: bytes) -> RtcpReport:
    if len(body) < 4:
        return RtcpReport(name(kind), 0)
    (ssrc,) = struct.unpack_from("!I", body)
    if kind == SR and len(body) >= 24:
        ntp_s, ntp_fraction, _, packets, octets = struct.unpack_from("!5I", body, 4)
        ntp = (ntp_s & 0xFFFF) << 16 | ntp_fraction >> 16
        return RtcpReport("SR", ssrc, ntp, packets, octets, _blocks(body[24:], count))
    if kind == RR:
        return RtcpReport("RR", ssrc, blocks=_blocks(body[4:], count))
    if kind == XR:
        return RtcpReport("XR", ssrc, voice=tuple(_voice(body[4:])))
    text = _cname(body[4:]) if kind == SDES else _bye_reason(body[4 * count :]) if kind == BYE else ""
    return RtcpReport(name(kind), ssrc, text=text)


def _blocks(body: bytes, count: int) -> tuple[ReportBlock, ...]:
    return tuple(_block(body[start : start + 24]) for start in range(0, min(24 * count, len(body) - 23), 24))


def _block(body: bytes) -> ReportBlock:
    ssrc, loss, highest, jitter, last_sr, delay = struct.unpack("!6I", body)
    return ReportBlock(ssrc, (loss >> 24) / 256, signed(loss & 0xFFFFFF), jitter, last_sr, delay / 65536, highest)


def signed(lost: int) -> int:
    """Of 24 bits."""
    return lost - (1 << 24 if lost >> 23 == 1 else 0)


def _voice(body: bytes) -> Iterator[VoiceMetrics]:
    """The VoIP metrics blocks of an extended report (RFC 3611 sections 3 and 4.7), 32 bytes each."""
    start = 0
    while start + 4 <= len(body):
        kind, _, words = struct.unpack_from("!BBH", body, start)
        if kind == _VOIP_METRICS and words == 8 and start + 36 <= len(body):
            yield _metrics(body[start + 4 : start + 36])
        start += 4 * (words + 1)


def _metrics(body: bytes) -> VoiceMetrics:
    ssrc, loss, discarded, trip_ms, delay_ms, r, lq, cq = struct.unpack("!IBB6xHH4xBxBB8x", body)
    return VoiceMetrics(
        ssrc=ssrc,
        loss=loss / 256,
        discarded=discarded / 256,
        round_trip_ms=trip_ms or None,
        delay_ms=delay_ms or None,
        r=None if r >= _UNAVAILABLE else r,
        mos_lq=lq / 10 if 10 <= lq <= 50 else None,
        mos_cq=cq / 10 if 10 <= cq <= 50 else None,
    )


def _cname(items: bytes) -> str:
    """The CNAME of the first chunk (section 6.5)."""
    start = 0
    while start + 2 <= len(items) and items[start]:
        text = items[start + 2 : start + 2 + items[start + 1]]
        if items[start] == _CNAME:
            return text.decode("utf-8", "replace")
        start += 2 + items[start + 1]
    return ""


def _bye_reason(rest: bytes) -> str:
    return rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else ""


def name(kind: int) -> str:
    return _KINDS.get(kind, str(kind))
