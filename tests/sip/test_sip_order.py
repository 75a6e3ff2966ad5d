"""Causal order whatever the clocks say, with calls whose true order is known."""

import random
import re
import time
from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.sip.order import causal, each_call
from ringback.sip.packet import Endpoint, Packet

from .sip_calls import HOSTS, START_US, Network, call, seen

CAPTURED_AT = [
    ["uac", "b2bua", "uas"],
    ["proxy", "b2bua"],
    ["proxy", "uas"],
    ["uac", "uas", "b2bua", "proxy"],
    ["b2bua", "proxy", "uas"],
    ["uac", "b2bua"],
]
COARSE_US = 20_000
FOLDED = [
    (b";branch", b"\r\n\t;branch"),
    (b"Via: ", b"v:\r\n  "),
    (b"RSeq: ", b"RSeq:\r\n "),
    (b"RAck: 5 ", b"RAck: 5\r\n "),
]
RANDOM = st.randoms(use_true_random=False)


@settings(max_examples=300, deadline=None)
@given(RANDOM, st.sampled_from(CAPTURED_AT), st.sampled_from([1, COARSE_US]))
def test_the_true_order_comes_out(dice: random.Random, hosts: list[str], tick_us: int) -> None:
    """Clocks up to two seconds wrong, or so coarse that times tie; packets that one agent saw, or two; fed shuffled."""
    net = call(dice)
    skew_us = {host: dice.randint(-2_000_000, 2_000_000) for host in hosts}
    found = seen(net, {host: n for n, host in enumerate(hosts, 1)}, skew_us, tick_us)
    places = {(packet.src, packet.dst, packet.payload): place for place, packet in found.items()}
    captured = list(found.values())
    dice.shuffle(captured)
    laid = [places[packet.src, packet.dst, packet.payload] for packet, _ in causal(captured)]
    assert sorted(laid) == sorted(found)
    at = {place: n for n, place in enumerate(laid)}
    due = [pair for pair in net.happened_before() if _is_told(pair, net, found)]
    assert [(one, other) for one, other in due if at[one] > at[other]] == []


@settings(max_examples=60, deadline=None)
@given(RANDOM, st.sampled_from(CAPTURED_AT))
def test_headers_over_several_lines_tell_the_same(dice: random.Random, hosts: list[str]) -> None:
    skew_us = {host: dice.randint(-2_000_000, 2_000_000) for host in hosts}
    plain = list(seen(call(dice), {host: n for n, host in enumerate(hosts, 1)}, skew_us, 1).values())
    laid = [packet.payload for packet, _ in causal([each._replace(payload=folded(each.payload)) for each in plain])]
    assert laid == [folded(packet.payload) for packet, _ in causal(plain)]


def folded(payload: bytes) -> bytes:
    """RFC 3261 section 7.3.1."""
    return reduce(lambda text, pair: text.replace(*pair), FOLDED, payload)


_TRANSACTION = re.compile(rb"branch=(\S+)(?s:.*)\r\nCSeq: (.*)")


def _is_told(pair: tuple[int, int], net: Network, found: dict[int, Packet]) -> bool:
    """By a clock, by both being of one transaction, or by the one being the cause of the other."""
    if not found.keys() >= set(pair):
        return False
    first, second = (dict(found[place].sightings) for place in pair)
    if any(first[clock] < second[clock] for clock in first.keys() & second.keys()):
        return True
    one, other = (_TRANSACTION.findall(net.hops[each].payload) for each in pair)
    return one == other or pair in net.effects


@settings(max_examples=50, deadline=None)
@given(RANDOM)
def test_without_agents_numbers_each_way_has_a_clock(dice: random.Random) -> None:
    """What two programs wrote to one file: responses come after requests, and what is passed on after what came."""
    net = call(dice)
    skew_us = {"proxy": dice.randint(-2_000_000, 2_000_000), "uas": dice.randint(-2_000_000, 2_000_000)}
    found = {
        place: packet._replace(sightings=()) for place, packet in seen(net, {"proxy": 1, "uas": 2}, skew_us, 1).items()
    }
    places = {(packet.src, packet.dst, packet.payload): place for place, packet in found.items()}
    laid = [
        places[packet.src, packet.dst, packet.payload]
        for packet, _ in causal(dice.sample([*found.values()], len(found)))
    ]
    at = {place: n for n, place in enumerate(laid)}
    same_call = [
        (one, other)
        for one, other in net.effects
        if one in at and other in at and net.call_id(one) == net.call_id(other)
    ]
    assert [(one, other) for one, other in same_call if at[one] > at[other]] == []


def test_a_good_clock_stays_in_charge() -> None:
    """Where times contradict nothing they are the order, with media between the messages."""
    found = seen(call(random.Random(3)), {"b2bua": 7}, {"b2bua": 0}, 1)
    report = next(iter(found.values()))._replace(payload=b"\x80\xc9\x00\x01\x00\x00\x00\x01")
    packets = [*found.values(), *(packet._replace(payload=report.payload) for packet in found.values())]
    assert [packet for packet, _ in causal(packets)] == sorted(packets, key=lambda packet: packet.at_us)


def test_retransmissions_stay_where_their_agent_saw_them() -> None:
    first, *others = seen(call(random.Random(3)), {"b2bua": 7}, {"b2bua": 0}, 1).values()
    again = [
        first._replace(at_us=first.at_us + wait, sightings=((7, first.at_us + wait),)) for wait in (500_000, 1_500_000)
    ]
    laid = [packet for packet, _ in causal([*again, first, *others])]
    assert laid == sorted(laid, key=lambda packet: packet.at_us)


def test_calls_by_themselves() -> None:
    packets = list(seen(call(random.Random(4)), {"b2bua": 7}, {"b2bua": 0}, 1).values())
    noise = Packet(START_US, "UDP", Endpoint("192.0.2.9", 1), Endpoint("192.0.2.9", 2), bytes(20))
    laid = list(each_call([noise, *reversed(packets)]))
    assert sorted(packet for packet, _ in laid) == sorted([noise, *packets])
    calls = [message.call_id for _, message in laid if message is not None]
    assert calls == sorted(calls, key=calls.index)


STARTS = ("INVITE sip:b SIP/2.0", "SIP/2.0 200 OK", "SIP/2.0 180 R", "ACK sip:b SIP/2.0", "SIP/2.0 487 T", "BYE sip:b SIP/2.0", "CANCEL sip:b SIP/2.0")  # fmt: skip


def _invite(call_id: str, src: str, dst: str, at_us: int, agent: int, hosts: tuple[str, str]) -> Packet:
    ends = Endpoint(HOSTS[hosts[0]], 5060), Endpoint(HOSTS[hosts[1]], 5060)
    via = f"Via: SIP/2.0/UDP {HOSTS[hosts[0]]};branch=z9hG4bK{call_id}"
    lines = [f"INVITE {dst} SIP/2.0", via, f"From: <{src}>;tag={call_id}", f"To: <{dst}>", f"Call-ID: {call_id}"]
    text = "\r\n".join([*lines, "CSeq: 1 INVITE", "Content-Length: 0", "", ""])
    return Packet(START_US + at_us, "UDP", *ends, text.encode(), ((agent, START_US + at_us),))


def test_a_b2bua_may_write_numbers_in_another_way() -> None:
    """The two legs of a call have the same parties, as they have where legs are looked for."""
    into, out_of = ("uac", "b2bua"), ("b2bua", "uas")
    packets = [
        _invite("in1", "sip:442079460123@x", "sip:4930111@x", 1_000_000, 1, into),
        _invite("in2", "sip:442079460999@x", "sip:4930222@x", 1_100_000, 1, into),
        _invite("out1", "sip:+44-20-7946-0123@y", "tel:+49(30)111", 0, 2, out_of),
        _invite("out2", "sip:+44-20-7946-0999@y", "sip:+49.30.222;x=1@y", 100_000, 2, out_of),
    ]
    found = [message.call_id for _, message in causal(packets) if message is not None]
    assert found.index("in1") < found.index("out1")
    assert found.index("in2") < found.index("out2")


def _hostile(dice: random.Random, size: int) -> list[Packet]:
    """Messages of three calls that contradict each other in every way, seen by clocks that jump."""
    found = []
    for _ in range(size):
        start = dice.choice(STARTS)
        method = "INVITE" if start.startswith("SIP") else start.split()[0]
        vias = "".join(f"Via: SIP/2.0/UDP x;branch=z{dice.randrange(3)}\r\n" for _ in range(dice.randrange(4)))
        src, dst = (Endpoint(f"192.0.2.{dice.randrange(200)}", 5060) for _ in "ab")
        told = f"From: <sip:a@b>;tag={dice.randrange(2)}\r\nTo: <sip:c@d>{dice.choice(['', ';tag=9'])}\r\n"
        number = f"Call-ID: {dice.randrange(3)}\r\nCSeq: {dice.randrange(3)} {method}\r\n\r\n"
        sightings = ((dice.randrange(9), dice.randrange(10**7)),) * dice.randrange(2)
        found.append(
            Packet(dice.randrange(10**7), "UDP", src, dst, f"{start}\r\n{vias}{told}{number}".encode(), sightings)
        )
    return found


@settings(max_examples=60, deadline=None)
@given(RANDOM, st.integers(0, 40))
def test_contradictions_lose_nothing(dice: random.Random, size: int) -> None:
    packets = _hostile(dice, size)
    packets += dice.choices(packets, k=size // 4) if packets else []
    assert sorted(packet for packet, _ in causal(packets)) == sorted(packets)


def test_long_calls_take_no_longer_than_their_length() -> None:
    packets = _hostile(random.Random(1), 4_000)
    before = time.process_time()
    assert len(causal(packets)) == 4_000
    assert time.process_time() - before < 10
