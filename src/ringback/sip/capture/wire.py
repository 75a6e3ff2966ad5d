"""Packets back into IP packets as a network would have carried them, for capture files."""

import socket
import struct
from collections.abc import Iterator

from ringback.sip.capture.frames import TCP, UDP
from ringback.sip.packet import Endpoint, Packet

MTU = 1500
_IPV4_HEADER, _IPV6_HEADER, _UDP_HEADER, _TCP_HEADER = 20, 40, 8, 20
_FRAGMENT = 44
_HOPS = 64
_WINDOW = 0xFFFF
_SYN, _PSH, _ACK = 2, 8, 16

_SIP_PORT = 5060
_WEB_PORTS = frozenset({80, 1900, 2710, 2869, 3128, 3132, 5985, 8080, 8088, 11371})
"""What Wireshark takes for HTTP whatever is in it (its preference `http.tcp.port`): SIP is seen there in a WebSocket only."""
_ASKS = (
    b"GET / HTTP/1.1\r\nHost: unknown\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_AGREES = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
)
"""The handshake of RFC 6455 section 1.3, for SIP (RFC 7118): without it nothing tells what the frames behind it are."""

Stream = tuple[Endpoint, Endpoint]


class Wire:
    """Makes IP packets; remembers TCP sequence numbers and IP identifications of one capture."""

    def __init__(self) -> None:
        self._identity = 0
        self._sent: dict[Stream, int] = {}
        self._clients: dict[Stream, Endpoint] = {}
        """Who opened a connection that is shown as a WebSocket."""

    def ip_packets(self, packet: Packet) -> Iterator[bytes]:
        """UDP as one datagram, in fragments beyond an MTU of 1,500; anything else as segments of a TCP stream, at ports of the
        web in frames of a WebSocket.

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
        there = packet.src, packet.dst
        if there not in self._sent:
            yield from self._opening(packet)
        payload = packet.payload
        if there in self._clients:
            payload = _frame(payload, is_masked=self._clients[there] == packet.src)
        yield from self._data(there, payload)

    def _opening(self, packet: Packet) -> Iterator[bytes]:
        """By who sends first, or to the port of the web."""
        there, back = (packet.src, packet.dst), (packet.dst, packet.src)
        server = _web_server(packet)
        if server == packet.src:
            there, back = back, there
        yield from self._segment(there, _SYN)
        yield from self._segment(back, _SYN | _ACK)
        yield from self._segment(there, _ACK)
        if server is not None:
            self._clients[there] = self._clients[back] = there[0]
            yield from self._data(there, _ASKS)
            yield from self._data(back, _AGREES)

    def _data(self, there: Stream, data: bytes) -> Iterator[bytes]:
        room = MTU - _TCP_HEADER - (_IPV6_HEADER if ":" in there[0].ip else _IPV4_HEADER)
        for start in range(0, len(data), room):
            yield from self._segment(there, _PSH | _ACK, data[start : start + room])
        yield from self._segment((there[1], there[0]), _ACK)

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


def _web_server(packet: Packet) -> Endpoint | None:
    """Wireshark looks at the lower port first; SIP's own is none of the web."""
    ends = sorted((packet.src, packet.dst), key=lambda end: end.port)
    is_sip = any(end.port == _SIP_PORT for end in ends)
    return None if is_sip else next((end for end in ends if end.port in _WEB_PORTS), None)


def _frame(payload: bytes, *, is_masked: bool) -> bytes:
    """RFC 6455 section 5.2: one binary frame. A client's is masked, with zeros: so its bytes stay as they are."""
    size, mark = len(payload), 0x80 if is_masked else 0
    if size < 126:
        length = bytes([size | mark])
    elif size <= 0xFFFF:
        length = struct.pack("!BH", 126 | mark, size)
    else:
        length = struct.pack("!BQ", 127 | mark, size)
    return b"\x82" + length + (bytes(4) if is_masked else b"") + payload


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
