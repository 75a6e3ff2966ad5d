"""What is plainly in order needs no search for causes: it gives the same session as the order that was searched for."""

import random
from collections.abc import Iterator

import pytest

from ringback.sip.capture import hep
from ringback.sip.dialogs.dialog import Dialog
from ringback.sip.dialogs.session import MediaSession
from ringback.sip.message import scan
from ringback.sip.order import causal
from ringback.sip.order.plain import Plain
from ringback.sip.packet import Packet, is_text
from tests import lab_calls
from tests.healthy import healthy
from tests.scenes import scene
from tests.test_lab_captures import frames

SKEWS_US = (0, 0, 0, 1_500_000, -2_000_000, 300_000)


def calls(packets: list[Packet]) -> Iterator[list[Packet]]:
    """The SIP messages of each Call-ID, by time."""
    found: dict[str, list[Packet]] = {}
    for packet in sorted(packets, key=lambda each: each.at_us):
        if is_text(packet.payload) and scan(packet.payload).call_id:
            found.setdefault(scan(packet.payload).call_id, []).append(packet)
    yield from found.values()


def is_plain(packets: list[Packet]) -> bool:
    plain = Plain()
    return all(plain.follows(packet, scan(packet.payload)) for packet in packets)


def session(packets: list[Packet]) -> MediaSession | None:
    dialog = Dialog("one")
    for packet in packets:
        dialog.add(packet, scan(packet.payload))
    return dialog.session()


def searched(call: list[Packet]) -> list[Packet]:
    """In the order of causes; a second call keeps it from being taken for plain."""
    (other, *_) = scene("0.0 alice > bob OPTIONS 1 leg=other")
    return [packet for packet, _ in causal([*call, other]) if packet is not other]


def skewed(packets: list[Packet], chance: random.Random) -> list[Packet]:
    """As if each way had been captured with a clock of its own."""
    apart: dict[tuple[str, str], int] = {}
    for packet in packets:
        apart.setdefault((packet.src.ip, packet.dst.ip), chance.choice(SKEWS_US))
    return [each._replace(at_us=each.at_us + apart[each.src.ip, each.dst.ip]) for each in packets]


def real() -> Iterator[list[Packet]]:
    for name in lab_calls.names():
        yield [hep.read(each, 0).packet for each in frames(name)]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_plain_is_as_causes_have_it(seed: int) -> None:
    chance = random.Random(seed)
    given = [*real(), *(list(healthy(number).packets) for number in range(60))]
    plain = 0
    for packets in given:
        for call in calls(skewed(packets, chance) if seed else packets):
            if is_plain(call):
                plain += 1
                assert session(call) == session(searched(call))
    assert plain > (70 if seed == 0 else 8)


TALK = """
    0.0  alice > p > bob   INVITE      1
    0.3  bob > p > alice   180/INVITE  1
    2.0  bob > p > alice   200/INVITE  1
    2.1  alice > p > bob   ACK         1  to-tag
    9.5  alice > p > bob   BYE         2  to-tag
    9.6  bob > p > alice   200/BYE     2
"""


def test_a_call_is_plain_and_a_message_before_its_cause_is_not() -> None:
    call = scene(TALK)
    assert is_plain(call)
    for place in range(len(call) - 1):
        swapped = [*call[:place], call[place + 1], call[place], *call[place + 2 :]]
        assert not is_plain(swapped), place


def test_of_messages_without_a_number_nothing_is_said() -> None:
    assert is_plain([each._replace(payload=each.payload.replace(b"CSeq", b"X")) for each in reversed(scene(TALK))])
