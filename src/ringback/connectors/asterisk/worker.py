"""The thread of a part of the connection that has files to see to."""

import threading
from collections.abc import Callable

import structlog

from ringback.errors import RingbackError

log = structlog.get_logger()

TICK_S = 0.5
PATIENCE_S = 10.0


class Worker:
    """Calls `step` whenever it is woken, and every `TICK_S` besides. What goes wrong in a step is told (`tell`) or logged, and the next
    one is tried."""

    def __init__(self, name: str, step: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._name, self._step, self._tell = name, step, tell
        self._woken = threading.Event()
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Once, however often it is called; what was stopped does not begin."""
        if self._thread.ident is None and not self.stopping.is_set():
            self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> bool:
        """Whether its thread has ended: it may be held up by a folder of another machine, and is waited for no longer than that."""
        self.stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._step()
            except (RingbackError, OSError) as error:
                self._tell(f"{self._name} waits: {error}")
            except Exception:
                log.exception("something of the pbx was not understood", part=self._name)
            self._woken.wait(TICK_S)
            self._woken.clear()
