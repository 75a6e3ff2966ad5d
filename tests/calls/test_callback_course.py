"""The course of a callback, as tables: stage, what happens, what comes of it."""

import pytest

from ringback.callback.course import OPEN, PLACED, STATES, TABLE, rehearsed, side, step, told

AGENT_FIRST = """
requested  pass       checked
requested  refuse     refused
requested  postpone   offline
requested  cancel     failed     visitor: cancelled
offline    due        requested
offline    refuse     refused
offline    cancel     failed     visitor: cancelled
offline    expire     failed     visitor: no_answer
checked    ring       first
checked    answer     second
checked    fail       failed     agent: failed
checked    lose       failed     agent: failed
checked    postpone   offline
first      answer     second
first      talk       connected
first      busy       failed     agent: busy
first      no_answer  failed     agent: no_answer
first      fail       failed     agent: failed
first      hang_up    failed     agent: cancelled
first      cancel     failed     visitor: cancelled
first      lose       failed     agent: failed
second     talk       connected
second     busy       failed     visitor: busy
second     no_answer  failed     visitor: no_answer
second     fail       failed     visitor: failed
second     hang_up    failed     agent: cancelled
second     cancel     failed     visitor: cancelled
second     lose       failed     visitor: failed
connected  hang_up    ended
connected  cancel     ended
connected  lose       ended
"""
VISITOR_FIRST = """
first      busy       failed     visitor: busy
first      no_answer  failed     visitor: no_answer
second     no_answer  failed     agent: no_answer
second     hang_up    failed     visitor: cancelled
second     cancel     failed     visitor: cancelled
"""
NOTHING = """
requested  answer
checked    talk
first      pass
first      ring
second     answer
connected  busy
connected  postpone
ended      hang_up
ended      lose
refused    pass
failed     talk
failed     hang_up
offline    ring
"""


def lines(table: str) -> list[tuple[str, ...]]:
    return [tuple(line.split(None, 3)) for line in table.strip().splitlines()]


@pytest.mark.parametrize(
    ("dial_first", "row"),
    [("agent", each) for each in lines(AGENT_FIRST)] + [("visitor", each) for each in lines(VISITOR_FIRST)],
)
def test_what_follows(dial_first: str, row: tuple[str, ...]) -> None:
    stage, event, after, *reason = row
    found = step(stage, event, dial_first)  # type: ignore[arg-type] # words of a table
    assert found is not None
    assert (found.stage, found.reason) == (after, reason[0] if reason else None)


@pytest.mark.parametrize(("stage", "event"), lines(NOTHING))
def test_what_changes_nothing(stage: str, event: str) -> None:
    assert step(stage, event, "agent") is None  # type: ignore[arg-type] # words of a table


def test_the_end_is_the_end() -> None:
    over = STATES.keys() - set(OPEN)
    assert over == {"ended", "refused", "failed"}
    assert all(stage not in TABLE for stage in over)
    assert set(PLACED) < set(OPEN) <= STATES.keys()


def test_every_open_stage_ends_some_day() -> None:
    """From each there is a way to an end."""
    ending = {"ended", "refused", "failed"}
    for _ in STATES:
        ending |= {stage for stage, events in TABLE.items() if ending & set(events.values())}
    assert ending == STATES.keys()


@pytest.mark.parametrize(
    ("stage", "dial_first", "rung"),
    [
        ("first", "agent", "agent"),
        ("first", "visitor", "visitor"),
        ("second", "agent", "visitor"),
        ("second", "visitor", "agent"),
        ("connected", "agent", None),
        ("offline", "agent", None),
    ],
)
def test_who_is_rung(stage: str, dial_first: str, rung: str | None) -> None:
    assert side(stage, dial_first) == rung  # type: ignore[arg-type] # words of a table


def test_what_visitors_are_told() -> None:
    assert told("agent: busy") == ("agent", "busy")
    assert told("price: 0.2000 a minute, 0.1500 allowed") == (None, None)
    assert told(None) == (None, None)


def test_a_rehearsal_has_the_order_of_its_setting() -> None:
    assert [rehearsed(second, "visitor") for second in (0, 2, 5, 8, 60)] == [
        ("REQUESTED", None),
        ("CALLING", "visitor"),
        ("CALLING", "agent"),
        ("CONNECTED", None),
        ("ENDED", None),
    ]
