"""The visitors' sockets that are open in this process, and what waits to be sent to each.

A socket is filled by the one reader, and emptied by the event loop; what its page says is heard in a thread. One whose page does not read,
or says too much, is ended.
"""

import time
from collections import Counter
from collections.abc import Callable

from ringback.rest.outlets import Ending, Outlet, Outlets

PER_NETWORK, PER_WIDGET, IN_ALL = 10, 500, 2_000
"""Open at a time, in one process."""
FRAMES_S, BURST = 5.0, 30.0
"""What a page may say each second, and at once."""
HELLO_S = 10.0

STOPPED = Ending(1012, "The server stops. Come back with the last number.")
NONSENSE = Ending(4400, "That is nothing that can be said here.", "nonsense")
GONE = Ending(4404, "The widget is gone, or has no chat.", "gone")
CROWDED = Ending(4409, "Too many have opened a widget there within an hour.", "crowded")
SILENT = Ending(4408, "Nobody has said who is there.", "silent")
TOO_MUCH = Ending(4429, "Too much at a time.", "too_much")


class Socket(Outlet):
    """`token`: the visitor's, once it is known. `chat_id`, `cursor`, `revision`: what was put to the page already. `state`: of its
    chat. `on_taken`: see `is_behind`."""

    most_waiting = 1_000

    def __init__(
        self,
        customer_id: int,
        widget: str,
        network: str,
        hear: Callable[["Socket", str], None],
        on_taken: Callable[[], None],
    ) -> None:
        super().__init__()
        self.customer_id, self.widget, self.network = customer_id, widget, network
        self.token = ""
        self.chat_id, self.cursor, self.revision = 0, 0, -1
        self.is_online = self.has_mail = False
        self.state = "NONE"
        self.began = time.monotonic()
        self._hear, self._on_taken = hear, on_taken
        self._is_awaited = False
        self._allowance, self._counted = BURST, self.began

    def greet(self, token: str, chat_id: int, seen: int, *, is_online: bool, has_mail: bool) -> None:
        """The page has said who it is, and what it has. `has_mail`: the server can send a transcript."""
        self.chat_id, self.cursor, self.is_online, self.has_mail = chat_id, max(seen, 0), is_online, has_mail
        self.token = token  # from here on the reader looks after it

    def is_behind(self) -> bool:
        """Whether the page has not taken what was put to it. When it has, it is told that something changed."""
        with self._lock:
            self._is_awaited = bool(self._waiting)
            return self._is_awaited

    def waiting(self) -> list[str]:
        found = super().waiting()
        if self._is_awaited:
            self._is_awaited = False
            self._on_taken()
        return found

    def beat(self) -> str:
        return '{"is":"beat"}'

    def hear(self, text: str) -> None:
        if self.ending is not None:
            return
        if not self._may_speak():
            self.end(TOO_MUCH)
            return
        self._hear(self, text)

    def _may_speak(self) -> bool:
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._counted) * FRAMES_S) - 1
        self._counted = now
        return self._allowance >= 0


class Sockets(Outlets[Socket]):
    def __init__(self) -> None:
        super().__init__()
        self.on_change: Callable[[], None] = lambda: None
        """Called when a socket has something to be told."""
        self.refusals: Counter[str] = Counter()
        """Sockets and messages that were not taken, by reason."""

    def open(self, customer_id: int, widget: str, network: str, hear: Callable[[Socket, str], None]) -> Socket | None:
        """None when there are too many."""
        made = Socket(customer_id, widget, network, hear, self.on_change)
        if self._enter(made, {"all": IN_ALL, f"network {network}": PER_NETWORK, f"widget {widget}": PER_WIDGET}):
            self.refuse("sockets")
            return None
        return made

    def refuse(self, word: str) -> None:
        """Counts it."""
        with self._lock:
            self.refusals[word] += 1

    def states(self) -> Counter[str]:
        """Of the chats of those who are here."""
        return Counter(each.state for each in self.all())

    def _left(self, gone: Socket) -> bool:
        was_here = super()._left(gone)
        if was_here and gone.ending is not None and gone.ending.word:
            self.refuse(gone.ending.word)
        return was_here
