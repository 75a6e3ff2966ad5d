"""What Asterisk says is up at this moment (`CoreShowChannels`), beside what the ledger knows."""

import re
from collections.abc import Iterable, Iterator, Mapping

from ringback.calls import events
from ringback.calls.events import Event, Fact
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.events import identified

_CLOCK = re.compile(r"(\d{1,5}):(\d\d):(\d\d)", re.ASCII)


def ids(channels: Iterable[Message]) -> set[str]:
    return {each.get("Uniqueid", "") for each in channels} - {""}


def unknown(channels: Iterable[Message], known: Mapping[str, object], now_us: int) -> Iterator[Event]:
    """What would have been heard of channels that nobody knows, the longest one first. That their beginning was not seen the
    ledger sees by what is missing."""
    fresh = [each for each in channels if each.get("Uniqueid") and each["Uniqueid"] not in known]
    for channel in sorted(fresh, key=_up_s, reverse=True):
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


def _up_s(channel: Message) -> int:
    found = _CLOCK.fullmatch(channel.get("Duration", ""))
    return (int(found[1]) * 60 + int(found[2])) * 60 + int(found[3]) if found else 0
