"""Everything that reads bytes from outside, as functions of bytes: what must hold whatever they are.

`tools/checks/fuzz` looks for bytes that break one of them; `test_hostile.py` runs them on what it found before.
"""

import io
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ringback.collect.intake import Counts, Intake, Queue
from ringback.collect.sources import Gate, sources
from ringback.resources.history import ladder_page
from ringback.sip import capture, identities, legs, masking, packet, registrations, reports, sdp, trace
from ringback.sip.capture import hep
from ringback.sip.capture.streams import Segment, Streams
from ringback.sip.diagnosis import diagnose
from ringback.sip.dialogs import media_sessions
from ringback.sip.ladder import ladder
from ringback.sip.ladder import svg as ladder_svg
from ringback.sip.message import address, scan
from ringback.sip.order import causal
from ringback.sip.packet import Endpoint, Packet
from ringback.sip.quality import measured
from ringback.sip.registrations import Phone, registers
from ringback.sip.reports import rtcp_json, voice_reports
from ringback.store import captured_calls, captures, slices

CAPTURES = Path(__file__).parent / "captures"
KEPT = CAPTURES / "hostile"
"""What broke something once, by target."""

BETWEEN = b"\x00\xff\x00"
"""Between two entries of an input that is a list of them."""
_HEAD = 4
_TICK_US = 10_000
_AT_US = 1_795_322_203_123_456
_SPAN = slices.span(_AT_US // 1_000_000, None)
_HOSTS = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "10.0.0.1", "10.0.0.2", "198.51.100.1", "2001:db8::1", "2001:db8::2")
_ENDS = [Endpoint(host, port) for host in _HOSTS for port in (5060, 17_000)]
_TRANSPORTS = ("UDP", "TCP", "TLS", "WS")


# -- what comes in ------------------------------------------------------------------------------------------------------


def hep_packet(data: bytes) -> None:
    try:
        found = hep.read(data, _AT_US)
    except hep.HepError:
        return
    assert len(found.packet.payload) <= hep.LONGEST
    captured_calls.message(
        found.correlation, captures.Seen(found.packet, found.capture_id), found.correlation, None, _SPAN
    )


def hep_stream(data: bytes) -> None:
    """The frames do not depend on how the stream is split; each of them is queued or refused, and never more."""
    whole = _frames([data])
    step = 1 + data[-1] if data else 1
    assert whole == _frames(data[start : start + step] for start in range(0, len(data), step))
    queue, counts = Queue(), Counts()
    intake = Intake(Gate(sources("customer=1 key=lab-key\ncustomer=2 networks=::1")), queue, counts, masks=True)
    for each in (data, *whole[0]):
        intake.datagram(each, "::1")
        intake.datagram(each, "192.0.2.1")
    assert len(queue) + sum(counts.refused.values()) == 2 + 2 * len(whole[0])


def _frames(pieces: Iterable[bytes]) -> tuple[list[bytes], bool]:
    """The frames, and whether something was no HEP."""
    frames, found = hep.Frames(), []
    try:
        for piece in pieces:
            for frame in frames.feed(piece):
                found.append(frame)
    except hep.HepError:
        return found, True
    return found, False


def sip_message(data: bytes) -> None:
    message = scan(data)
    assert "\0" not in message.call_id
    seen = Packet(_AT_US, "UDP", _ENDS[0], _ENDS[2], data)
    captured_calls.message(message.call_id, captures.Seen(seen, 1), "", message, _SPAN)
    masked = masking.masked(data)
    assert len(masked) == len(data)
    assert masking.masked(masked) == masked
    assert all(len(key) <= legs.LONGEST_KEY for key in legs.keys(data))
    for text in (message.from_text, message.to_text, message.contact_text, message.p_asserted_identity):
        address(text)
    identities.caller(message), identities.callee(message), identities.is_anonymous(message)
    packet.is_rtcp(data), voice_reports.report(data)
    registers.sighting(seen, 1)


def description(data: bytes) -> None:
    for each in sdp.media(data):
        assert len(each.codecs) == len(each.clocks)
        assert 0 < each.rtp.port < 65_536


def report(data: bytes) -> None:
    reports.is_report(data), reports.reports(data), voice_reports.report(data)
    if rtcp_json.is_json(data):
        wire = rtcp_json.on_the_wire(data)
        assert wire is None or packet.is_rtcp(wire)


def capture_file(data: bytes) -> None:
    """pcap or pcapng; what was left out is counted."""
    found = capture.Report()
    read = list(capture.read(io.BytesIO(data), found))
    assert found.read == len(read)
    assert all(n > 0 for n in found.skipped.values())


# -- streams ------------------------------------------------------------------------------------------------------------


def tcp(data: bytes) -> None:
    """Segments of a few connections."""
    streams, given = Streams(), 0
    for head, payload in _entries(data):
        src, dst = _ENDS[head[0] >> 4], _ENDS[head[0] & 15]
        segment = Segment(src, dst, int.from_bytes(head[2:4], "big") - 32_768 & 0xFFFFFFFF, head[1] & 6, payload)
        given += len(payload)
        for found in streams.add(_AT_US, segment):
            given -= len(found.payload)
    given -= sum(len(found.payload) for found in streams.finish())
    assert given >= 0


def one_stream(data: bytes) -> None:
    """A byte stream, split anywhere, gives what it gives whole."""
    step = 1 + (data[-1] if data else 0)
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    assert _messages(pieces) == _messages([data])


def _messages(pieces: Iterable[bytes]) -> list[bytes]:
    streams, at, found = Streams(), 0, []
    for piece in pieces:
        found += [each.payload for each in streams.add(_AT_US, Segment(_ENDS[0], _ENDS[2], at, 0, piece))]
        at += len(piece)
    return found


# -- calls --------------------------------------------------------------------------------------------------------------


def call(data: bytes) -> None:
    """Everything that is made of a captured call."""
    packets = list(_packets(data))
    ordered = [each for each, _ in causal(packets)]
    assert sorted(map(id, ordered)) == sorted(map(id, packets))
    "".join(trace.text(packets)).encode()
    for session in media_sessions(packets):
        _session(session)
    b"".join(capture.write(each for each in packets if (":" in each.src.ip) == (":" in each.dst.ip)))
    drawing = ladder(packets)
    ElementTree.fromstring(ladder_svg.svg(drawing, "x"))
    ladder_page.page(drawing, "x", {}, "", diagnose(packets))


def _session(session: Any) -> None:
    said = {key for each in session.messages for key in legs.keys(each.payload)}
    times = legs.Times(session.created_at_us, session.answered_at_us, session.ended_at_us)
    one = legs.leg(session.call_id, (session.src, session.dst), times, session.messages, said)
    legs.parent(one, {"other": one._replace(call_id="other"), session.call_id: one})
    measured(session)


def phone(data: bytes) -> None:
    """Registrations do not depend on the order in which a phone's messages come."""
    seen = [found for each in _packets(data) if (found := registers.sighting(each, 1)) is not None]
    known = Phone()
    for each in seen:
        known = registrations.added(known, [each.attempt])
    registrations.state(known.now, 0)


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for each in data.split(BETWEEN):
        if len(each) >= _HEAD:
            yield each[:_HEAD], each[_HEAD:]


def _packets(data: bytes) -> Iterator[Packet]:
    """An entry's head: source and destination, transport and capture agent, the time in ticks."""
    for head, payload in _entries(data):
        at_us = _AT_US + int.from_bytes(head[2:4], "big") * _TICK_US
        agents = ((head[1] >> 2 & 3, at_us),) if head[1] & 64 else ()
        ends = _ENDS[head[0] >> 4], _ENDS[head[0] & 15]
        yield Packet(at_us, _TRANSPORTS[head[1] & 3], *ends, payload, agents)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (hep_packet, hep_stream, sip_message, description, report, capture_file, tcp, one_stream, call, phone)
}


# -- where to begin -----------------------------------------------------------------------------------------------------


def seeds() -> dict[str, list[bytes]]:
    """Good input for each target, of the lab's calls."""
    found: dict[str, list[bytes]] = {name: [] for name in TARGETS}
    for path in sorted((CAPTURES / "lab").glob("*.hep")):
        frames = _frames([path.read_bytes()])[0][:24]
        packets = [hep.read(each, 0).packet for each in frames]
        found["hep_packet"] += frames[:4]
        found["hep_stream"].append(b"".join(frames[:6]))
        found["call"].append(_told(packets[:8]))
        found["phone"].append(_told(each for each in packets if registers.is_register(each.payload)))
        found["tcp"].append(_told(packets[:8]))
        found["one_stream"].append(b"".join(each.payload for each in packets[:3] if packet.is_text(each.payload)))
        found["capture_file"].append(b"".join(capture.write(packets[:8])))
        _sort(packets, found)
    found["capture_file"].append(_pcapng(found["capture_file"][0]))
    return {name: list(dict.fromkeys(each)) for name, each in found.items()}


def _sort(packets: Iterable[Packet], found: dict[str, list[bytes]]) -> None:
    for each in packets:
        if reports.is_report(each.payload):
            found["report"].append(each.payload)
        else:
            found["sip_message"].append(each.payload)
            found["description"] += [each.payload.partition(b"\r\n\r\n")[2]] if b"\nm=" in each.payload else []


def _told(packets: Iterable[Packet]) -> bytes:
    """As `_packets` reads them; each address is one of ours."""
    hosts: dict[str, int] = {}
    entries, began_us = [], None
    for each in packets:
        began_us = each.at_us if began_us is None else began_us
        src, dst = (2 * hosts.setdefault(end.ip, len(hosts) % 6) for end in (each.src, each.dst))
        ticks = min(max(each.at_us - began_us, 0) // _TICK_US, 65_535)
        entries.append(bytes([src << 4 | dst, 64]) + ticks.to_bytes(2, "big") + each.payload)
    return BETWEEN.join(entries)


def _pcapng(pcap: bytes) -> bytes:
    """The same in the newer form, with one interface."""
    blocks = [_block(0x0A0D0D0A, b"\x4d\x3c\x2b\x1a\1\0\0\0" + b"\xff" * 8), _block(1, b"\x65\0\0\0\0\0\4\0")]
    at = 24
    while at + 16 <= len(pcap):
        length = int.from_bytes(pcap[at + 8 : at + 12], "little")
        frame = pcap[at + 16 : at + 16 + length]
        size = length.to_bytes(4, "little")
        blocks.append(_block(6, bytes(12) + size + size + frame + bytes(-length % 4)))
        at += 16 + length
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    length = (12 + len(body)).to_bytes(4, "little")
    return kind.to_bytes(4, "little") + length + body + length


def kept() -> list[tuple[str, Path]]:
    """(target, file): what was found before."""
    return [(path.parent.name, path) for path in sorted(KEPT.glob("*/*"))]


def mutated(source: random.Random, data: bytes) -> bytes:
    """Bytes changed, cut out, doubled; numbers that lie."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 8)):
        at = source.randrange(len(changed) + 1)
        match source.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([source.randrange(256)])
            case 1:
                changed[at : at + 2] = source.choice((b"\0\0", b"\xff\xff", b"\0\1", b"\r\n"))
            case 2:
                del changed[at : at + source.randrange(60)]
            case _:
                changed[at:at] = changed[at : at + source.randrange(60)]
    return bytes(changed)
