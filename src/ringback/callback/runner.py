"""The part of the server that has callbacks placed and follows them, from request to CDR.

One thread takes what the PBX tells and what is asked for, and writes it down; orders go out from a few others, so that a PBX that does
not answer keeps nobody waiting. What stands in the database is all that counts: after a restart, or where news were lost, a
call that was placed is looked for among live calls and CDRs. It is never placed again.
"""

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import structlog

from ringback.callback import placing
from ringback.callback.course import PLACED, Event
from ringback.callback.going_on import Went, happen
from ringback.callback.rules import DAY_S
from ringback.connectors.orders import Away, Caller, News, NotDone, Offline, Origination, Unsure
from ringback.errors import RingbackError
from ringback.rounds import Rounds
from ringback.services import Services
from ringback.store import callback_requests as store
from ringback.store.callback_requests import Request
from ringback.store.database import Db

log = structlog.get_logger()

TICK_S, LOOK_S = 0.25, 1.0
SEARCHED_S = 3.0
"""A call of which nothing was heard for so long is looked for."""
LOST_S = 10.0
"""One that is found nowhere for so long is over."""
SECOND_S = 90
"""The second one is not rung longer."""
PATIENCE_S = 10
"""A PBX that is away may come back so soon: a request waits for it, then it is kept for later."""
PLACERS = 4


@dataclass(slots=True)
class _Followed:
    """Which request a channel belongs to. `heard_at`: when something was known of it last; `missing_at`: when it was first found
    nowhere. Both by the monotonic clock."""

    customer_id: int
    request_id: int
    heard_at: float = 0.0
    missing_at: float | None = None


class Runner:
    """`turn` is of one thread. `outcomes`: how many callbacks ended how."""

    def __init__(self, services: Services) -> None:
        self.outcomes: Counter[str] = Counter()
        self._services, self._desk = services, services.desk
        self._followed: dict[str, _Followed] = {}
        self._looked = 0.0
        self._is_stopping = False
        self._placers = ThreadPoolExecutor(PLACERS, thread_name_prefix="callback")
        self._rounds = Rounds("callbacks", self.turn, 0.0)

    def start(self) -> None:
        self._rounds.start()

    def stop(self) -> None:
        """What has come is noted; nothing is placed any more."""
        self._is_stopping = True
        self._desk.wake()
        self._rounds.stop()
        self._placers.shutdown()

    def turn(self) -> None:
        """What has come, and now and then a look at all that is open."""
        if not self._looked:
            self._look_at_all()
        news, is_woken = self._waiting()
        for each in news:
            self._told(each)
        if self._is_stopping:
            return
        if is_woken or time.monotonic() > self._looked + LOOK_S:
            self._look_at_all()

    def _look_at_all(self) -> None:
        self._looked = time.monotonic()
        for customer_id in self._customers():
            try:
                self._look(customer_id)
            except RingbackError:
                raise
            except Exception:  # of one customer; the others are called back all the same
                log.exception("callbacks of a customer were not looked at", customer=customer_id)

    def _customers(self) -> list[int]:
        return sorted({each for caller in self._desk.callers for each in caller.customers()})

    def _waiting(self) -> tuple[list[News], bool]:
        found: list[News | None] = []
        try:
            found.append(self._desk.news.get(timeout=TICK_S))
            while True:
                found.append(self._desk.news.get_nowait())
        except queue.Empty:
            pass
        return [each for each in found if each is not None], None in found

    # -- what is asked for

    def _look(self, customer_id: int) -> None:
        now, database = self._services.clock(), self._services.database
        found = database.read(lambda db: store.open_requests(db, customer_id))
        placed = {each.channel: each for each in found if each.stage in PLACED and each.channel is not None}
        self._cut(customer_id, placed)
        for request in found:
            if request.stage == "offline" and (request.due_at or 0) <= now:
                work = partial(placing.look, desk=self._desk, customer_id=customer_id, request=request, now=now)
                if not database.write(work):
                    continue
                self._place(customer_id, request)
            elif request.stage == "requested":
                self._place(customer_id, request)
        for channel, request in placed.items():
            followed = self._followed.setdefault(channel, _Followed(customer_id, request.id))
            self._search(followed, channel, request)
        self._tie(customer_id, now)

    def _place(self, customer_id: int, request: Request) -> None:
        now = self._services.clock()
        if self._desk.caller(customer_id) is None:
            if now > request.changed_at + PATIENCE_S:
                self._postpone(customer_id, request)
            return
        order = self._services.database.write(lambda db: placing.claim(db, customer_id, request.id, now))
        if order is not None:
            self._followed[order.channel_id] = _Followed(customer_id, request.id, time.monotonic())
            self._placers.submit(self._ordered, order)

    def _postpone(self, customer_id: int, request: Request) -> None:
        """The PBX has gone in between: kept for when it is back."""
        now = self._services.clock()
        due_at = now + placing.LOOK_S
        self._services.database.write(lambda db: happen(db, customer_id, request.id, "postpone", now, due_at=due_at))

    def _ordered(self, order: Origination) -> None:
        """In a thread of its own."""
        news = News(order.channel_id, *self._outcome(order))
        if news.event:
            self._desk.news.put(news)

    def _outcome(self, order: Origination) -> tuple[str, str]:
        """The event, empty where nobody knows (the call is looked for), and why."""
        try:
            caller = self._desk.caller(order.customer_id)
            if caller is None:
                return "postpone", ""
            caller.place(order)
            return "ring", ""
        except (NotDone, Offline) as error:
            why = str(error) or "no phone is registered there"
            log.info("a callback was not placed", customer=order.customer_id, reason=why)
            return "postpone" if isinstance(error, Away) else "" if isinstance(error, Unsure) else "fail", why
        except Exception:
            log.exception("a callback was not placed", customer=order.customer_id)
            return "fail", "see the log of the server"

    # -- what is told

    def _told(self, news: News) -> None:
        followed = self._followed.get(news.channel_id)
        if followed is None:
            self._told_late(news)
            return
        followed.heard_at = time.monotonic()
        self._went_on(followed, news.channel_id, news.event, why=news.why)  # type: ignore[arg-type] # those of the course

    def _told_late(self, news: News) -> None:
        """Of a call that another process placed, or whose request was over when the agent answered."""
        live_id = news.channel_id.rpartition(".")[2]
        if news.event not in placing.RINGING or not live_id.isdecimal():
            return
        now = self._services.clock()
        for customer_id in self._customers():
            rung = partial(store.was_rung, customer_id=customer_id, live_id=int(live_id), now=now)
            self._services.database.write(rung, at_once=False)

    def _went_on(
        self, followed: _Followed, channel: str, event: Event, *, is_found: bool = False, why: str = ""
    ) -> None:
        now = self._services.clock()

        def work(db: Db) -> Went | None:
            ids = followed.customer_id, followed.request_id
            return placing.went_on(db, *ids, event, now, is_found=is_found, why=why)

        went = self._services.database.write(work, at_once=False)
        if went is not None and went.stage == "connected":
            self._placers.submit(self._limited, followed.customer_id, channel, went.request.most_s)
        if went is not None and went.stage not in PLACED:
            self.outcomes[went.reason or went.stage] += 1
            self._followed.pop(channel, None)

    def _limited(self, customer_id: int, channel: str, most_s: int) -> None:
        """In a thread of its own: from here on it is talked."""
        self._ordering(customer_id, lambda caller: caller.limit(channel, most_s))

    def _ordering(self, customer_id: int, order: Callable[[Caller], None]) -> None:
        caller = self._desk.caller(customer_id)
        try:
            if caller is not None:
                order(caller)
        except NotDone as error:
            log.info("an order to a callback was not carried out", customer=customer_id, reason=str(error))
        except Exception:
            log.exception("an order to a callback was not carried out", customer=customer_id)

    # -- what has ended otherwise

    def _end(self, customer_id: int, channel: str) -> None:
        self._placers.submit(self._ordering, customer_id, lambda caller: caller.cut(channel))

    def _cut(self, customer_id: int, placed: Iterable[str]) -> None:
        """Calls whose requests are over: the visitor has given up."""
        mine = [channel for channel, each in self._followed.items() if each.customer_id == customer_id]
        for channel in set(mine).difference(placed):
            del self._followed[channel]
            self._end(customer_id, channel)

    def _search(self, followed: _Followed, channel: str, request: Request) -> None:
        waited_s = self._services.clock() - request.changed_at
        if self._desk.caller(followed.customer_id) is None:
            followed.heard_at, followed.missing_at = time.monotonic(), None  # nothing is told until it is back
            if waited_s > request.most_s + placing.BELT_S:
                self._went_on(followed, channel, "lose", is_found=True)
            return
        if time.monotonic() < followed.heard_at + SEARCHED_S or request.live_id is None:
            return
        live_id = request.live_id
        seen = self._services.database.read(lambda db: store.seen(db, followed.customer_id, live_id))
        followed.heard_at = time.monotonic()
        found = self._found(followed, request, seen)
        for event in found:
            self._went_on(followed, channel, event, is_found=True)
        if not found and request.stage == "second" and waited_s > SECOND_S:
            self._went_on(followed, channel, "no_answer")
            self._end(followed.customer_id, channel)

    def _found(self, followed: _Followed, request: Request, seen: store.Seen) -> list[Event]:
        """What must have happened meanwhile."""
        talked: list[Event] = [] if request.stage == "connected" else ["ring", "answer", "talk"]
        if seen.disposition is not None:
            if seen.disposition in ("CONNECTED", "ON_HOLD"):
                return [*talked, "hang_up"]
            return ["lose"] if request.stage == "connected" else ["busy" if seen.cause == "User busy" else "no_answer"]
        if seen.is_up:
            followed.missing_at = None
            return talked if seen.is_connected else []
        if followed.missing_at is None:
            followed.missing_at = time.monotonic()
        return ["lose"] if time.monotonic() > followed.missing_at + LOST_S else []

    def _tie(self, customer_id: int, now: int) -> None:
        """CDRs that have come to their requests; calls that outlived theirs are ended."""
        database = self._services.database
        found = database.read(lambda db: store.untied(db, customer_id, now - DAY_S))
        if found:
            database.write(lambda db: store.tie(db, customer_id, found), at_once=False)
        for channel in database.read(lambda db: store.still_up(db, customer_id, now - DAY_S)):
            self._end(customer_id, channel)
