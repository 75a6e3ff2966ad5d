"""RTCP as JSON, as Asterisk (res_hep_rtcp), rtpengine, and the capture agents of Homer send it in HEP packets.

One object a packet: ``type``, ``ssrc``, ``sender_information``, ``report_blocks``, ``report_blocks_xr``; fields are named
and scaled as on the wire (RFC 3550 section 6.4). Numbers may be texts, or negative where 32 bits were taken for signed.
"""

import json
import struct
from typing import Any

from ringback.sip.reports.rtcp import ReportBlock, RtcpReport, VoiceMetrics, name, signed

_EPOCH_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970."""
_MOST_BLOCKS = 31


def is_json(payload: bytes) -> bool:
    return payload[:1] == b"{"


def reports(payload: bytes) -> list[RtcpReport]:
    """The one report of an object; none of what cannot be read."""
    found = _object(payload)
    if not found:
        return []
    xr = found.get("report_blocks_xr")
    voice = (_voice(xr),) if isinstance(xr, dict) and xr else ()
    sent = _sent(found.get("sender_information"))
    blocks = _blocks(found.get("report_blocks"))
    return [RtcpReport(name(_bits(found.get("type"))), _bits(found.get("ssrc")), *sent, blocks, voice=voice)]


def on_the_wire(payload: bytes) -> bytes | None:
    """The packet that an object tells of: SR or RR with its report blocks (RFC 3550 sections 6.4.1, 6.4.2). None of what is no
    object with reports; extended reports stay out."""
    found = _object(payload)
    blocks, told = found.get("report_blocks"), found.get("sender_information")
    if not isinstance(blocks, list) and not isinstance(told, dict):
        return None
    given = blocks[:_MOST_BLOCKS] if isinstance(blocks, list) else []
    packed = [_packed(each) for each in given if isinstance(each, dict)]
    body = struct.pack("!I", _bits(found.get("ssrc"))) + _packed_sender(told) + b"".join(packed)
    kind = 200 if isinstance(told, dict) else 201
    return struct.pack("!BBH", 0x80 | len(packed), kind, len(body) // 4) + body


def _packed_sender(told: Any) -> bytes:
    if not isinstance(told, dict):
        return b""
    return struct.pack("!5I", *_ntp(told), *(_bits(told.get(name)) for name in ("rtp_timestamp", "packets", "octets")))


def _packed(told: dict[str, Any]) -> bytes:
    lost = min(_bits(told.get("fraction_lost")), 255) << 24 | _bits(told.get("packets_lost")) & 0xFFFFFF
    rest = (_bits(told.get(name)) for name in ("highest_seq_no", "ia_jitter", "lsr", "dlsr"))
    return struct.pack("!6I", _bits(told.get("source_ssrc")), lost, *rest)


def _object(payload: bytes) -> dict[str, Any]:
    """Empty for what has no report."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not found.keys() & {"report_blocks", "report_blocks_xr", "sender_information"}:
        return {}
    return found


def _blocks(told: Any) -> tuple[ReportBlock, ...]:
    """Asterisk sends blocks of zeros before it has heard anything."""
    blocks = told[:_MOST_BLOCKS] if isinstance(told, list) else []
    return tuple(_block(each) for each in blocks if isinstance(each, dict) and any(map(_bits, each.values())))


def _sent(told: Any) -> tuple[int, int, int]:
    """The middle 32 bits of the NTP time, packets, octets."""
    if not isinstance(told, dict):
        return 0, 0, 0
    seconds, fraction = _ntp(told)
    return (seconds & 0xFFFF) << 16 | fraction >> 16, _bits(told.get("packets")), _bits(told.get("octets"))


def _ntp(told: dict[str, Any]) -> tuple[int, int]:
    """Seconds since 1900 and the fraction in 32 bits. Asterisk writes seconds since 1970 and µs."""
    seconds, fraction = _bits(told.get("ntp_timestamp_sec")), _bits(told.get("ntp_timestamp_usec"))
    if 0 < seconds < _EPOCH_S:
        return seconds + _EPOCH_S & 0xFFFFFFFF, (fraction % 1_000_000 << 32) // 1_000_000
    return seconds, fraction


def _block(told: dict[str, Any]) -> ReportBlock:
    return ReportBlock(
        _bits(told.get("source_ssrc")),
        min(_bits(told.get("fraction_lost")), 255) / 256,
        signed(_bits(told.get("packets_lost")) & 0xFFFFFF),
        _bits(told.get("ia_jitter")),
        _bits(told.get("lsr")),
        _bits(told.get("dlsr")) / 65536,
        _bits(told.get("highest_seq_no")),
    )


def _voice(told: dict[str, Any]) -> VoiceMetrics:
    """What agents take over from a VoIP metrics block (RFC 3611 section 4.7): no marks."""
    return VoiceMetrics(
        ssrc=_bits(told.get("id")),
        loss=min(_bits(told.get("fraction_lost")), 255) / 256 if "fraction_lost" in told else None,
        discarded=min(_bits(told.get("fraction_discard")), 255) / 256 if "fraction_discard" in told else None,
        round_trip_ms=_bits(told.get("round_trip_delay")) or None,
        delay_ms=_bits(told.get("end_system_delay")) or None,
    )


def _bits(value: Any) -> int:
    """An unsigned number of 32 bits; 0 for what is none."""
    if isinstance(value, str) and len(value) < 12 and value.removeprefix("-").isdecimal():
        value = int(value)
    if isinstance(value, float) and abs(value) < 1 << 32:
        value = int(value)
    return value & 0xFFFFFFFF if isinstance(value, int) else 0
