"""A connection to a PBX that is made again whenever it is lost."""

import random
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import structlog

from ringback.connectors.orders import Away

log = structlog.get_logger()

FIRST_S, LONGEST_S = 1.0, 60.0


class Lost(Exception):
    """There is no connection, or none any more; the text is one line for the log."""


class Refused(Exception):
    """The PBX does not do it; the text is its own."""


class Session(Protocol):
    @property
    def lost(self) -> str:
        """Why there is no connection any more; empty while there is."""
        ...

    def close(self) -> None: ...


S = TypeVar("S", bound=Session)


class Link(Generic[S]):
    """`login`: connects and logs in; it gets what the session has to call when the connection is lost. `begin`: what is asked first.
    Both raise Lost or Refused. `ended`: called once after each login. All of them in the one thread of the link.

    `session` is None while there is no connection; `trouble` says why.
    """

    def __init__(
        self,
        name: str,
        login: Callable[[Callable[[str], None]], S],
        begin: Callable[[S], None],
        ended: Callable[[], None],
    ) -> None:
        self.name = name
        self.session: S | None = None
        self.trouble = "not connected yet"
        self._login, self._begin, self._ended = login, begin, ended
        self._stopping = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pbx-{name}", daemon=True)

    def online(self) -> S:
        """The session. Away while there is none."""
        session = self.session
        if session is None:
            raise Away("The PBX is not connected.")
        return session

    @property
    def is_lost(self) -> bool:
        """Whether what has begun is to end: the connection is lost, or this is stopped."""
        return self._lost.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._lost.set()
        self._thread.join()

    def _run(self) -> None:
        wait_s = FIRST_S
        while True:
            self._lost.clear()  # before the look, so that no stop is forgotten
            if self._stopping.is_set():
                return
            try:
                self._hold()
                wait_s = FIRST_S
            except Exception as error:
                if not isinstance(error, Lost | Refused):  # nobody expected it, and it is made again all the same
                    log.exception("a connection to a pbx went wrong", pbx=self.name)
                self._tell(str(error) or type(error).__name__)
                wait_s = min(wait_s * 2, LONGEST_S)
            self._stopping.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - several servers shall not come at once

    def _hold(self) -> None:
        """Connected until it is lost."""
        session = self._login(lambda _reason: self._lost.set())
        try:
            self._begin(session)
            self.session, self.trouble = session, ""
            log.info("pbx connected", pbx=self.name)
            self._lost.wait()
        finally:
            self.session = None
            session.close()
            self._ended()
        if not self._stopping.is_set():
            self._tell(session.lost)

    def _tell(self, reason: str) -> None:
        """Once, until it changes."""
        if reason != self.trouble:
            self.trouble = reason
            log.warning("pbx not connected", pbx=self.name, reason=reason)
