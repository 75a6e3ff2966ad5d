"""One login at Asterisk's manager interface: actions go out and are answered, events come in.

The secret never goes over the wire (Challenge, MD5). Answers are told from each other by ActionID.
"""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from hashlib import md5
from itertools import count
from typing import NamedTuple

from ringback.connectors.asterisk import ami, marks
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.link import Lost, Refused
from ringback.connectors.wire import Wire, waited

GREETING = "Asterisk Call Manager/"
OLDEST, NEWEST = 18, 22
MOST_LISTED = 50_000
_VERSION = re.compile(r"(?:certified[/-])?(\d{1,4})", re.ASCII)

Fields = Iterable[tuple[str, str]]


class Login(NamedTuple):
    """`mark`: what is put before the ids of all channels that are told of (`marks.py`)."""

    host: str
    port: int
    user: str
    secret: str
    mark: str = ""


class Session(Wire[list[Message]]):
    """Logged in when it is made. `on_event`: called in the reading thread for each event; `on_lost`: once, at the end, with
    the reason, unless `close` was called.
    """

    silent_s = 15.0

    def __init__(self, login: Login, on_event: Callable[[Message], None], on_lost: Callable[[str], None]) -> None:
        super().__init__(login.host, login.port, on_lost)
        self._login, self._on_event = login, on_event
        self._decoder = ami.Decoder()
        self._numbers = count(1)
        self._lists: dict[str, list[Message]] = {}
        self._open()

    def send(self, name: str, *fields: tuple[str, str]) -> Future[list[Message]]:
        """The answer as a future of one message: Refused where Asterisk refuses. ValueError as `ami.field`; Lost."""
        return self._numbered(name, fields, is_list=False)

    def send_list(self, name: str, *fields: tuple[str, str]) -> Future[list[Message]]:
        """The same of an action that is answered by a list of events."""
        return self._numbered(name, fields, is_list=True)

    def ask(self, name: str, *fields: tuple[str, str]) -> Message:
        """`send`, and the answer. Lost when it does not come in time."""
        return waited(self.send(name, *fields), name)[0]

    def listed(self, name: str, *fields: tuple[str, str]) -> list[Message]:
        return waited(self.send_list(name, *fields), name)

    def version(self) -> int:
        """The major version of Asterisk. Refused where the login may not ask (privilege `system` or `reporting`)."""
        told = self.ask("CoreSettings").get("AsteriskVersion", "")
        found = _VERSION.match(told)
        if found is None:
            raise Refused(f"it calls its version {told[:40]!r}")
        return int(found[1])

    def _numbered(self, name: str, fields: Fields, *, is_list: bool) -> Future[list[Message]]:
        number = str(next(self._numbers))
        data = ami.action(name, [("ActionID", number), *fields])
        if is_list:
            self._lists[number] = []
        return self._sent(number, data)

    def _log_in(self) -> None:
        login = self._login
        if not self._decoder.banner.startswith(GREETING):
            raise Lost(f"{login.host}:{login.port} is no manager interface of Asterisk")
        try:
            challenge = self.ask("Challenge", ("AuthType", "MD5")).get("Challenge", "")
            key = md5((challenge + login.secret).encode(), usedforsecurity=False).hexdigest()
            self.ask("Login", ("AuthType", "MD5"), ("Username", login.user), ("Key", key))
        except Refused as error:
            raise Lost(
                f"login as {login.user} refused ({error}): check user, secret and permit in manager.conf"
            ) from None

    def _ask_for_life(self) -> None:
        self.send("Ping")

    # -- what comes

    def _take(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except ami.TooLong:
            raise Lost("sent a message that does not end") from None
        if self._decoder.banner or messages:
            self._greeted.set()
        for message in messages:
            self._dispatch(marks.message(self._login.mark, message))

    def _dispatch(self, message: Message) -> None:
        number = message.get("ActionID", "")
        if "Response" in message:
            self._answered(number, message)
        elif number in self._lists:
            self._listed(number, message)
        elif "Event" in message:
            self._on_event(message)

    def _answered(self, number: str, message: Message) -> None:
        if message["Response"] == "Error":
            self._lists.pop(number, None)
            self._fail(number, Refused(message.get("Message", "without a reason")[:200]))
        elif number not in self._lists:
            self._settle(number, [message])

    def _listed(self, number: str, message: Message) -> None:
        found = self._lists[number]
        if message.get("EventList") == "Complete" or message.get("Event", "").endswith("Complete"):
            del self._lists[number]
            self._settle(number, found)
        elif len(found) < MOST_LISTED:
            found.append(message)
