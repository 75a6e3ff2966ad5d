"""SIP over TCP and WebSocket, out of the segments of a capture."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.capture.streams import RST, SYN, Segment, Streams
from ringback.sip.packet import Endpoint, Packet

A, B = Endpoint("192.0.2.1", 40_000), Endpoint("192.0.2.2", 5060)


def message(number: int, body: bytes = b"") -> bytes:
    head = f"MESSAGE sip:b@h SIP/2.0\r\nCall-ID: {number}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def segments(data: bytes, size: int, first: int = 1_000) -> list[Segment]:
    """What a sender makes of it, after its SYN."""
    return [Segment(A, B, (first + at) % 2**32, 16, data[at : at + size]) for at in range(0, len(data), size)]


def found(*given_: Segment, streams: Streams | None = None) -> list[Packet]:
    streams = Streams() if streams is None else streams
    packets = [packet for at_us, each in enumerate(given_) for packet in streams.add(at_us, each)]
    return [*packets, *streams.finish()]


def payloads(*given_: Segment) -> list[bytes]:
    return [packet.payload for packet in found(*given_)]


def test_several_messages_in_one_segment_and_one_in_several() -> None:
    sent = [message(1), message(2, b"x" * 5000), message(3, b"\r\n\r\n")]
    assert payloads(*segments(b"".join(sent), 1460)) == sent
    assert payloads(*segments(b"".join(sent), 100_000)) == sent


def test_the_length_may_stand_on_the_next_line() -> None:
    sent = [message(n, b"x" * 50).replace(b"Content-Length: ", b"l:\r\n\t ") for n in (1, 2)]
    assert payloads(*segments(b"".join(sent), 30)) == sent


def test_a_long_message_may_come_byte_by_byte() -> None:
    """Which copies no byte more than a few times: else this took minutes."""
    sent = [message(1, b"x" * 400_000), message(2)]
    assert payloads(*segments(b"".join(sent), 1)) == sent


def test_a_message_has_the_time_and_the_ends_of_its_first_byte() -> None:
    first, second = found(*segments(message(1) + message(2), 40))
    assert first == Packet(0, "TCP", A, B, message(1))
    assert second.at_us == len(message(1)) // 40


def test_keep_alives_are_no_messages() -> None:
    assert payloads(*segments(b"\r\n\r\n" + message(1) + b"\r\n\r\n\r\n" + message(2), 7)) == [message(1), message(2)]


@given(st.integers(1, 400), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_any_order_any_repetition_any_number_to_begin_with(size: int, first: int, chance: random.Random) -> None:
    sent = [message(number, b"b" * (number * 37 % 200)) for number in range(6)]
    parts = segments(b"".join(sent), size, first)
    shuffled = parts + chance.sample(parts, len(parts) // 3)
    chance.shuffle(shuffled)
    start = Segment(A, B, (first - 1) % 2**32, SYN, b"")
    if len(parts) < 200:
        assert payloads(start, *shuffled) == sent


def test_retransmissions_that_overlap_are_cut() -> None:
    data = message(1, b"abcdefghij") + message(2)
    parts = [Segment(A, B, 1_000 + at, 16, data[at : at + 60]) for at in range(0, len(data), 30)]
    assert payloads(*parts) == [message(1, b"abcdefghij"), message(2)]


def test_a_gap_costs_its_message_and_no_other() -> None:
    streams = Streams()
    parts = segments(b"".join(message(number) for number in range(2_000)), 100)
    del parts[3]
    missing = found(*parts, streams=streams)
    assert streams.lost == 1
    assert len(missing) > 1_990


@pytest.mark.parametrize("then", [(), (Segment(A, B, 900, RST, b""),), (Segment(A, B, 900, SYN, b""),)])
def test_what_comes_behind_a_gap_is_not_lost_where_the_connection_or_the_capture_ends(
    then: tuple[Segment, ...],
) -> None:
    streams = Streams()
    parts = [Segment(A, B, 100 * number, 16, message(number).ljust(100, b"\n")) for number in range(6)]
    packets = found(*parts[:2], *parts[3:5], *then, streams=streams)
    assert [packet.payload for packet in packets] == [message(number) for number in (0, 1, 3, 4)]
    assert streams.lost == 1


def test_a_capture_that_begins_within_a_message() -> None:
    data = message(1, b"the rest of a body\r\n") + message(2) + message(3)
    assert payloads(*segments(data[50:], 33)) == [message(2), message(3)]


def test_half_a_line_is_no_message() -> None:
    data = message(1, b"no line end") + message(2) + message(3)
    assert payloads(*segments(data[50:], 33)) == [message(3)]


def test_what_is_no_sip_is_counted() -> None:
    streams = Streams()
    assert found(*segments(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50, 90), streams=streams) == []
    assert streams.foreign == 1


def test_a_message_that_the_capture_cut_is_counted() -> None:
    streams = Streams()
    assert found(*segments(message(1) + message(2, b"body")[:-2], 30), streams=streams)[0].payload == message(1)
    assert streams.unfinished == 1


def test_a_new_connection_between_the_same_ends_begins_anew() -> None:
    first = [Segment(A, B, 9, SYN, b""), *segments(message(1), 20, 10), Segment(A, B, 500, RST, b"")]
    second = [Segment(A, B, 99, SYN, b""), *segments(message(2), 20, 100)]
    assert payloads(*first, *second) == [message(1), message(2)]


def frame(payload: bytes, *, final: bool = True, operation: int = 1, mask: bytes = b"") -> bytes:
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
    head = bytes([operation | (128 if final else 0), length[0] | (128 if mask else 0)]) + length[1:]
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return head + mask + masked


HANDSHAKE = b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n"


@pytest.mark.parametrize("size", [1, 3, 77, 100_000])
def test_websocket(size: int) -> None:
    long = message(2, b"z" * 3000)
    data = HANDSHAKE + frame(message(1), mask=b"\1\2\3\4") + frame(b"", operation=9, mask=b"abcd")
    data += frame(long[:100], final=False, mask=b"wxyz") + frame(long[100:], operation=0, mask=b"\0\0\0\1")
    packets = found(*segments(data, size))
    assert [(packet.transport, packet.payload) for packet in packets] == [("WS", message(1)), ("WS", long)]


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=60)), max_size=40), st.booleans())
def test_any_bytes_in_any_order_do_no_harm(parts: list[tuple[int, bytes]], websocket: bool) -> None:
    start = [Segment(A, B, 0, 16, HANDSHAKE)] if websocket else []
    found(*start, *(Segment(A, B, number, 16, data) for number, data in parts))


def test_memory_is_bounded() -> None:
    streams = Streams()
    for number in range(20_000):
        list(streams.add(number, Segment(Endpoint("192.0.2.1", number), B, 1, 16, b"INVITE")))
    assert len(streams._directions) <= 8_192
