"""What a PBX tells, in its order, into its book: one thread that is alone with it.

After each login a PBX says what is up (`Snapshot`). Until then nothing is shown as live; what was up before and is not any more has
ended while nobody listened.
"""

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from ringback.calls.events import Event
from ringback.calls.ledger.state import Leg
from ringback.connectors.book import Book
from ringback.connectors.journal import Origin
from ringback.rounds import FIRST_S, LONGEST_S, attempt

TICK_S, SHOW_S = 0.1, 0.2
BATCH = 5_000
WAITING = 200_000


class Began(NamedTuple):
    """A connection: what is known now, and not in its snapshot, has ended meanwhile."""


class Snapshot(NamedTuple):
    """`ids`: of the channels that are up. `news`: what would have been heard of them, given what is known, and of which of
    them this connection has told already."""

    ids: set[str]
    news: Callable[[Mapping[str, Leg], Collection[str]], Iterable[Event]]


class Ceased(NamedTuple):
    """The connection is lost, or the server stops."""


class Expected(NamedTuple):
    """A call that a customer has ordered will come under this id."""

    channel_id: str
    live_id: int
    customer_id: int


Turn = Began | Snapshot | Ceased | Expected
Item = Event | Origin | Turn


class Keeper:
    """`put` and `offer` are of any thread, `put` not of the keeper's. In the keeper's thread, `taken` is shown what goes into the book,
    and `turned` is called now and then, at least every `TICK_S`."""

    def __init__(
        self, name: str, book: Book, taken: Callable[[Event | Origin], None], turned: Callable[[], None]
    ) -> None:
        self.book = book
        self._name, self._taken, self._turned = f"calls-{name}", taken, turned
        self._queue: queue.Queue[Item | None] = queue.Queue(WAITING)
        self._before: set[str] = set()
        self._heard: set[str] = set()
        self._contact_us = 0
        self._is_shown = False
        self._shown_at = self._write_at = 0.0
        self._wait_s = FIRST_S
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    @property
    def waiting(self) -> int:
        """What has come and is not understood yet."""
        return self._queue.qsize()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What has come is kept; live calls are gone."""
        self._queue.put(None)
        self._thread.join()
        self.book.close()

    def put(self, item: Item) -> None:
        self._queue.put(item)

    def offer(self, item: Item) -> None:
        """Waits for no place: what finds none is left out."""
        with suppress(queue.Full):
            self._queue.put_nowait(item)

    def _run(self) -> None:
        self._contact_us = self.book.seen_us()
        attempt(self._name, self.book.replay)
        attempt(self._name, self.book.clear)
        while True:
            items, is_last = self._waiting()
            self._take(items)
            attempt(self._name, self._turned)
            if self._is_shown:
                attempt(self._name, self._see)
            if is_last or time.monotonic() > self._write_at:
                self._write()
            if is_last:
                attempt(self._name, self.book.shown.hide_all)
                return

    def _waiting(self) -> tuple[list[Item], bool]:
        """What has come, at most `BATCH`; nothing when nothing came for a moment."""
        items: list[Item | None] = []
        try:
            items.append(self._queue.get(timeout=TICK_S))
            while len(items) < BATCH:
                items.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return [each for each in items if each is not None], None in items

    def _take(self, items: list[Item]) -> None:
        """What goes wrong with one keeps no other one back."""
        entries: list[Event | Origin] = []
        for item in items:
            match item:
                case Event() | Origin():
                    entries.append(item)
                    attempt(self._name, partial(self._taken, item))
                    if item.channel in self._before:
                        self._heard.add(item.channel)
                case _:
                    self._flush(entries)
                    attempt(self._name, partial(self._turn, item))
        self._flush(entries)

    def _turn(self, item: Turn) -> None:
        match item:
            case Began():
                self._before, self._heard = set(self.book.open_legs()), set()
            case Snapshot():
                self._reconcile(item)
            case Ceased():
                self._is_shown = False
            case Expected():
                self.book.expect(*item)

    def _flush(self, entries: list[Event | Origin]) -> None:
        if entries:
            attempt(self._name, partial(self.book.take, list(entries)))
            entries.clear()

    def _reconcile(self, snapshot: Snapshot) -> None:
        """Those that ended while nobody listened are closed with what is known, those that began are taken up,
        and of the others comes what is new."""
        seen_us = max(self.book.last_us, self._contact_us)
        gone = self._before - snapshot.ids
        self.book.missed([leg for name, leg in self.book.open_legs().items() if name in gone], seen_us)
        attempt(self._name, lambda: self._flush(list(snapshot.news(self.book.ledger.board.legs, self._heard))))
        self._before, self._heard = set(), set()
        self._is_shown = True
        attempt(self._name, self.book.show_all)

    def _see(self) -> None:
        self._contact_us = self.book.see(time.time_ns() // 1_000)

    def _write(self) -> None:
        """What the database refuses is tried again after a second, then ever later."""
        is_stored = attempt(self._name, self.book.store) and not self.book.is_behind
        if attempt(self._name, self._show) and is_stored:
            self._wait_s = FIRST_S
        else:
            self._write_at = time.monotonic() + self._wait_s
            self._wait_s = min(self._wait_s * 2, LONGEST_S)

    def _show(self) -> None:
        if not self._is_shown:
            self.book.shown.hide_all()
        elif time.monotonic() - self._shown_at > SHOW_S:
            self.book.show()
            self._shown_at = time.monotonic()
