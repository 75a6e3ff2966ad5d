"""What the signalling of a channel says (Call-ID, codec, user agent), which no event tells: asked of Asterisk (`Getvar`) as a
channel begins and as it is answered. Nobody waits for the answers; each becomes an event when it comes.
"""

import re
import time
from collections.abc import Callable
from concurrent.futures import Future

from ringback.calls.events import Described, Event
from ringback.calls.ledger.state import endpoint
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Lost, Session

LONGEST = 255
_SAFE = re.compile(r"[A-Za-z0-9_.+-]{1,79}", re.ASCII)
_CONTACT = re.compile(r"[A-Za-z0-9_.+-]{1,79};@[0-9a-f]{1,64}", re.ASCII)
"""What may stand between the brackets of a function: nothing that would end it or begin another."""

Then = Callable[[str], None]


class Descriptions:
    """`tell`: takes the events, in whichever thread the answer comes."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell

    def started(self, session: Session | None, name: str, channel: str) -> None:
        if session is not None and name.startswith("PJSIP/"):
            self._ask(session, name, "CHANNEL(pjsip,call-id)", lambda text: self._say(channel, name, call_id=text))

    def answered(self, session: Session | None, name: str, channel: str) -> None:
        """One that the PBX has called has sent no INVITE: its user agent stands in its registration."""
        if session is None or not name.startswith("PJSIP/"):
            return

        def header(text: str) -> None:
            if text:
                self._say(channel, name, user_agent=text)
            elif _SAFE.fullmatch(aor := endpoint(name)):
                variable = f"PJSIP_AOR({aor},contact)"
                self._ask(session, name, variable, lambda contact: self._contact(session, name, channel, contact))

        self._ask(
            session, name, "CHANNEL(audionativeformat)", lambda text: self._say(channel, name, codec=_codec(text))
        )
        self._ask(session, name, "PJSIP_HEADER(read,User-Agent)", header)

    def _contact(self, session: Session, name: str, channel: str, contact: str) -> None:
        """Of several nobody knows which one it was."""
        if _CONTACT.fullmatch(contact):
            variable = f"PJSIP_CONTACT({contact},user_agent)"
            self._ask(session, name, variable, lambda text: self._say(channel, name, user_agent=text))

    def _ask(self, session: Session, name: str, variable: str, then: Then) -> None:
        def told(found: Future[list[Message]]) -> None:
            if found.exception() is None:
                then(found.result()[0].get("Value", "")[:LONGEST])

        try:
            session.send("Getvar", ("Channel", name), ("Variable", variable)).add_done_callback(told)
        except (Lost, ValueError):
            return  # it is not known, then

    def _say(self, channel: str, name: str, **said: str) -> None:
        if any(said.values()):
            self._tell(Event(time.time_ns() // 1_000, channel, "", name, Described(**said)))


def _codec(text: str) -> str:
    """`ulaw` of `(ulaw|alaw)`."""
    return text.strip("()").partition("|")[0]
