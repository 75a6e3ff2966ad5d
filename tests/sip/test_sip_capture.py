"""Capture files in and out. Frames are built here by hand, by the layouts of their RFCs."""

import io
import ipaddress
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.capture import Report, read, write
from ringback.sip.packet import Endpoint, Packet

A, B = Endpoint("192.0.2.1", 5060), Endpoint("192.0.2.2", 5061)
A6, B6 = Endpoint("2001:db8::1", 5060), Endpoint("2001:db8::2", 5061)
AT_US = 1_795_341_600_123_456


def udp(payload: bytes) -> bytes:
    return struct.pack("!4H", 5060, 5061, 8 + len(payload), 0) + payload


def ipv4(data: bytes, identity: int = 1, place: int = 0, options: bytes = b"") -> bytes:
    header = 20 + len(options)
    fields = struct.pack("!BBHHHBBH", 0x40 | header // 4, 0, header + len(data), identity, place, 64, 17, 0)
    return fields + socket.inet_aton(A.ip) + socket.inet_aton(B.ip) + options + data


def ipv6(data: bytes, extensions: bytes = b"", first: int = 17) -> bytes:
    ends = socket.inet_pton(socket.AF_INET6, A6.ip) + socket.inet_pton(socket.AF_INET6, B6.ip)
    return struct.pack("!IHBB", 6 << 28, len(extensions + data), first, 64) + ends + extensions + data


def pcap(link_type: int, *frames: bytes, order: str = "<", magic: int = 0xA1B2C3D4, fraction: int = 123_456) -> bytes:
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for frame in frames:
        file += struct.pack(order + "4I", AT_US // 1_000_000, fraction, len(frame), len(frame)) + frame
    return file


def opened(data: bytes) -> tuple[list[Packet], Report]:
    report = Report()
    return list(read(io.BytesIO(data), report)), report


SAYS_HI = Packet(AT_US, "UDP", A, B, b"hi")


@pytest.mark.parametrize(
    ("link_type", "head"),
    [
        pytest.param(1, bytes(12) + b"\x08\x00", id="Ethernet"),
        pytest.param(1, bytes(12) + b"\x81\x00\x00\x07\x08\x00", id="802.1Q"),
        pytest.param(1, bytes(12) + b"\x88\xa8\x00\x07\x81\x00\x00\x08\x08\x00", id="802.1ad"),
        pytest.param(113, bytes(14) + b"\x08\x00", id="Linux cooked"),
        pytest.param(276, b"\x08\x00" + bytes(18), id="Linux cooked v2"),
        pytest.param(276, b"\x81\x00" + bytes(18) + b"\x00\x07\x08\x00", id="Linux cooked v2, 802.1Q"),
        pytest.param(0, b"\x02\x00\x00\x00", id="BSD loopback"),
        pytest.param(108, b"\x00\x00\x00\x02", id="OpenBSD loopback"),
        pytest.param(101, b"", id="raw IP"),
        pytest.param(228, b"", id="raw IPv4"),
    ],
)
def test_link_layers(link_type: int, head: bytes) -> None:
    packets, report = opened(pcap(link_type, head + ipv4(udp(b"hi"))))
    assert packets == [SAYS_HI]
    assert (report.read, report.skipped) == (1, {})


def test_ethernet_padding_is_no_payload() -> None:
    assert opened(pcap(1, bytes(12) + b"\x08\x00" + ipv4(udp(b"hi")) + bytes(16)))[0] == [SAYS_HI]


def test_ipv4_options_and_ipv6_extensions() -> None:
    assert opened(pcap(101, ipv4(udp(b"hi"), options=bytes(8))))[0] == [SAYS_HI]
    chain = bytes([60, 0]) + bytes(6) + bytes([17, 1]) + bytes(14)  # hop-by-hop, then destination options
    assert opened(pcap(101, ipv6(udp(b"hi"), chain, first=0)))[0] == [Packet(AT_US, "UDP", A6, B6, b"hi")]


@pytest.mark.parametrize(
    ("order", "magic", "fraction"),
    [("<", 0xA1B2C3D4, 123_456), (">", 0xA1B2C3D4, 123_456), ("<", 0xA1B23C4D, 123_456_789)],
)
def test_byte_orders_and_nanoseconds(order: str, magic: int, fraction: int) -> None:
    assert opened(pcap(101, ipv4(udp(b"hi")), order=order, magic=magic, fraction=fraction))[0] == [SAYS_HI]


def test_fragments_in_any_order_and_twice() -> None:
    data = udp(bytes(range(64)))
    first, middle, last = (
        ipv4(data[:24], place=0x2000), ipv4(data[24:48], place=0x2000 | 3), ipv4(data[48:], place=6),
    )  # fmt: skip
    for order in ([first, middle, last], [last, first, middle], [middle, middle, last, last, first]):
        packets, report = opened(pcap(101, *order))
        assert [packet.payload for packet in packets] == [bytes(range(64))]
        assert report.skipped == {}


def test_what_is_left_out_is_counted() -> None:
    sctp = ipv4(b"x" * 20)[:9] + b"\x84" + ipv4(b"x" * 20)[10:]
    packets, report = opened(pcap(101, sctp, ipv4(udp(b"x"))[:24], b"garbage", ipv4(udp(bytes(16)), place=0x2000)))
    assert packets == []
    assert report.skipped == {"neither UDP nor TCP": 1, "UDP header cut": 1, "not IP": 1, "fragments missing": 1}
    assert opened(pcap(105, b"wireless"))[1].skipped == {"link type 105": 1}
    assert opened(pcap(1, bytes(12) + b"\x08\x06" + bytes(28)))[1].skipped == {"not IP": 1}


def test_a_packet_that_the_capture_cut_is_given_as_far_as_it_goes() -> None:
    packets, report = opened(pcap(101, ipv4(udp(b"INVITE sip:bob"))[:-4]))
    assert [packet.payload for packet in packets] == [b"INVITE sip"]
    assert (report.read, report.cut) == (1, 1)


def test_a_truncated_file_gives_what_came_before() -> None:
    whole = pcap(101, ipv4(udp(b"hi")), ipv4(udp(b"ho")))
    packets, report = opened(whole[:-3])
    assert packets == [SAYS_HI]
    assert report.skipped == {"file ends inside a record": 1}


@pytest.mark.parametrize(
    "data", [b"", b"\xd4\xc3", b"hello, world", b"PK\x03\x04" + bytes(40), b"\x0a\x0d\x0d\x0a" * 4]
)
def test_foreign_files(data: bytes) -> None:
    packets, report = opened(data)
    assert packets == []
    assert sum(report.skipped.values()) == 1


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, 12 + len(body)) + body + struct.pack(order + "I", 12 + len(body))


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link_type: int, *options: tuple[int, bytes]) -> bytes:
    body = struct.pack(order + "HHI", link_type, 0, 0)
    for code, value in options:
        body += struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
    return block(order, 1, body + (bytes(4) if options else b""))


def enhanced(order: str, number: int, ticks: int, frame: bytes) -> bytes:
    head = struct.pack(order + "5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(order, 6, head + frame)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_interfaces_of_their_own_kind_and_clock(order: str) -> None:
    frame, binary = ipv4(udp(b"hi")), AT_US // 1_000_000 << 10
    file = (
        section(order)
        + interface(order, 1)
        + interface(order, 101, (9, b"\x09"), (1, b"a comment"))
        + interface(order, 101, (9, b"\x8a"), (14, struct.pack(order + "q", 10)))
        + enhanced(order, 0, AT_US, bytes(12) + b"\x08\x00" + frame)
        + block(order, 5, bytes(8))  # interface statistics: skipped
        + enhanced(order, 1, AT_US * 1000 + 999, frame)
        + enhanced(order, 2, binary | 512, frame)
        + section("<" if order == ">" else ">")
    )
    packets, report = opened(file)
    assert [packet.at_us for packet in packets] == [AT_US, AT_US, (AT_US // 1_000_000 + 10) * 1_000_000 + 500_000]
    assert {packet.payload for packet in packets} == {b"hi"}
    assert report.skipped == {}


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from([b"", b"\x0a\x0d\x0d\x0a"]))
def test_any_bytes_are_read_as_far_as_they_go(noise: bytes, at: int, magic: bytes) -> None:
    opened(magic + noise)
    for whole in (
        pcap(101, ipv4(udp(b"hi")), ipv6(udp(b"ho"))),
        section("<") + interface("<", 1, (9, b"\x06")) + enhanced("<", 0, AT_US, bytes(40)),
    ):
        opened(whole[:at] + noise + whole[at + len(noise) :])


PORTS = st.integers(0, 65535)
PAYLOADS = st.binary(max_size=60) | st.integers(1400, 9000).map(lambda size: bytes(n % 251 for n in range(size)))


def pairs(family: int) -> st.SearchStrategy[tuple[Endpoint, Endpoint]]:
    version: st.SearchStrategy[ipaddress.IPv4Address | ipaddress.IPv6Address] = (
        st.ip_addresses(v=4) if family == socket.AF_INET else st.ip_addresses(v=6)
    )
    end = st.builds(lambda ip, port: Endpoint(socket.inet_ntop(family, ip.packed), port), version, PORTS)
    return st.tuples(end, end)


PACKETS = st.builds(
    lambda at_us, ends, payload: Packet(at_us, "UDP", ends[0], ends[1], payload),
    st.integers(0, (1 << 32) * 1_000_000 - 1),
    pairs(socket.AF_INET) | pairs(socket.AF_INET6),
    PAYLOADS,
)


@given(st.lists(PACKETS, max_size=5))
def test_what_is_written_reads_back_the_same(packets: list[Packet]) -> None:
    again, report = opened(b"".join(write(packets)))
    assert again == packets
    assert (report.cut, report.skipped) == (0, {})


def frames(data: bytes) -> Iterator[bytes]:
    place = 24
    while place < len(data):
        (length,) = struct.unpack_from("<I", data, place + 8)
        yield data[place + 16 : place + 16 + length]
        place += 16 + length


def ones_complement(data: bytes) -> int:
    """RFC 1071, the slow way."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(pairs(socket.AF_INET), st.binary(min_size=1, max_size=50), st.sampled_from(["UDP", "TCP"]))
def test_checksums_hold(ends: tuple[Endpoint, Endpoint], payload: bytes, transport: str) -> None:
    for frame in frames(b"".join(write([Packet(AT_US, transport, *ends, payload)]))):
        assert ones_complement(frame[:20]) == 0xFFFF
        pseudo = frame[12:20] + bytes([0, frame[9]]) + struct.pack("!H", len(frame) - 20)
        assert ones_complement(pseudo + frame[20:]) == 0xFFFF


@given(pairs(socket.AF_INET6), st.binary(min_size=1, max_size=50))
def test_ipv6_checksums_hold(ends: tuple[Endpoint, Endpoint], payload: bytes) -> None:
    for frame in frames(b"".join(write([Packet(AT_US, "UDP", *ends, payload)]))):
        assert ones_complement(frame[8:40] + struct.pack("!II", len(frame) - 40, 17) + frame[40:]) == 0xFFFF


@pytest.mark.parametrize("ends", [(A, B), (A6, B6)])
@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
def test_no_frame_is_longer_than_an_mtu(ends: tuple[Endpoint, Endpoint], transport: str) -> None:
    sizes = [len(frame) for frame in frames(b"".join(write([Packet(AT_US, transport, *ends, bytes(9000))])))]
    assert max(sizes) <= 1500
    assert len(sizes) >= 7


def test_longer_than_any_datagram_is_cut() -> None:
    for ends, room in (((A, B), 65_507), ((A6, B6), 65_527)):
        (packet,), _ = opened(b"".join(write([Packet(AT_US, "UDP", *ends, bytes(70_000))])))
        assert len(packet.payload) == room


def test_tcp_messages_are_one_stream_with_a_handshake() -> None:
    """Sequence numbers follow on, acknowledgements name what came: RFC 9293 section 3.4."""
    packets = [Packet(AT_US, "TCP", A, B, b"q" * 2000), Packet(AT_US, "TCP", B, A, b"r" * 10)]
    packets.append(Packet(AT_US, "TCP", A, B, b"s"))
    expected, said, flags = {A.ip: 0, B.ip: 0}, {A.ip: b"", B.ip: b""}, []
    for frame in frames(b"".join(write(packets))):
        src, dst = socket.inet_ntoa(frame[12:16]), socket.inet_ntoa(frame[16:20])
        sequence, acknowledged, _, bits = struct.unpack_from("!IIBB", frame, 24)
        assert sequence == expected[src]
        assert acknowledged == (expected[dst] if bits & 16 else 0)
        said[src] += frame[40:]
        expected[src] += len(frame) - 40 + bool(bits & 2)
        flags.append(bits)
    assert flags[:3] == [2, 18, 16]
    assert said == {A.ip: b"q" * 2000 + b"s", B.ip: b"r" * 10}


@pytest.mark.parametrize("ends", [(A, B), (A6, B6)])
def test_sip_over_tcp_comes_back_message_by_message(ends: tuple[Endpoint, Endpoint]) -> None:
    bodies = [b"", b"v=0\r\n" * 900, b"\r\n\r\n"]
    heads = [f"INFO sip:b@h SIP/2.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() for body in bodies]
    sent = [Packet(AT_US, "TCP", *ends, head + body) for head, body in zip(heads, bodies, strict=True)]
    packets, report = opened(b"".join(write(sent)))
    assert packets == sent
    assert report.skipped == {}


@pytest.mark.parametrize("port", [80, 8088])
@pytest.mark.parametrize("begins", [0, 1])
def test_at_ports_of_the_web_sip_stands_in_a_websocket(port: int, begins: int) -> None:
    """Wireshark would take it for HTTP that is malformed. `begins`: which side is heard first."""
    ends = Endpoint("192.0.2.1", 50_000), Endpoint("192.0.2.2", port)
    said = [b"INFO sip:b@h SIP/2.0\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size for size in (0, 9_000, 70_000)]
    sent = [
        Packet(AT_US + number, transport, ends[begins ^ number % 2], ends[1 ^ begins ^ number % 2], payload)
        for number, (transport, payload) in enumerate(zip(("TCP", "WS", "TCP"), said, strict=True))
    ]
    file = b"".join(write(sent))
    opening = b"".join(frame[40:] for frame in list(frames(file))[:5])
    assert opening.startswith(b"GET / HTTP/1.1\r\n")
    packets, report = opened(file)
    assert packets == [each._replace(transport="WS") for each in sent]
    assert report.skipped == {}


def test_beside_the_port_of_sip_no_port_is_one_of_the_web() -> None:
    info = b"INFO sip:b@h SIP/2.0\r\nContent-Length: 0\r\n\r\n"
    sent = [Packet(AT_US, "TCP", A, Endpoint("192.0.2.2", 8080), info)]
    assert opened(b"".join(write(sent)))[0] == sent


def test_ip_within_ip() -> None:
    inner = ipv4(udp(b"hi"))
    outer = ipv4(inner)[:9] + b"\x04" + ipv4(inner)[10:]
    twice = ipv4(outer)[:9] + b"\x04" + ipv4(outer)[10:]
    assert opened(pcap(101, outer, twice))[0] == [SAYS_HI, SAYS_HI]


def test_two_ip_versions_in_one_packet_are_refused() -> None:
    with pytest.raises(ValueError, match="two IP versions"):
        list(write([Packet(AT_US, "UDP", A, B6, b"")]))
