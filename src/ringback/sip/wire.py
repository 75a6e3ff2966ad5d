"""Packets back into IP packets as a network would have carried them, for capture files."""

import socket
import struct
from collections.abc import Iterator

from ringback.sip.frames import TCP, UDP
from ringback.sip.packet import Endpoint, Packet

MTU = 1500
_IPV4_HEADER, _IPV6_HEADER, _UDP_HEADER, _TCP_HEADER = 20, 40, 8, 20
_FRAGMENT = 44
_HOPS = 64
_WINDOW = 0xFFFF
_SYN, _PSH, _ACK = 2, 8, 16

Stream = tuple[Endpoint, Endpoint]


class Wire:
    """Makes IP packets; remembers TCP sequence numbers and IP identifications of one capture."""

    def __init__(self) -> None:
        self._identity = 0
        self._sent: dict[Stream, int] = {}

    def ip_packets(self, packet: Packet) -> Iterator[bytes]:
        """UDP as one datagram, in fragments beyond an MTU of 1,500; anything else as segments of a TCP stream.

        A UDP payload longer than a datagram can be is cut there. Raises OSError where an address is none, and
        ValueError where one end is IPv4 and the other IPv6.
        """
        if packet.transport.upper() == "UDP":
            yield from self._datagram(packet)
        else:
            yield from self._stream(packet)

    def _datagram(self, packet: Packet) -> Iterator[bytes]:
        src, dst = addresses(packet.src, packet.dst)
        room = 0xFFFF - _UDP_HEADER - (_IPV4_HEADER if len(src) == 4 else 0)
        payload = packet.payload[:room]
        length = _UDP_HEADER + len(payload)
        header = struct.pack("!3H", packet.src.port, packet.dst.port, length)
        # A checksum that comes to 0 is sent as all ones: 0 would say that there is none (RFC 768).
        total = checksum(_pseudo(src, dst, UDP, length) + header + b"\0\0" + payload) or 0xFFFF
        yield from self._ip(src, dst, UDP, header + struct.pack("!H", total) + payload)

    def _stream(self, packet: Packet) -> Iterator[bytes]:
        """RFC 9293: a handshake before the first message of a connection, an acknowledgement after each."""
        there, back = (packet.src, packet.dst), (packet.dst, packet.src)
        if there not in self._sent:
            yield from self._segment(there, _SYN)
            yield from self._segment(back, _SYN | _ACK)
            yield from self._segment(there, _ACK)
        room = MTU - _TCP_HEADER - (_IPV6_HEADER if ":" in packet.src.ip else _IPV4_HEADER)
        for start in range(0, len(packet.payload), room):
            yield from self._segment(there, _PSH | _ACK, packet.payload[start : start + room])
        yield from self._segment(back, _ACK)

    def _segment(self, stream: Stream, flags: int, data: bytes = b"") -> Iterator[bytes]:
        source, target = stream
        src, dst = addresses(source, target)
        sent = self._sent.get(stream, 0)
        heard = self._sent.get((target, source), 0) if flags & _ACK else 0
        self._sent[stream] = (sent + len(data) + bool(flags & _SYN)) & 0xFFFFFFFF
        header = struct.pack("!HHIIBBH", source.port, target.port, sent, heard, 5 << 4, flags, _WINDOW)
        total = checksum(_pseudo(src, dst, TCP, _TCP_HEADER + len(data)) + header + bytes(4) + data)
        yield from self._ip(src, dst, TCP, header + struct.pack("!HH", total, 0) + data)

    def _ip(self, src: bytes, dst: bytes, protocol: int, data: bytes) -> Iterator[bytes]:
        self._identity += 1
        if len(src) == 4:
            return _ipv4(src, dst, protocol, data, self._identity & 0xFFFF)
        return _ipv6(src, dst, protocol, data, self._identity & 0xFFFFFFFF)


def addresses(source: Endpoint, target: Endpoint) -> tuple[bytes, bytes]:
    src, dst = _packed(source.ip), _packed(target.ip)
    if len(src) != len(dst):
        raise ValueError(f"{source} and {target} are of two IP versions")
    return src, dst


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071). Sixteen-bit words added with end-around carry are the number modulo 65,535."""
    total = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    return 0xFFFF - (total % 0xFFFF or 0xFFFF) if total else 0xFFFF


def _packed(ip: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


def _pseudo(src: bytes, dst: bytes, protocol: int, length: int) -> bytes:
    """What UDP and TCP checksums cover besides (RFC 768, RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    return src + dst + struct.pack("!HH" if len(src) == 4 else "!II", protocol, length)


def _ipv4(src: bytes, dst: bytes, protocol: int, data: bytes, identity: int) -> Iterator[bytes]:
    room = (MTU - _IPV4_HEADER) // 8 * 8
    for start in range(0, len(data) or 1, room):
        part = data[start : start + room]
        place = start // 8 | (0x2000 if start + room < len(data) else 0)
        fields = (0x45, 0, _IPV4_HEADER + len(part), identity, place, _HOPS, protocol)
        total = checksum(struct.pack("!BBHHHBBH", *fields, 0) + src + dst)
        yield struct.pack("!BBHHHBBH", *fields, total) + src + dst + part


def _ipv6(src: bytes, dst: bytes, protocol: int, data: bytes, identity: int) -> Iterator[bytes]:
    if len(data) <= MTU - _IPV6_HEADER:
        yield struct.pack("!IHBB", 6 << 28, len(data), protocol, _HOPS) + src + dst + data
        return
    room = (MTU - _IPV6_HEADER - 8) // 8 * 8
    for start in range(0, len(data), room):
        part = data[start : start + room]
        header = struct.pack("!BBHI", protocol, 0, start | (start + room < len(data)), identity)
        yield (struct.pack("!IHBB", 6 << 28, 8 + len(part), _FRAGMENT, _HOPS) + src + dst + header + part)
