"""Calls as text: what happened, event by event, and below it the hops that must come of it. See `README.md`."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from ringback.calls import events
from ringback.calls.events import Event
from ringback.calls.ledger import Bounds, Call, Hop, Ledger, Party, hops

CALLS = Path(__file__).parent / "calls"
BASE_US = 1_795_341_600_000_000
SECTIONS = ("phones", "ami", "cel", "events", "calls", "calls by cel")
FACTS = {fact.__name__: fact for fact in get_args(events.Fact)}
_PLAIN = re.compile(r"[^\s'\"\\=]+")


@dataclass
class Table:
    """`streams`: the events as each source told them; of a call that was not recorded there is one. `calls`: the expected text."""

    name: str
    about: list[str]
    phones: list[str] = field(default_factory=list)
    streams: dict[str, list[Event]] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> list[Event]:
        """The stream that tells most."""
        return next(iter(self.streams.values()))

    def expected(self, stream: str) -> str:
        return self.calls.get(f"calls by {stream}", self.calls["calls"])


# -- reading


def read(path: Path) -> Table:
    lines = path.read_text().splitlines()
    table = Table(path.stem, [line[2:] for line in lines if line.startswith("# ")])
    section = ""
    gathered: dict[str, list[str]] = {}
    for line in lines:
        if line in SECTIONS:
            section = line
        elif line.strip() and not line.startswith("#"):
            gathered.setdefault(section, []).append(line)
    table.phones = [line.strip() for line in gathered.pop("phones", [])]
    for name, found in gathered.items():
        if name.startswith("calls"):
            table.calls[name] = "\n".join(found) + "\n"
        else:
            table.streams[name] = list(_events(found))
    return table


def _events(lines: Iterable[str]) -> Iterator[Event]:
    names: dict[str, str] = {}
    for line in lines:
        at, channel, linked_id, name, kind, *fields = shlex.split(line)
        names[channel] = names.get(channel, "") if name == "-" else name
        given = dict(each.split("=", 1) for each in fields)
        at_us = BASE_US + round(float(at) * 1_000_000)
        yield Event(at_us, _id(channel), _id(linked_id), names[channel], _fact(kind, given))


def _id(text: str) -> str:
    return "" if text == "-" else text


def _fact(kind: str, given: dict[str, str]) -> events.Fact:
    made = FACTS[kind]
    types = made.__annotations__
    values: dict[str, Any] = {name: _value(types[name], text) for name, text in given.items()}
    fact: events.Fact = made(**values)
    return fact


def _value(kind: Any, text: str) -> Any:
    if kind is bool:
        return text == "yes"
    if kind is int:
        return int(text)
    return text if kind is str else tuple(filter(None, text.split(",")))


# -- writing


def written(table: Table) -> str:
    parts = ["".join(f"# {line}\n" for line in table.about)]
    if table.phones:
        parts.append("phones\n" + "".join(f"  {line}\n" for line in table.phones))
    parts += [
        f"{name}\n" + "".join(f"{line}\n" for line in event_lines(found)) for name, found in table.streams.items()
    ]
    parts += [f"{name}\n{text}" for name, text in table.calls.items()]
    return "\n".join(parts)


def event_lines(found: Iterable[Event]) -> Iterator[str]:
    names: dict[str, str] = {}
    for event in found:
        name = "-" if names.get(event.channel) == event.name else _quoted(event.name) or "-"
        names[event.channel] = event.name
        at = f"{(event.at_us - BASE_US) / 1e6:10.6f}"
        head = [at, event.channel or "-", event.linked_id or "-", name, type(event.fact).__name__]
        yield " ".join([*head, *_fields(event.fact)])


def _fields(fact: events.Fact) -> Iterator[str]:
    defaults = type(fact)._field_defaults
    for name, value in zip(fact._fields, fact, strict=True):
        if value != defaults.get(name, object()):
            yield f"{name}={_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _quoted(",".join(value) if isinstance(value, tuple) else str(value))


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) or not text else json.dumps(text, ensure_ascii=False)


# -- folding


def folded(found: Iterable[Event], bounds: Bounds | None = None) -> list[Call]:
    """Every call in the order of leaving; what is up at the end is closed."""
    ledger = Ledger(bounds or Bounds())
    left = [call for event in found for call in ledger.take(event)]
    return left + ledger.close()


def told(calls: Sequence[Call]) -> str:
    """What comes of them, a line a hop, below the one that it came from."""
    lines: list[str] = []
    for call in sorted(calls, key=lambda call: call.order):
        depths: dict[str | None, int] = {None: 0}
        for hop in hops(call):
            depths[hop.key] = depths[hop.parent] + 1
            lines.append("  " * depths[hop.key] + _line(hop))
    return "".join(f"{line}\n" for line in lines)


def _line(hop: Hop) -> str:
    outcome = f"{hop.context} {hop.disposition} {hop.cause}"
    answered = "" if hop.answered_us is None else f" answered {_s(hop.answered_us)}"
    flags = " human" * hop.human + " member" * hop.is_member + (f" payer {hop.payer}" if hop.payer else "")
    times = f"{_s(hop.started_us)} to {_s(hop.ended_us)}{answered}, talk {hop.talk_us / 1e6:.1f} s"
    facts = " ".join(filter(None, (_facts("src", hop.src), _facts("dst", hop.dst))))
    more = "".join(f" | {text}" for text in (hop.info, facts) if text)
    return f"{_party(hop.src)} -> {_party(hop.dst)} on {hop.channel}: {outcome}, {times}{flags}{more}"


def _s(at_us: int) -> str:
    return f"{(at_us - BASE_US) / 1e6:.1f}"


def _party(party: Party) -> str:
    number = f"{party.name} <{party.number}>" if party.name and party.name != party.number else party.number
    return f"{number or '?'}{f' at {party.endpoint}' if party.endpoint else ''}"


def _facts(side: str, party: Party) -> str:
    return " ".join(
        f"{side}_{name}={value}" for name in ("codec", "user_agent", "call_id") if (value := getattr(party, name))
    )
