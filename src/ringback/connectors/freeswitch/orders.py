"""Orders to FreeSWITCH: calls are placed, sent on and ended by commands of its console.

Numbers, extensions, names and ids are checked here once more, whoever has checked them before: what stands in a command is a command.
"""

import re

from ringback.connectors import dialling
from ringback.connectors.dialling import checked
from ringback.connectors.freeswitch.session import Session
from ringback.connectors.link import Lost, Refused
from ringback.connectors.orders import Away, NotDone, Offline, Origination, Unsure
from ringback.connectors.settings import Connector

_NUMBER = re.compile(r"[0-9*#]{1,32}", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F-]{8,64}", re.ASCII)
_GONE = "No such channel"


def is_online(session: Session, user: str) -> bool:
    """Whether a contact of the user of the directory is registered; `user` with or without its domain. Away: nothing was
    ordered yet."""
    name, _, domain = user.partition("@")
    shown = checked(_USER, name) + (f"@{checked(_USER, domain)}" if domain else "")
    try:
        return not _asked(session, "sofia_contact", shown).startswith("error/")
    except Unsure as error:
        raise Away(str(error)) from None


def originate(session: Session, order: Origination, given: Connector, uuid: str) -> None:
    """Rings the first one; when it answers, its call enters the dial plan. Returns when FreeSWITCH has taken the order."""
    user = dialling.endpoint(given, order) if order.is_phone else ""
    context = dialling.context(given, order.customer_id)
    if order.is_phone and not is_online(session, user):
        raise Offline
    number, first, context = checked(_NUMBER, order.number), checked(_NUMBER, order.first), checked(_USER, context)
    shown = first if order.caller_id in ("", "anonymous") else checked(_NUMBER, order.caller_id)
    variables = {
        "origination_uuid": checked(_UUID, uuid),
        "origination_caller_id_number": shown,
        "originate_timeout": str(order.ring_s),
        "ignore_early_media": "true",
    }
    if order.caller_id == "anonymous":
        variables["origination_privacy"] = "hide_name:hide_number"
    target = f"user/{user}" if order.is_phone else f"loopback/{first}/{context}/XML"
    head = ",".join(f"{name}={value}" for name, value in variables.items())
    _done(session, "bgapi", "originate", f"{{{head}}}{target}", number, "XML", context)


def hang_up(session: Session, uuid: str) -> None:
    """What is gone meanwhile is no fault."""
    try:
        session.api("uuid_kill", checked(_UUID, uuid), "NORMAL_CLEARING")
    except Refused as error:
        if _GONE not in str(error):
            raise NotDone(str(error)) from None
    except Lost as error:
        raise NotDone(str(error)) from None


def transfer(session: Session, uuid: str, number: str, context: str) -> None:
    """The channel goes to the number; who talked to it is out."""
    _asked(session, "uuid_transfer", checked(_UUID, uuid), checked(_NUMBER, number), "XML", checked(_USER, context))


def _asked(session: Session, *words: str) -> str:
    return _done(session, "api", *words)


def _done(session: Session, *words: str) -> str:
    try:
        return session.ask(*words)
    except Refused as error:
        raise NotDone(f"The PBX does not do it: {error}.") from None
    except Lost as error:
        raise Unsure(f"The PBX does not do it: {error}.") from None
