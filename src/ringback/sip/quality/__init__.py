"""How a call sounded, as the reports of its ends tell: RTCP (RFC 3550 section 6.4.1, RFC 3611), RFC 6035."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ringback.sip.dialogs.session import DST, SRC, MediaSession
from ringback.sip.packet import Packet
from ringback.sip.quality import heard
from ringback.sip.reports import reports
from ringback.sip.reports.rtcp import ReportBlock, RoundTrips
from ringback.sip.sdp import audio


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
    seen = RoundTrips()
    for packet in packets:
        for report in reports(packet.payload):
            seen.sent(packet.at_us, report)
            blocks += report.blocks
            trips = (seen.round_trip_us(packet.at_us, block) for block in report.blocks)
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


def measured(session: MediaSession) -> dict[str, Any] | None:
    """What is kept of the media of a session, for JSON: the attributes of Quality, None where nobody reported;
    ``codecs`` as agreed on; ``media``: for ``src`` and ``dst`` where it takes audio and the codecs that it offers;
    ``directions``: see heard.Direction. None where nothing is known of its media.
    """
    told = quality(session.rtcp)
    sides = {side: there for side in (SRC, DST) if (there := _side(session, side)) is not None}
    directions = heard.directions(session) if session.rtcp else []
    if told is None and not sides and not directions:
        return None
    return {
        **(Quality(0, 0, 0, 0, None)._asdict() if told is None else told._asdict()),
        "codecs": heard.codecs(session),
        "media": sides,
        "directions": [each.told() for each in directions],
    }


def _side(session: MediaSession, side: str) -> dict[str, Any] | None:
    if session.agreement is None:
        return None
    stream = next(audio(heard.description(session, side)), None)
    if stream is None:
        return None
    return {"address": str(stream.rtp), "codecs": list(stream.codecs), "direction": stream.direction}
