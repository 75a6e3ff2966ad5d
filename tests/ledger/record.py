"""Makes a table of a recorded call: `python -m tests.ledger.record SCENE.cel.csv [SCENE.ami [SCENE.phones]] > NAME.txt`.

The calls below the events are what the ledger makes of them now: **check each against the phones' log and the dial plan** before
the table is kept. The recordings are made by `tools/lab/ledger/record.py`.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ringback.calls import events
from ringback.calls.events import Event
from ringback.connectors.asterisk import ami
from ringback.connectors.asterisk.events import Translator
from ringback.importers import asterisk_cel
from ringback.importers.importer import Options
from tests.ledger.tables import BASE_US, Table, folded, told, written

_IDS = {"callee", "transferee", "target", "second", "by"}
_STATE = re.compile(r"\s*([\d.]+) (\d+) call (\d+): (\w+) (\d+)")


def from_cel(path: Path) -> list[Event]:
    with path.open("rb") as file:
        return [
            event for found in asterisk_cel.translated(file, Options()) if isinstance(found, list) for event in found
        ]


def from_ami(path: Path) -> list[Event]:
    decoder, translator = ami.Decoder(), Translator()
    messages = decoder.feed(b"Asterisk Call Manager\r\n" + path.read_bytes())
    return [event for message in messages for event in translator.events(message, 0)]


class Shorter:
    """Times from the first event on, and short ids, the same in all streams. By `Forwarded` it is a number, no id."""

    def __init__(self, found: Iterable[Event]) -> None:
        self.start_us = min((event.at_us for event in found), default=0)
        self._ids: dict[str, str] = {}
        self._bridges: dict[str, str] = {}

    def event(self, event: Event) -> Event:
        return Event(
            BASE_US + event.at_us - self.start_us,
            self._id(event.channel),
            self._id(event.linked_id),
            event.name,
            self._fact(event.fact),
        )

    def _id(self, text: str) -> str:
        return self._ids.setdefault(text, str(len(self._ids) + 1)) if text else ""

    def _fact(self, fact: events.Fact) -> events.Fact:
        values: Mapping[str, object] = fact._asdict()
        changed: dict[str, Any] = {
            name: self._id(str(value)) for name, value in values.items() if name in _IDS and value
        }
        if isinstance(fact, events.Forwarded):
            return fact
        if isinstance(fact, events.BridgeEntered | events.BridgeLeft) and fact.bridge:
            changed["bridge"] = self._bridges.setdefault(fact.bridge, f"b{len(self._bridges) + 1}")
        made: events.Fact = fact._replace(**changed)
        return made


def phones(path: Path, start_us: int) -> Iterator[str]:
    """A line for each call of a phone: when it rang or called, talked, ended."""
    lines = path.read_text().splitlines()
    began_us = round(float(lines[1].removeprefix("began ")) * 1_000_000)
    calls: dict[tuple[str, str], list[str]] = {}
    for found in filter(None, map(_STATE.match, lines[2:])):
        at_us, phone, number, state, code = began_us + round(float(found[1]) * 1_000_000), *found.groups()[1:]
        if state in {"CALLING", "INCOMING", "CONFIRMED", "DISCONNECTED"}:
            word = f"DISCONNECTED {code}" if state == "DISCONNECTED" else state
            calls.setdefault((phone, number), []).append(f"{word} {(at_us - start_us) / 1e6:.1f}")
    yield from (f"{phone}: {', '.join(states)}" for (phone, _), states in calls.items())


def made(paths: list[Path]) -> Table:
    cel, *more = paths
    streams = {"ami": from_ami(more[0])} if more else {}
    streams["cel"] = from_cel(cel)
    shorter = Shorter(event for found in streams.values() for event in found)
    table = Table(cel.name.partition(".")[0], ["Recorded from Asterisk 22.10."])
    if len(more) > 1:
        table.about.insert(0, more[1].read_text().splitlines()[0])
        table.phones = list(phones(more[1], shorter.start_us))
    table.streams = {name: [shorter.event(event) for event in found] for name, found in streams.items()}
    texts = {name: told(folded(found)) for name, found in table.streams.items()}
    table.calls["calls"] = next(iter(texts.values()))
    if texts["cel"] != table.calls["calls"]:
        table.calls["calls by cel"] = texts["cel"]
    return table


if __name__ == "__main__":
    print(written(made([Path(name) for name in sys.argv[1:]])), end="")
