"""AMI's events into those of the ledger.

Only AMI's own: they come through one queue of Asterisk, in the order in which things happened. CEL tells the same through a second queue,
which runs late on a busy PBX, so nothing of it is taken here (docs/decisions/0020-one-stream-of-a-connected-asterisk.md)."""

import re
from collections.abc import Callable, Mapping

from ringback.calls import events
from ringback.calls.events import Event, Fact
from ringback.connectors.asterisk.ami import Message

_STAMP = re.compile(r"(\d{1,10})\.(\d{6})", re.ASCII)
_UNKNOWN = {"<unknown>", "<none>", "unknown", "None"}


class Translator:
    """Of one connection after the other to one Asterisk: it tells when that was started anew in between. `up_us`: when it was up,
    by our clock, as an earlier process has seen it; 0 for never."""

    def __init__(self, up_us: int = 0) -> None:
        self._up_us = up_us

    def events(self, message: Message, now_us: int) -> list[Event]:
        """`now_us`: when it came, for an Asterisk that does not say (`timestampevents` in `manager.conf`)."""
        kind = message.get("Event", "")
        at_us = _stamp(message, now_us)
        if kind == "FullyBooted":
            return self._booted(message, at_us, now_us)
        readings = _FACTS.get(kind, ())
        channel, linked_id, name = (message.get(header, "") for header in _ABOUT.get(kind, _CHANNEL))
        facts = (read(message) for read in readings) if channel else ()
        return [Event(at_us, channel, linked_id, name, fact) for fact in facts if fact is not None]

    def _booted(self, message: Message, at_us: int, now_us: int) -> list[Event]:
        """Sent to everybody who logs in, with the whole seconds that it has been up: it is a new one if those do not reach back
        to when it was seen last. One that does not say so is the same: what its snapshot has not is closed anyway."""
        up_s = _whole(message, "Uptime")
        before_us, self._up_us = self._up_us, now_us
        is_told = message.get("Uptime", "").isdecimal()
        is_new = is_told and 0 < before_us < now_us - (up_s + 1) * 1_000_000
        return [Event(at_us - up_s * 1_000_000, "", "", "", events.Restarted())] if is_new else []


def _stamp(message: Message, now_us: int) -> int:
    found = _STAMP.fullmatch(message.get("Timestamp", ""))
    return int(found[1]) * 1_000_000 + int(found[2]) if found else now_us


_CHANNEL = ("Uniqueid", "Linkedid", "Channel")
_ABOUT = {
    "AttendedTransfer": ("OrigTransfererUniqueid", "OrigTransfererLinkedid", "OrigTransfererChannel"),
    "BlindTransfer": ("TransfererUniqueid", "TransfererLinkedid", "TransfererChannel"),
    "ParkedCall": ("ParkeeUniqueid", "ParkeeLinkedid", "ParkeeChannel"),
    "Pickup": ("TargetUniqueid", "TargetLinkedid", "TargetChannel"),
}


def _known(message: Message, name: str) -> str:
    found = message.get(name, "")
    return "" if found in _UNKNOWN else found


def _whole(message: Message, name: str) -> int:
    found = message.get(name, "")
    return int(found) if found.isascii() and found.isdecimal() and len(found) < 10 else 0


def _ringing(message: Message) -> Fact | None:
    return events.Ringing() if message.get("ChannelStateDesc") == "Ringing" else None


def _answered(message: Message) -> Fact | None:
    return events.Answered() if message.get("ChannelStateDesc") == "Up" else None


def identified(message: Message) -> Fact | None:
    number = _known(message, "CallerIDNum")
    return events.Identified(number, _known(message, "CallerIDName")) if number else None


def _identified_by_then(message: Message) -> Fact | None:
    return identified(message) if message.get("ChannelStateDesc") == "Up" else None


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


def _dialled(message: Message) -> Fact:
    return events.Dialled(message.get("DestUniqueid", ""))


def _dial_ended(message: Message) -> Fact:
    return events.DialEnded(message.get("DestUniqueid", ""), message.get("DialStatus", ""))


def _forwarded(message: Message) -> Fact | None:
    """By the phone whose dialling ends so: `102@internal` or `102`."""
    to = message.get("Forward", "").partition("@")[0]
    return events.Forwarded(to, _known(message, "DestCallerIDNum")) if to else None


def _entered_bridge(message: Message) -> Fact:
    is_holding = message.get("BridgeTechnology") == "holding_bridge"
    return events.BridgeEntered(message.get("BridgeUniqueid", ""), is_holding)


def _left_bridge(message: Message) -> Fact:
    return events.BridgeLeft(message.get("BridgeUniqueid", ""))


def _sent(message: Message) -> Fact | None:
    get = message.get
    fact = events.BlindTransferred(get("Extension", ""), get("Context", ""), get("TransfereeUniqueid", ""))
    return fact if get("Result") == "Success" else None


def _joined(message: Message) -> Fact | None:
    second, transferee, target = (
        message.get(f"{each}Uniqueid", "") for each in ("SecondTransferer", "Transferee", "TransferTarget")
    )
    fact = events.AttendedTransferred(second, transferee, target)
    return fact if message.get("Result") == "Success" else None


def _picked_up(message: Message) -> Fact:
    return events.PickedUp(message.get("Uniqueid", ""))


def _asked_to_end(message: Message) -> Fact | None:
    """By the channel's own party; the halves of a pair pass it on."""
    is_half = message.get("Channel", "").endswith((";1", ";2"))
    return None if is_half else events.PartyHungUp()


def _hung_up(message: Message) -> Fact:
    cause = _whole(message, "Cause")
    return events.HungUp(cause if cause < 128 else 0)


_FACTS: Mapping[str, tuple[Callable[[Message], Fact | None], ...]] = {
    "Newchannel": (_started,),
    "Newstate": (_ringing, _identified_by_then, _answered),
    "NewCallerid": (identified,),
    "Newexten": (_application,),
    "DialBegin": (_dialled,),
    "DialEnd": (_dial_ended, _forwarded),
    "BridgeEnter": (_entered_bridge,),
    "BridgeLeave": (_left_bridge,),
    "BlindTransfer": (_sent,),
    "AttendedTransfer": (_joined,),
    "Pickup": (_picked_up,),
    "Hold": (lambda _message: events.Held(),),
    "Unhold": (lambda _message: events.Resumed(),),
    "ParkedCall": (lambda message: events.Parked(message.get("ParkingSpace", "")),),
    "HangupRequest": (_asked_to_end,),
    "Hangup": (_hung_up,),
}
