"""How fast events become calls, with 500 calls up at once."""

import time
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from ringback.calls.events import Event
from ringback.calls.ledger import Ledger, hops
from tests.ledger.tables import CALLS, read

AT_ONCE, CALLS_IN_ALL = 500, 3_000
BAR = 20_000
"""Events a second and core: 500 calls that end together, 25 events each, within a second."""
_IDS = ("callee", "transferee", "target", "second", "bridge")


def own(found: list[Event], prefix: str) -> list[Event]:
    """The same call with ids of its own."""

    def name(text: str) -> str:
        return prefix + text if text else ""

    def fact(event: Event) -> Any:
        told: Any = event.fact
        return told._replace(**{key: name(value) for key, value in told._asdict().items() if key in _IDS})

    return [Event(each.at_us, name(each.channel), name(each.linked_id), name(each.name), fact(each)) for each in found]


def interleaved() -> Iterator[Event]:
    logs = [found for file in sorted(CALLS.glob("*.txt")) if (found := read(file).streams.get("ami"))]
    calls = [own(logs[number % len(logs)], f"{number}-") for number in range(CALLS_IN_ALL)]
    for at in range(0, len(calls), AT_ONCE):
        for events in zip_longest(*calls[at : at + AT_ONCE]):
            yield from (event for event in events if event is not None)


def test_speed() -> None:
    events = list(interleaved())
    ledger = Ledger()
    began = time.process_time()
    found = sum(len(hops(call)) for event in events for call in ledger.take(event))
    found += sum(len(hops(call)) for call in ledger.close())
    per_s = len(events) / (time.process_time() - began)
    print(f"\n{len(events)} events of {CALLS_IN_ALL} calls, {AT_ONCE} at once: {per_s:,.0f} events/s, {found} hops")
    assert found > CALLS_IN_ALL
    assert per_s > BAR
