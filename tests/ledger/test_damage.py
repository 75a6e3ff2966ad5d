"""What a torn, doubled, thinned or shuffled log does to calls: each channel that was seen is in one call, and each call leaves once."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.calls import events
from ringback.calls.events import Event
from ringback.calls.ledger import Bounds, Call, Ledger, hops
from tests.ledger.tables import BASE_US, CALLS, folded, read, told

LOGS = [found for file in sorted(CALLS.glob("*.txt")) for found in read(file).streams.values()]
logs = st.sampled_from(LOGS)
usual = settings(deadline=None, max_examples=150)


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
    found = [event for event in LOGS[0] if not isinstance(event.fact, events.HungUp | events.Ended)]
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
