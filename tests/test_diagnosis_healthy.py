"""Healthy calls give no findings: 200 at random, and the real ones of the captures that come with the tests."""

import random

import pytest

from ringback.sip.diagnosis import diagnose
from ringback.sip.packet import Packet
from tests.healthy import SORTS, healthy

CALLS = 217


@pytest.mark.parametrize("number", range(CALLS))
def test_a_healthy_call_has_no_findings(number: int) -> None:
    call = healthy(number)
    assert [(each.code, each.says) for each in diagnose(call.packets)] == [], call.table


def test_every_sort_is_among_them_several_times() -> None:
    assert CALLS >= 200
    assert CALLS // len(SORTS) >= 5


@pytest.mark.parametrize("number", range(len(SORTS)))
def test_the_order_of_capture_does_not_matter(number: int) -> None:
    packets = healthy(number).packets
    random.Random(number).shuffle(packets)
    assert diagnose(packets) == []


@pytest.mark.parametrize("number", range(2 * len(SORTS)))
def test_clocks_of_capture_agents_that_are_apart_do_not_matter(number: int) -> None:
    """Requests are captured where they arrive, responses where they are sent, each place with a clock of its own."""
    chance = random.Random(number)
    packets = healthy(number).packets
    off_us = {packet.src.ip: chance.randint(-2_000_000, 2_000_000) for packet in packets}
    places = list(off_us)
    skewed = [_seen_at(packet, places, off_us) for packet in packets]
    chance.shuffle(skewed)
    assert diagnose(skewed) == []


def _seen_at(packet: Packet, places: list[str], off_us: dict[str, int]) -> Packet:
    place = packet.src.ip if packet.payload.startswith(b"SIP/2.0") or packet.dst.ip not in off_us else packet.dst.ip
    at_us = packet.at_us + off_us[place]
    return packet._replace(at_us=at_us, sightings=((places.index(place), at_us),))
