"""What a FreeSWITCH must be so that its calls are told, and what of it is missing."""

from collections.abc import Iterator

from ringback.connectors.freeswitch.events import CHANNEL_EVENTS, CUSTOM_EVENTS
from ringback.connectors.freeswitch.session import Session
from ringback.connectors.link import Refused
from ringback.connectors.points import Point

FILE = "autoload_configs/event_socket.conf.xml"
KNOWN = "ClueCon"
"""The password of a stock FreeSWITCH."""


def points(session: Session, secret: str) -> Iterator[Point]:
    """What was looked at, one after the other."""
    yield Point(True, True, session.api("version").splitlines()[0][:100])
    if secret == KNOWN:
        line = '<param name="password" value="a long one of your own"/>'
        yield Point(False, True, "the password is the stock one, which everybody knows", FILE, (line,))
    try:
        session.ask("event", "plain", *CHANNEL_EVENTS, "CUSTOM", *CUSTOM_EVENTS)
        session.api("show", "channels", "as", "json")
        yield Point(True, True, "calls may be heard")
    except Refused as error:
        yield Point(False, True, f"calls cannot be heard: {error}")
