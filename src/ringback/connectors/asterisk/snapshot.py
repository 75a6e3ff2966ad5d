"""What Asterisk says is up at this moment (`CoreShowChannels`), beside what the ledger knows."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ringback.calls import events
from ringback.calls.events import Event, Fact
from ringback.calls.ledger.state import Leg
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.events import identified

_CLOCK = re.compile(r"(\d{1,5}):(\d\d):(\d\d)", re.ASCII)


def ids(channels: Iterable[Message]) -> set[str]:
    return {each.get("Uniqueid", "") for each in channels} - {""}


def news(channels: Sequence[Message], known: Mapping[str, Leg], heard: Collection[str], now_us: int) -> Iterator[Event]:
    """What would have been heard of all of them. `heard`: those of which something was heard since, so that where they are is
    known better."""
    for channel in channels:
        leg = known.get(channel.get("Uniqueid", ""))
        if leg is not None and leg.ended_us is None:
            for fact in _missed(channel, leg, is_heard=leg.id in heard):
                yield Event(now_us, leg.id, channel.get("Linkedid", ""), channel.get("Channel", ""), fact)
    yield from unknown(channels, known, now_us)


def _missed(channel: Message, leg: Leg, *, is_heard: bool) -> list[Fact]:
    """Of a channel that is known. When it happened nobody knows: it counts from now."""
    found: list[Fact] = []
    application, bridge = channel.get("Application", ""), channel.get("BridgeId", "")
    is_first = not leg.is_called or channel.get("Linkedid") == leg.id  # an order has it rung before it calls
    if application and not is_heard and leg.step is None and not leg.steps and is_first:
        data, number, context = (channel.get(name, "") for name in ("ApplicationData", "Exten", "Context"))
        found.append(events.ApplicationEntered(application, data, number, context, is_late=True))
    if leg.answered_us is None and channel.get("ChannelStateDesc") == "Up":
        found.append(events.Answered())
    if not is_heard and bridge and leg.bridge != bridge and not leg.bridge.startswith("?"):
        found.append(events.BridgeEntered(bridge))
    return [events.Unheard(), *found] if found else []


def unknown(channels: Iterable[Message], known: Mapping[str, object], now_us: int) -> Iterator[Event]:
    """What would have been heard of channels that nobody knows, the longest one first. That their beginning was not seen the
    ledger sees by what is missing."""
    fresh = [each for each in channels if each.get("Uniqueid") and each["Uniqueid"] not in known]
    for channel in sorted(fresh, key=lambda each: (-_up_s(each), _serial(each))):
        started_us = now_us - _up_s(channel) * 1_000_000
        for fact in _facts(channel):
            yield Event(started_us, channel["Uniqueid"], channel.get("Linkedid", ""), channel.get("Channel", ""), fact)


def _facts(channel: Message) -> Iterator[Fact]:
    get = channel.get
    party = identified(channel)
    if party is not None:
        yield party
    if get("Application"):
        yield events.ApplicationEntered(
            get("Application", ""), get("ApplicationData", ""), get("Exten", ""), get("Context", "")
        )
    if get("ChannelStateDesc") == "Ringing":
        yield events.Ringing()
    if get("ChannelStateDesc") == "Up":
        yield events.Answered()
    if get("BridgeId"):
        yield events.BridgeEntered(get("BridgeId", ""))
    if party is None and not get("Application"):
        yield events.ApplicationLeft("")


def _serial(channel: Message) -> int:
    """The end of the id, by which channels are told apart that began in the same second: the first one called the others."""
    found = channel["Uniqueid"].rpartition(".")[2]
    return int(found) if found.isascii() and found.isdecimal() and len(found) < 19 else 0


def _up_s(channel: Message) -> int:
    found = _CLOCK.fullmatch(channel.get("Duration", ""))
    return (int(found[1]) * 60 + int(found[2])) * 60 + int(found[3]) if found else 0
