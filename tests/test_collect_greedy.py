"""Senders that want more than their part: of other customers' calls, and of the collector's memory."""

import sys

import pytest

from ringback.collect.sources import Gate, Refused, sources
from ringback.sip import sdp
from ringback.sip.capture import hep as protocol
from ringback.sip.packet import Endpoint, Packet, is_rtcp
from ringback.store import legs
from ringback.store.incoming import MOST_UNREAD_BYTES, Ends
from tests.api import Api
from tests.collecting import collecting, hep, send_tcp, settled
from tests.packets import of_call
from tests.test_captures import REPORT, talk

BOTH = "customer={acme} key=s3cret\ncustomer={other} key=theirs"
ENDS = "UDP", Endpoint("192.0.2.1", 5060), Endpoint("192.0.2.2", 5060)


def test_calls_of_another_customer_at_the_same_addresses_take_no_reports(api: Api) -> None:
    *mine, bye, answer = talk("mine@pbx")
    theirs = [each._replace(at_us=each.at_us + 20_000_000) for each in talk("theirs@pbx")]
    with collecting(api, BOTH) as collector:
        send_tcp(collector, [hep(each) for each in mine])
        settled(collector, 4)
        send_tcp(collector, [hep(each, key="theirs") for each in theirs])
        settled(collector, 10)
        send_tcp(collector, [hep(each, kind=5 if each is REPORT else 1) for each in (REPORT, bye, answer)])
        settled(collector, 13)
    (msdr,) = api.admin.listed("/msdrs")
    assert msdr["quality"]["reports"] == 1


def test_a_key_of_any_length_is_refused_and_not_remembered() -> None:
    gate = Gate(sources("customer=1 key=s3cret"))
    key = bytes(60_000)
    before = sys.getrefcount(key)
    with pytest.raises(Refused):
        gate.customer("192.0.2.1", protocol.Captured(Packet(0, *ENDS, b""), 1, 0, key, ""))
    assert sys.getrefcount(key) == before


def test_of_a_description_without_end_the_first_streams_are_read() -> None:
    body = b"v=0\r\nc=IN IP4 192.0.2.1\r\n" + b"".join(b"m=audio %d RTP/AVP 0\r\n" % port for port in range(1, 4_000))
    assert len(sdp.media(body)) == sdp.MOST_STREAMS
    formats = " ".join(map(str, range(9_000))).encode()
    (one,) = sdp.media(b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP " + formats)
    assert len(one.codecs) == sdp.MOST_FORMATS


def test_large_descriptions_that_wait_to_be_read_push_out_the_oldest() -> None:
    ends = Ends()
    padding = b"a=" + b"x" * 60_000
    n = MOST_UNREAD_BYTES // 60_000 + 2
    for port in range(1, n):
        body = b"\r\n\r\nv=0\r\nc=IN IP4 192.0.2.9\r\nm=audio %d RTP/AVP 0\r\n" % (2 * port)
        ends.learn(Packet(0, *ENDS, body + padding), f"{port}@pbx")
    first, last = (Packet(0, "UDP", Endpoint("192.0.2.9", 2 * port + 1), ENDS[1], b"") for port in (1, n - 1))
    assert ends.calls(first) == []
    assert ends.calls(last) == [f"{n - 1}@pbx"]


def test_a_call_that_names_thousands_of_others_is_known_by_some() -> None:
    told = legs.Told()
    found = 0
    for turn in range(6):
        named = "".join(f"Join: {turn}-{n}@pbx\r\n" for n in range(1_000))
        told.hear(f"INVITE sip:a@b SIP/2.0\r\n{named}\r\n".encode())
        found += len(told.fresh())
    assert found == legs.MOST_TOLD


def test_who_names_the_address_of_a_colleague_gets_none_of_his_reports(api: Api) -> None:
    """Also when it is named again and again, and last; and his own calls go on getting them."""
    mine = talk("mine@pbx")[:4]
    invite = talk("theirs@pbx")[0]
    forged = invite.payload.replace(b"192.0.2.101", b"192.0.2.201").replace(b"m=audio 49172", b"m=audio 3456")
    theirs = [invite._replace(payload=forged, at_us=invite.at_us + n * 1_000_000) for n in range(20)]
    back = REPORT._replace(src=REPORT.dst, dst=REPORT.src)
    with collecting(api) as collector:
        send_tcp(collector, [hep(each) for each in (*mine, *theirs)])
        settled(collector, 24)
        send_tcp(collector, [hep(REPORT, kind=5), hep(back, kind=5)])
        settled(collector, 26)
    reports = {
        name: [is_rtcp(each.packet.payload) for each in of_call(api, name)] for name in ("mine@pbx", "theirs@pbx")
    }
    assert {name: sum(found) for name, found in reports.items()} == {"mine@pbx": 2, "theirs@pbx": 0}


def test_where_nobody_named_the_other_end_one_is_enough() -> None:
    """Behind NAT."""
    ends = Ends()
    mine, theirs = talk("mine@pbx"), talk("theirs@pbx")
    ends.learn(mine[0], "mine@pbx")
    outside = REPORT._replace(dst=Endpoint("203.0.113.9", 5001))
    assert ends.calls(outside) == ["mine@pbx"]
    ends.learn(theirs[2]._replace(payload=theirs[2].payload.replace(b"192.0.2.201", b"203.0.113.9")), "theirs@pbx")
    assert ends.calls(outside) == ["mine@pbx"]
    assert ends.calls(REPORT._replace(dst=Endpoint("203.0.113.9", 3457))) == []
