"""The calls of one PBX: events into the journal and the ledger, calls that are up into live calls, calls that are over into CDRs.

Used by one thread. What the database does not take now is tried again; the journal remembers it meanwhile.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import structlog

from ringback.calls.events import BridgeLeft, DialEnded, Ended, Event, HungUp, PartyHungUp
from ringback.calls.ledger import Call, Hop, Ledger, hops
from ringback.calls.ledger.fold import UNENDED
from ringback.calls.ledger.state import Leg
from ringback.connectors import dialling, shown
from ringback.connectors.journal import Entry, Journal, Named, Origin, Stored
from ringback.connectors.settings import Connector
from ringback.connectors.shown import Live, Shown
from ringback.errors import Unavailable
from ringback.importers import asterisk_cdr, call_rows, freeswitch_cdr, ledger_rows
from ringback.importers.call_rows import CallRow
from ringback.importers.importer import Options
from ringback.services import Services
from ringback.store import accounts, call_ids, live_calls

log = structlog.get_logger()

SETTLED_US = 60_000_000
"""So long the journal keeps a call that is over: what comes late is not taken for another call."""
SEEN_US = 1_000_000
OPTIONS_S = 30.0
TIE_S, TIED_S, MOST_TIES = 3.0, 120.0, 5_000
MOST_ORIGINS, MOST_EXPECTED = 200_000, 10_000
LAST_WORDS = (PartyHungUp, DialEnded, BridgeLeft, HungUp, Ended)
"""Nothing is known of a channel that nothing else was heard of: it ended while the PBX said what is up, or before."""
_RECORDS = {"asterisk": asterisk_cdr.SOURCE, "freeswitch": freeswitch_cdr.SOURCE}
"""The import of what a PBX itself writes of the same calls, by its kind."""


class Tie(NamedTuple):
    """`legs`: the CDR's source key by Call-ID."""

    customer_id: int
    legs: dict[str, str]
    until: float


class Book:
    """`ledger.board.calls`: the calls that are up. `ids`: the live ids of their hops, by the hops' keys."""

    def __init__(self, services: Services, connector: Connector, journal: Journal) -> None:
        self.ledger = Ledger()
        self.ids: dict[str, int] = {}
        self._services, self._connector, self._journal = services, connector, journal
        self._source = ledger_rows.SOURCES[connector.kind]
        self._origins: dict[str, Origin] = {}
        self._expected: dict[str, int | None] = {}
        """The customers that have ordered calls, by the ids of the calls' first channels."""
        self._over: list[Call] = []
        self._dirty: set[Call] = set()
        self._recent: dict[str, Call] = {}
        self._named: dict[Call, list[str]] = {}
        self._last_us = self._noted_us = 0
        self._trouble = ""
        self._ties: deque[Tie] = deque(maxlen=MOST_TIES)
        self._tie_at = 0.0
        self._read_options: dict[int, tuple[float, Options]] = {}
        self.shown = Shown(services)
        self.logins = self.heard = self.stored = 0
        """How often the PBX was connected, what was understood of it, and CDRs that were new."""
        self.on_over: list[Callable[[int | None, Call], None]] = []
        """Called with each call that is over, and whose it is, once the database has it, maybe again after a crash."""

    @property
    def is_behind(self) -> bool:
        """Whether there are calls that the database has not taken."""
        return bool(self._over)

    # -- in

    def replay(self) -> None:
        """What an earlier process had heard; calls that it stored are not stored again."""
        over, stored, named = list[Call](), set[str](), dict[str, Named]()
        for entry in self._journal.entries():
            match entry:
                case Stored(call_id):
                    stored.add(call_id)
                case Named():
                    named[entry.key] = entry
                case _:
                    over += self._folded(entry)
        self._over += [call for call in over if call.id not in stored]
        self._recent = {call.id: call for call in over if call.id in stored}
        self._name_again(named, over)
        self._compact()

    def _name_again(self, named: Mapping[str, Named], over: Iterable[Call]) -> None:
        """Calls that are up or wait to be stored. What is of none that was heard of is of an order, and may become one."""
        up = self.ledger.board.calls.values()
        for call in (*up, *self._over):
            self._named[call] = [key for key in _keys(call) if key in named]
            self.ids.update((key, named[key].live_id) for key in self._named[call])
            ordered = {key: named[key].customer_id for key in self._named[call]}
            self._expected |= {key: customer_id for key, customer_id in ordered.items() if customer_id is not None}
        heard = {key for call in (*up, *over) for key in (call.id, *call.legs)}
        for key, each in named.items():
            if key not in heard and "/" not in key:  # a slash is of a call's second hop
                self._await(each)

    def take(self, entries: Sequence[Entry]) -> None:
        self.heard += len(entries)
        self._note(entries)
        for entry in entries:
            self._over += self._folded(entry)

    def _note(self, entries: Iterable[Entry]) -> None:
        """Where the disk is full calls go on, and the next process does not know of them."""
        reason = ""
        try:
            self._journal.add(entries)
        except OSError as error:
            reason = str(error)
        if reason and reason != self._trouble:
            log.warning("the journal cannot be written", pbx=self._connector.name, reason=reason)
        self._trouble = reason

    def _folded(self, entry: Entry) -> list[Call]:
        if isinstance(entry, Origin):
            self._origins.setdefault(entry.channel, entry)
            if len(self._origins) > MOST_ORIGINS:
                del self._origins[next(iter(self._origins))]
            return []
        if not isinstance(entry, Event):
            return []
        self._last_us = max(self._last_us, entry.at_us)
        if isinstance(entry.fact, LAST_WORDS) and entry.channel not in self.ledger.board.legs:
            return []
        try:
            over = self.ledger.take(entry)
        except Exception:  # one event keeps no other one back, now or when the journal is read
            log.exception("an event was not understood", pbx=self._connector.name, told=repr(entry)[:500])
            over = []
        leg = self.ledger.board.legs.get(entry.channel)
        if leg is not None:
            self._dirty.add(leg.call)
        return over

    def missed(self, gone: Iterable[Leg], at_us: int) -> None:
        """These channels have ended, and nobody saw it. `at_us`: when they were seen last."""
        for leg in gone:
            leg.call.note(UNENDED)
            ended_us = max(at_us, leg.call.last_us)
            self.take([Event(ended_us, leg.id, leg.linked_id, leg.name, Ended())])

    @property
    def last_us(self) -> int:
        """When something was heard last."""
        return self._last_us

    def open_legs(self) -> dict[str, Leg]:
        return {leg_id: leg for leg_id, leg in self.ledger.board.legs.items() if leg.ended_us is None}

    def see(self, now_us: int) -> int:
        """The PBX is there, and what was to be heard until now was heard. Returns the last time when that was noted."""
        if now_us > self._noted_us + SEEN_US:
            self._journal.touch()
            self._noted_us = now_us
        return self._noted_us

    def seen_us(self) -> int:
        """When it was noted last, maybe by an earlier process; 0 when never."""
        return self._journal.touched_us()

    # -- out

    def store(self) -> None:
        """CDRs of what is over. What the database refuses now stays."""
        lots: dict[int | None, list[Call]] = {}
        for call in self._over:
            lots.setdefault(self.customer_of(call), []).append(call)
        for customer_id, lot in lots.items():
            done = lot if customer_id is None else self._stored(customer_id, lot)
            for tell in self.on_over:
                for call in done:
                    tell(customer_id, call)
            self._forget(done)
        if self._journal.is_long:
            self._compact()
        self._tie()

    def _stored(self, customer_id: int, lot: list[Call]) -> list[Call]:
        """Those that are done with. One that cannot be stored keeps no other one back."""
        try:
            self._put(customer_id, lot)
        except Unavailable as error:
            log.warning("calls wait for the database", pbx=self._connector.name, calls=len(lot), error=str(error))
            return []
        except Exception:
            if len(lot) > 1:
                return [done for call in lot for done in self._stored(customer_id, [call])]
            log.exception("a call cannot be stored", pbx=self._connector.name, call=lot[0].id)
        return lot

    def _put(self, customer_id: int, lot: Sequence[Call]) -> None:
        options = self._options(customer_id)
        told = {call: hops(call) for call in lot}
        found = list(self.rows(chain.from_iterable(told.values()), customer_id, options))
        summary = options.summary()
        call_rows.take(
            self._services,
            customer_id,
            self._source,
            found,
            options,
            summary,
            told_also_by=_RECORDS[self._connector.kind],
            is_live=True,
        )
        self.stored += summary.new
        for call in lot:
            legs = _call_ids(told[call], self._source)
            if legs:
                self._ties.append(Tie(customer_id, legs, time.monotonic() + TIED_S))

    def _tie(self) -> None:
        """Captured signalling is put together some seconds after the end of a call: its legs are looked for until then."""
        if not self._ties or time.monotonic() < self._tie_at:
            return
        self._tie_at = time.monotonic() + TIE_S
        left: list[Tie] = []
        for each in [each for each in self._ties if each.until > time.monotonic()]:
            found = self._services.database.write(partial(call_ids.tie, customer_id=each.customer_id, legs=each.legs))
            legs = {call_id: key for call_id, key in each.legs.items() if call_id not in found}
            if legs:
                left.append(each._replace(legs=legs))
        self._ties = deque(left, MOST_TIES)

    def _forget(self, lot: Iterable[Call]) -> None:
        done = set(lot)
        self._over = [call for call in self._over if call not in done]
        for call in lot:
            self._dirty.discard(call)
            self._recent[call.id] = call
            self._note([Stored(each) for each in sorted(call.linked_ids | {call.id})])
            for leg_id in call.legs:
                self._origins.pop(leg_id, None)
        self.shown.over([self.ids[leg_id] for call in lot for leg_id in call.legs if leg_id in self._expected])
        self._unname(lot)
        self.shown.hide(lot)

    def clear(self) -> None:
        """No live calls, until somebody says which there are."""
        for customer_id in sorted(self._connector.customers()):
            cleared = partial(live_calls.clear, customer_id=customer_id, now=self._services.clock())
            self._services.database.write(cleared)

    def close(self) -> None:
        self._journal.close()

    def show(self) -> None:
        """Live calls follow what has changed since. One that became a part of another one is shown there."""
        gone = (self.shown.calls() | self._named.keys()) - set(self.ledger.board.calls.values())
        self.shown.hide(gone)
        self._unname(gone.difference(self._over))
        lots: dict[int, dict[Call, dict[int, Live]]] = {}
        for call in self._dirty & set(self.ledger.board.calls.values()):
            customer_id = self.customer_of(call)
            if customer_id is not None:
                lots.setdefault(customer_id, {})[call] = self._live(call, customer_id)
        for customer_id, found in lots.items():
            self.shown.put(customer_id, found)
        self._dirty.clear()

    def show_all(self) -> None:
        """After a time in which nothing was shown."""
        self._dirty |= set(self.ledger.board.calls.values())
        self.show()

    def _live(self, call: Call, customer_id: int) -> dict[int, Live]:
        options = self._options(customer_id)
        who = self.shown.who(customer_id, options.country)
        now = hops(call)
        self._name(call, [ledger_rows.key(hop) for hop in now])
        found = list(self.rows(now, customer_id, options))
        priced = self.shown.priced(customer_id, shown.columns(found, who))
        rows = {
            each.key: shown.row(each, cdr, who, is_held=shown.is_held(call, each)) | shown.signalling(hop)
            for hop, each, cdr in zip(now, found, priced, strict=True)
        }
        for each in found:
            rows[each.key]["parent_id"] = self.ids.get(each.parent) if each.parent is not None else None
        up = [each for each in found if shown.is_up(call, each)]
        bare = partial(dialling.bare, self._connector, customer_id)
        return {self.ids[each.key]: Live(rows[each.key], shown.ends(call, each, bare)) for each in up}

    def expect(self, key: str, live_id: int, customer_id: int) -> None:
        """A call that the customer has ordered: its first hop will have this live id."""
        named = Named(key, live_id, customer_id)
        self._note([named])
        self._await(named)

    def _await(self, named: Named) -> None:
        self.ids[named.key] = named.live_id
        self._expected[named.key] = named.customer_id
        if len(self._expected) > MOST_EXPECTED:
            oldest = next(iter(self._expected))
            del self._expected[oldest]
            if oldest not in self.ledger.board.legs:
                self.ids.pop(oldest, None)

    def _name(self, call: Call, keys: Iterable[str]) -> None:
        """Live ids for hops that have none."""
        fresh = [key for key in keys if key not in self.ids]
        if fresh:
            ids = self._services.database.write(lambda db: db.new_ids("live", len(fresh)), at_once=False)
            named = [Named(key, live_id) for key, live_id in zip(fresh, ids, strict=True)]
            self._note(named)
            self.ids.update((each.key, each.live_id) for each in named)
            self._named.setdefault(call, []).extend(fresh)

    def _unname(self, calls: Iterable[Call]) -> None:
        for call in calls:
            for key in (*self._named.pop(call, ()), *_keys(call), *call.legs):
                self.ids.pop(key, None)
                self._expected.pop(key, None)

    def rows(self, found: Iterable[Hop], customer_id: int, options: Options) -> Iterator[CallRow]:
        """As `call_rows.take` has them: endpoints without what the customer's rules put before extensions."""
        bare = partial(dialling.bare, self._connector, customer_id)
        for hop in found:
            row = call_rows.own(ledger_rows.row(hop, options), bare)
            yield row._replace(live_id=self.ids.get(row.key))

    def _options(self, customer_id: int) -> Options:
        read_at, found = self._read_options.get(customer_id, (0.0, None))
        if found is None or time.monotonic() - read_at > OPTIONS_S:
            country = self._services.database.read(lambda db: accounts.country_of(db, customer_id))
            found = Options(country=country or None, outside_prefix=self._connector.outside_prefix)
            self._read_options[customer_id] = time.monotonic(), found
        return found

    def customer_of(self, call: Call) -> int | None:
        """Whose call it is: who has ordered it, else what the rules say; None for nobody's."""
        for leg_id in call.legs:
            ordered_by = self._expected.get(leg_id)
            if ordered_by is not None:
                return ordered_by
        return dialling.customer_of(self._connector, call, self._origins)

    def _compact(self) -> None:
        """Without what is over for a while, and stored."""
        recent_us = self._last_us - SETTLED_US
        self._recent = {name: call for name, call in self._recent.items() if call.last_us > recent_us}
        kept = [*self._over, *self._recent.values()]
        legs = self.ledger.board.legs.keys() | {leg_id for call in kept for leg_id in call.legs}
        stored = {name for call in self._recent.values() for name in (call.id, *call.linked_ids)}

        def wanted(entry: Entry) -> bool:
            match entry:
                case Event() | Origin():
                    return entry.channel in legs
                case Named():
                    return entry.key in self.ids
                case Stored():
                    return entry.call_id in stored

        self._journal.keep(wanted)


def _keys(call: Call) -> list[str]:
    """What its live ids are kept by."""
    return [call.id, *map(ledger_rows.key, hops(call))]


def _call_ids(found: Iterable[Hop], source: str) -> dict[str, str]:
    """Which hop each leg's signalling belongs to: the one that it was called for, else the first that it began."""
    keys: dict[str, str] = {}
    for hop in found:
        key = f"{source}:{ledger_rows.key(hop)}"
        keys.setdefault(hop.src.call_id, key)
        keys.setdefault(hop.dst.call_id, key)
    keys.pop("", None)
    return keys
