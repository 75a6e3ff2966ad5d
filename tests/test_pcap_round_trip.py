"""What is captured comes back: in by HEP, stored, out as a capture file that dpkt reads: the same bytes, ends and microseconds.
`tools/checks/signalling` has tshark read such files."""

import random
from collections import Counter
from itertools import product

import pytest

from ringback.sip.packet import Endpoint, Packet
from tests import dpkt_reader
from tests.api import Api
from tests.collecting import collecting, hep, send_tcp, settled
from tests.sip.sip_flows import START_US, flow

TALK = """
    0.000001   alice > bob    INVITE      1  sdp=sendrecv
    0.300017   bob   > alice  180/INVITE  1
    2.000000   bob   > alice  200/INVITE  1  sdp=sendrecv
    2.000001   alice > bob    ACK         1  to-tag
    9.999999   alice > bob    BYE         2  to-tag
    10.00001   bob   > alice  200/BYE     2
"""
ENDS = {
    "IPv4": (Endpoint("192.0.2.101", 5060), Endpoint("192.0.2.201", 5061)),
    "IPv6": (Endpoint("2001:db8::101", 5060), Endpoint("2001:db8::201", 5061)),
}
CALLS = list(product(("UDP", "TCP"), ENDS, (0, 600, 1_500, 9_000, 60_000)))


def call(transport: str, version: str, ballast: int) -> list[Packet]:
    """`ballast`: bytes of a header in every message; a little more or less from message to message."""
    alice, bob = ENDS[version]
    chance = random.Random(f"{transport} {version} {ballast}")
    packets = flow(TALK, call_id=f"{transport}-{version}-{ballast}")
    caller = packets[0].src
    return [
        Packet(
            each.at_us,
            transport,
            alice if each.src == caller else bob,
            bob if each.src == caller else alice,
            each.payload.replace(
                b"\r\n", b"\r\nX-Ballast: %s\r\n" % (b"x" * (ballast + chance.randrange(9) if ballast else 0)), 1
            ),
        )
        for each in packets
    ]


@pytest.fixture
def captured(api: Api) -> Api:
    frames = [hep(packet) for one in CALLS for packet in call(*one)]
    with collecting(api) as collector:
        send_tcp(collector, frames)
        settled(collector, len(frames))
        assert collector.counts.stored == len(frames)
    return api


def test_every_message_comes_back_to_the_byte_and_the_microsecond(captured: Api) -> None:
    for one in CALLS:
        packets = call(*one)
        (msdr,) = captured.admin.listed("/msdrs", ("call_id", "eq", "-".join(map(str, one))))
        file = captured.admin.get(f"/msdrs/{msdr['id']}.pcap").body
        sent = Counter((each.at_us, each.transport, each.src, each.dst, each.payload) for each in packets)
        assert Counter(tuple(each) for each in dpkt_reader.messages(file)) == sent, one
        assert min(each.at_us for each in packets) == START_US + 1
