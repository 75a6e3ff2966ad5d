"""Capture files as dpkt reads them: nothing here is shared with `ringback.sip.capture`, which it checks."""

import io
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import dpkt

_LENGTH = re.compile(rb"\r\nContent-Length[ \t]*:[ \t]*(\d+)", re.I)


class Read(NamedTuple):
    """A whole datagram, or a SIP message of a TCP stream. `at_us`: of its last frame."""

    at_us: int
    transport: str
    src: tuple[str, int]
    dst: tuple[str, int]
    payload: bytes


class _Datagram(NamedTuple):
    src: str
    dst: str
    protocol: int
    data: bytes


def messages(file: bytes) -> list[Read]:
    return list(_messages(dpkt.pcap.Reader(io.BytesIO(file))))


def _messages(reader: Iterable[tuple[float, bytes]]) -> Iterator[Read]:
    parts: dict[tuple[str, str, int], bytes] = {}
    streams: dict[tuple[object, object], bytes] = {}
    for at_s, frame in reader:
        datagram = _whole(frame, parts)
        if datagram is None:
            continue
        at_us = round(at_s * 1_000_000)
        if datagram.protocol == dpkt.ip.IP_PROTO_UDP:
            udp = dpkt.udp.UDP(datagram.data)
            assert udp.ulen == len(datagram.data)
            yield Read(at_us, "UDP", (datagram.src, udp.sport), (datagram.dst, udp.dport), datagram.data[8:])
        else:
            segment = dpkt.tcp.TCP(datagram.data)
            ends = (datagram.src, segment.sport), (datagram.dst, segment.dport)
            found, streams[ends] = cut(streams.get(ends, b"") + segment.data)
            yield from (Read(at_us, "TCP", *ends, each) for each in found)
    assert not parts, "fragments without their last"
    assert not any(streams.values()), "streams that end within a message"


def _whole(frame: bytes, parts: dict[tuple[str, str, int], bytes]) -> _Datagram | None:
    """The datagram that this frame ends; fragments come in their order."""
    if frame[0] >> 4 == 4:
        ip = dpkt.ip.IP(frame)
        ends, protocol, data = (ip.src, ip.dst), ip.p, frame[ip.hl * 4 : ip.len]
        identity, place, more = ip.id, ip.offset * 8, bool(ip.mf)
    else:
        ip = dpkt.ip6.IP6(frame)
        ends, protocol, data, identity, place, more = (ip.src, ip.dst), ip.nxt, frame[40 : 40 + ip.plen], 0, 0, False
        if ip.nxt == dpkt.ip.IP_PROTO_FRAGMENT:
            head = dpkt.ip6.IP6FragmentHeader(data)
            protocol, data, identity = head.nxt, data[8:], head.id
            place, more = head.frag_off * 8, bool(head.m_flag)
    src, dst = (dpkt.utils.inet_to_str(each) for each in ends)
    before = parts.pop((src, dst, identity), b"") if place else b""
    assert len(before) == place
    if more:
        parts[src, dst, identity] = before + data
        return None
    return _Datagram(src, dst, protocol, before + data)


def cut(stream: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages that it begins with, and what is left."""
    found = []
    while length := _length(stream):
        found.append(stream[:length])
        stream = stream[length:]
    return found, stream


def _length(stream: bytes) -> int:
    """Of the message that the stream begins with; 0 when it is not whole."""
    end = stream.find(b"\r\n\r\n")
    found = _LENGTH.search(stream, 0, end) if end >= 0 else None
    length = end + 4 + (int(found[1]) if found else 0)
    return length if end >= 0 and length <= len(stream) else 0
