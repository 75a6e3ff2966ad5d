"""Healthy calls give no findings: 200 at random, and the real ones of the captures that come with the tests."""

import random

import pytest

from ringback.sip.diagnosis import diagnose
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
