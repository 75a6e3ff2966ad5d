"""FreeSWITCH's events into those of the ledger (`switch_types.h`, `switch_channel.c`, `mod_conference`).

What is told of a transfer is told late: the channel that was sent on carries where to in a variable (`transfer_source`), the one that sent it
says so when it ends (`endpoint_disposition`). Who was connected to whom is kept for that, of channels that are up.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from ringback.calls import events
from ringback.calls.events import Event, Fact
from ringback.connectors.freeswitch.causes import Q850_OF
from ringback.connectors.freeswitch.esl import Headers

CHANNEL_EVENTS = """
    CHANNEL_CREATE CHANNEL_ORIGINATE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE
    CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HOLD CHANNEL_UNHOLD CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY
    HEARTBEAT
""".split()  # noqa: SIM905 - a table reads better
CUSTOM_EVENTS = ("conference::maintenance", "valet_parking::info")
MOST = 100_000
"""Channels that are remembered."""

_APPLICATIONS = {
    "bridge": "Dial",
    "voicemail": "VoiceMail",
    "check_voicemail": "VoiceMailMain",
    "valet_park": "Park",
    "park": "Park",
    "intercept": "PickupChan",
    "eavesdrop": "ChanSpy",
    "play_and_detect_speech": "ivr",
    "read": "Read",
    "endless_playback": "Playback",
    "say": "SayDigits",
    "phrase": "Playback",
    "gentones": "Playtones",
}
"""In Asterisk's words, which are those of the ledger. What is not here has the same name there, or makes no difference."""
_BY_PARTY = {"recv_bye", "recv_cancel", "recv_refuse"}
_STATUSES = {16: "CANCEL", 17: "BUSY", 18: "NOANSWER", 19: "NOANSWER", 26: "CANCEL", 21: "BUSY"}
_BLIND = re.compile(r"\d{1,12}:[^:]{1,64}:bl_xfer:([^/]{1,64})/([^/]{0,64})/", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


class Translator:
    """Of one connection after the other to one FreeSWITCH: it tells when that was started anew in between."""

    def __init__(self) -> None:
        self._core = ""
        self._partners: dict[str, str] = {}
        self._sent: dict[str, str] = {}

    def events(self, message: Headers, now_us: int) -> list[Event]:
        """`message`: an event's headers. `now_us`: when it came, where it does not say."""
        at_us = _whole(message.get("Event-Date-Timestamp", "")) or now_us
        return [*self._restarted(message, at_us), *self._transfer(message, at_us), *self._told(message, at_us)]

    def _restarted(self, message: Headers, at_us: int) -> Iterator[Event]:
        """A running FreeSWITCH has one `Core-UUID`."""
        before, self._core = self._core, message.get("Core-UUID") or self._core
        if before and before != self._core:
            self._partners.clear()
            self._sent.clear()
            yield Event(at_us, "", "", "", events.Restarted())

    def _transfer(self, message: Headers, at_us: int) -> Iterator[Event]:
        """The channel's variable is new: its partner has sent it on."""
        told, channel = message.get("variable_transfer_source", ""), message.get("Unique-ID", "")
        if not told or self._sent.get(channel) == told:
            return
        found = _BLIND.match(told)
        by = self._partners.get(channel, "")
        _remember(self._sent, channel, told)
        if found and by:
            number, _dialplan = found.groups()
            yield Event(at_us, by, "", "", events.BlindTransferred(number, message.get("Caller-Context", ""), channel))

    def _told(self, message: Headers, at_us: int) -> Iterator[Event]:
        kind = message.get("Event-Name", "")
        if kind == "CUSTOM":
            yield from _custom(message, at_us)
        elif kind in ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE"):
            yield from self._bridge(message, at_us)
        else:
            translate = _EVENTS.get(kind)
            channel = message.get("Unique-ID", "")
            if translate is not None and channel:
                for other, fact in translate(message):
                    linked_id, name = ("", "") if other else (_linked_id(message), _name(message))
                    yield Event(at_us, other or channel, linked_id, name, fact)
            if kind == "CHANNEL_DESTROY":
                self._partners.pop(channel, None)
                self._sent.pop(channel, None)

    def _bridge(self, message: Headers, at_us: int) -> Iterator[Event]:
        """Both channels of it; a bridge has no other."""
        one = message.get("Bridge-A-Unique-ID") or message.get("Unique-ID", "")
        other = message.get("Bridge-B-Unique-ID") or message.get("Other-Leg-Unique-ID", "")
        if not one or not other:
            return
        enters = message.get("Event-Name") == "CHANNEL_BRIDGE"
        bridge = f"{one}+{other}"
        for channel, partner in ((one, other), (other, one)):
            if enters:
                _remember(self._partners, channel, partner)
            fact = events.BridgeEntered(bridge) if enters else events.BridgeLeft(bridge)
            yield Event(at_us, channel, "", "", fact)


def _remember(table: dict[str, str], channel: str, value: str) -> None:
    table.pop(channel, None)
    table[channel] = value
    if len(table) > MOST:
        del table[next(iter(table))]


def _linked_id(message: Headers) -> str:
    """Of the call that the channel was made for, else its own."""
    own = message.get("Unique-ID", "")
    call = message.get("Channel-Call-UUID", "")
    if call in ("", own) and message.get("Other-Type") == "originator":
        call = message.get("Other-Leg-Unique-ID", "")
    return call or own


def _name(message: Headers) -> str:
    """As the ledger reads names: a phone's by its user, who has proved to be it; anybody else's by the way it came or goes."""
    name = message.get("Channel-Name", "")
    kind, _, rest = name.partition("/")
    if kind == "loopback":
        return _half(message, name)
    if kind != "sofia":
        return name
    profile = rest.partition("/")[0]
    if _is_called(message):
        gateway, user = message.get("variable_sip_gateway_name", ""), message.get("variable_dialed_user", "")
        return f"sofia/gateway/{gateway}" if gateway else f"sofia/{profile}/{user}" if user else name
    return f"sofia/{profile}/{message.get('variable_user_name') or profile}"


def _half(message: Headers, name: str) -> str:
    """Of a pair within the PBX (`loopback/101-a`) as the ledger knows pairs: alike but for the last character."""
    own, other = message.get("Unique-ID", ""), message.get("variable_other_loopback_leg_uuid", "")
    front, _, half = name.rpartition("-")
    return f"{front}-{min(own, other).replace('-', '')};{1 if half == 'a' else 2}" if other else name


def _whole(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else 0


def _is_called(message: Headers) -> bool:
    return message.get("Call-Direction") == "outbound"


def _caller(message: Headers) -> str:
    """Who has the channel called: whose application it is, or whose turn in a queue."""
    if message.get("Other-Type") == "originator":
        return message.get("Other-Leg-Unique-ID", "")
    return message.get("variable_cc_member_session_uuid", "") if _is_called(message) else ""


Told = Iterator[tuple[str, Fact]]
"""Facts, each with the channel that it is of; empty for the event's own."""


def _created(message: Headers) -> Told:
    get = message.get
    caller = _caller(message)
    if caller:
        yield caller, events.Dialled(get("Unique-ID", ""))
    context = get("Caller-Context", "")
    if _is_called(message):
        number = get("Caller-Callee-ID-Number") or get("Caller-Destination-Number", "")
        yield "", events.Started(number, "", "", context)
    else:
        name, number = get("Caller-Caller-ID-Name", ""), get("Caller-Caller-ID-Number", "")
        yield "", events.Started(number, name, get("Caller-Destination-Number", ""), context)
    yield from _described(message)


def _described(message: Headers) -> Told:
    get = message.get
    found = events.Described(
        get("Channel-Read-Codec-Name", ""), get("variable_sip_user_agent", ""), get("variable_sip_call_id", "")
    )
    if any(found):
        yield "", found


def _originated(message: Headers) -> Told:
    caller = _caller(message)
    if caller:
        yield caller, events.Dialled(message.get("Unique-ID", ""))


def _rings(message: Headers) -> Told:
    if _is_called(message):
        yield "", events.Ringing()


def _answered(message: Headers) -> Told:
    yield "", events.Answered()
    yield from _described(message)
    caller = _caller(message)
    if caller:
        yield caller, events.DialEnded(message.get("Unique-ID", ""), "ANSWER")


def _application(message: Headers) -> str:
    name = message.get("Application", "")
    return _APPLICATIONS.get(name.lower(), name)


def _executed(message: Headers) -> Told:
    get = message.get
    number, context = get("Caller-Destination-Number", ""), get("Caller-Context", "")
    yield "", events.ApplicationEntered(_application(message), get("Application-Data", ""), number, context)


def _complete(message: Headers) -> Told:
    yield "", events.ApplicationLeft(_application(message))


def _hung_up(message: Headers) -> Told:
    get = message.get
    told = _whole(get("variable_hangup_cause_q850", ""))
    cause = told if 0 < told < 128 else Q850_OF.get(get("Hangup-Cause", ""), 0)
    caller = _caller(message)
    if caller and get("Caller-Channel-Answered-Time", "0") == "0":
        yield caller, events.DialEnded(get("Unique-ID", ""), _STATUSES.get(cause, "CHANUNAVAIL"))
    if get("variable_endpoint_disposition") == "ATTENDED_TRANSFER":
        yield "", events.AttendedTransferred()
    yield "", events.HungUp(cause, "", get("variable_sip_hangup_disposition", "") in _BY_PARTY)


def _destroyed(_message: Headers) -> Told:
    yield "", events.Ended()


def _held(_message: Headers) -> Told:
    yield "", events.Held()


def _resumed(_message: Headers) -> Told:
    yield "", events.Resumed()


_EVENTS: Mapping[str, Callable[[Headers], Told]] = {
    "CHANNEL_CREATE": _created,
    "CHANNEL_ORIGINATE": _originated,
    "CHANNEL_PROGRESS": _rings,
    "CHANNEL_PROGRESS_MEDIA": _rings,
    "CHANNEL_ANSWER": _answered,
    "CHANNEL_EXECUTE": _executed,
    "CHANNEL_EXECUTE_COMPLETE": _complete,
    "CHANNEL_HOLD": _held,
    "CHANNEL_UNHOLD": _resumed,
    "CHANNEL_HANGUP_COMPLETE": _hung_up,
    "CHANNEL_DESTROY": _destroyed,
}


# -- what modules tell


def _custom(message: Headers, at_us: int) -> Iterator[Event]:
    translate = _CUSTOM.get(message.get("Event-Subclass", ""))
    for channel, fact in translate(message) if translate is not None else ():
        if channel:
            yield Event(at_us, channel, "", "", fact)


def _conference(message: Headers) -> Told:
    channel, bridge = message.get("Unique-ID", ""), f"conference {message.get('Conference-Name', '')}"
    match message.get("Action"):
        case "add-member":
            yield channel, events.BridgeEntered(bridge)
        case "del-member":
            yield channel, events.BridgeLeft(bridge)


def _parking(message: Headers) -> Told:
    if message.get("Action") == "hold":
        yield message.get("Unique-ID", ""), events.Parked(message.get("Valet-Extension", ""))


_CUSTOM: Mapping[str, Callable[[Headers], Told]] = {
    "conference::maintenance": _conference,
    "valet_parking::info": _parking,
}
