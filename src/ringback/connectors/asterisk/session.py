"""One login at Asterisk's manager interface: actions go out and are answered, events come in.

The secret never goes over the wire (Challenge, MD5). Answers are told from each other by ActionID. A connection on which nothing
comes for a while is asked (Ping), and given up when that is not answered either.
"""

import re
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from hashlib import md5
from itertools import count
from typing import NamedTuple

from ringback.connectors.asterisk import ami
from ringback.connectors.asterisk.ami import Message

CONNECT_S, ANSWER_S, SILENT_S = 5.0, 10.0, 15.0
GREETING = "Asterisk Call Manager/"
OLDEST, NEWEST = 18, 22
MOST_LISTED = 50_000
_VERSION = re.compile(r"(?:certified[/-])?(\d+)", re.ASCII)

Fields = Iterable[tuple[str, str]]


class Lost(Exception):
    """There is no connection, or none any more; the text is one line for the log."""


class Refused(Exception):
    """Asterisk does not do it; the text is its own."""


class Login(NamedTuple):
    host: str
    port: int
    user: str
    secret: str


class _Pending:
    """An action without its answer; of a list what came until now."""

    def __init__(self, *, is_list: bool) -> None:
        self.future: Future[list[Message]] = Future()
        self.is_list = is_list
        self.found: list[Message] = []


class Session:
    """Logged in when it is made. `on_event`: called in the reading thread for each event; `on_lost`: once, at the end, with
    the reason, unless `close` was called.
    """

    def __init__(self, login: Login, on_event: Callable[[Message], None], on_lost: Callable[[str], None]) -> None:
        self._on_event, self._on_lost = on_event, on_lost
        self._decoder = ami.Decoder()
        self._greeted = threading.Event()
        self._pending: dict[str, _Pending] = {}
        self._numbers = count(1)
        self._writing = threading.Lock()
        self._lost = ""
        self._socket = _connected(login)
        self._reader = threading.Thread(target=self._read, name="ami-reader", daemon=True)
        self._reader.start()
        try:
            self._log_in(login)
        except BaseException:
            self.close()
            raise

    @property
    def lost(self) -> str:
        """Why there is no connection any more; empty while there is."""
        return self._lost

    def send(self, name: str, *fields: tuple[str, str]) -> Future[list[Message]]:
        """The answer as a future of one message: Refused where Asterisk refuses. ValueError as `ami.field`; Lost."""
        return self._sent(name, fields, is_list=False)

    def send_list(self, name: str, *fields: tuple[str, str]) -> Future[list[Message]]:
        """The same of an action that is answered by a list of events."""
        return self._sent(name, fields, is_list=True)

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

    def close(self) -> None:
        self._end("closed", tell=False)
        if self._reader is not threading.current_thread():
            self._reader.join()

    # -- login

    def _log_in(self, login: Login) -> None:
        self._greeted.wait(ANSWER_S)
        if self._lost:
            raise Lost(self._lost)
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

    # -- actions

    def _sent(self, name: str, fields: Fields, *, is_list: bool) -> Future[list[Message]]:
        number = str(next(self._numbers))
        data = ami.action(name, [("ActionID", number), *fields])
        pending = self._pending[number] = _Pending(is_list=is_list)
        try:
            with self._writing:
                self._socket.sendall(data)
        except OSError as error:
            self._end(f"cannot be written to: {_reason(error)}")
        if self._lost:
            self._pending.pop(number, None)
            raise Lost(self._lost)
        return pending.future

    # -- reading

    def _read(self) -> None:
        try:
            while not self._lost:
                self._take(self._received())
        except ami.TooLong:
            self._end("sent a message that does not end")
        except OSError as error:
            self._end(f"connection lost: {_reason(error)}")

    def _received(self) -> bytes:
        """The next bytes. Asks whether somebody is there when none come; OSError when none come then either."""
        self._socket.settimeout(SILENT_S)
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            with self._writing:
                self._socket.sendall(ami.action("Ping", []))
            data = self._socket.recv(65_536)
        if not data:
            raise ConnectionResetError("the other side has closed it")
        return data

    def _take(self, data: bytes) -> None:
        messages = self._decoder.feed(data)
        if self._decoder.banner or messages:
            self._greeted.set()
        for message in messages:
            self._dispatch(message)

    def _dispatch(self, message: Message) -> None:
        number = message.get("ActionID", "")
        pending = self._pending.get(number)
        if "Response" in message:
            if pending is not None:
                self._answered(number, pending, message)
        elif pending is not None and pending.is_list:
            self._listed(number, pending, message)
        elif "Event" in message:
            self._on_event(message)

    def _answered(self, number: str, pending: _Pending, message: Message) -> None:
        refused = message["Response"] == "Error"
        if pending.is_list and not refused:
            return
        del self._pending[number]
        if refused:
            _fail(pending.future, Refused(message.get("Message", "without a reason")[:200]))
        else:
            _settle(pending.future, [message])

    def _listed(self, number: str, pending: _Pending, message: Message) -> None:
        if message.get("EventList") == "Complete" or message.get("Event", "").endswith("Complete"):
            del self._pending[number]
            _settle(pending.future, pending.found)
        elif len(pending.found) < MOST_LISTED:
            pending.found.append(message)

    def _end(self, reason: str, *, tell: bool = True) -> None:
        with self._writing:
            if self._lost:
                return
            self._lost = reason
        self._greeted.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for number in list(self._pending):
            pending = self._pending.pop(number, None)
            if pending is not None:
                _fail(pending.future, Lost(reason))
        if tell:
            self._on_lost(reason)


def _connected(login: Login) -> socket.socket:
    try:
        made = socket.create_connection((login.host, login.port), timeout=CONNECT_S)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise Lost(f"{login.host}:{login.port} cannot be reached: {_reason(error)}") from None
    return made


def waited(future: Future[list[Message]], name: str) -> list[Message]:
    """The answer to an action. Refused; Lost when it does not come in time."""
    try:
        return future.result(ANSWER_S)
    except Late:
        raise Lost(f"{name} was not answered within {ANSWER_S:.0f} s") from None


def _settle(future: Future[list[Message]], found: list[Message]) -> None:
    with suppress(InvalidStateError):  # nobody waits for it any more
        future.set_result(found)


def _fail(future: Future[list[Message]], error: Exception) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or "timed out"
