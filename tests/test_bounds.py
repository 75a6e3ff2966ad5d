"""What reading costs, and what is kept, has bounds that no sender can move: twice as much never takes much more than twice."""

import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import pytest

from ringback.resources.history import ladder_page
from ringback.sip import capture, identities, legs, masking, reports, sdp, trace
from ringback.sip.diagnosis import diagnose
from ringback.sip.dialogs import media_sessions
from ringback.sip.ladder import ladder
from ringback.sip.ladder import svg as ladder_svg
from ringback.sip.message import scan
from ringback.sip.order import causal, causality
from ringback.sip.packet import Endpoint, Packet, is_rtcp
from ringback.sip.quality import measured
from ringback.sip.registrations import registers
from ringback.store.incoming import Ends

AT_US = 1_795_322_203_000_000
LARGE = 64_000
A, B = Endpoint("192.0.2.1", 5060), Endpoint("192.0.2.2", 5060)
START = b"INVITE sip:102@x SIP/2.0\r\n"
REST = b"Call-ID: c\r\nCSeq: 1 INVITE\r\nFrom: <sip:1@x>;tag=f\r\nTo: <sip:2@x>\r\nVia: SIP/2.0/UDP h;branch=z\r\n\r\n"
SDP = "v=0\r\nc=IN IP4 203.0.113.9\r\nm=audio {} RTP/AVP 0 8\r\n"


def steps(work: Callable[[], object]) -> int:
    """How many functions it calls, of Python and of C."""
    counted = 0

    def count(_: FrameType, event: str, __: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


# -- one message --------------------------------------------------------------------------------------------------------


def grown(unit: bytes, size: int, before: bytes = b"", after: bytes = b"") -> bytes:
    return before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def packet(payload: bytes) -> Packet:
    return Packet(AT_US, "UDP", A, B, payload)


def every_reader(payload: bytes) -> None:
    message = scan(payload)
    identities.caller(message), identities.callee(message), message.from_tag, message.branch
    masking.masked(payload), legs.keys(payload), registers.sighting(packet(payload), 1)
    causality.fact(0, packet(payload), message, True)
    diagnose([packet(payload)]), ladder([packet(payload)]), list(trace.text([packet(payload)]))
    sdp.media(message.body), reports.is_report(payload), reports.reports(payload)


UNITS = {
    "Via": b"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n",
    "Via in one line": b"SIP/2.0/UDP h;branch=z9hG4bK1,",
    "Record-Route": b"Record-Route: <sip:192.0.2.7;lr>\r\n",
    "Session-ID": b"Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2\r\n",
    "Replaces": b"Replaces: other@x;to-tag=a;from-tag=b\r\n",
    "Authorization": b'Authorization: Digest username="a", response="b"\r\n',
    "identities": b"Remote-Party-ID: <sip:1@x>;party=calling\r\n",
    "Contact": b"Contact: <sip:1@x>;expires=60\r\n",
    "folded": b"\r\n x",
    "quotes": b'\\"',
    "spaces": b" ",
    "streams": b"m=audio 1000 RTP/AVP 0\r\n",
    "formats": b" 8",
    "RTCP": b"\x80\xc9\0\1abcd",
}
BEFORE = {"streams": START + REST + b"v=0\r\n", "formats": START + REST + b"v=0\r\nm=audio 1 RTP/AVP", "RTCP": b""}


@pytest.mark.parametrize("name", UNITS)
def test_a_message_takes_as_long_as_it_is(name: str) -> None:
    before, after = BEFORE.get(name, START), b"" if name in BEFORE else REST
    small, large = (grown(UNITS[name], size, before, after) for size in (LARGE // 4, LARGE))
    every_reader(small)  # what is looked up once
    assert steps(lambda: every_reader(large)) < 5 * steps(lambda: every_reader(small)) + 500


def test_a_description_has_so_many_lines() -> None:
    assert sdp.media(b"v=0\r\n" + b"a=x\r\n" * sdp.MOST_LINES + b"m=audio 1000 RTP/AVP 0\r\n") == []


def test_a_message_names_so_many_calls_and_hops() -> None:
    ids = b"".join(b"Session-ID: %032x\r\n" % n for n in range(1, 1_000))
    assert len(legs.keys(START + ids + REST)) == legs.MOST_KEYS
    vias = grown(UNITS["Via"], LARGE, START, REST)
    found = causality.fact(0, packet(vias), scan(vias), True)
    assert found is not None
    assert len(found.vias) == causality.MOST_HOPS


def test_a_compound_report_has_so_many_parts() -> None:
    assert is_rtcp(UNITS["RTCP"] * 100)
    assert not is_rtcp(UNITS["RTCP"] * 8_000)


# -- a call -------------------------------------------------------------------------------------------------------------


def sip(
    start: str, cseq: str, call: str = "c", tag: str = "", branch: str = "z", more: Sequence[str] = (), body: str = ""
) -> bytes:
    lines = [
        start,
        f"Via: SIP/2.0/UDP h;branch={branch}",
        *more,
        "From: <sip:1@x>;tag=f",
        f"To: <sip:2@x>{tag and ';tag=' + tag}",
    ]
    return "\r\n".join([*lines, f"Call-ID: {call}", f"CSeq: {cseq}", f"Content-Length: {len(body)}", "", body]).encode()


INVITE = "INVITE sip:2@x SIP/2.0"
Said = Iterator[tuple[Endpoint, Endpoint, bytes]]


def host(n: int, port: int = 5060) -> Endpoint:
    return Endpoint(f"10.0.{n // 256}.{n % 256}", port)


def invites(n: int) -> Said:
    yield from ((A, B, sip(INVITE, f"{n - k} INVITE", branch=f"v{k}")) for k in range(n))


def forks(n: int) -> Said:
    for k in range(n // 2):
        yield A, host(k), sip(INVITE, "1 INVITE", branch=f"v{k}")
        yield host(k), A, sip("SIP/2.0 486 Busy", "1 INVITE", branch=f"v{k}", tag=f"t{k}")


def answers(n: int) -> Said:
    yield A, B, sip(INVITE, "1 INVITE", body=SDP.format(1000))
    yield from ((B, A, sip("SIP/2.0 200 OK", "1 INVITE", tag=f"t{k}", body=SDP.format(k))) for k in range(1, n))


def calls_that_replace_one(n: int) -> Said:
    yield from ((A, B, sip(INVITE, "1 INVITE", f"c{k}", more=["Replaces: c0;to-tag=a;from-tag=b"])) for k in range(n))


def calls_through_a_b2bua(n: int) -> Said:
    for k in range(n // 2):
        yield host(k), B, sip(INVITE, "1 INVITE", f"in{k}", branch=f"v{k}")
        yield B, host(k + n), sip(INVITE, "1 INVITE", f"out{k}", branch=f"w{k}")


def one_transaction_everywhere(n: int) -> Said:
    for k in range(n):
        yield (
            host(2 * k),
            host(2 * k + 1),
            sip(INVITE, "1 INVITE") if k % 2 else sip("SIP/2.0 180 Ringing", "1 INVITE", tag=f"t{k}"),
        )


def connections(n: int) -> Said:
    yield from (
        (host(0, 1000 + k), host(1, 1000 + k), sip(INVITE, f"{k + 1} INVITE", more=[f"User-Agent: {k}"]))
        for k in range(n)
    )


def reports_from_anywhere(n: int) -> Said:
    yield A, B, sip(INVITE, "1 INVITE", body=SDP.format(1000))
    yield from ((host(k), A, b"\x81\xc9\0\x07" + k.to_bytes(4, "big") + bytes([k % 256]) * 24) for k in range(n - 1))


SHAPES = (
    invites, forks, answers, calls_that_replace_one, calls_through_a_b2bua, one_transaction_everywhere, connections, reports_from_anywhere,
)  # fmt: skip


def packets(shape: Callable[[int], Said], n: int) -> list[Packet]:
    """The clock goes back now and then, so that the order has to be found."""
    return [
        Packet(AT_US + 1_000 * (k - 40 * (k % 7 == 0)), "TCP" if shape is connections else "UDP", src, dst, payload)
        for k, (src, dst, payload) in enumerate(shape(n))
    ]


def everything(call: Sequence[Packet]) -> None:
    causal(call)
    for session in media_sessions(call):
        measured(session)
    drawing = ladder(call)
    ladder_svg.svg(drawing, "x")
    ladder_page.page(drawing, "x", {}, "", diagnose(call))
    for _ in capture.write(call):
        pass


@pytest.mark.parametrize("shape", SHAPES, ids=lambda it: it.__name__)
def test_a_call_takes_as_long_as_it_is(shape: Callable[[int], Said]) -> None:
    small, large = packets(shape, 200), packets(shape, 800)
    everything(small[:4])
    assert steps(lambda: everything(large)) < 5.5 * steps(lambda: everything(small))


# -- what is kept -------------------------------------------------------------------------------------------------------


def test_names_and_addresses_of_any_length_are_kept_short() -> None:
    ends = Ends()
    end = b"v=0\r\nc=IN IP4 " + b"h" * 60_000 + b"\r\nm=audio 1000 RTP/AVP 0\r\n"
    ends.learn(packet(START + REST + end), "c" * 60_000)
    assert ends.calls(packet(b"\x81\xc9\0\1abcd")) == []
    ((address, _),) = ends._calls
    ((name, _),) = ends._calls.popitem()[1].items()
    assert max(len(address), len(name)) < 1_000
