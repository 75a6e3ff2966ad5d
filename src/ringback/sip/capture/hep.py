"""HEP, the Homer encapsulation protocol, versions 1 to 3: a captured packet with its addresses and its time.

Version 3 is a list of chunks (HEP3 network protocol specification, revision 12, sections 1 to 5); versions 1 and 2 are a
fixed header of 16 bytes (IPv4) or 40 (IPv6), to which version 2 adds 12 bytes with the time and the capture id.
"""

import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ringback.sip.packet import Endpoint, Packet, endpoint

SIP, RTCP, RTCP_JSON, QUALITY_REPORT = 1, 5, 35, 99
"""Protocol types (chunk 11) that we read. 5 is JSON in practice, binary by the book; 99 is vq-rtcpxr (RFC 6035)."""

LONGEST = 65_535
"""Of a HEP packet, whose length has 16 bits, and of what a compressed payload may become."""

_END_US = 1_000_000 << 32
"""Beyond what a capture file can say."""
_MAGIC = b"HEP3"
_GENERIC = 0
_TRANSPORTS = {6: "TCP", 17: "UDP", 132: "SCTP"}
_INET, _INET6 = 2, 10
_OTHER_INET6 = (28, 30)  # AF_INET6 of the BSDs
_CHUNK = struct.Struct("!HHH")

(
    _FAMILY,
    _TRANSPORT,
    _IPV4_SRC,
    _IPV4_DST,
    _IPV6_SRC,
    _IPV6_DST,
    _SRC_PORT,
    _DST_PORT,
    _SECONDS,
    _MICROSECONDS,
    _PROTOCOL,
    _CAPTURE_ID,
    _KEEPALIVE,
    _KEY,
    _PAYLOAD,
    _COMPRESSED,
    _CORRELATION,
) = range(1, 18)
_LENGTHS = {
    _FAMILY: 1,
    _TRANSPORT: 1,
    _IPV4_SRC: 4,
    _IPV4_DST: 4,
    _IPV6_SRC: 16,
    _IPV6_DST: 16,
    _SRC_PORT: 2,
    _DST_PORT: 2,
    _SECONDS: 4,
    _MICROSECONDS: 4,
    _PROTOCOL: 1,
}


class HepError(Exception):
    """No HEP that can be used; its text is the reason, of a small fixed set."""


class Captured(NamedTuple):
    """A packet as a capture agent saw it. `capture_id`: the agent's number, 0 without one. `key`: its password, empty
    without one. `correlation`: what ties it to others by the agent's word (a Call-ID, mostly); empty without."""

    packet: Packet
    protocol: int
    capture_id: int
    key: bytes
    correlation: str


def read(data: bytes, now_us: int) -> Captured:
    """One datagram, or one frame of a stream. `now_us`: the time of a version 1 packet, which brings none. HepError."""
    if data[:4] == _MAGIC:
        return _version_3(data)
    if data[:1] in (b"\x01", b"\x02"):
        return _version_1_or_2(data, now_us)
    raise HepError("not HEP")


class Frames:
    """The HEP 3 packets of a byte stream, in any split. Holds at most one unfinished packet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._wanted = 1
        """How many bytes there must be before it is worth while to look at them: a packet may come byte by byte."""

    @property
    def is_within(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._size)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The packets that are whole now. HepError for what is no HEP 3: nothing behind it can be found again."""
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return
        rest = b"".join(self._parts)
        at, length = 0, _length(rest, 0)
        while len(rest) - at >= length:
            yield rest[at : at + length]
            at += length
            length = _length(rest, at)
        self._parts, self._size, self._wanted = [rest[at:]], len(rest) - at, length


def _length(stream: bytes, at: int) -> int:
    """Of the packet that begins there; while its header is not there, one byte more than is."""
    head = stream[at : at + 6]
    if not _MAGIC.startswith(head[:4]):
        raise HepError("not HEP")
    if len(head) < 6:
        return len(head) + 1
    length = int.from_bytes(head[4:], "big")
    if length < 6:
        raise HepError("length impossible")
    return length


def _version_3(data: bytes) -> Captured:
    chunks = _chunks(data)
    get = chunks.get
    src, dst = _addresses(chunks)
    at_us = _number(chunks, _SECONDS) * 1_000_000 + _number(chunks, _MICROSECONDS)
    if at_us >= _END_US:
        raise HepError("chunk damaged")
    correlation = get(_CORRELATION)
    return Captured(
        Packet(at_us, _TRANSPORTS.get(get(_TRANSPORT, b"\x11")[0], "UDP"), src, dst, _payload(chunks)),
        get(_PROTOCOL, b"\x01")[0],
        int.from_bytes(get(_CAPTURE_ID, b"")[:4], "big"),
        get(_KEY, b""),
        correlation.decode("utf-8", "replace").strip("\0 \r\n")[:255] if correlation else "",
    )


def _chunks(data: bytes) -> dict[int, bytes]:
    """The generic chunks by type; those of vendors are passed over. A later one of a type replaces an earlier."""
    if len(data) < 6:
        raise HepError("packet cut")
    end = int.from_bytes(data[4:6], "big")
    if end > len(data):
        raise HepError("packet cut")
    head = _known_head(data)
    found, at = head if head is not None else _learned_head(data, end)
    while at < end:
        vendor, kind, length = _header(data, at, end)
        if vendor == _GENERIC:
            if kind in _LENGTHS and _LENGTHS[kind] != length - 6:
                raise HepError("chunk damaged")
            found[kind] = data[at + 6 : at + length]
        at += length
    return found


def _header(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    if at + 6 > end:
        raise HepError("chunk damaged")
    vendor, kind, length = _CHUNK.unpack_from(data, at)
    if length < 6 or at + length > end:
        raise HepError("chunk damaged")
    return vendor, kind, length


class _Head(NamedTuple):
    """The chunks of fixed length that an agent begins every packet with: all are read at once, by `values`."""

    values: struct.Struct
    headers: tuple[bytes, ...]
    kinds: tuple[int, ...]


_HEADS_MAX = 16
_heads: list[_Head] = []
"""Of the agents that send; the one that was right last comes first."""


def _known_head(data: bytes) -> tuple[dict[int, bytes], int] | None:
    """The chunks of the head and where it ends; None when it is none that was seen before."""
    for place, head in enumerate(_heads):
        if 6 + head.values.size > int.from_bytes(data[4:6], "big"):
            continue
        fields = head.values.unpack_from(data, 6)
        if fields[::2] == head.headers:
            if place:
                _heads[0], _heads[place] = head, _heads[0]
            return dict(zip(head.kinds, fields[1::2], strict=True)), 6 + head.values.size
    return None


def _learned_head(data: bytes, end: int) -> tuple[dict[int, bytes], int]:
    """Nothing read yet, after the head's layout has been noted for the next packet."""
    at, kinds, headers = 6, [], []
    while at < end:
        vendor, kind, length = _header(data, at, end)
        if vendor != _GENERIC or _LENGTHS.get(kind) != length - 6 or kind in kinds:
            break
        kinds.append(kind)
        headers.append(data[at : at + 6])
        at += length
    if kinds:
        values = struct.Struct("".join(f"6s{_LENGTHS[kind]}s" for kind in kinds))
        del _heads[_HEADS_MAX - 1 :]
        _heads.insert(0, _Head(values, tuple(headers), tuple(kinds)))
    return {}, 6


def _addresses(chunks: dict[int, bytes]) -> tuple[Endpoint, Endpoint]:
    get = chunks.get
    src, dst = get(_IPV4_SRC), get(_IPV4_DST)
    if src is None or dst is None:  # one of each is no packet that there can be
        src, dst = get(_IPV6_SRC), get(_IPV6_DST)
    if src is None or dst is None:
        raise HepError("addresses missing")
    src_port, dst_port = get(_SRC_PORT), get(_DST_PORT)
    if src_port is None or dst_port is None:
        raise HepError("ports or time missing")
    return _end(src, src_port), _end(dst, dst_port)


@lru_cache(maxsize=8192)
def _end(address: bytes, port: bytes) -> Endpoint:
    return endpoint(address, int.from_bytes(port, "big"))


def _number(chunks: dict[int, bytes], kind: int) -> int:
    try:
        return int.from_bytes(chunks[kind], "big")
    except KeyError:
        raise HepError("ports or time missing") from None


def _payload(chunks: dict[int, bytes]) -> bytes:
    if _PAYLOAD in chunks:
        return chunks[_PAYLOAD]
    if _COMPRESSED in chunks:
        return _inflated(chunks[_COMPRESSED])
    raise HepError("payload missing")


def _inflated(data: bytes) -> bytes:
    """zlib or gzip, whichever it is; never more than LONGEST, whatever was promised."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        payload = inflater.decompress(data, LONGEST)
    except zlib.error:
        raise HepError("compressed payload damaged") from None
    if not inflater.eof:
        raise HepError("compressed payload damaged or too large")
    return payload


def _version_1_or_2(data: bytes, now_us: int) -> Captured:
    if len(data) < 16:
        raise HepError("packet cut")
    version, header, family, protocol, src_port, dst_port = struct.unpack_from("!4B2H", data)
    size = 4 if family == _INET else 16 if family in (_INET6, *_OTHER_INET6) else 0
    fixed = 8 + 2 * size + (12 if version == 2 else 0)
    # Some agents leave the 12 bytes of version 2 out of the length, and some their two bytes of padding.
    if not size or header not in (fixed, fixed - 2, 8 + 2 * size) or len(data) < fixed:
        raise HepError("header damaged")
    src, dst = endpoint(data[8 : 8 + size], src_port), endpoint(data[8 + size : 8 + 2 * size], dst_port)
    at_us, capture_id = (now_us, 0) if version == 1 else _time_and_id(data, fixed - 12)
    payload = data[max(header, fixed - 2) :] if header != 8 + 2 * size else data[fixed:]
    packet = Packet(at_us, _TRANSPORTS.get(protocol, "UDP"), src, dst, payload)
    return Captured(packet, SIP, capture_id, b"", "")


def _time_and_id(data: bytes, at: int) -> tuple[int, int]:
    """Seconds, microseconds and the capture id stand in the sender's own byte order: the one that gives a µs below a million."""
    for order in "<>":
        seconds, microseconds, capture_id = struct.unpack_from(f"{order}2IH", data, at)
        if microseconds < 1_000_000:
            return seconds * 1_000_000 + microseconds, capture_id
    raise HepError("header damaged")
