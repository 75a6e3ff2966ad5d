"""Any bytes on a HEP port: counted, never an exception, a hang, or growing memory; what is good among them is stored."""

import random
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.collect.intake import Counts, Intake, Queue
from ringback.collect.sources import Gate, sources
from ringback.sip.capture import hep as protocol
from tests.api import Api
from tests.collecting import KEY, collecting, connected, hep, send_udp, settled, until
from tests.hostile import mutated
from tests.sip.test_sip_hep import chunk
from tests.test_captures import talk

GOOD = [hep(each) for each in talk()]
NESTED = hep(talk()[0]._replace(payload=GOOD[0]))
LARGEST = hep(talk()[0]._replace(payload=b"INVITE sip:a@b SIP/2.0\r\nCall-ID: " + b"x" * 65_000))


def test_mutated_packets_are_stored_or_counted(api: Api) -> None:
    source = random.Random(7)
    bad = [mutated(source, source.choice([*GOOD, NESTED])) for _ in range(1_500)]
    with collecting(api) as collector:
        for start in range(0, len(bad), 50):
            send_udp(collector, bad[start : start + 50])
            settled(collector, min(start + 50, len(bad)))
        assert (collector.counts.failed, collector.counts.dropped) == (0, 0)
        send_udp(collector, [LARGEST, *(hep(each) for each in talk("good@pbx"))])
        settled(collector, len(bad) + 7)
    assert "good@pbx" in [each["call_id"] for each in api.admin.listed("/msdrs", limit=500)]


def test_mutated_payloads_are_stored(api: Api) -> None:
    """Malformed SIP is kept, whatever it holds."""
    source = random.Random(8)
    payloads = [mutated(source, source.choice(talk()).payload) for _ in range(600)]
    packets = [talk()[0]._replace(at_us=talk()[0].at_us + n, payload=each) for n, each in enumerate(payloads)]
    sent = [hep(each, correlation=source.choice(("", "one@pbx", "\0 other\r\n"))) for each in packets]
    with collecting(api) as collector:
        for start in range(0, len(sent), 50):
            send_udp(collector, sent[start : start + 50])
            settled(collector, start + 50)
        assert (collector.counts.failed, sum(collector.counts.refused.values())) == (0, 0)


def test_mutated_streams_end_their_connection_and_no_other(api: Api) -> None:
    source = random.Random(9)
    with collecting(api) as collector, connected(collector) as good:
        for _ in range(60):
            with connected(collector) as bad:
                bad.sendall(mutated(source, b"".join(GOOD)))
        good.sendall(b"".join(hep(each) for each in talk("good@pbx")))
        until(lambda: "good@pbx" in [each["call_id"] for each in api.admin.listed("/msdrs", limit=500)])
        assert collector.counts.failed == 0


@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", b"HEP3", b"HEP3\0\x40", b"\x01\x10", b"\x02\x10\x02\x11", GOOD[0][:60]]),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_datagram_is_queued_or_refused(data: bytes, start: bytes) -> None:
    queue, counts = Queue(), Counts()
    Intake(Gate(sources(f"customer=1 key={KEY}\ncustomer=2 networks=::1")), queue, counts).datagram(start + data, "::1")
    assert len(queue) + sum(counts.refused.values()) == 1


def test_layouts_that_change_with_every_packet_are_read_all_the_same() -> None:
    """The head of a packet is remembered by its layout, for a few layouts only."""
    for n in range(100):
        data = hep(talk()[0])
        first = chunk(1000 + n, b"x")
        body = first + data[6:]
        found = protocol.read(b"HEP3" + struct.pack("!H", 6 + len(body)) + body, 0)
        assert found.packet == talk()[0]
        assert protocol.read(data, 0).packet == talk()[0]
