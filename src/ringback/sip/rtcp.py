"""RTCP reports (RFC 3550 section 6): what each end says of what it sends and hears."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

SR, RR, SDES, BYE = 200, 201, 202, 203
_CNAME = 1


class ReportBlock(NamedTuple):
    """How one source is heard (section 6.4.1).

    ``fraction_lost``: 0 to 1 since the last report. ``lost``: packets since the start, negative with duplicates.
    ``jitter``: timestamp units. ``last_sr``: middle 32 bits of that report's NTP time, 0 when none came.
    ``delay_s``: from its arrival to this report.
    """

    ssrc: int
    fraction_lost: float
    lost: int
    jitter: int
    last_sr: int
    delay_s: float


class Report(NamedTuple):
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


def reports(payload: bytes) -> list[Report]:
    """The reports of a compound packet in order; kinds other than SR, RR, SDES and BYE by name alone."""
    return [_report(kind, count, body) for kind, count, body in _parts(payload)]


def _parts(payload: bytes) -> Iterator[tuple[int, int, bytes]]:
    start = 0
    while start + 8 <= len(payload):
        first, kind, words = struct.unpack_from("!BBH", payload, start)
        end = start + 4 * (words + 1)
        yield kind, first & 31, payload[start + 4 : end]
        start = end


def _report(kind: int, count: int, body: bytes) -> Report:
    if len(body) < 4:
        return Report(_name(kind), 0)
    (ssrc,) = struct.unpack_from("!I", body)
    if kind == SR and len(body) >= 24:
        ntp_s, ntp_fraction, _, packets, octets = struct.unpack_from("!5I", body, 4)
        ntp = (ntp_s & 0xFFFF) << 16 | ntp_fraction >> 16
        return Report("SR", ssrc, ntp, packets, octets, _blocks(body[24:], count))
    if kind == RR:
        return Report("RR", ssrc, blocks=_blocks(body[4:], count))
    if kind == SDES:
        return Report("SDES", ssrc, text=_cname(body[4:]))
    if kind == BYE:
        return Report("BYE", ssrc, text=_bye_reason(body[4 * count :]))
    return Report(_name(kind), ssrc)


def _blocks(body: bytes, count: int) -> tuple[ReportBlock, ...]:
    return tuple(_block(body[start : start + 24]) for start in range(0, min(24 * count, len(body) - 23), 24))


def _block(body: bytes) -> ReportBlock:
    ssrc, loss, _, jitter, last_sr, delay = struct.unpack("!6I", body)
    lost = loss & 0xFFFFFF
    return ReportBlock(ssrc, (loss >> 24) / 256, lost - (1 << 24 if lost >> 23 else 0), jitter, last_sr, delay / 65536)


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


def _name(kind: int) -> str:
    return {SR: "SR", RR: "RR", SDES: "SDES", BYE: "BYE", 204: "APP", 205: "RTPFB", 206: "PSFB", 207: "XR"}.get(
        kind, str(kind)
    )
