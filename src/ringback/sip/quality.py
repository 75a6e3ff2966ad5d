"""How a call sounded, as the RTCP reports of its ends tell (RFC 3550 section 6.4.1)."""

from collections.abc import Iterable
from typing import NamedTuple

from ringback.sip.packet import Packet
from ringback.sip.rtcp import ReportBlock, reports
from ringback.sip.trace import RoundTrips


class Quality(NamedTuple):
    """Over all streams of a call. ``fraction_lost``: 0 to 1, the worst interval. ``lost``: packets, of the stream that
    lost most. ``jitter``: the most, in timestamp units (an eighth of a millisecond for 8 kHz codecs).
    ``round_trip_ms``: the longest; None where no report names a captured one.
    """

    reports: int
    fraction_lost: float
    lost: int
    jitter: int
    round_trip_ms: float | None


def quality(packets: Iterable[Packet]) -> Quality | None:
    """None where nobody reported how the other was heard."""
    blocks: list[ReportBlock] = []
    trips_us: list[int] = []
    clocks = RoundTrips()
    for packet in packets:
        for report in reports(packet.payload):
            clocks.sent(packet.at_us, report)
            blocks += report.blocks
            trips = (clocks.round_trip_us(packet.at_us, block) for block in report.blocks)
            trips_us += [trip_us for trip_us in trips if trip_us is not None]
    if not blocks:
        return None
    return Quality(
        reports=len(blocks),
        fraction_lost=round(max(block.fraction_lost for block in blocks), 4),
        lost=max(0, *(block.lost for block in blocks)),
        jitter=max(block.jitter for block in blocks),
        round_trip_ms=round(max(trips_us) / 1000, 3) if trips_us else None,
    )
