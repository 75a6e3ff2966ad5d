"""What FreeSWITCH says is up at this moment (`show channels as json`), beside what the ledger knows."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ringback.calls import events
from ringback.calls.events import Event, Fact
from ringback.calls.ledger.state import Leg

Row = Mapping[str, Any]
_TALKING = ("ACTIVE", "HELD")


def channels(text: str) -> list[Row]:
    """Empty for what is no such list."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    rows = found.get("rows", []) if isinstance(found, dict) else []
    return [each for each in rows if isinstance(each, dict) and _text(each, "uuid")] if isinstance(rows, list) else []


def ids(rows: list[Row]) -> set[str]:
    return {_text(each, "uuid") for each in rows}


def news(rows: list[Row], known: Mapping[str, Leg], _heard: object, now_us: int) -> Iterator[Event]:
    """What would have been heard of all of them. When somebody answered of whom that was not heard nobody knows: it counts from now."""
    for row in rows:
        leg = known.get(_text(row, "uuid"))
        if leg is not None and leg.ended_us is leg.answered_us is None and _text(row, "callstate") in _TALKING:
            for fact in (events.Unheard(), events.Answered()):
                yield Event(now_us, leg.id, "", leg.name, fact)
    yield from unknown(rows, known, now_us)


def unknown(rows: list[Row], known: Mapping[str, object], now_us: int) -> Iterator[Event]:
    """What would have been heard of channels that nobody knows, the oldest first. That their beginning was not seen the ledger
    sees by what is missing."""
    fresh = [each for each in rows if _text(each, "uuid") not in known]
    for row in sorted(fresh, key=_began):
        began_us = min(_began(row) * 1_000_000 or now_us, now_us)
        for fact in _facts(row):
            uuid = _text(row, "uuid")
            yield Event(began_us, uuid, _text(row, "call_uuid") or uuid, _text(row, "name"), fact)


def _facts(row: Row) -> Iterator[Fact]:
    is_called = _text(row, "direction") == "outbound"
    number = _text(row, "dest") if is_called else _text(row, "cid_num")
    yield events.Identified(number, "" if is_called else _text(row, "cid_name"))
    application = _text(row, "application")
    if application:
        name = "Dial" if application == "bridge" else application
        yield events.ApplicationEntered(name, _text(row, "application_data"), _text(row, "dest"), _text(row, "context"))
    state = _text(row, "callstate")
    if state in ("RINGING", "EARLY") and is_called:
        yield events.Ringing()
    if state in _TALKING:
        yield events.Answered()


def _began(row: Row) -> int:
    told = _text(row, "created_epoch")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 12 else 0


def _text(row: Row, name: str) -> str:
    found = row.get(name)
    return found if isinstance(found, str) else str(found) if isinstance(found, int) else ""
