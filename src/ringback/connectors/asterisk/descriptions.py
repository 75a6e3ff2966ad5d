"""What the signalling of a channel says (Call-ID, codec, user agent), which no event tells: asked of Asterisk (`Getvar`) as a
channel begins and as it is answered. Nobody waits for the answers; each becomes an event when it comes.

A channel that takes the place of another one (a pickup) is not to be found for a moment: what is refused is asked once more.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from ringback.calls.events import Described, Event
from ringback.calls.ledger.state import endpoint
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Session
from ringback.connectors.link import Lost, Refused

LONGEST = 255
AGAIN_S, MOST_AGAIN = 0.5, 1_000
_SAFE = re.compile(r"[A-Za-z0-9_.+-]{1,79}", re.ASCII)
_CONTACT = re.compile(r"[A-Za-z0-9_.+-]{1,79};@[0-9a-f]{1,64}", re.ASCII)
"""What may stand between the brackets of a function: nothing that would end it or begin another."""

Then = Callable[[str], None]


class Descriptions:
    """`tell`: takes the events, in whichever thread the answer comes. All methods are of one thread."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._again: deque[tuple[float, Callable[[], None]]] = deque(maxlen=MOST_AGAIN)

    def again(self) -> None:
        """To be called now and then: asks what was refused a moment ago."""
        while self._again and self._again[0][0] <= time.monotonic():
            self._again.popleft()[1]()

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

    def _ask(self, session: Session, name: str, variable: str, then: Then, *, is_last: bool = False) -> None:
        def told(found: Future[list[Message]]) -> None:
            fault = found.exception()
            if fault is None:
                then(found.result()[0].get("Value", "")[:LONGEST])
            elif isinstance(fault, Refused) and not is_last:
                ask = partial(self._ask, session, name, variable, then, is_last=True)
                self._again.append((time.monotonic() + AGAIN_S, ask))

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
