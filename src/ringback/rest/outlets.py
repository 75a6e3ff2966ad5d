"""Answers without an end: what a handler gives back when a client stays to be told.

A handler of a stream (`GET`, `text/event-stream`) or of a WebSocket (`Shape.SOCKET`) returns a reply with an outlet; `asgi.py` sends
what the outlet has until it is over, the other side has gone, or takes nothing any more. So a new kind of connection is an outlet,
a handler and a row.
"""

import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Generic, NamedTuple, TypeVar

BEAT_S = 15.0


class Ending(NamedTuple):
    """Why it is over, as a WebSocket says it. `word`: what metrics call it; empty where nothing was wrong."""

    code: int
    reason: str
    word: str = ""


def _nothing() -> None:
    pass


class Outlet(ABC):
    """Filled by any thread, emptied by the event loop. One whose other side does not read is cut off when more than `most_waiting`
    texts wait for it. `ending`: set when it is over; then what still waits is sent, and the connection ends. `on_closed`: called
    when the other side has gone, maybe again.
    """

    most_waiting: ClassVar[int]

    def __init__(self, *first: str) -> None:
        self.ending: Ending | None = None
        self.on_closed: Callable[[], object] = _nothing
        self._waiting = deque(first)
        self._wake: Callable[[], object] = _nothing
        self._cut: Callable[[], object] = _nothing
        self._is_cut = False
        self._lock = threading.Lock()

    def put(self, texts: Iterable[str]) -> None:
        """Each as a piece or a message."""
        with self._lock:
            self._waiting.extend(texts)
            if len(self._waiting) > self.most_waiting:
                self._waiting.clear()
                self._is_cut = True
                self._cut()
            elif self._waiting:
                self._wake()

    def end(self, ending: Ending) -> None:
        """Ends when what waits is sent. The first one counts."""
        with self._lock:
            self.ending = self.ending or ending
            self._wake()

    # -- of the event loop, but for `hear`: they must not wait for anything

    def opened(self, wake: Callable[[], object], cut: Callable[[], object]) -> None:
        """Called first. `wake`: when something waits or it is over; `cut`: to end at once, whatever the other side has not taken."""
        with self._lock:
            self._wake, self._cut = wake, cut
            if self._is_cut:
                cut()

    def waiting(self) -> list[str]:
        """Takes what is to be sent."""
        with self._lock:
            found = list(self._waiting)
            self._waiting.clear()
            return found

    @abstractmethod
    def beat(self) -> str:
        """What is sent when nothing was for `BEAT_S`; empty for nothing."""

    @abstractmethod
    def hear(self, text: str) -> None:
        """Called in a thread, in order, with each message that came through a WebSocket: the next is read when it returns."""

    def closed(self) -> None:
        """Called last, also when it was never opened."""
        with self._lock:
            self._wake = self._cut = _nothing
        self.on_closed()


Kind = TypeVar("Kind", bound=Outlet)


class Outlets(Generic[Kind]):
    """Those of one kind that are open in this process. Any thread may use it."""

    def __init__(self) -> None:
        self._open: dict[Kind, tuple[str, ...]] = {}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def all(self) -> list[Kind]:
        with self._lock:
            return list(self._open)

    def end(self, ending: Ending) -> None:
        for each in self.all():
            each.end(ending)

    def _enter(self, made: Kind, limits: Mapping[str, int]) -> str:
        """`limits`: of what it is one, and how many of each there may be. What there are enough of; empty when it is in."""
        made.on_closed = lambda: self._left(made)
        with self._lock:
            full = next((each for each, most in limits.items() if self._counts[each] >= most), "")
            if not full:
                self._counts.update(list(limits))
                self._open[made] = tuple(limits)
        return full

    def _left(self, gone: Kind) -> bool:
        """Whether it was here until now."""
        with self._lock:
            left = self._open.pop(gone, ())
            for each in left:
                self._counts[each] -= 1
                if not self._counts[each]:
                    del self._counts[each]
        return bool(left)
