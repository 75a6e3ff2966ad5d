"""The text trace of a call: what was sent, when, from where to where."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from ringback.sip import rtcp_json, voice_reports
from ringback.sip.message import decoded
from ringback.sip.order import causal
from ringback.sip.packet import Packet
from ringback.sip.reports import is_bare, reports
from ringback.sip.rtcp import Report, ReportBlock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text(packets: Iterable[Packet]) -> Iterator[str]:
    """In causal order every SIP message as it was sent, under a line of time (UTC), transport, source and
    destination, and one line for every RTCP packet, with the JSON that it came as. Quality reports (RFC 6035) are shown as
    messages are. What is none of these is left out; nothing yields nothing.
    """
    clocks = RoundTrips()
    for packet, message in causal(packets):
        if message is not None or voice_reports.is_bare(packet.payload):
            yield f"{_line(packet)}\n{_closed(decoded(packet.payload))}\n"
        elif is_bare(packet.payload):
            told = "; ".join(_report(packet.at_us, report, clocks) for report in reports(packet.payload))
            source = f" {_printable(decoded(packet.payload))}" if rtcp_json.is_json(packet.payload) else ""
            yield f"{_line(packet)} RTCP {told}{source}\n\n"


class RoundTrips:
    """Round trips by the sender reports that went by (RFC 3550 section 6.4.1), as seen from where was captured.

    From a sender report to the report that names it, less what the other end says it waited. Both times are of the
    capture's clock, so no other clock needs to be right; beside the sender it is the whole round trip.
    """

    def __init__(self) -> None:
        self._sent_at_us: dict[tuple[int, int], int] = {}

    def sent(self, at_us: int, report: Report) -> None:
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


def _line(packet: Packet) -> str:
    at = _EPOCH + timedelta(microseconds=packet.at_us)
    return f"{at:%Y-%m-%d %H:%M:%S.%f} {packet.transport} {packet.src} -> {packet.dst}"


def _closed(message: str) -> str:
    return message if message.endswith("\n") else message + "\n"


def _report(at_us: int, report: Report, clocks: RoundTrips) -> str:
    clocks.sent(at_us, report)
    words = [report.kind, f"ssrc={report.ssrc:#010x}"]
    if report.kind == "SR":
        words += [f"packets={report.packets}", f"octets={report.octets}"]
    if report.text:
        words.append(f"{'cname' if report.kind == 'SDES' else 'reason'}={_printable(report.text)}")
    return ", ".join([" ".join(words), *(_heard(at_us, block, clocks) for block in report.blocks)])


def _heard(at_us: int, block: ReportBlock, clocks: RoundTrips) -> str:
    line = f"of {block.ssrc:#010x} fraction_lost={block.fraction_lost:.1%} lost={block.lost} jitter={block.jitter}"
    round_trip_us = clocks.round_trip_us(at_us, block)
    return line if round_trip_us is None else f"{line} round_trip={round_trip_us / 1000:.3f}ms"


def _printable(words: str) -> str:
    """One report stays one line whatever its text holds."""
    return "".join(one if one.isprintable() else "?" for one in words)
