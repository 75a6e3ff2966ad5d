"""What users order of a PBX: its face to the API, whichever kind it is, and the desk that takes orders."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from ringback.connectors.phones import Phones

T = TypeVar("T")
REMEMBERED_S = 86_400.0
MOST_REMEMBERED = 10_000


class Origination(NamedTuple):
    """`first` is rung first, the phone of that extension or, where it is none (`is_phone`), that number; then `number` is dialled.
    `caller_id`: digits, `anonymous`, or empty for the first.

    Of a callback: `live_id`, the id of its live call and CDR, and `channel_id`, that of the first one's channel (`calls.ordered.CALLBACK`
    and what is never used twice); `outside`, which of the two is dialled by the outside line; `most_s`, how long all of it may last.
    """

    customer_id: int
    first: str
    is_phone: bool
    number: str
    caller_id: str
    live_id: int = 0
    channel_id: str = ""
    outside: Literal["", "first", "number"] = ""
    ring_s: int = 30
    most_s: int = 0


class News(NamedTuple):
    """What a PBX tells of a callback. `event`: of `callback.course`. `why`: of what failed, in words, where it says so."""

    channel_id: str
    event: str
    why: str = ""


class NotDone(Exception):
    """The PBX does not do it; the text says why, and may be shown."""


class Away(NotDone):
    """It is not connected: nothing was asked of it."""


class Unsure(NotDone):
    """Maybe it has done it: the connection was lost before it had answered, or nothing was seen of it since."""


class Offline(Exception):
    """No phone is registered there."""


class Pbx(Protocol):
    """Every method waits for the PBX, a few seconds at most. NotDone; Offline where a phone has to ring."""

    def serves(self, customer_id: int) -> bool: ...

    @property
    def outside_prefix(self) -> str:
        """The digits dialled for an outside line; empty without."""
        ...

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


class Caller(Protocol):
    """Places callbacks at one PBX. Every method waits for it, a few seconds at most. NotDone."""

    @property
    def is_connected(self) -> bool: ...

    def customers(self) -> Collection[int]: ...

    def place(self, order: Origination) -> None:
        """Returns when the PBX has taken the order; what comes of it is told to the desk. Offline where a phone has to ring; Away;
        Unsure."""
        ...

    def limit(self, channel_id: str, most_s: int) -> None:
        """So long the callback may still last."""
        ...

    def cut(self, channel_id: str) -> None:
        """Ends a callback, however far it is."""
        ...


class Staff(Protocol):
    """Who answers the calls in the queues of one PBX."""

    def serves(self, customer_id: int) -> bool: ...

    def told(self, customer_id: int) -> Mapping[str, Mapping[str, bool]]:
        """Who is in the customer's queues, by the queue's name in small letters and the extension: True for those who are paused. Empty
        while that is not known."""
        ...

    def assign(
        self, customer_id: int, queue: Sequence[str], wanted: Mapping[str, bool], extensions: Collection[str]
    ) -> None:
        """The queue of one of these names, if it is there, has these members, by extension: True for those who are paused.
        `extensions`: all of the customer's; members who are none of them stay. NotDone."""
        ...


class Passwords(Protocol):
    """What phones log in with at one PBX."""

    def serves(self, customer_id: int) -> bool: ...

    def domain(self) -> str | None: ...

    def password(self, customer_id: int, extension: str) -> str | None:
        """Waits for the PBX, a second or two at most. None when it does not tell."""
        ...


class Mistaken(Exception):
    """The key was used for another order."""


class _Order:
    def __init__(self, digest: bytes) -> None:
        self.digest, self.at, self.lock = digest, time.monotonic(), threading.Lock()
        self.done = False
        self.orderers = 0
        """Those who wait for it, or carry it out."""
        self.outcome: Any = None
        self.doubt = ""


class Desk:
    """The connected PBXs, and the orders that came with an Idempotency-Key: the same one again gets the same answer for a day,
    or until the server is started anew."""

    def __init__(self) -> None:
        self.pbxs: list[Pbx] = []
        self.callers: list[Caller] = []
        self.news: SimpleQueue[News | None] = SimpleQueue()
        """Of callbacks; None: there is something to do."""
        self.staffs: list[Staff] = []
        self.passwords: list[Passwords] = []
        self.phones = Phones()
        self.outcomes: Counter[str] = Counter()
        self._orders: dict[tuple[object, ...], _Order] = {}
        self._lock = threading.Lock()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Inside, an order is given to a PBX: `outcomes` has what comes of it."""
        outcome = "failed"
        try:
            yield
            outcome = "done"
        except Offline:
            outcome = "offline"
            raise
        except NotDone:
            outcome = "refused"
            raise
        finally:
            with self._lock:
                self.outcomes[outcome] += 1

    def wake(self) -> None:
        """Somebody has asked to be called back, or gives up."""
        self.news.put(None)

    def caller(self, customer_id: int) -> Caller | None:
        """One that is connected, if there is one."""
        found = [each for each in self.callers if customer_id in each.customers()]
        return next((each for each in found if each.is_connected), None)

    def serving(self, customer_id: int) -> list[Pbx]:
        return [each for each in self.pbxs if each.serves(customer_id)]

    def originate(self, order: Origination) -> int:
        """By the first of the customer's PBXs that is connected and has the phone. Returns the live id. NotDone; Offline."""
        refusals: list[Exception] = []
        for each in self.serving(order.customer_id):
            try:
                return each.originate(order)
            except (Away, Offline) as error:
                refusals.append(error)
        raise next((each for each in refusals if isinstance(each, Offline)), refusals[0] if refusals else Offline())

    def pbx_of(self, customer_id: int, live_id: int) -> Pbx | None:
        return next((each for each in self.pbxs if each.has(customer_id, live_id)), None)

    def once(self, key: tuple[object, ...], digest: bytes, work: Callable[[], T]) -> T:
        """What `work` returned the first time. While it works, the same order waits; of what it raises, only Unsure is remembered,
        with its text. Mistaken when another order had the key."""
        order = self._order(key, digest)
        try:
            with order.lock:
                if not order.done:
                    _carry_out(order, work)
                if order.doubt:
                    raise Unsure(order.doubt)
                found: T = order.outcome
                return found
        finally:
            with self._lock:
                order.orderers -= 1
                if not order.done and not order.orderers and self._orders.get(key) is order:
                    del self._orders[key]

    def _order(self, key: tuple[object, ...], digest: bytes) -> _Order:
        with self._lock:
            oldest = next(iter(self._orders.values()), None)
            while oldest and (len(self._orders) >= MOST_REMEMBERED or oldest.at < time.monotonic() - REMEMBERED_S):
                del self._orders[next(iter(self._orders))]
                oldest = next(iter(self._orders.values()), None)
            order = self._orders.setdefault(key, _Order(digest))
            if order.digest != digest:
                raise Mistaken
            order.orderers += 1
            return order


def _carry_out(order: _Order, work: Callable[[], Any]) -> None:
    try:
        order.outcome = work()
    except Unsure as error:
        order.doubt = str(error)
    order.done = True
