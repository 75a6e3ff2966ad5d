"""HEP: what capture agents send, and what anybody else does."""

import gzip
import socket
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.capture.hep import LONGEST, Captured, Frames, HepError, read
from ringback.sip.packet import Endpoint, Packet

SIP = b"OPTIONS sip:a@h SIP/2.0\r\nCall-ID: x\r\n\r\n"
AT_US = 1_795_322_203_123_456
V4 = Packet(AT_US, "UDP", Endpoint("192.0.2.1", 5060), Endpoint("192.0.2.2", 5062), SIP)
V6 = Packet(AT_US, "TCP", Endpoint("2001:db8::1", 5060), Endpoint("2001:db8::2", 5061), SIP)


def chunk(kind: int, value: bytes, vendor: int = 0) -> bytes:
    return struct.pack("!HHH", vendor, kind, 6 + len(value)) + value


def hep3(packet: Packet, *more: bytes, payload: bytes | None = None) -> bytes:
    """A packet as the specification's example has it."""
    family = socket.AF_INET6 if ":" in packet.src.ip else socket.AF_INET
    first = 5 if ":" in packet.src.ip else 3
    seconds, microseconds = divmod(packet.at_us, 1_000_000)
    chunks = (
        chunk(1, bytes([10 if first == 5 else 2])),
        chunk(2, bytes([{"UDP": 17, "TCP": 6}[packet.transport]])),
        chunk(first, socket.inet_pton(family, packet.src.ip)),
        chunk(first + 1, socket.inet_pton(family, packet.dst.ip)),
        chunk(7, struct.pack("!H", packet.src.port)),
        chunk(8, struct.pack("!H", packet.dst.port)),
        chunk(9, struct.pack("!I", seconds)),
        chunk(10, struct.pack("!I", microseconds)),
        chunk(11, b"\x01"),
        chunk(12, struct.pack("!I", 2001)),
        *more,
        chunk(15, packet.payload) if payload is None else payload,
    )
    body = b"".join(chunks)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


@pytest.mark.parametrize("packet", [V4, V6])
def test_version_3(packet: Packet) -> None:
    found = read(hep3(packet, chunk(14, b"secret"), chunk(17, b"call@host"), chunk(1, b"??", vendor=9)), 0)
    assert found == Captured(packet, 1, 2001, b"secret", "call@host")


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_a_compressed_payload(pack: object) -> None:
    assert callable(pack)
    assert read(hep3(V4, payload=chunk(16, pack(SIP))), 0).packet == V4


def test_a_bomb_is_refused() -> None:
    bomb = zlib.compress(bytes(100_000_000), 9)[:60_000]
    with pytest.raises(HepError, match="too large"):
        read(hep3(V4, payload=chunk(16, bomb)), 0)
    assert len(zlib.compress(bytes(LONGEST + 1))) < 100  # as small as that it can be


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packet", [V4, V6._replace(transport="UDP")])
def test_version_2(packet: Packet, order: str) -> None:
    family = socket.AF_INET6 if ":" in packet.src.ip else socket.AF_INET
    ends = b"".join(socket.inet_pton(family, end.ip) for end in (packet.src, packet.dst))
    length = 8 + len(ends) + 12
    head = struct.pack("!4B2H", 2, length, 10 if len(ends) > 8 else 2, 17, packet.src.port, packet.dst.port)
    time = struct.pack(f"{order}2IHxx", *divmod(AT_US, 1_000_000), 7)
    assert read(head + ends + time + SIP, 0) == Captured(packet, 1, 7, b"", "")


def test_version_1_has_the_time_of_its_arrival() -> None:
    head = struct.pack("!4B2H", 1, 16, 2, 17, 5060, 5062) + bytes([192, 0, 2, 1, 192, 0, 2, 2])
    assert read(head + SIP, AT_US) == Captured(V4, 1, 0, b"", "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not HEP"),
        (b"GET / HTTP/1.1\r\n", "not HEP"),
        (b"HEP3", "packet cut"),
        (b"HEP3\xff\xff", "packet cut"),
        (b"HEP3\x00\x0c" + b"\0\0\0\x0f\0\0", "chunk damaged"),  # a chunk of length 0 would never end
        (b"HEP3\x00\x0c" + b"\0\0\0\x0f\xff\xff", "chunk damaged"),
        (b"HEP3\x00\x06", "addresses missing"),
        (b"\x01\x10\x02", "packet cut"),
        (b"\x02\xff\x02\x11" + bytes(40), "header damaged"),
        (hep3(V4, payload=b""), "payload missing"),
        (
            hep3(V4, chunk(6, bytes(16))).replace(b"\0\0\0\x04\0\n", b"\0\t\0\x04\0\n"),
            "addresses missing",
        ),  # of two versions
        (hep3(V4, chunk(9, b"\xff" * 4), chunk(10, b"\xff" * 4)), "chunk damaged"),  # in no capture file
        (hep3(V4, chunk(7, b"\0")), "chunk damaged"),
        (hep3(V4, payload=chunk(16, b"no zlib")), "compressed payload damaged"),
    ],
)
def test_what_is_no_hep_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(HepError, match=reason):
        read(data, 0)


@given(st.binary(max_size=300), st.sampled_from([b"", b"HEP3", b"\x01\x10\x02\x11", b"\x02\x1c\x02\x11"]))
def test_any_bytes_are_read_or_refused(data: bytes, start: bytes) -> None:
    with suppress(HepError):
        assert len(read(start + data, 0).packet.payload) <= LONGEST


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 5))
def test_a_stream_in_any_split(sizes: list[int], n: int) -> None:
    stream = b"".join(hep3(V4._replace(at_us=AT_US + i)) for i in range(n))
    frames = Frames()
    found: list[bytes] = []
    for size in [*sizes, len(stream)]:
        found += frames.feed(stream[:size])
        stream = stream[size:]
    assert [read(each, 0).packet.at_us - AT_US for each in found] == list(range(n))


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n", b"HEP3\x00\x05xxxxxx", b"HEX"])
def test_a_stream_that_is_no_hep_is_told_at_once(garbage: bytes) -> None:
    frames = Frames()
    with pytest.raises(HepError):
        list(frames.feed(hep3(V4) + garbage))
