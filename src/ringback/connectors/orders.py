"""What users order of a PBX: its face to the API, whichever kind it is, and the desk that takes orders."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")
REMEMBERED_S = 86_400.0
MOST_REMEMBERED = 10_000


class Origination(NamedTuple):
    """`first` is rung first, the phone of that extension or, where it is none (`is_phone`), that number; then `number` is dialled.
    `caller_id`: digits, `anonymous`, or empty for the first."""

    customer_id: int
    first: str
    is_phone: bool
    number: str
    caller_id: str


class NotDone(Exception):
    """The PBX does not do it; the text says why, and may be shown."""


class Offline(Exception):
    """No phone is registered there."""


class Pbx(Protocol):
    """Every method waits for the PBX, a few seconds at most. NotDone; Offline where a phone has to ring."""

    def serves(self, customer_id: int) -> bool: ...

    def originate(self, order: Origination) -> int:
        """Returns the live id once the call is shown."""
        ...

    def has(self, customer_id: int, live_id: int) -> bool:
        """Whether the live call is one of this PBX."""
        ...

    def hang_up(self, customer_id: int, live_id: int) -> None: ...

    def transfer(self, customer_id: int, live_id: int, by_extension: str, number: str) -> None:
        """Whom the party at `by_extension` talks to is sent to the number; without such a party, the caller is."""
        ...


class Mistaken(Exception):
    """The key was used for another order."""


class _Order:
    def __init__(self, digest: bytes) -> None:
        self.digest, self.at, self.lock = digest, time.monotonic(), threading.Lock()
        self.done = False
        self.outcome: Any = None


class Desk:
    """The connected PBXs, and the orders that came with an Idempotency-Key: the same one again gets the same answer for a day,
    or until the server is started anew."""

    def __init__(self) -> None:
        self.pbxs: list[Pbx] = []
        self._orders: dict[tuple[object, ...], _Order] = {}
        self._lock = threading.Lock()

    def pbx(self, customer_id: int) -> Pbx | None:
        return next((each for each in self.pbxs if each.serves(customer_id)), None)

    def pbx_of(self, customer_id: int, live_id: int) -> Pbx | None:
        return next((each for each in self.pbxs if each.has(customer_id, live_id)), None)

    def once(self, key: tuple[object, ...], digest: bytes, work: Callable[[], T]) -> T:
        """What `work` returned the first time. While it works, the same order waits; what it raises is not remembered.
        Mistaken when another order had the key."""
        order = self._order(key, digest)
        with order.lock:
            if not order.done:
                order.outcome = work()
                order.done = True
            found: T = order.outcome
            return found

    def _order(self, key: tuple[object, ...], digest: bytes) -> _Order:
        with self._lock:
            oldest = next(iter(self._orders.values()), None)
            while oldest and (len(self._orders) >= MOST_REMEMBERED or oldest.at < time.monotonic() - REMEMBERED_S):
                del self._orders[next(iter(self._orders))]
                oldest = next(iter(self._orders.values()), None)
            order = self._orders.setdefault(key, _Order(digest))
            if order.digest != digest:
                raise Mistaken
            return order
