"""A list that Asterisk is asked for until it has come: one that is refused or stays out is asked for again, ever less often."""

import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as Late
from functools import partial

import structlog

from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Session
from ringback.connectors.link import Lost, Refused
from ringback.connectors.wire import ANSWER_S
from ringback.rounds import attempt

log = structlog.get_logger()

FIRST_S, LONGEST_S = 1.0, 60.0


class Inquiry:
    """`take` gets the list, once, in a thread of its own, unless `stop` was called or the session is lost before. `empty`: how the
    refusal begins by which Asterisk says that there is nothing to list."""

    def __init__(
        self, session: Session, action: str, take: Callable[[list[Message]], None], pbx: str, empty: str = ""
    ) -> None:
        self._session, self._action, self._take = session, action, take
        self._pbx, self._empty = pbx, empty
        self._stopping = threading.Event()
        self._told = ""
        threading.Thread(target=self._run, name=f"asks-{action}", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        wait_s = FIRST_S
        while (found := self._listed(ANSWER_S + wait_s)) is None:
            if self._session.lost or self._stopping.wait(wait_s):
                return
            wait_s = min(wait_s * 2, LONGEST_S)
        if not self._stopping.is_set():
            attempt(f"asks-{self._action}", partial(self._take, found))

    def _listed(self, patience_s: float) -> list[Message] | None:
        try:
            return self._session.send_list(self._action).result(patience_s)
        except Refused as error:
            if self._empty and str(error).startswith(self._empty):
                return []
            self._tell(str(error))
        except Late:
            self._tell(f"no answer within {patience_s:.0f} s")
        except Lost:
            pass  # the connection is made again, and this is asked then
        return None

    def _tell(self, reason: str) -> None:
        """Once, and when it changes."""
        if reason != self._told:
            self._told = reason
            log.warning("the pbx is asked again", pbx=self._pbx, action=self._action, reason=reason)
