"""A connection to a PBX over TCP, whatever is spoken on it: one thread reads, any thread asks, and it ends once.

One on which nothing comes for a while is asked something, and given up when that is not answered either.
"""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from typing import ClassVar, Generic, TypeVar

import structlog

from ringback.connectors.link import Lost

log = structlog.get_logger()

CONNECT_S, ANSWER_S = 5.0, 10.0
A = TypeVar("A")


class Wire(ABC, Generic[A]):
    """Connected when it is made, logged in after `_open`. `A`: an answer. `on_lost`: called once, at the end, with the reason, unless
    `close` was called.
    """

    silent_s: ClassVar[float]
    """So long nothing may come until it is asked whether somebody is there."""

    def __init__(self, host: str, port: int, on_lost: Callable[[str], None]) -> None:
        self._on_lost = on_lost
        self._greeted = threading.Event()
        self._pending: dict[str, Future[A]] = {}
        self._writing = threading.Lock()
        self._lost = ""
        self._socket = _connected(host, port)
        self._reader = threading.Thread(target=self._read, name="pbx-reader", daemon=True)

    @property
    def lost(self) -> str:
        """Why there is no connection any more; empty while there is."""
        return self._lost

    def close(self) -> None:
        self._end("closed", tell=False)
        if self._reader is not threading.current_thread():
            self._reader.join()

    # -- what is spoken

    @abstractmethod
    def _log_in(self) -> None:
        """The other side has greeted, or has said nothing for `ANSWER_S`. Lost with a line for the log."""

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """What has come, in any portions, in the reading thread. Lost where nothing more can be read."""

    @abstractmethod
    def _ask_for_life(self) -> None:
        """Sends what is answered at once."""

    # -- asking

    def _open(self) -> None:
        self._reader.start()
        try:
            self._greeted.wait(ANSWER_S)
            if self._lost:
                raise Lost(self._lost)
            self._log_in()
        except BaseException:
            self.close()
            raise

    def _sent(self, number: str, data: bytes) -> Future[A]:
        """The answer is told by `_settle` or `_fail` of the same number; of all that wait, the first was sent first. Lost."""
        found: Future[A] = Future()
        try:
            with self._writing:
                self._pending[number] = found
                self._socket.sendall(data)
        except OSError as error:
            self._end(f"cannot be written to: {_reason(error)}")
        if self._lost:
            raise Lost(self._lost)
        return found

    def _settle(self, number: str, answer: A) -> None:
        found = self._pending.pop(number, None)
        if found is not None:
            found.set_result(answer)

    def _fail(self, number: str, error: Exception) -> None:
        found = self._pending.pop(number, None)
        if found is not None:
            found.set_exception(error)

    # -- reading

    def _read(self) -> None:
        try:
            while not self._lost:
                self._take(self._received())
        except Lost as error:
            self._end(str(error))
        except OSError as error:
            self._end(f"connection lost: {_reason(error)}")
        except Exception as error:  # else it would seem to be there, and nothing would be heard any more
            log.exception("what a pbx told was not understood")
            self._end(f"what it told was not understood: {type(error).__name__}")

    def _received(self) -> bytes:
        """The next bytes. Asks whether somebody is there when none come; OSError when none come then either."""
        self._socket.settimeout(self.silent_s)
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            self._ask_for_life()
            data = self._socket.recv(65_536)
        if not data:
            raise ConnectionResetError("the other side has closed it")
        return data

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
            self._fail(number, Lost(reason))
        if tell:
            self._on_lost(reason)


def waited(future: Future[A], name: str) -> A:
    """The answer to what was sent. Refused; Lost when it does not come in time."""
    try:
        return future.result(ANSWER_S)
    except Late:
        raise Lost(f"{name} was not answered within {ANSWER_S:.0f} s") from None


def _connected(host: str, port: int) -> socket.socket:
    try:
        made = socket.create_connection((host, port), timeout=CONNECT_S)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise Lost(f"{host}:{port} cannot be reached: {_reason(error)}") from None
    return made


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or "timed out"
