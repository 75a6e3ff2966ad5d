"""Channel event logging (CEL, `main/cel.c`) into events: records of a file and of a table.

CEL does not say who dialled whom, when a phone rang, or what was held. It tells of applications only when `apps` in
`cel.conf` lists their names (`all` is no such name), and when a channel dials again after a transfer it does not even then; but each
record names the application that the channel is in, so they are taken from there.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ringback.calls import events
from ringback.calls.events import Event, Fact
from ringback.connectors.asterisk import marks

TYPES = tuple(
    """
    ALL CHAN_START CHAN_END HANGUP ANSWER APP_START APP_END PARK_START PARK_END USER_DEFINED BRIDGE_ENTER BRIDGE_EXIT
    BLINDTRANSFER ATTENDEDTRANSFER PICKUP FORWARD LINKEDID_END LOCAL_OPTIMIZE LOCAL_OPTIMIZE_BEGIN STREAM_BEGIN STREAM_END
    DTMF
    """.split()  # noqa: SIM905 - a table reads better
)
"""By their numbers in `include/asterisk/cel.h`, which some tables hold."""
_LONGEST_EXTRA = 16_384
_SAYS_APPLICATION = {"ANSWER", "BRIDGE_ENTER", "FORWARD", "STREAM_BEGIN", "HANGUP"}


class Record(NamedTuple):
    """A line of CEL. `extra`: JSON or empty."""

    type: str
    at_us: int
    caller_name: str
    number: str
    rdnis: str
    exten: str
    context: str
    name: str
    application: str
    data: str
    uniqueid: str
    linked_id: str
    peer: str
    extra: str
    account: str = ""

    def marked(self, mark: str) -> "Record":
        """With `mark` before the ids of channels (`marks.py`)."""
        if not mark:
            return self
        uniqueid, linked_id = marks.named(mark, self.uniqueid), marks.named(mark, self.linked_id)
        return self._replace(uniqueid=uniqueid, linked_id=linked_id, extra=marks.in_extra(mark, self.extra))


def translated(record: Record) -> list[Event]:
    """In the order in which the ledger takes them; empty for what says nothing about the course of a call."""
    facts: list[Fact] = []
    if record.application and record.type in _SAYS_APPLICATION:
        facts.append(_application(record)._replace(is_late=True))
    if record.type in {"ANSWER", "HANGUP"} and record.number:
        facts.append(events.Identified(record.number, record.caller_name))
    translate = _FACTS.get(record.type)
    if translate is not None:
        facts.append(translate(record))
    at_us, channel, linked_id, name = record.at_us, record.uniqueid, record.linked_id, record.name
    return [Event(at_us, channel, linked_id, name, fact) for fact in facts]


def _application(record: Record) -> events.ApplicationEntered:
    return events.ApplicationEntered(record.application, record.data, record.exten, record.context)


def _started(record: Record) -> Fact:
    return events.Started(record.number, record.caller_name, record.exten, record.context)


def _entered_bridge(record: Record) -> Fact:
    extra = _extra(record)
    is_holding = _text(extra, "bridge_technology") == "holding_bridge"
    peers = tuple(filter(None, record.peer.split(",")))
    return events.BridgeEntered(_text(extra, "bridge_id"), is_holding, peers)


def _left_bridge(record: Record) -> Fact:
    return events.BridgeLeft(_text(_extra(record), "bridge_id"))


def _sent(record: Record) -> Fact:
    extra = _extra(record)
    return events.BlindTransferred(
        _text(extra, "extension"), _text(extra, "context"), _text(extra, "transferee_channel_uniqueid")
    )


def _joined(record: Record) -> Fact:
    extra = _extra(record)
    return events.AttendedTransferred(
        _text(extra, "channel2_uniqueid"),
        _text(extra, "transferee_channel_uniqueid"),
        _text(extra, "transfer_target_channel_uniqueid"),
    )


def _picked_up(record: Record) -> Fact:
    return events.PickedUp(_text(_extra(record), "pickup_channel_uniqueid"))


def _forwarded(record: Record) -> Fact:
    return events.Forwarded(_text(_extra(record), "forward").partition("@")[0], record.rdnis)


def _hung_up(record: Record) -> Fact:
    extra = _extra(record)
    cause = extra.get("hangupcause")
    by_party = _text(extra, "hangupsource") == record.name
    return events.HungUp(cause if type(cause) is int and 0 <= cause < 128 else 0, _text(extra, "dialstatus"), by_party)


def _extra(record: Record) -> Mapping[str, Any]:
    """Empty where it is none, or too long, or no object."""
    if not record.extra or len(record.extra) > _LONGEST_EXTRA:
        return {}
    try:
        found = json.loads(record.extra)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(extra: Mapping[str, Any], name: str) -> str:
    found = extra.get(name)
    return found if isinstance(found, str) else ""


_FACTS: Mapping[str, Callable[[Record], Fact]] = {
    "CHAN_START": _started,
    "CHAN_END": lambda _record: events.Ended(),
    "HANGUP": _hung_up,
    "ANSWER": lambda _record: events.Answered(),
    "APP_START": _application,
    "APP_END": lambda record: events.ApplicationLeft(record.application),
    "PARK_START": lambda _record: events.Parked(),
    "BRIDGE_ENTER": _entered_bridge,
    "BRIDGE_EXIT": _left_bridge,
    "BLINDTRANSFER": _sent,
    "ATTENDEDTRANSFER": _joined,
    "PICKUP": _picked_up,
    "FORWARD": _forwarded,
    "LINKEDID_END": lambda _record: events.CallEnded(),
}
