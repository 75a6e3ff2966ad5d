"""Live calls as the API shows them: rows that follow the hops of calls that are up, and go with them."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from ringback.calls import numbers
from ringback.calls.ledger import Call, Hop
from ringback.calls.ledger.state import Leg
from ringback.calls.rating import Deck
from ringback.importers import call_rows
from ringback.importers.call_rows import CallRow
from ringback.services import Services
from ringback.store import billing, live_calls
from ringback.store.parties import Parties, parties

PARTIES_S, DECK_S = 5.0, 30.0
MOST_DECKS, MOST_OVER = 1_000, 1_000
Columns = dict[str, Any]
_ALIKE = ("clid", "context", "destination", "dst", "dst_codec", "dst_id", "dst_name", "dst_ua")
_ALSO = ("src", "src_codec", "src_id", "src_name", "src_ua")


def columns(found: Iterable[CallRow], who: Parties) -> list[Mapping[str, Any]]:
    """As those of the CDRs, each as if a second had been talked: so `charge` is the least that an answer costs."""
    return [{**call_rows.columns(each, who), "billsec": 1} for each in found]


def row(hop: CallRow, cdr: Mapping[str, Any], who: Parties, *, is_held: bool) -> Columns:
    """The columns of a live call. A party that is a user is found under that user too."""
    was = call_rows.direction(hop, who.extensions)
    users = [each for each in (was.src_user_id, was.dst_user_id) if each is not None and each != was.user_id]
    connected_at = None if hop.disposition in _STATES else hop.answered_at
    return {
        **{name: cdr[name] for name in (*_ALIKE, *_ALSO)},
        "start_time": hop.started_at,
        "connected_at": connected_at,
        "user_id": was.user_id,
        "peer_user_id": users[0] if users else None,
        "state": "ON_HOLD" if is_held and connected_at is not None else _STATES.get(hop.disposition, "CONNECTED"),
        "dst_rate": cdr.get("rate"),
        "min_charge": cdr.get("charge"),
        "dst_contact": hop.dst_endpoint,
        "src_contact": hop.src_endpoint,
    }


def signalling(hop: Hop) -> Columns:
    """What captured signalling of the two parties is found by."""
    return {
        "src_call_id": numbers.clean(hop.src.call_id) or None,
        "dst_call_id": numbers.clean(hop.dst.call_id) or None,
    }


_STATES = {"INITIAL": "INITIAL", "RINGING": "RINGING"}


def is_held(call: Call, hop: CallRow) -> bool:
    ends = {hop.src_endpoint, hop.dst_endpoint}
    return any(leg.is_held for leg in call.legs.values() if leg.ended_us is None and leg.endpoint in ends)


def is_up(call: Call, hop: CallRow) -> bool:
    leg: Leg | None = call.legs.get(hop.uniqueid or "")
    return leg is not None and leg.ended_us is None


class Ends(NamedTuple):
    """The channels of a live call by their names and by their ids, empty where the PBX itself is the party, and the endpoints'
    bare names."""

    src: str
    dst: str
    src_id: str
    dst_id: str
    src_endpoint: str
    dst_endpoint: str
    is_connected: bool


def ends(call: Call, hop: CallRow, bare: Callable[[str], str]) -> Ends:
    """`bare`: an endpoint's name without what stands for a customer."""
    up = [leg for leg in call.legs.values() if leg.ended_us is None and not leg.is_half]
    known = {bare(leg.endpoint): (leg.name, leg.id) for leg in up}
    src, dst = hop.src_endpoint or "", hop.dst_endpoint or ""
    (src_name, src_id), (dst_name, dst_id) = known.get(src, ("", "")), known.get(dst, ("", ""))
    return Ends(src_name, dst_name, src_id, dst_id, src, dst, hop.disposition in {"CONNECTED", "ON_HOLD"})


class Live(NamedTuple):
    """A call that is up."""

    columns: Columns
    ends: Ends


class Shown:
    """What is in the table, so that only changes are written. `put` and `hide` are of one thread, `wait_for` of any."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.ends: dict[tuple[int, int], Ends] = {}
        """By customer and live id; read by any thread."""
        self._rows: dict[int, dict[int, Columns]] = {}
        self._of_call: dict[Call, tuple[int, set[int]]] = {}
        self._parties: dict[int, tuple[float, Parties]] = {}
        self._decks: dict[tuple[int, frozenset[str]], tuple[float, Deck]] = {}
        self._over: deque[int] = deque(maxlen=MOST_OVER)
        self._changed = threading.Condition()

    def put(self, customer_id: int, found: Mapping[Call, Mapping[int, Live]]) -> None:
        """The live calls of these calls are those by these live ids, and no others, and nobody else's any more: whose a call is may
        show itself with a later channel."""
        self.hide(call for call in found if self._of_call.get(call, (customer_id,))[0] != customer_id)
        shown = self._rows.setdefault(customer_id, {})
        fresh = {live_id: each for rows in found.values() for live_id, each in rows.items()}
        before = {live_id for call in found for live_id in self._of_call.get(call, (0, set()))[1]}
        changed = {live_id: each.columns for live_id, each in fresh.items() if shown.get(live_id) != each.columns}
        ends = {(customer_id, live_id): each.ends for live_id, each in fresh.items()}
        self._write(customer_id, changed, before - fresh.keys(), ends)
        for call, rows in found.items():
            self._of_call[call] = customer_id, set(rows)

    def hide(self, calls: Iterable[Call]) -> None:
        """What the database refuses now stays, and is found among `calls`."""
        lots: dict[int, dict[Call, set[int]]] = {}
        for call in self._of_call.keys() & set(calls):
            customer_id, ids = self._of_call[call]
            lots.setdefault(customer_id, {})[call] = ids
        for customer_id, gone in lots.items():
            self._write(customer_id, {}, chain.from_iterable(gone.values()), {})
            for call in gone:
                del self._of_call[call]

    def calls(self) -> set[Call]:
        """Those of which something is shown."""
        return set(self._of_call)

    def hide_all(self) -> None:
        self.hide(list(self._of_call))

    def who(self, customer_id: int, country: str | None) -> Parties:
        """Users, contacts and queues, as they were a moment ago."""
        read_at, found = self._parties.get(customer_id, (0.0, None))
        if found is None or time.monotonic() - read_at > PARTIES_S:
            found = self._services.database.read(lambda db: parties(db, customer_id, country))
            self._parties[customer_id] = time.monotonic(), found
        return found

    def priced(self, customer_id: int, cdrs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """With the rates as they were a moment ago."""
        called = frozenset(filter(None, map(billing.public_number, cdrs)))
        if not called:
            return cdrs
        read_at, deck = self._decks.get((customer_id, called), (0.0, None))
        if deck is None or time.monotonic() - read_at > DECK_S:
            deck = self._services.database.read(lambda db: billing.deck_for(db, customer_id, cdrs))
            if len(self._decks) >= MOST_DECKS:
                self._decks.clear()
            self._decks[customer_id, called] = time.monotonic(), deck
        return billing.rated(deck, cdrs)

    def wait_for(self, live_id: int, customer_id: int, patience_s: float) -> bool:
        """Whether the call is shown within that time; it may be over before."""
        with self._changed:
            rows = self._rows.setdefault(customer_id, {})
            self._changed.wait_for(lambda: live_id in rows or live_id in self._over, patience_s)
            return live_id in rows

    def over(self, live_ids: Iterable[int]) -> None:
        """Calls that were ordered, whether they were shown or not."""
        with self._changed:
            self._over.extend(live_ids)
            self._changed.notify_all()

    def _write(
        self,
        customer_id: int,
        changed: Mapping[int, Columns],
        gone: Iterable[int],
        ends: Mapping[tuple[int, int], Ends],
    ) -> None:
        shown = self._rows.setdefault(customer_id, {})
        ids = sorted(set(gone) & shown.keys())
        now = self._services.clock()

        def write(db: Any) -> None:
            live_calls.put(db, customer_id, changed, now)
            live_calls.drop(db, customer_id, ids, now)

        if changed or ids:
            self._services.database.write(write, at_once=False)
        with self._changed:
            shown.update(changed)
            self.ends.update(ends)
            for live_id in ids:
                del shown[live_id]
                self.ends.pop((customer_id, live_id), None)
            self._changed.notify_all()
