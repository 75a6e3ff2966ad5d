"""The text trace of a call: what was sent, when, from where to where."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from ringback.sip.message import decoded
from ringback.sip.order import causal
from ringback.sip.packet import Packet
from ringback.sip.reports import is_bare, reports, rtcp_json, voice_reports
from ringback.sip.reports.rtcp import ReportBlock, RoundTrips, RtcpReport

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text(packets: Iterable[Packet]) -> Iterator[str]:
    """In causal order every SIP message as it was sent, under a line of time (UTC), transport, source and
    destination, with a mark where it is malformed, and one line for every RTCP packet, with the JSON that it came as. Quality reports (RFC 6035) are shown as
    messages are. What is none of these is left out; nothing yields nothing.
    """
    trips = RoundTrips()
    for packet, message in causal(packets):
        if message is not None or voice_reports.is_bare(packet.payload):
            mark = " malformed" if message is not None and message.malformed else ""
            yield f"{_line(packet)}{mark}\n{_closed(decoded(packet.payload))}\n"
        elif is_bare(packet.payload):
            told = "; ".join(_report(packet.at_us, report, trips) for report in reports(packet.payload))
            source = f" {_printable(decoded(packet.payload))}" if rtcp_json.is_json(packet.payload) else ""
            yield f"{_line(packet)} RTCP {told}{source}\n\n"


def _line(packet: Packet) -> str:
    at = _EPOCH + timedelta(microseconds=packet.at_us)
    return f"{at:%Y-%m-%d %H:%M:%S.%f} {packet.transport} {packet.src} -> {packet.dst}"


def _closed(message: str) -> str:
    return message if message.endswith("\n") else message + "\n"


def _report(at_us: int, report: RtcpReport, trips: RoundTrips) -> str:
    trips.sent(at_us, report)
    words = [report.kind, f"ssrc={report.ssrc:#010x}"]
    if report.kind == "SR":
        words += [f"packets={report.packets}", f"octets={report.octets}"]
    if report.text:
        words.append(f"{'cname' if report.kind == 'SDES' else 'reason'}={_printable(report.text)}")
    return ", ".join([" ".join(words), *(_heard(at_us, block, trips) for block in report.blocks)])


def _heard(at_us: int, block: ReportBlock, trips: RoundTrips) -> str:
    line = f"of {block.ssrc:#010x} fraction_lost={block.fraction_lost:.1%} lost={block.lost} jitter={block.jitter}"
    round_trip_us = trips.round_trip_us(at_us, block)
    return line if round_trip_us is None else f"{line} round_trip={round_trip_us / 1000:.3f}ms"


def _printable(words: str) -> str:
    """One report stays one line whatever its text holds."""
    return "".join(one if one.isprintable() else "?" for one in words)
