"""Orders to Asterisk: calls are placed, sent on and ended by actions of the manager interface.

Numbers, extensions and caller ids are checked here once more, whoever has checked them before: what stands in an action is a command.
"""

import re

from ringback.connectors import dialling
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Session
from ringback.connectors.dialling import checked
from ringback.connectors.link import Lost, Refused
from ringback.connectors.orders import Away, NotDone, Offline, Origination, Unsure
from ringback.connectors.settings import Connector

_NUMBER = re.compile(r"[0-9*#]{1,32}", re.ASCII)
_ENDPOINT = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
_CHANNEL = re.compile(r"[A-Za-z0-9]{1,20}/[^\r\n\0]{1,200}", re.ASCII)
"""With a technology in front: what begins with a slash Asterisk would take for a pattern of many channels."""
_ID = re.compile(r"[a-z][a-z0-9.-]{1,79}", re.ASCII)
_ONLINE = {"NOT_INUSE", "INUSE", "BUSY", "RINGING", "RINGINUSE", "ONHOLD"}


def is_online(session: Session, endpoint: str) -> bool:
    """Whether a contact of the endpoint is registered, by its device state. Away: nothing was ordered yet."""
    try:
        told = _asked(session, "Getvar", ("Variable", f"DEVICE_STATE(PJSIP/{checked(_ENDPOINT, endpoint)})"))
    except Unsure as error:
        raise Away(str(error)) from None
    return told.get("Value", "") in _ONLINE


def originate(session: Session, order: Origination, given: Connector, channel_id: str) -> None:
    """Rings the first one; when it answers, its call enters the dial plan. Returns when Asterisk has taken the order."""
    endpoint = dialling.endpoint(given, order) if order.is_phone else ""
    context = dialling.context(given, order.customer_id)
    if order.is_phone and not is_online(session, endpoint):
        raise Offline
    number, first = checked(_NUMBER, order.number), checked(_NUMBER, order.first)
    shown = first if order.caller_id in ("", "anonymous") else order.caller_id
    fields = [
        ("Channel", f"PJSIP/{checked(_ENDPOINT, endpoint)}" if order.is_phone else _pair(order, context)),
        ("Context", context),
        ("Exten", number),
        ("Priority", "1"),
        ("Timeout", str(order.ring_s * 1_000)),
        ("CallerID", _shown(order, checked(_NUMBER, shown))),
        ("Async", "true"),
        ("ChannelId", channel_id),
    ]
    if not order.is_phone:
        fields.append(("OtherChannelId", second_half(channel_id)))
    if order.caller_id == "anonymous":
        fields.append(("Variable", "CALLERID(pres)=prohib"))
    if order.most_s:
        fields.append(("Variable", f"TIMEOUT(absolute)={order.most_s}"))
    _asked(session, "Originate", *fields)


def second_half(channel_id: str) -> str:
    """The id of the other half, of a pair that was ordered under this one."""
    return f"{channel_id}-2"


def _shown(order: Origination, number: str) -> str:
    """To a visitor, who is called back, not the name that Asterisk has of the agent's phone either."""
    return f'"{number}" <{number}>' if order.channel_id else f"<{number}>"


def _pair(order: Origination, context: str) -> str:
    """Of a callback the pair stays as long as the call: its first half is what the callback is followed by."""
    return f"Local/{order.first}@{context}{'/n' if order.channel_id else ''}"


def through(order: Origination, outside_prefix: str) -> Origination:
    """As it is dialled: what is outside behind the digits for an outside line."""
    if order.outside == "first":
        return order._replace(first=outside_prefix + order.first)
    return order._replace(number=outside_prefix + order.number) if order.outside == "number" else order


def limit(session: Session, channel_id: str, most_s: int) -> None:
    """From now on."""
    _asked(session, "AbsoluteTimeout", ("Channel", checked(_ID, channel_id)), ("Timeout", str(most_s)))


def cut(session: Session, channel_id: str) -> None:
    """By the channel's id."""
    _hang_up(session, checked(_ID, channel_id))


def hang_up(session: Session, channel: str) -> None:
    """What is gone meanwhile is no fault."""
    _hang_up(session, checked(_CHANNEL, channel))


def _hang_up(session: Session, channel: str) -> None:
    try:
        session.ask("Hangup", ("Channel", channel), ("Cause", "16"))
    except Refused as error:
        if "No such channel" not in str(error):
            raise NotDone(str(error)) from None
    except Lost as error:
        raise NotDone(str(error)) from None


def transfer(session: Session, by: str, number: str, context: str) -> None:
    """The one who talks to the channel `by` goes to the number; it is out."""
    fields = (("Channel", checked(_CHANNEL, by)), ("Context", context), ("Exten", checked(_NUMBER, number)))
    _asked(session, "BlindTransfer", *fields)


def redirect(session: Session, channel: str, number: str, context: str) -> None:
    """The channel itself goes to the number: it was not answered yet."""
    place = (("Context", context), ("Exten", checked(_NUMBER, number)), ("Priority", "1"))
    _asked(session, "Redirect", ("Channel", checked(_CHANNEL, channel)), *place)


def _asked(session: Session, name: str, *fields: tuple[str, str]) -> Message:
    try:
        return session.ask(name, *fields)
    except Refused as error:
        raise NotDone(f"The PBX does not do it: {str(error).removesuffix('.')}.") from None
    except Lost as error:
        raise Unsure(f"The PBX does not do it: {error}.") from None
