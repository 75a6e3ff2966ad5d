"""Reports on media in all forms that capture agents bring: RTCP, RTCP as JSON, quality reports (RFC 6035)."""

from ringback.sip.packet import is_rtcp
from ringback.sip.reports import rtcp, rtcp_json, voice_reports
from ringback.sip.reports.rtcp import RtcpReport


def is_report(payload: bytes) -> bool:
    """Whether this is about how media came through, and no part of the signalling itself."""
    return is_bare(payload) or voice_reports.is_in(payload)


def is_bare(payload: bytes) -> bool:
    """Whether this is a report by itself, without a SIP message around it."""
    return is_rtcp(payload) or rtcp_json.is_json(payload) or voice_reports.is_bare(payload)


def reports(payload: bytes) -> list[RtcpReport]:
    """What an RTCP packet says, whatever form it is in."""
    if voice_reports.is_in(payload):
        return []
    return rtcp_json.reports(payload) if rtcp_json.is_json(payload) else rtcp.reports(payload)
