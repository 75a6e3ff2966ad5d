"""Threads of the server that go on, whatever goes wrong."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import structlog

from ringback.errors import RingbackError

log = structlog.get_logger()

FIRST_S, LONGEST_S = 1.0, 8.0
Wake = Callable[[], None]


def attempt(part: str, work: Callable[[], object]) -> bool:
    """Whether it went well. What goes wrong is told in the log, and ends no thread."""
    try:
        work()
    except RingbackError as error:
        log.warning("waits for the database", part=part, error=str(error))
    except Exception:
        log.exception("something went wrong", part=part)
    else:
        return True
    return False


class Rounds:
    """A thread that does `work` whenever it is woken, every `every_s` besides, and a last time when it is stopped; `pause_s` lies
    between two. What goes wrong is tried again after a second, then ever later, after 8 at most. `listen`: is given what wakes it,
    for as long as it runs.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        every_s: float,
        pause_s: float = 0.0,
        listen: Callable[[Wake], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._name, self._work, self._listen = name, work, listen
        self._every_s, self._pause_s = every_s, pause_s
        self._woken, self._stopping = threading.Event(), threading.Event()
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Once, however often and by however many threads it is called; what was stopped does not begin."""
        with self._starting:
            if self._thread.ident is None and not self._stopping.is_set():
                self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        with self._starting:
            self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        wait_s, is_last = FIRST_S, False
        with self._listen(self.wake):
            while not is_last:
                self._woken.wait(self._every_s)
                self._woken.clear()
                is_last = self._stopping.is_set()
                if attempt(self._name, self._work):
                    wait_s = FIRST_S
                    self._stopping.wait(self._pause_s)
                else:
                    self._woken.set()
                    self._stopping.wait(wait_s)
                    wait_s = min(wait_s * 2, LONGEST_S)
