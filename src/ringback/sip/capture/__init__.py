"""Capture files: any pcap or pcapng in, classic pcap out."""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import dpkt

from ringback.sip.capture.frames import IP_IN_IP, TCP, UDP, Defragmenter, SkippedError, ip_packet, tcp, udp
from ringback.sip.capture.streams import Streams
from ringback.sip.capture.wire import Wire
from ringback.sip.packet import SECOND_US, Packet
from ringback.sip.reports import rtcp_json

_RECORD_MAX = 16 * 1024 * 1024
"""Longer than any frame or block of a sane file: what claims more is damaged and would only eat memory."""
_CHUNK = 1 << 18
_TIME_MAX_US = (1 << 32) * SECOND_US
"""What classic pcap can say; years that no calendar has come out of damaged files only."""
_FILE_HEADER = 24
_FORMATS = {
    magic[::step]: (order, ticks_per_us, header)
    for magic, ticks_per_us, header in (
        (b"\xa1\xb2\xc3\xd4", 1, 16),
        (b"\xa1\xb2\x3c\x4d", 1_000, 16),
        (b"\xa1\xb2\xcd\x34", 1, 24),
    )
    for step, order in ((1, ">"), (-1, "<"))
}
"""By the first four bytes of a pcap file: byte order, ticks of its clock in a µs, length of a record's header (the longer is of
some old Linux). The Internet draft draft-ietf-opsawg-pcap, section 4."""
_SECTION = b"\x0a\x0d\x0d\x0a"
_INTERFACE, _OLD_PACKET, _PACKET = 1, 2, 6
_LINKTYPE_RAW = 101
_TUNNELS_MAX = 4  # one within another

Record = tuple[int, int, bytes]
"""µs, link type, frame."""


@dataclass(slots=True)
class Report:
    """How reading went: packets given, how many of them the capture had cut short, frames left out by reason."""

    read: int = 0
    cut: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


FOREIGN = "not a pcap or pcapng file (unpack a compressed one first), or damaged"
"""The reason in a report when what was read, perhaps from the first byte on, is no capture."""


class _DamagedError(Exception):
    """The file cannot be read beyond this point; its text says why."""


class _Input:
    """A file that gives whole records or says that it is damaged. Read in chunks: records are short."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._chunk = file.read(_CHUNK)
        self._at = 0
        self.magic = self._chunk[:4]

    def read(self, size: int) -> bytes:
        """``size`` bytes; none at the end of the file."""
        if not 0 <= size <= _RECORD_MAX:
            raise _DamagedError("record of an impossible length")
        end = self._at + size
        if end > len(self._chunk):
            self._chunk = self._chunk[self._at :] + self._file.read(max(size, _CHUNK))
            self._at, end = 0, size
        data = self._chunk[self._at : end]
        self._at += len(data)
        if len(data) < size and data:
            raise _DamagedError("file ends inside a record")
        return data


class _Interface(NamedTuple):
    """``ticks_per_s`` and ``offset_s``: how its times are meant (pcapng section 4.2, if_tsresol, if_tsoffset)."""

    link_type: int
    ticks_per_s: int
    offset_s: int


def read(file: BinaryIO, report: Report | None = None) -> Iterator[Packet]:
    """The UDP packets and the SIP messages over TCP and WebSocket of a pcap or pcapng file, in its order.

    ``report`` counts what was left out and why.

    Never raises for what is in the file: a foreign, damaged or truncated one gives what came before the damage.
    """
    report = Report() if report is None else report
    reading = _Reading(report)
    try:
        for at_us, link_type, frame in _records(_Input(file)):
            for packet in reading.add(at_us, link_type, frame):
                report.read += 1
                yield packet
    except _DamagedError as damage:
        report.skipped[str(damage)] += 1
    for packet in reading.finish():
        report.read += 1
        yield packet


def write(packets: Iterable[Packet]) -> Iterator[bytes]:
    """A classic pcap file in pieces: microseconds, raw IP (link type 101), packets in the order given.

    Long UDP messages become IP fragments, other transports segments of TCP streams; see Wire.ip_packets. RTCP that came as
    JSON becomes RTCP again: in a capture file it would be taken for RTCP that is damaged.
    """
    wire = Wire()
    yield struct.pack("<IHHiIII", dpkt.pcap.TCPDUMP_MAGIC, 2, 4, 0, 0, 0x40000, _LINKTYPE_RAW)
    for packet in packets:
        seconds, microseconds = divmod(packet.at_us, SECOND_US)
        for frame in wire.ip_packets(_sent(packet)):
            yield struct.pack("<4I", seconds, microseconds, len(frame), len(frame)) + frame


def _sent(packet: Packet) -> Packet:
    report = rtcp_json.on_the_wire(packet.payload) if rtcp_json.is_json(packet.payload) else None
    return packet if report is None else packet._replace(payload=report)


class _Reading:
    """Frames in, messages out; what is on its way together between them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._defragmenter = Defragmenter()
        self._streams = Streams()

    def add(self, at_us: int, link_type: int, frame: bytes) -> Iterable[Packet]:
        try:
            if not 0 <= at_us < _TIME_MAX_US:
                raise SkippedError("impossible time")
            return self._of_ip(at_us, ip_packet(link_type, frame), depth=0)
        except SkippedError as reason:
            self._report.skipped[str(reason)] += 1
            return ()

    def _of_ip(self, at_us: int, packet: bytes, depth: int) -> Iterable[Packet]:
        datagram = self._defragmenter.add(at_us, packet)
        if datagram is None:
            return ()
        if datagram.protocol in IP_IN_IP and depth < _TUNNELS_MAX:
            return self._of_ip(at_us, datagram.data, depth + 1)
        if datagram.protocol == UDP:
            src, dst, payload, cut = udp(datagram)
            self._report.cut += cut
            return (Packet(at_us, "UDP", src, dst, payload),)
        if datagram.protocol == TCP:
            segment, cut = tcp(datagram)
            self._report.cut += cut
            return self._streams.add(at_us, segment)
        raise SkippedError("neither UDP nor TCP")

    def finish(self) -> Iterator[Packet]:
        """What waited for segments that the capture does not have; what else is missing is reported."""
        yield from self._streams.finish()
        missing = {
            "fragments missing": self._defragmenter.unfinished,
            "TCP segments missing": self._streams.lost,
            "TCP message without its end": self._streams.unfinished,
            "TCP connection without SIP": self._streams.foreign,
        }
        self._report.skipped.update({reason: n for reason, n in missing.items() if n})


def _records(file: _Input) -> Iterator[Record]:
    try:
        yield from _pcapng(file) if file.magic == _SECTION else _pcap(file)
    except (dpkt.Error, ValueError, struct.error) as error:
        raise _DamagedError(FOREIGN) from error


def _pcap(file: _Input) -> Iterator[Record]:
    """Of times in nanoseconds the last three digits are cut off."""
    if file.magic not in _FORMATS:
        raise _DamagedError(FOREIGN)
    order, ticks_per_us, size = _FORMATS[file.magic]
    # The upper bits of the field say how long frame check sequences are.
    link_type = struct.unpack_from(order + "I", file.read(_FILE_HEADER), 20)[0] & 0xFFFF
    header = struct.Struct(order + "3I")
    while head := file.read(size):
        seconds, ticks, length = header.unpack_from(head)
        yield seconds * SECOND_US + ticks // ticks_per_us, link_type, file.read(length)


def _pcapng(file: _Input) -> Iterator[Record]:
    """Every interface with its own link type and clock; dpkt's reader knows only one."""
    interfaces: list[_Interface] = []
    order = "<"
    while head := file.read(8):
        if head[:4] == _SECTION:
            order = _skip_section(file, head)
            interfaces = []
            continue
        kind, length = struct.unpack(order + "II", head)
        block = head + file.read(length - 8)
        if kind == _INTERFACE:
            interfaces.append(_interface(order, block))
        elif kind in {_PACKET, _OLD_PACKET}:
            yield _record(order, kind, block, interfaces)


def _skip_section(file: _Input, head: bytes) -> str:
    """Reads a section header to its end; the byte order of the section as ``struct`` writes it."""
    order = "<" if (mark := file.read(4)) == b"\x4d\x3c\x2b\x1a" else ">"
    if order == ">" and mark != b"\x1a\x2b\x3c\x4d":
        raise _DamagedError(FOREIGN)
    file.read(struct.unpack(order + "I", head[4:])[0] - 12)
    return order


def _interface(order: str, block: bytes) -> _Interface:
    kind = dpkt.pcapng.InterfaceDescriptionBlockLE if order == "<" else dpkt.pcapng.InterfaceDescriptionBlock
    description = kind(block)
    ticks_per_s, offset_s = SECOND_US, 0
    for option in description.opts:
        if option.code == dpkt.pcapng.PCAPNG_OPT_IF_TSRESOL:
            exponent = int.from_bytes(option.data[:1], "big")
            ticks_per_s = 2 ** (exponent & 127) if exponent & 128 else 10**exponent
        elif option.code == dpkt.pcapng.PCAPNG_OPT_IF_TSOFFSET:
            (offset_s,) = struct.unpack(order + "q", option.data)
    return _Interface(description.linktype, ticks_per_s, offset_s)


def _record(order: str, kind: int, block: bytes, interfaces: list[_Interface]) -> Record:
    """An Enhanced Packet Block or its predecessor, whose interface number has half the length (section 4.3)."""
    (number,) = struct.unpack_from(order + ("I" if kind == _PACKET else "H"), block, 8)
    high, low, length = struct.unpack_from(order + "3I", block, 12)
    if number >= len(interfaces):
        raise _DamagedError("packet of an unknown interface")
    link_type, ticks_per_s, offset_s = interfaces[number]
    at_us = (high << 32 | low) * SECOND_US // ticks_per_s + offset_s * SECOND_US
    return at_us, link_type, block[28 : 28 + length]
