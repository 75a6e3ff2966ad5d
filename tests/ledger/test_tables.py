"""Each call in `calls/` as the ledger tells it, beside what must come of it."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ringback.calls.ledger import Hop, hops
from tests.ledger.tables import BASE_US, CALLS, Table, event_lines, folded, read, told, written

FILES = sorted(CALLS.glob("*.txt"))
STREAMS = [(file, name) for file in FILES for name in read(file).streams]
RECORDED = [file for file in FILES if read(file).phones]
_NEAR_S = 0.5


def _ids(value: object) -> str:
    return value.stem if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("file", "stream"), STREAMS, ids=_ids)
def test_what_comes_of_a_call(file: Path, stream: str) -> None:
    table = read(file)
    expected, found = table.expected(stream), told(folded(table.streams[stream]))
    diff = "\n".join(
        difflib.unified_diff(expected.splitlines(), found.splitlines(), "expected", "found", n=99, lineterm="")
    )
    assert found == expected, f"{file.name}, {stream}: {' '.join(table.about)}\n{diff}"


@pytest.mark.parametrize(("file", "stream"), STREAMS, ids=_ids)
def test_a_log_that_is_read_twice_changes_nothing(file: Path, stream: str) -> None:
    found = read(file).streams[stream]
    assert told(folded(found + found)) == told(folded(found))


@pytest.mark.parametrize("file", FILES, ids=_ids)
def test_a_table_is_written_as_it_is_read(file: Path) -> None:
    table = read(file)
    for name, found in table.streams.items():
        assert list(event_lines(found)), name
    assert written(table) == file.read_text()


def test_there_are_sixty_topologies_and_forty_of_them_recorded() -> None:
    assert len(FILES) >= 60
    assert len(RECORDED) >= 40


# -- against the phones


class Leg(NamedTuple):
    """What a phone told of one of its calls, in seconds. `talked_s`: None when it was not answered."""

    phone: str
    was_called: bool
    began_s: float
    answered_s: float | None
    ended_s: float


_TOLD = re.compile(r"(\d+): (CALLING|INCOMING) (-?[\d.]+)(?:, CONFIRMED ([\d.]+))?(?:, DISCONNECTED \d+ ([\d.]+))?")
_ENDPOINTS = {"107": {"trunk", "provider"}}
"""The phone that plays the world outside."""


def _legs(table: Table) -> Iterator[Leg]:
    for line in table.phones:
        found = _TOLD.fullmatch(line)
        assert found, line
        phone, how, began, answered, ended = found.groups()
        yield Leg(phone, how == "INCOMING", float(began), float(answered) if answered else None, float(ended or "inf"))


def _s(at_us: int | None) -> float:
    return float("nan") if at_us is None else (at_us - BASE_US) / 1e6


def _is(leg: Leg, endpoint: str) -> bool:
    return endpoint in _ENDPOINTS.get(leg.phone, {leg.phone})


BY_HAND = {
    "follow_me": "the mobile answers, and only 2 s later presses the digit that connects it",
    "attended_before_answer": "the phone hung up while the other one rang; Asterisk kept its channel until that answered",
}
"""Where the phones' log says something else than the hops, and rightly so."""


@pytest.mark.parametrize("file", RECORDED, ids=_ids)
def test_whom_a_phone_says_it_answered(file: Path) -> None:
    """Each call that a phone took is a hop that began when it rang and was answered when it answered; each that it did not take
    is a hop that nobody talked in."""
    table = read(file)
    found = [hop for call in folded(table.best) for hop in hops(call)]
    for leg in _legs(table):
        if leg.was_called and file.stem.removeprefix("untold_") not in BY_HAND:
            assert _matching(found, leg), f"{file.name}: nothing of {leg} in\n{table.calls['calls']}"


def _matching(found: list[Hop], leg: Leg) -> list[Hop]:
    if leg.answered_s is None:
        to_it = [
            hop for hop in found if _is(leg, hop.dst.endpoint) or (_is(leg, hop.src.endpoint) and not hop.dst.number)
        ]
        return [hop for hop in to_it if not hop.talk_us or "rang" in hop.info]
    parties = [hop for hop in found if _is(leg, hop.dst.endpoint) or _is(leg, hop.src.endpoint)]
    return [hop for hop in parties if _answered_with(hop, leg)]


def _answered_with(hop: Hop, leg: Leg) -> bool:
    """Of a phone that the PBX called to call somebody else for it, the first hop is answered when that one answers."""
    if hop.answered_us is None or leg.answered_s is None or not _is(leg, hop.dst.endpoint):
        return _is(leg, hop.src.endpoint) and abs(_s(hop.started_us) - leg.began_s) < _NEAR_S
    within = leg.answered_s - _NEAR_S < _s(hop.answered_us) and _s(hop.ended_us) < leg.ended_s + _NEAR_S
    return within and abs(_s(hop.answered_us) - leg.answered_s) < _NEAR_S


@pytest.mark.parametrize("file", RECORDED, ids=_ids)
def test_nobody_talks_longer_than_the_phones_were_up(file: Path) -> None:
    table = read(file)
    legs = list(_legs(table))
    for hop in (hop for call in folded(table.best) for hop in hops(call)):
        for party in filter(None, (hop.src.endpoint, hop.dst.endpoint)):
            up_s = sum(leg.ended_s - leg.answered_s for leg in legs if _is(leg, party) and leg.answered_s is not None)
            assert hop.talk_us / 1e6 <= up_s + _NEAR_S, f"{file.name}: {party} in {hop}"


SIMPLE = [file for file in RECORDED if len(read(file).phones) == 2 and file.stem.removeprefix("untold_") not in BY_HAND]


@pytest.mark.parametrize("file", SIMPLE, ids=_ids)
def test_of_two_phones_the_called_one_says_how_long_they_talked(file: Path) -> None:
    table = read(file)
    called = [leg for leg in _legs(table) if leg.was_called]
    found = [hop for call in folded(table.best) for hop in hops(call) if hop.dst.endpoint or not called]
    for leg in called[-1:]:
        talked_s = 0.0 if leg.answered_s is None else leg.ended_s - leg.answered_s
        parked = any("parked" in hop.info for hop in found)
        assert parked or max((hop.talk_us / 1e6 for hop in found), default=0.0) == pytest.approx(talked_s, abs=0.15)
