"""One login at FreeSWITCH's event socket: commands go out and are answered in their order, events come in between."""

from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import NamedTuple

from ringback.connectors.freeswitch import esl
from ringback.connectors.freeswitch.esl import Headers, Message
from ringback.connectors.link import Lost, Refused
from ringback.connectors.wire import Wire, waited

REFUSED = "-ERR"


class Login(NamedTuple):
    """`user`: `name@domain` of the directory, or empty for the password of the socket itself."""

    host: str
    port: int
    user: str
    secret: str


class Session(Wire[Message]):
    """Logged in when it is made. `on_event`: called in the reading thread for each event; `on_lost`: once, at the end, with
    the reason, unless `close` was called.
    """

    silent_s = 30.0

    def __init__(self, login: Login, on_event: Callable[[Headers], None], on_lost: Callable[[str], None]) -> None:
        super().__init__(login.host, login.port, on_lost)
        self._login, self._on_event = login, on_event
        self._decoder = esl.Decoder()
        self._numbers = count(1)
        self._open()

    def ask(self, *words: str) -> str:
        """A command, and the text of its answer. Refused; Lost when none comes in time. ValueError as `esl.command`."""
        message = waited(self.send(*words), words[0])
        told = message.headers.get("Reply-Text", "") or message.body.decode("utf-8", "replace").strip()
        if told.startswith(REFUSED):
            raise Refused(told.removeprefix(REFUSED).strip()[:200] or "without a reason")
        return told

    def api(self, *words: str) -> str:
        """A command of FreeSWITCH's console. It answers nothing else meanwhile: only for what is quick."""
        return self.ask("api", *words)

    def send(self, *words: str) -> Future[Message]:
        return self._sent(str(next(self._numbers)), esl.command(*words))

    def _log_in(self) -> None:
        login = self._login
        if not self._greeted.is_set():
            raise Lost(f"{login.host}:{login.port} is no event socket of FreeSWITCH")
        try:
            self.ask(*(("userauth", f"{login.user}:{login.secret}") if login.user else ("auth", login.secret)))
        except Refused as error:
            raise Lost(f"login refused ({error}): check the password in event_socket.conf.xml") from None

    def _ask_for_life(self) -> None:
        self.send("api", "uptime")

    def _take(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except esl.TooLong:
            raise Lost("sent a message that does not end") from None
        for message in messages:
            self._dispatch(message)

    def _dispatch(self, message: Message) -> None:
        match message.kind:
            case "auth/request":
                self._greeted.set()
            case "command/reply" | "api/response":
                for oldest in list(self._pending)[:1]:
                    self._settle(oldest, message)
            case "text/event-plain":
                self._on_event(esl.event(message.body))
            case "text/rude-rejection":
                raise Lost("refuses this address: check apply-inbound-acl in event_socket.conf.xml")
            case "text/disconnect-notice":
                raise Lost("connection lost: FreeSWITCH ends it")
