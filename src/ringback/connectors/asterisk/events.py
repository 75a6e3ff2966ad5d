"""AMI's events into those of the ledger. CEL tells the course of a call; the others add what CEL does not know: who dialled whom,
that a phone rings, applications as they begin, hold, queues, recordings, where somebody is parked.

The two come in no order to each other. What decides which application a channel is in comes from AMI's own events alone."""

import re
from collections.abc import Callable, Mapping

from ringback.calls import events
from ringback.calls.events import Event, Fact
from ringback.connectors.asterisk import cel
from ringback.connectors.asterisk.ami import Message

_STAMP = re.compile(r"(\d{1,10})\.(\d{6})", re.ASCII)
_UNKNOWN = {"<unknown>", "<none>", "unknown", "None"}
_SETTLED_US = 5_000_000
"""The time since the start is told in whole seconds, and measured by two clocks."""


class Translator:
    """Of one connection after the other to one Asterisk: it tells when that was started anew in between."""

    def __init__(self) -> None:
        self._booted_us: int | None = None

    def events(self, message: Message, now_us: int) -> list[Event]:
        """`now_us`: when it came, for an Asterisk that does not say (`timestampevents` in `manager.conf`)."""
        kind = message.get("Event", "")
        at_us = _stamp(message, now_us)
        if kind == "CEL":
            return cel.translated(_record(message, at_us), applications=False)
        if kind == "FullyBooted":
            return self._booted(message, at_us)
        translate = _FACTS.get(kind)
        if translate is None:
            return []
        fact = translate(message)
        channel, linked_id, name = (message.get(header, "") for header in _ABOUT.get(kind, _CHANNEL))
        return [Event(at_us, channel, linked_id, name, fact)] if fact is not None and channel else []

    def _booted(self, message: Message, at_us: int) -> list[Event]:
        """Sent to everybody who logs in."""
        booted_us = at_us - _whole(message, "Uptime") * 1_000_000
        before_us, self._booted_us = self._booted_us, booted_us
        is_new = before_us is not None and booted_us > before_us + _SETTLED_US
        return [Event(booted_us, "", "", "", events.Restarted())] if is_new else []


def _stamp(message: Message, now_us: int) -> int:
    found = _STAMP.fullmatch(message.get("Timestamp", ""))
    return int(found[1]) * 1_000_000 + int(found[2]) if found else now_us


def _record(message: Message, at_us: int) -> cel.Record:
    get = message.get
    return cel.Record(
        type=get("EventName", ""),
        at_us=at_us,
        caller_name=get("CallerIDname", ""),
        number=get("CallerIDnum", ""),
        rdnis=get("CallerIDrdnis", ""),
        exten=get("Exten", ""),
        context=get("Context", ""),
        name=get("Channel", ""),
        application=get("Application", ""),
        data=get("AppData", ""),
        uniqueid=get("UniqueID", ""),
        linked_id=get("LinkedID", ""),
        peer=get("Peer", ""),
        extra=get("Extra", ""),
    )


_CHANNEL = ("Uniqueid", "Linkedid", "Channel")
_ABOUT = {
    "ParkedCall": ("ParkeeUniqueid", "ParkeeLinkedid", "ParkeeChannel"),
}


def _known(message: Message, name: str) -> str:
    found = message.get(name, "")
    return "" if found in _UNKNOWN else found


def _whole(message: Message, name: str) -> int:
    found = message.get(name, "")
    return int(found) if found.isascii() and found.isdecimal() and len(found) < 10 else 0


def _state(message: Message) -> Fact | None:
    return events.Ringing() if message.get("ChannelStateDesc") == "Ringing" else None


def identified(message: Message) -> Fact | None:
    number = _known(message, "CallerIDNum")
    return events.Identified(number, _known(message, "CallerIDName")) if number else None


def _application(message: Message) -> Fact:
    get = message.get
    return events.ApplicationEntered(
        get("Application", ""), get("AppData", ""), get("Extension", ""), get("Context", "")
    )


def _started(message: Message) -> Fact:
    get = message.get
    return events.Started(
        _known(message, "CallerIDNum"), _known(message, "CallerIDName"), get("Exten", ""), get("Context", "")
    )


def _queue(message: Message) -> str:
    return message.get("Queue", "")


def _missed(message: Message) -> Fact:
    rang_s = _whole(message, "RingTime") // 1_000
    return events.QueueMemberMissed(_queue(message), message.get("Interface", ""), rang_s)


def _connected(message: Message) -> Fact:
    get = message.get
    callee, waited_s = get("DestUniqueid", ""), _whole(message, "HoldTime")
    return events.QueueMemberConnected(_queue(message), get("Interface", ""), callee, waited_s)


_FACTS: Mapping[str, Callable[[Message], Fact | None]] = {
    "Newchannel": _started,
    "Newstate": _state,
    "NewCallerid": identified,
    "Newexten": _application,
    "DialBegin": lambda message: events.Dialled(message.get("DestUniqueid", "")),
    "DialEnd": lambda message: events.DialEnded(message.get("DestUniqueid", ""), message.get("DialStatus", "")),
    "Hold": lambda _message: events.Held(),
    "Unhold": lambda _message: events.Resumed(),
    "ParkedCall": lambda message: events.Parked(message.get("ParkingSpace", "")),
    "QueueCallerJoin": lambda message: events.QueueJoined(_queue(message)),
    "QueueCallerAbandon": lambda message: events.QueueLeft(
        _queue(message), _whole(message, "HoldTime"), abandoned=True
    ),
    "AgentRingNoAnswer": _missed,
    "AgentConnect": _connected,
    "MixMonitorStart": lambda _message: events.RecordingStarted(""),
    "MixMonitorStop": lambda _message: events.RecordingEnded(""),
}
