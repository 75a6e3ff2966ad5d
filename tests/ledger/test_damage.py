"""What a torn, doubled, thinned or shuffled log does to calls: each channel that was seen is in one call, and each call leaves once."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.calls import events
from ringback.calls.events import Event
from ringback.calls.ledger import Bounds, Call, Ledger, hops
from ringback.calls.ledger.changes import MOST
from tests.ledger.tables import BASE_US, CALLS, folded, read, told

LOGS = [found for file in sorted(CALLS.glob("*.txt")) for found in read(file).streams.values()]
logs = st.sampled_from(LOGS)
usual = settings(max_examples=150)


def channels(found: Sequence[Event]) -> set[str]:
    """Of those of which the log tells anything."""
    return {event.channel for event in found if event.channel and not isinstance(event.fact, events.CallEnded)}


def check(found: Sequence[Event], calls: Sequence[Call]) -> None:
    seen = Counter(leg for call in calls for leg in call.legs)
    assert seen == Counter(channels(found))
    for call in calls:
        told_hops = hops(call)
        keys = [hop.key for hop in told_hops]
        assert told_hops, "a call without a hop"
        assert len(set(keys)) == len(keys)
        assert [hop.parent for hop in told_hops[:1]] == [None]
        assert all(hop.parent in keys for hop in told_hops[1:])
        assert all(0 <= hop.talk_us <= max(hop.ended_us - hop.started_us, hop.talk_us) for hop in told_hops)
        assert all(hop.ended_us >= hop.started_us for hop in told_hops)
    assert len({call.id for call in calls}) == len(calls)


@usual
@given(logs, st.data())
def test_any_event_may_be_missing(found: Sequence[Event], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found)))
    thinned = [event for event, stays in zip(found, kept, strict=True) if stays]
    check(thinned, folded(thinned))


@usual
@given(logs, st.data())
def test_a_log_may_end_anywhere(found: Sequence[Event], data: st.DataObject) -> None:
    torn = found[: data.draw(st.integers(0, len(found)))]
    check(torn, folded(torn))
    assert all(
        call.faults
        for call in folded(torn)
        if any(not leg.cause for leg in call.legs.values()) and not _ended(call, torn)
    )


def _ended(call: Call, found: Sequence[Event]) -> bool:
    ends = {event.channel for event in found if isinstance(event.fact, events.HungUp | events.Ended)}
    return call.legs.keys() <= ends


@usual
@given(logs, st.data())
def test_a_log_may_begin_anywhere(found: Sequence[Event], data: st.DataObject) -> None:
    rest = found[data.draw(st.integers(0, len(found))) :]
    check(rest, folded(rest))


@usual
@given(logs, st.data())
def test_events_that_come_again_change_nothing(found: Sequence[Event], data: st.DataObject) -> None:
    """At once or later."""
    doubled = list(found)
    for at in data.draw(st.lists(st.integers(0, len(found) - 1), max_size=20)):
        doubled.insert(data.draw(st.integers(doubled.index(found[at]), len(doubled))), found[at])
    assert told(folded(doubled)) == told(folded(found))


@usual
@given(logs, st.data())
def test_neighbours_may_change_places(found: Sequence[Event], data: st.DataObject) -> None:
    shuffled = list(found)
    for at in data.draw(st.lists(st.integers(0, max(len(found) - 2, 0)), max_size=15)):
        shuffled[at : at + 2] = reversed(shuffled[at : at + 2])
    check(shuffled, folded(shuffled))


@usual
@given(logs, st.data())
def test_anything_at_all(found: Sequence[Event], data: st.DataObject) -> None:
    """Thinned, doubled and in any order."""
    drawn = data.draw(st.lists(st.sampled_from(range(len(found))), max_size=60))
    wild = [found[at] for at in drawn]
    check(wild, folded(wild))


@pytest.mark.parametrize("name", sorted(file.stem for file in CALLS.glob("parked_*.txt")))
def test_parking_is_told_a_moment_sooner_or_later(name: str) -> None:
    """Asterisk tells it through a queue of its own, beside all that the channels do at that moment."""
    found = read(CALLS / f"{name}.txt").best
    (parked,) = (event for event in found if isinstance(event.fact, events.Parked))
    others = [event for event in found if event is not parked]
    near = [at for at, event in enumerate(others) if abs(event.at_us - parked.at_us) < 50_000]
    for at in range(near[0], near[-1] + 2):
        assert told(folded([*others[:at], parked, *others[at:]])) == told(folded(found)), others[at]


def moved(found: Sequence[Event], at: int, to: int) -> list[Event]:
    others = [*found[:at], *found[at + 1 :]]
    return [*others[:to], found[at], *others[to:]]


RECORDED = {
    file.stem: streams["ami"] for file in sorted(CALLS.glob("*.txt")) if "ami" in (streams := read(file).streams)
}
AT_ONCE_US = 10_000
TRANSFERS = {
    name
    for name, found in RECORDED.items()
    if any(isinstance(event.fact, events.BlindTransferred | events.AttendedTransferred) for event in found)
}


@pytest.mark.parametrize("name", sorted(TRANSFERS))
def test_a_transfer_is_told_a_moment_sooner_or_later(name: str) -> None:
    """When it has been carried out, by a thread of its own: on a busy machine the next phone is dialled already, and the one who
    sends has hung up."""
    found = RECORDED[name]
    expected = told(folded(found))
    for at, sent in enumerate(found):
        if isinstance(sent.fact, events.BlindTransferred | events.AttendedTransferred):
            near = [to for to, event in enumerate(found) if abs(event.at_us - sent.at_us) < AT_ONCE_US]
            for to in near:
                if name == "attended_to_conference" and to == near[-1]:
                    continue  # the call that was to be joined is over by then
                assert told(folded(moved(found, at, to))) == expected, found[to]


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_what_two_channels_do_at_the_same_moment_comes_in_either_order(name: str) -> None:
    found = RECORDED[name]
    expected = told(folded(found))
    for at, event in enumerate(found):
        for to in range(at + 1, len(found)):
            other = found[to]
            if other.channel == event.channel or other.at_us - event.at_us > AT_ONCE_US or _leads(event, other):
                break
            assert told(folded(moved(found, at, to))) == expected, (event, other)


def _leads(event: Event, other: Event) -> bool:
    """One thread does both: who dials makes the channel, and who enters a bridge in another one's place takes that out."""
    match event.fact, other.fact:
        case events.ApplicationEntered(), events.Started():
            return True
        case events.Started(), events.Dialled(callee=callee):
            return callee == event.channel
        case events.BridgeLeft(bridge=bridge), events.BridgeEntered(bridge=entered):
            return bridge == entered
    return False


@usual
@given(logs, st.integers(0, 400))
def test_a_restart_closes_what_is_up(found: Sequence[Event], at: int) -> None:
    """And nothing is left of it afterwards."""
    torn = [*found[:at], Event(found[-1].at_us + 1, "", "", "", events.Restarted())]
    ledger = Ledger()
    calls = [call for event in torn for call in ledger.take(event)]
    check(torn, calls)
    assert (ledger.board.calls, ledger.board.linked, ledger.board.legs, ledger.board.names) == ({}, {}, {}, {})
    assert ledger.board.bridges == {}


def test_a_restart_that_is_told_again_closes_nothing_that_began_since() -> None:
    ledger, restarted = Ledger(), Event(BASE_US, "", "", "", events.Restarted())
    assert ledger.take(restarted) == []
    ledger.take(started("1", "1", 1.5))
    assert ledger.take(restarted) == []
    assert [call.id for call in ledger.take(restarted._replace(at_us=BASE_US + 2_000_000))] == ["1"]


def test_nothing_is_left_of_calls_that_are_over() -> None:
    ledger = Ledger()
    for number, found in enumerate(LOGS):
        for event in _renamed(found, f"{number}-"):
            ledger.take(event)
    board = ledger.board
    assert (board.calls, board.linked, board.legs, board.names, board.bridges) == ({}, {}, {}, {}, {})


def _renamed(found: Sequence[Event], prefix: str) -> list[Event]:
    def name(text: str) -> str:
        return prefix + text if text else ""

    return [event._replace(channel=name(event.channel), linked_id=name(event.linked_id)) for event in found]


# -- bounds


def started(channel: str, linked_id: str, at_s: float) -> Event:
    return Event(BASE_US + round(at_s * 1e6), channel, linked_id, f"PJSIP/{channel}-00000001", events.Started("101"))


def test_calls_that_never_end_are_bounded() -> None:
    ledger = Ledger(Bounds(calls=10))
    left = [call for at in range(100) for call in ledger.take(started(str(at), str(at), at + 0.5))]
    assert len(ledger.board.calls) == 11
    assert [call.id for call in left] == [str(at) for at in range(89)]
    assert all(call.faults == ["its end was not seen"] for call in left)


def test_a_call_that_is_silent_for_a_day_is_closed() -> None:
    ledger = Ledger()
    later = [started(f"new{at}", f"new{at}", 86_402 + at) for at in range(3)]
    assert [call.id for event in [started("old", "old", 0), *later] for call in ledger.take(event)] == ["old"]


def test_one_wrong_time_closes_nothing() -> None:
    ledger = Ledger()
    times = [0, 1, 9e9, 2, 3, 4]
    assert [call for at, second in enumerate(times) for call in ledger.take(started(f"{at}", f"{at}", second))] == []


def test_a_call_has_no_endless_number_of_legs() -> None:
    ledger = Ledger(Bounds(legs=50))
    left = [call for at in range(60) for call in ledger.take(started(f"{at}", "0", at))]
    assert [len(call.legs) for call in left] == [51]
    assert left[0].faults == ["more happened than is kept"]


def test_what_comes_after_the_end_begins_no_call() -> None:
    found = LOGS[0]
    ledger = Ledger()
    calls = [call for event in [*found, *found[len(found) // 2 :]] for call in ledger.take(event)]
    assert len(calls) == 1
    assert ledger.close() == []


def test_those_whose_call_is_over_are_not_waited_for() -> None:
    """The PBX says that no channel of the call is left; of one the end was lost."""
    told_by_cel = read(CALLS / "answered_internal.txt").streams["cel"]
    found = [event for event in told_by_cel if not isinstance(event.fact, events.HungUp | events.Ended)]
    ledger = Ledger()
    assert [call for event in found for call in ledger.take(event)] == []
    later = [started(f"new{at}", f"new{at}", 11 + at * 0.1 + found[-1].at_us / 1e6 - BASE_US / 1e6) for at in range(3)]
    left = [call for event in later for call in ledger.take(event)]
    assert [call.faults for call in left] == [["its end was not seen"]]


def test_times_are_not_the_order() -> None:
    """All in one second, or backwards: what was talked is unknown, but not who with whom."""
    for found in LOGS:
        flat = [event._replace(at_us=BASE_US) for event in found]
        backwards = [event._replace(at_us=BASE_US + 10**6 * (len(found) - at)) for at, event in enumerate(found)]
        for each in (flat, backwards):
            check(each, folded(each))


def test_a_channel_that_turns_out_to_be_half_of_a_pair_goes_on_in_the_call_of_the_other_half() -> None:
    """Its first event had no name, or another one."""
    first, second = (
        started(name, name, at)._replace(name=f"PJSIP/{name}-00000001") for at, name in enumerate(("1", "2"))
    )
    halves = [
        first._replace(at_us=BASE_US + 2_500_000, name="Local/5@office-00000001;1", fact=events.Ringing()),
        second._replace(at_us=BASE_US + 2_600_000, name="Local/5@office-00000001;2", fact=events.Answered()),
    ]
    ends = [
        each._replace(at_us=BASE_US + 4_000_000 + at, fact=events.HungUp(16)) for at, each in enumerate((first, second))
    ]
    ledger = Ledger()
    calls = [call for event in (first, second, *halves, *ends) for call in ledger.take(event)]
    assert [list(call.legs) for call in calls] == [["1", "2"]]
    assert ledger.close() == []


def test_transfers_without_end_are_bounded() -> None:
    ledger = Ledger()
    begun = started("1", "1", 0.5)
    ledger.take(begun)
    for at in range(MOST + 100):
        ledger.take(begun._replace(at_us=begun.at_us + 1 + at, fact=events.BlindTransferred(str(at))))
        ledger.take(begun._replace(at_us=begun.at_us + 1 + at, fact=events.AttendedTransferred()))
    assert len(ledger.board.calls["1"].senders) == MOST


def test_of_channels_that_are_dialled_and_never_come_the_last_ones_are_waited_for() -> None:
    ledger = Ledger()
    begun = started("1", "1", 0.5)
    ledger.take(begun)
    for at in range(MOST + 1):
        ledger.take(begun._replace(at_us=begun.at_us + 1 + at, fact=events.Dialled(f"never-{at}")))
    ledger.take(begun._replace(at_us=begun.at_us + 2 * MOST, fact=events.Dialled("2")))
    ledger.take(started("3", "1", 1))
    ledger.take(started("2", "1", 2))
    legs = ledger.board.legs
    assert legs["2"].caller is legs["1"]
    assert not legs["2"].is_doubtful
    assert len(ledger.board.expected) == MOST - 1
