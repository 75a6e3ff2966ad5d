"""The calls of one PBX: events into the journal and the ledger, calls that are up into live calls, calls that are over into CDRs.

Used by one thread. What the database does not take now is tried again; the journal remembers it meanwhile.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from ringback.calls.events import Ended, Event
from ringback.calls.ledger import Call, Ledger, hops
from ringback.calls.ledger.fold import UNENDED
from ringback.calls.ledger.state import Leg
from ringback.connectors import shown
from ringback.connectors.journal import Entry, Journal, Named, Origin, Stored
from ringback.connectors.settings import Connector, Rule
from ringback.connectors.shown import Columns, Shown
from ringback.errors import Unavailable
from ringback.importers import asterisk_cdr, call_rows, ledger_rows
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
MOST_ORIGINS = 200_000


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
        self._origins: dict[str, Origin] = {}
        self._over: list[Call] = []
        self._dirty: set[Call] = set()
        self._recent: dict[str, Call] = {}
        self._named: dict[Call, list[str]] = {}
        self._last_us = self._noted_us = 0
        self._ties: deque[Tie] = deque(maxlen=MOST_TIES)
        self._tie_at = 0.0
        self._read_options: dict[int, tuple[float, Options]] = {}
        self.shown = Shown(services)

    @property
    def is_behind(self) -> bool:
        """Whether there are calls that the database has not taken."""
        return bool(self._over)

    # -- in

    def replay(self) -> None:
        """What an earlier process had heard; calls that it stored are not stored again."""
        over, stored = list[Call](), set[str]()
        for entry in self._journal.entries():
            match entry:
                case Stored(call_id):
                    stored.add(call_id)
                case Named(key, live_id):
                    self.ids[key] = live_id
                case _:
                    over += self._folded(entry)
        self._over += [call for call in over if call.id not in stored]
        self._recent = {call.id: call for call in over if call.id in stored}
        self._compact()

    def take(self, entries: Sequence[Entry]) -> None:
        self._journal.add(entries)
        for entry in entries:
            self._over += self._folded(entry)

    def _folded(self, entry: Entry) -> list[Call]:
        if isinstance(entry, Origin):
            self._origins.setdefault(entry.channel, entry)
            if len(self._origins) > MOST_ORIGINS:
                del self._origins[next(iter(self._origins))]
            return []
        if not isinstance(entry, Event):
            return []
        self._last_us = max(self._last_us, entry.at_us)
        over = self.ledger.take(entry)
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
            self._forget(lot if customer_id is None else self._stored(customer_id, lot))
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
        found = [row for call in lot for row in self.rows(call, customer_id, options)]
        call_rows.take(
            self._services,
            customer_id,
            ledger_rows.SOURCE,
            found,
            options,
            options.summary(),
            told_also_by=asterisk_cdr.SOURCE,
        )
        for call in lot:
            legs = _call_ids(call)
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
            self._journal.add([Stored(each) for each in sorted(call.linked_ids | {call.id})])
            for leg_id in call.legs:
                self._origins.pop(leg_id, None)
        self.shown.hide(lot)
        self._unname(lot)

    def clear(self) -> None:
        """No live calls, until somebody says which there are."""
        for customer_id in sorted(self._connector.customers()):
            self._services.database.write(partial(live_calls.clear, customer_id=customer_id))

    def close(self) -> None:
        self._journal.close()

    def show(self) -> None:
        """Live calls follow what has changed since. One that became a part of another one is shown there."""
        gone = self.shown.calls() - set(self.ledger.board.calls.values())
        self.shown.hide(gone)
        self._unname(gone.difference(self._over))
        lots: dict[int, dict[Call, dict[int, Columns]]] = {}
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

    def _live(self, call: Call, customer_id: int) -> dict[int, Columns]:
        options = self._options(customer_id)
        who = self.shown.who(customer_id, options.country)
        self._name(call)
        found = list(self.rows(call, customer_id, options))
        rows = {each.key: shown.row(each, who, is_held=shown.is_held(call, each)) for each in found}
        for each in found:
            rows[each.key]["parent_id"] = self.ids.get(each.parent) if each.parent is not None else None
        up = [each for each in found if shown.is_up(call, each)]
        bare = partial(_bare, prefixes=self._prefixes(customer_id))
        for each in up:
            self.shown.ends[customer_id, self.ids[each.key]] = shown.ends(call, each, bare)
        return {self.ids[each.key]: rows[each.key] for each in up}

    def expect(self, key: str, live_id: int) -> None:
        """A call that was ordered: its first hop will have this live id."""
        self._journal.add([Named(key, live_id)])
        self.ids[key] = live_id

    def _name(self, call: Call) -> None:
        """Live ids for hops that have none."""
        fresh = [key for key in _keys(call) if key not in self.ids]
        if fresh:
            ids = self._services.database.write(lambda db: db.new_ids("live", len(fresh)), at_once=False)
            named = [Named(key, live_id) for key, live_id in zip(fresh, ids, strict=True)]
            self._journal.add(named)
            self.ids.update(named)
            self._named.setdefault(call, []).extend(fresh)

    def _unname(self, calls: Iterable[Call]) -> None:
        for call in calls:
            for key in (call.id, *self._named.pop(call, ()), *_keys(call)):
                self.ids.pop(key, None)

    def rows(self, call: Call, customer_id: int, options: Options) -> Iterator[CallRow]:
        """As `call_rows.take` has them: endpoints without what the customer's rules put before extensions."""
        prefixes = self._prefixes(customer_id)
        for row in ledger_rows.rows(call, options):
            yield row._replace(
                src_endpoint=_bare(row.src_endpoint or "", prefixes) or None,
                dst_endpoint=_bare(row.dst_endpoint or "", prefixes) or None,
                payer=_bare(row.payer or "", prefixes) or None,
                live_id=self.ids.get(row.key),
            )

    def _prefixes(self, customer_id: int) -> list[str]:
        return [rule.endpoint for rule in self._connector.rules if rule.customer == customer_id and rule.endpoint]

    def _options(self, customer_id: int) -> Options:
        read_at, found = self._read_options.get(customer_id, (0.0, None))
        if found is None or time.monotonic() - read_at > OPTIONS_S:
            country = self._services.database.read(lambda db: accounts.country_of(db, customer_id))
            found = Options(country=country or None, outside_prefix=self._connector.outside_prefix)
            self._read_options[customer_id] = time.monotonic(), found
        return found

    def customer_of(self, call: Call) -> int | None:
        """Whose call it is; None for nobody's."""
        for rule in self._connector.rules:
            if any(self._fits(rule, leg) for leg in call.legs.values()):
                return rule.customer
        return self._connector.customer

    def _fits(self, rule: Rule, leg: Leg) -> bool:
        origin = self._origins.get(leg.id) or Origin(leg.id, "", "", leg.dialled)
        return (
            (not rule.context or origin.context == rule.context)
            and (not rule.account or origin.account == rule.account)
            and (not rule.endpoint or leg.endpoint.startswith(rule.endpoint))
            and (not rule.ddi or origin.dialled.lstrip("+").startswith(rule.ddi))
        )

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
    return [ledger_rows.key(hop) for hop in hops(call)]


def _call_ids(call: Call) -> dict[str, str]:
    """Which hop each leg's signalling belongs to: the one that it was called for, else the first that it began."""
    keys: dict[str, str] = {}
    for hop in hops(call):
        key = f"{ledger_rows.SOURCE}:{ledger_rows.key(hop)}"
        keys.setdefault(hop.src.call_id, key)
        keys.setdefault(hop.dst.call_id, key)
    keys.pop("", None)
    return keys


def _bare(endpoint: str, prefixes: Iterable[str]) -> str:
    """The extension of an endpoint whose name begins with what stands for a customer."""
    return next((endpoint.removeprefix(each) for each in prefixes if endpoint.startswith(each)), endpoint)
