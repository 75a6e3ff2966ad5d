"""Orders to Asterisk: calls are placed, sent on and ended by actions of the manager interface.

Numbers, extensions and caller ids are checked here once more, whoever has checked them before: what stands in an action is a command.
"""

import re
import threading
from collections.abc import Callable

from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Lost, Refused, Session
from ringback.connectors.orders import NotDone, Offline, Origination

_NUMBER = re.compile(r"[0-9*#]{1,32}", re.ASCII)
_ENDPOINT = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
_CHANNEL = re.compile(r"[A-Za-z0-9]{1,20}/[^\r\n\0]{1,200}", re.ASCII)
"""With a technology in front: what begins with a slash Asterisk would take for a pattern of many channels."""
_ONLINE = {"NOT_INUSE", "INUSE", "BUSY", "RINGING", "RINGINUSE", "ONHOLD"}
RING_MS = 30_000


def is_online(session: Session, endpoint: str) -> bool:
    """Whether a contact of the endpoint is registered, by its device state."""
    told = _asked(session, "Getvar", ("Variable", f"DEVICE_STATE(PJSIP/{_checked(_ENDPOINT, endpoint)})"))
    return told.get("Value", "") in _ONLINE


def originate(session: Session, order: Origination, prefix: str, context: str, channel_id: str) -> None:
    """Rings the first one; when it answers, its call enters the dial plan. Returns when Asterisk has taken the order."""
    if order.is_phone and not is_online(session, prefix + order.first):
        raise Offline
    number, first = _checked(_NUMBER, order.number), _checked(_NUMBER, order.first)
    shown = first if order.caller_id in ("", "anonymous") else order.caller_id
    fields = [
        ("Channel", f"PJSIP/{_checked(_ENDPOINT, prefix + first)}" if order.is_phone else f"Local/{first}@{context}"),
        ("Context", context),
        ("Exten", number),
        ("Priority", "1"),
        ("Timeout", str(RING_MS)),
        ("CallerID", f"<{_checked(_NUMBER, shown)}>"),
        ("Async", "true"),
        ("ChannelId", channel_id),
    ]
    if not order.is_phone:
        fields.append(("OtherChannelId", f"{channel_id}-2"))
    if order.caller_id == "anonymous":
        fields.append(("Variable", "CALLERID(pres)=prohib"))
    _asked(session, "Originate", *fields)


def hang_up(session: Session, channel: str) -> None:
    """What is gone meanwhile is no fault."""
    try:
        session.ask("Hangup", ("Channel", _checked(_CHANNEL, channel)), ("Cause", "16"))
    except Refused as error:
        if "No such channel" not in str(error):
            raise NotDone(str(error)) from None
    except Lost as error:
        raise NotDone(str(error)) from None


def transfer(session: Session, by: str, number: str, context: str) -> None:
    """The one who talks to the channel `by` goes to the number; it is out."""
    fields = (("Channel", _checked(_CHANNEL, by)), ("Context", context), ("Exten", _checked(_NUMBER, number)))
    _asked(session, "BlindTransfer", *fields)


def redirect(session: Session, channel: str, number: str, context: str) -> None:
    """The channel itself goes to the number: it was not answered yet."""
    place = (("Context", context), ("Exten", _checked(_NUMBER, number)), ("Priority", "1"))
    _asked(session, "Redirect", ("Channel", _checked(_CHANNEL, channel)), *place)


def _asked(session: Session, name: str, *fields: tuple[str, str]) -> Message:
    try:
        return session.ask(name, *fields)
    except (Refused, Lost) as error:
        raise NotDone(f"The PBX does not do it: {error}.") from None


def _checked(shape: re.Pattern[str], text: str) -> str:
    if not shape.fullmatch(text):
        raise NotDone("The PBX cannot dial that.")
    return text


class Failures:
    """Orders to call that came to nothing, by the channel's id: `OriginateResponse` tells it, maybe before anything is shown."""

    def __init__(self) -> None:
        self._awaited: dict[str, bool] = {}
        self._lock = threading.Lock()

    def await_(self, channel_id: str) -> Callable[[], bool]:
        with self._lock:
            self._awaited[channel_id] = False
        return lambda: self._awaited.get(channel_id, False)

    def heard(self, message: Message) -> bool:
        """Whether this message tells of one."""
        number = message.get("Uniqueid", "")
        with self._lock:
            if message.get("Response") != "Failure" or number not in self._awaited:
                return False
            self._awaited[number] = True
            return True

    def done(self, channel_id: str) -> None:
        with self._lock:
            self._awaited.pop(channel_id, None)
