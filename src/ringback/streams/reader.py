"""The one reader of a process: numbers what was committed, reads what is new, and puts it to those who may see it.

It looks when the database wakes it, and once a second besides. Each subscription has a cursor; one that comes back with the id of
its last event begins there, any other begins now. Where what came after a cursor is gone or too much, its client is told to list
anew (`reset`), and goes on from now.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from ringback.errors import RingbackError
from ringback.identity import tokens
from ringback.metrics import Metrics
from ringback.record import Record
from ringback.rest.access import Caller
from ringback.rounds import Rounds
from ringback.services import Services
from ringback.store import outbox
from ringback.store.database import Db
from ringback.store.outbox import Change
from ringback.streams.subjects import Subject, seen_by_each
from ringback.streams.subscriptions import REVOKED, STOPPED, Event, Subscription, view_of

log = structlog.get_logger()
K = TypeVar("K")

POLL_S = CHECK_S = 1.0
MOST_READ, MOST_SENT = 5_000, 1_000
RESET = "reset"
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Reader:
    def __init__(self, services: Services, found: Iterable[Subject]) -> None:
        self._services = services
        self._subjects = {each.name: each for each in found}
        self._checked_at = 0.0
        self._sent = 0
        self._rounds = Rounds("streams", self.step, POLL_S, listen=services.database.listen)
        services.streams.on_open = self._rounds.wake

    def show(self, metrics: Metrics) -> None:
        streams = self._services.streams
        metrics.measured("ringback_streams", "Open streams of live changes", lambda: len(streams.all()))
        metrics.counted("ringback_stream_events", "Events put to streams", "outcome", lambda: {"sent": self._sent})

    def start(self) -> None:
        self._rounds.start()

    def stop(self) -> None:
        self.end()
        self._rounds.stop()

    def end(self) -> None:
        """All streams end."""
        self._services.streams.end(STOPPED)

    def step(self) -> None:
        """Everything that is committed now is put to everybody who is here now."""
        here = self._services.streams.all()
        if self._services.stopping.is_set():
            self.end()
        if not here:
            return
        if time.monotonic() - self._checked_at >= CHECK_S:
            self._check(here)
            self._checked_at = time.monotonic()
        self._number({each.caller.customer_id for each in here})
        database, now = self._services.database, self._services.clock()
        for customer_id, theirs in _grouped(here, lambda each: each.caller.customer_id).items():
            try:
                database.read(partial(self._serve, customer_id=customer_id, theirs=theirs, now=now))
            except RingbackError:
                raise
            except Exception:  # of one customer; the others are served all the same
                log.exception("streams of a customer were not served", customer=customer_id)

    def _number(self, customers: Set[int]) -> None:
        database, now = self._services.database, self._services.clock()
        new, known = database.read(lambda db: (outbox.has_new(db), outbox.lasts(db, customers)))
        if customers - known.keys():
            database.write(partial(outbox.begin, customers=customers - known.keys()))
        elif not new:
            return
        while database.write(partial(outbox.number, now=now), at_once=False):
            pass

    def _check(self, here: Sequence[Subscription]) -> None:
        """Ends what belongs to a token that is no more, or that may see something else now."""
        hashes = sorted({each.caller.token_hash for each in here})
        services = self._services
        callers = services.database.read(lambda db: tokens.callers(db, hashes, services.idle, services.clock()))
        views = {token_hash: view_of(caller) for token_hash, caller in callers.items()}
        for each in here:
            if views.get(each.caller.token_hash) != each.view:
                each.end(REVOKED)

    # -- one customer

    def _serve(self, db: Db, customer_id: int, theirs: Sequence[Subscription], now: int) -> None:
        last = outbox.lasts(db, [customer_id])[customer_id]
        for seen, group in _grouped(theirs, lambda each: each.seen if each.cursor is None else each.cursor).items():
            changes = None if seen is None else _changes(db, customer_id, seen, last)
            if changes is None:
                self._reset(group, last)
            elif changes or any(each.cursor is None for each in group):
                self._bring(db, group, changes, changes[-1].number if changes else last, now)

    def _reset(self, group: Sequence[Subscription], last: int) -> None:
        for each in group:
            self._put(each, [Event(RESET, each.id_of(last), "{}")], last)

    def _bring(self, db: Db, group: Sequence[Subscription], changes: Sequence[Change], number: int, now: int) -> None:
        callers = {each.caller for each in group}
        lines: dict[Caller, list[_Line]] = {each: [] for each in callers}
        for name, entries in _entries(changes).items():
            if name in self._subjects:
                for caller, found in self._seen(db, self._subjects[name], entries, callers, now).items():
                    lines[caller] += found
        for each in group:
            found = sorted(lines[each.caller])
            self._put(each, [Event(name, each.id_of(at), data) for at, name, data in found], number)

    def _seen(
        self, db: Db, subject: Subject, entries: Mapping[int, Change], callers: Collection[Caller], now: int
    ) -> dict[Caller, list["_Line"]]:
        """What each caller is told of a subject's records; of one that the caller does not see any more, that it has ended."""
        lists = self._services.lists
        live = seen_by_each(db, lists, subject.seen, callers, list(entries), now)
        unseen = sorted(set().union(*(entries.keys() - live.get(each, {}).keys() for each in callers)))
        ended = seen_by_each(db, lists, subject.ended, callers, unseen, now) if subject.ended is not None else {}
        texts = _Texts(subject, now)
        found: dict[Caller, list[_Line]] = {}
        for caller in callers:
            there, gone = live.get(caller, {}), ended.get(caller, {})
            lines = [_Line(entries[each].number, entries[each].kind, texts.live(there[each])) for each in there]
            over = gone.keys() - there.keys()
            ending = f"{subject.name}.ended"
            found[caller] = lines + [_Line(entries[each].number, ending, texts.of(gone[each])) for each in over]
        return found

    def _put(self, to: Subscription, events: Sequence[Event], number: int) -> None:
        self._sent += len(events)
        to.tell(events, number)


class _Line(NamedTuple):
    number: int
    name: str
    data: str


class _Texts:
    """Records as JSON, each once, however many callers share it."""

    def __init__(self, subject: Subject, now: int) -> None:
        self._subject, self._now = subject, now
        self._known: dict[int, tuple[Record, str]] = {}

    def live(self, record: Record) -> str:
        return self.of(record, self._subject.finish)

    def of(self, record: Record, finish: Callable[[Record, int], Record] = lambda record, _: record) -> str:
        if id(record) not in self._known:
            self._known[id(record)] = record, _encode(finish(record, self._now)).decode()
        return self._known[id(record)][1]


def _changes(db: Db, customer_id: int, seen: int, last: int) -> list[Change] | None:
    """What came after `seen`; None where the client had better list anew."""
    if seen == last:
        return []
    found = outbox.since(db, customer_id, seen, MOST_READ)
    if found is None or len(found) == MOST_READ or any(each.kind == outbox.SOMETHING for each in found):
        return None
    return found if len({(each.kind.partition(".")[0], each.object_id) for each in found}) <= MOST_SENT else None


def _entries(changes: Iterable[Change]) -> dict[str, dict[int, Change]]:
    """The last change of each record, by subject. One that was made among these is told of as made."""
    found: dict[str, dict[int, Change]] = {}
    for each in changes:
        subject, _, what = each.kind.partition(".")
        entries = found.setdefault(subject, {})
        before = entries.get(each.object_id)
        made = before is not None and before.kind.endswith(".created") and what == "updated"
        entries[each.object_id] = each._replace(kind=before.kind) if made and before is not None else each
    return found


def _grouped(subscriptions: Iterable[Subscription], key: Callable[[Subscription], K]) -> dict[K, list[Subscription]]:
    found: dict[K, list[Subscription]] = {}
    for each in subscriptions:
        found.setdefault(key(each), []).append(each)
    return found
