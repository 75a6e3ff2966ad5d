"""Which day a captured packet is of, and so when it goes: the same whether an agent sent it or a file had it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.sip import capture
from ringback.sip.packet import Packet
from ringback.store import signalling, slices
from tests.api import Api
from tests.collecting import collecting, hep, send_tcp, settled
from tests.importers.master_csv import run
from tests.keeping import DAY, days_ago, retained, rules
from tests.packets import from_file, stored_packets
from tests.test_captures import START, talk

Feed = Callable[[Api, list[Packet]], None]


def aged(api: Api, days: float, call_id: str = "one@pbx") -> list[Packet]:
    """A call that began so many days ago."""
    late_us = (days_ago(api, days) - START) * 10**6
    return [each._replace(at_us=each.at_us + late_us) for each in talk(call_id)]


def by_hep(api: Api, packets: list[Packet]) -> None:
    with collecting(api) as collector:
        send_tcp(collector, map(hep, packets))
        settled(collector, len(packets))
        assert not collector.counts.failed
        assert not collector.counts.refused


def by_file(api: Api, packets: list[Packet]) -> None:
    file = Path(api.services.settings.data_dir) / "capture.pcap"
    file.write_bytes(b"".join(capture.write(packets)))
    assert run(api, "pcap", file).read == 1


def days(api: Api) -> set[int]:
    return {day for day, _ in stored_packets(api)}


def trace(api: Api) -> int:
    (msdr,) = api.admin.listed("/msdrs")
    return api.admin.get(f"/msdrs/{msdr['id']}.trace").status


def today(api: Api) -> int:
    return slices.day_of(api.services.clock())


feeds = pytest.mark.parametrize("feed", [by_hep, by_file])


@feeds
def test_a_packet_is_of_its_own_day_and_goes_with_it(api: Api, feed: Feed) -> None:
    feed(api, aged(api, 40))
    assert days(api) == {slices.day_of(days_ago(api, 40))}
    assert trace(api) == 200
    rules(api, sip=41)
    assert retained(api) == {}
    rules(api, sip=30)
    assert retained(api) == {"sip": 1}
    assert trace(api) == 404


@feeds
def test_what_would_have_gone_already_is_kept_as_long_as_what_comes_in_today(api: Api, feed: Feed) -> None:
    """A PBX whose clock stands at the turn of a century loses nothing."""
    rules(api, sip=30)
    feed(api, aged(api, 3_000))
    assert days(api) == {today(api)}
    assert retained(api) == {}
    assert trace(api) == 200
    api.services.clock.advance(32 * DAY)  # type: ignore[attr-defined]
    assert retained(api) == {"sip": 1}


@feeds
@pytest.mark.parametrize("age", [-3, -400, 20_400])
def test_no_packet_is_of_the_future_or_of_another_age(api: Api, feed: Feed, age: int) -> None:
    feed(api, aged(api, age))
    assert days(api) == {today(api)}


@feeds
def test_a_clock_that_is_a_day_fast_is_believed(api: Api, feed: Feed) -> None:
    feed(api, aged(api, -1))
    assert days(api) == {slices.day_of(days_ago(api, -1))}


@feeds
def test_what_went_and_is_brought_again_can_be_read_again(api: Api, feed: Feed) -> None:
    feed(api, aged(api, 40))
    rules(api, sip=30)
    assert retained(api) == {"sip": 1}
    feed(api, aged(api, 40))
    assert retained(api) == {}
    assert trace(api) == 200


@feeds
def test_what_comes_late_of_a_call_is_where_the_call_is(api: Api, feed: Feed) -> None:
    packets = aged(api, 40)
    feed(api, packets[:3])
    rules(api, sip=30)
    feed(api, packets)
    assert days(api) == {slices.day_of(days_ago(api, 40))}


def test_packets_of_any_days_make_few_slices_at_a_time(api: Api) -> None:
    """Each is a file or a table."""
    calls = [aged(api, 3 * n, f"{n}@pbx") for n in range(signalling.MOST_DAYS + 9)]
    stored = from_file(api, [packet for call in calls for packet in call])
    assert stored.new == sum(map(len, calls)) == len(stored_packets(api))
    assert days(api) == {slices.day_of(days_ago(api, 3 * n)) for n in range(signalling.MOST_DAYS)}
