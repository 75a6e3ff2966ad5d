"""The text trace, the causal order and RTCP reports."""

import random
import struct

from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.order import causal
from ringback.sip.packet import Endpoint, Packet
from ringback.sip.reports.rtcp import ReportBlock, RtcpReport, reports
from ringback.sip.trace import text

from .sip_flows import START_US, flow

A, B = Endpoint("192.0.2.101", 4001), Endpoint("2001:db8::1", 4003)

CALL = """
    0.0       alice > bob    INVITE      1
    0.000001  bob   > alice  100/INVITE  1
    2.5       bob   > alice  486/INVITE  1
    2.6       alice > bob    ACK         1  to-tag
"""


def sender_report(ssrc: int, ntp: int, *blocks: bytes) -> bytes:
    body = struct.pack("!I2I3I", ssrc, ntp >> 16 & 0xFFFF, ntp << 16 & 0xFFFFFFFF, 0, 250, 40_000) + b"".join(blocks)
    return struct.pack("!BBH", 0x80 | len(blocks), 200, len(body) // 4) + body


def receiver_report(ssrc: int, *blocks: bytes) -> bytes:
    return struct.pack("!BBHI", 0x80 | len(blocks), 201, 1 + 6 * len(blocks), ssrc) + b"".join(blocks)


def heard(ssrc: int, fraction: int, lost: int, jitter: int, last_sr: int = 0, delay: int = 0) -> bytes:
    return struct.pack("!6I", ssrc, fraction << 24 | lost & 0xFFFFFF, 7, jitter, last_sr, delay)


SDES = bytes.fromhex("81ca0004 00000001 01 09") + b"alice@atl" + bytes(1)
BYE = bytes.fromhex("81cb0003 00000001 05") + b"gone\n" + bytes(2)


def test_every_message_under_its_line() -> None:
    packets = flow(CALL)
    told = list(text(packets))
    assert told[0] == (
        "2026-11-22 10:00:00.000000 UDP 192.0.2.101:5060 -> 192.0.2.201:5060\n" + packets[0].payload.decode() + "\n"
    )
    assert [part.splitlines()[0][11:26] for part in told] == [
        "10:00:00.000000", "10:00:00.000001", "10:00:02.500000", "10:00:02.600000",
    ]  # fmt: skip


def test_one_line_for_every_rtcp_packet() -> None:
    sent = Packet(START_US, "UDP", A, B, sender_report(0x11, 0xABCD0001) + SDES)
    report = receiver_report(0x22, heard(0x11, 64, -3, 17, 0xABCD0001, 65536))
    answer = Packet(START_US + 1_040_500, "UDP", B, A, report + BYE)
    assert list(text([sent, answer])) == [
        "2026-11-22 10:00:00.000000 UDP 192.0.2.101:4001 -> [2001:db8::1]:4003 RTCP "
        "SR ssrc=0x00000011 packets=250 octets=40000; SDES ssrc=0x00000001 cname=alice@atl\n\n",
        "2026-11-22 10:00:01.040500 UDP [2001:db8::1]:4003 -> 192.0.2.101:4001 RTCP "
        "RR ssrc=0x00000022, of 0x00000011 fraction_lost=25.0% lost=-3 jitter=17 round_trip=40.500ms; "
        "BYE ssrc=0x00000001 reason=gone?\n\n",
    ]


def test_no_round_trip_without_the_sender_report() -> None:
    (line,) = text([Packet(START_US, "UDP", A, B, receiver_report(0x22, heard(0x11, 0, 0, 1, 5, 1)))])
    assert "round_trip" not in line


def test_malformed_sip_is_shown_and_other_traffic_is_not() -> None:
    others = [b"", b"\r\n\r\n", bytes([0x80, 0]) + bytes(20), b"\x00\x01\x00\x00\x21\x12\xa4\x42"]
    damaged = b"INVITE sip:b\xfcb SIP/2.0\r\nVia"
    told = list(text(Packet(START_US, "UDP", A, A, payload) for payload in [*others, damaged]))
    assert len(told) == 1
    assert told[0].endswith(" malformed\nINVITE sip:büb SIP/2.0\r\nVia\n\n")
    assert not any("malformed" in each for each in text(flow(CALL)))
    assert list(text([])) == []


def test_a_response_never_comes_before_its_request() -> None:
    packets = flow(CALL)
    late = [packets[0]._replace(at_us=packets[0].at_us + 5_000_000), *packets[1:]]
    assert [packet for packet, _ in causal(late)] == [packets[3], late[0], packets[1], packets[2]]


def test_ties_stay_as_they_came() -> None:
    tied = [packet._replace(at_us=START_US) for packet in flow(CALL)]
    assert [packet for packet, _ in causal(tied)] == tied


@given(st.randoms(use_true_random=False))
def test_causal_order_loses_nothing(order: random.Random) -> None:
    packets = [packet._replace(at_us=START_US + order.randrange(3)) for packet in flow(CALL) * 2]
    order.shuffle(packets)
    assert sorted(packet for packet, _ in causal(packets)) == sorted(packets)


def test_reports_of_a_compound_packet() -> None:
    block = ReportBlock(0x11, 0.5, 12, 99, 5, 0.5, 7)
    assert reports(sender_report(1, 7, heard(0x11, 128, 12, 99, 5, 32768)) + SDES + BYE) == [
        RtcpReport("SR", 1, 7, 250, 40_000, (block,)),
        RtcpReport("SDES", 1, text="alice@atl"),
        RtcpReport("BYE", 1, text="gone\n"),
    ]
    assert reports(bytes.fromhex("80cf0001 00000009")) == [RtcpReport("XR", 9)]


@given(st.binary(max_size=80), st.integers(0, 80))
def test_any_bytes_are_told(noise: bytes, at: int) -> None:
    whole = sender_report(1, 7, heard(0x11, 128, 12, 99)) + SDES + BYE
    for payload in (noise, whole[:at] + noise + whole[at + len(noise) :], b"\x81\xca" + noise):
        reports(payload)
        list(text([Packet(START_US, "UDP", A, B, payload)]))
