"""UDP datagrams and TCP segments out of captured frames: link layers, IPv4, IPv6, tunnels, and fragments put together."""

import struct
from collections.abc import Callable
from typing import NamedTuple

from ringback.sip.capture.streams import Segment
from ringback.sip.packet import Endpoint, endpoint

UDP, TCP = 17, 6
IP_IN_IP = frozenset({4, 41})
"""An IP packet within another (RFC 2003, RFC 4213)."""

_IPV4, _IPV6 = 0x0800, 0x86DD
_TAGS = frozenset({0x8100, 0x88A8, 0x9100})
_EXTENSIONS = frozenset({0, 43, 60, 135})
_FRAGMENT, _AUTHENTICATION = 44, 51

_STALE_US = 60_000_000
"""RFC 8200 section 4.5: fragments are given up after 60 seconds."""
_PENDING_MAX = 4096


class SkippedError(Exception):
    """A frame that holds no datagram for us; its text is the reason, of a small fixed set."""


class Datagram(NamedTuple):
    """What IP carried. ``cut``: the capture holds only its first bytes."""

    src: bytes
    dst: bytes
    protocol: int
    data: bytes
    cut: bool


class _Fragment(NamedTuple):
    key: tuple[bytes, bytes, int, int]
    start: int
    more: bool
    data: bytes


class _Pieces:
    """One datagram on its way together (RFC 791 section 3.2, RFC 8200 section 4.5)."""

    __slots__ = ("at_us", "length", "parts", "received")

    def __init__(self, at_us: int) -> None:
        self.at_us = at_us
        self.parts: dict[int, bytes] = {}
        self.received = 0
        self.length: int | None = None

    def add(self, fragment: _Fragment) -> None:
        if fragment.start not in self.parts:
            self.parts[fragment.start] = fragment.data
            self.received += len(fragment.data)
        if not fragment.more:
            self.length = fragment.start + len(fragment.data)

    def whole(self) -> bytes | None:
        """None while a part is missing. Where parts overlap the earlier bytes count."""
        if self.length is None or self.received < self.length:
            return None
        data = bytearray()
        for start in sorted(self.parts):
            if start > len(data):
                return None
            data += self.parts[start][len(data) - start :]
        return bytes(data[: self.length]) if len(data) >= self.length else None


class Defragmenter:
    """IP packets in, whole datagrams out. Holds at most 4,096 unfinished ones, each for at most 60 seconds."""

    def __init__(self) -> None:
        self._pending: dict[tuple[bytes, bytes, int, int], _Pieces] = {}
        self.lost = 0

    @property
    def unfinished(self) -> int:
        """Datagrams given up or still waiting for a fragment."""
        return self.lost + len(self._pending)

    def add(self, at_us: int, packet: bytes) -> Datagram | None:
        """None: a fragment whose datagram is not whole yet. Raises SkippedError for what is no IP packet."""
        found = _ipv6(packet) if packet[:1] and packet[0] >> 4 == 6 else _ipv4(packet)
        return self._assemble(at_us, found) if isinstance(found, _Fragment) else found

    def _assemble(self, at_us: int, fragment: _Fragment) -> Datagram | None:
        pieces = self._pending.get(fragment.key)
        if pieces is None or at_us - pieces.at_us > _STALE_US:
            self.lost += pieces is not None
            pieces = self._pending[fragment.key] = _Pieces(at_us)
        pieces.add(fragment)
        data = pieces.whole()
        if data is None:
            self._bound()
            return None
        del self._pending[fragment.key]
        src, dst, protocol, _ = fragment.key
        return Datagram(src, dst, protocol, data, cut=False)

    def _bound(self) -> None:
        if len(self._pending) > _PENDING_MAX:
            del self._pending[next(iter(self._pending))]
            self.lost += 1


def ip_packet(link_type: int, frame: bytes) -> bytes:
    """The IP packet in a frame of that link type (tcpdump.org/linktypes.html). Raises SkippedError."""
    unpack = _LINKS.get(link_type)
    if unpack is None:
        raise SkippedError(f"link type {link_type}")
    return unpack(frame)


def udp(datagram: Datagram) -> tuple[Endpoint, Endpoint, bytes, bool]:
    """Source, destination, payload, and whether the capture cut it (RFC 768). Raises SkippedError."""
    if len(datagram.data) < 8:
        raise SkippedError("UDP header cut")
    src_port, dst_port, length, _ = struct.unpack_from("!4H", datagram.data)
    src, dst = endpoint(datagram.src, src_port), endpoint(datagram.dst, dst_port)
    end = length if length >= 8 else len(datagram.data)
    return src, dst, datagram.data[8:end], datagram.cut or end > len(datagram.data)


def tcp(datagram: Datagram) -> tuple[Segment, bool]:
    """The segment, and whether the capture cut it (RFC 9293 section 3.1). Raises SkippedError."""
    if len(datagram.data) < 20:
        raise SkippedError("TCP header cut")
    src_port, dst_port, sequence, _, header, flags = struct.unpack_from("!HHIIBB", datagram.data)
    start = header >> 4 << 2
    if start < 20:
        raise SkippedError("TCP header damaged")
    src, dst = endpoint(datagram.src, src_port), endpoint(datagram.dst, dst_port)
    return Segment(src, dst, sequence, flags, datagram.data[start:]), datagram.cut


def _ethertype(frame: bytes, at: int, start: int) -> bytes:
    """What follows an EtherType at ``at`` whose payload is at ``start``, behind any 802.1Q and 802.1ad tags."""
    kind = int.from_bytes(frame[at : at + 2], "big")
    while kind in _TAGS:
        kind = int.from_bytes(frame[start + 2 : start + 4], "big")
        start += 4
    if kind not in {_IPV4, _IPV6}:
        raise SkippedError("not IP")
    return frame[start:]


_LINKS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda frame: frame[4:],  # BSD loopback: four bytes of address family before the packet
    108: lambda frame: frame[4:],
    1: lambda frame: _ethertype(frame, 12, 14),
    113: lambda frame: _ethertype(frame, 14, 16),  # Linux cooked
    276: lambda frame: _ethertype(frame, 0, 20),  # Linux cooked, version 2
    12: bytes,  # raw IP: 101 in files, 12 and 14 as some systems number it
    14: bytes,
    101: bytes,
    228: bytes,
    229: bytes,
}


def _ipv4(packet: bytes) -> Datagram | _Fragment:
    """RFC 791 section 3.1. A total length of 0 is how captures show segments that the network card will cut."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        raise SkippedError("not IP")
    total, identity, place = struct.unpack_from("!3H", packet, 2)
    header = 4 * (packet[0] & 15)
    if header < 20 or (total and total < header):
        raise SkippedError("IP header damaged")
    src, dst, protocol = packet[12:16], packet[16:20], packet[9]
    data, cut = packet[header : total or None], len(packet) < total
    if not place & 0x3FFF:
        return Datagram(src, dst, protocol, data, cut)
    if cut:
        raise SkippedError("fragment cut")
    return _Fragment((src, dst, protocol, identity), 8 * (place & 0x1FFF), bool(place & 0x2000), data)


def _ipv6(packet: bytes) -> Datagram | _Fragment:
    """RFC 8200 sections 3 and 4."""
    if len(packet) < 40:
        raise SkippedError("not IP")
    length, kind = struct.unpack_from("!HB", packet, 4)
    end = 40 + length if length else len(packet)
    src, dst, cut = packet[8:24], packet[24:40], len(packet) < end
    kind, start = _behind_extensions(packet, kind)
    if kind != _FRAGMENT:
        return Datagram(src, dst, kind, packet[start:end], cut)
    if cut or end < start + 8:
        raise SkippedError("fragment cut")
    kind, _, place, identity = struct.unpack_from("!BBHI", packet, start)
    return _Fragment((src, dst, kind, identity), place & 0xFFF8, bool(place & 1), packet[start + 8 : end])


def _behind_extensions(packet: bytes, kind: int) -> tuple[int, int]:
    """The first header that is no extension (or is the fragment header) and where it starts."""
    start = 40
    while kind in _EXTENSIONS or kind == _AUTHENTICATION:
        if start + 2 > len(packet):
            raise SkippedError("IP header damaged")
        words = packet[start + 1]
        kind, start = packet[start], start + (4 * (words + 2) if kind == _AUTHENTICATION else 8 * (words + 1))
    return kind, start
