"""Live calls as the API shows them: rows that follow the hops of calls that are up, and go with them."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ringback.calls.ledger import Call
from ringback.calls.ledger.state import Leg
from ringback.importers import call_rows
from ringback.importers.call_rows import CallRow
from ringback.services import Services
from ringback.store import live_calls
from ringback.store.parties import Parties, parties

PARTIES_S = 5.0
Columns = dict[str, Any]
_ALIKE = ("clid", "context", "destination", "dst", "dst_codec", "dst_id", "dst_name", "dst_ua")
_ALSO = ("src", "src_codec", "src_id", "src_name", "src_ua")


def row(hop: CallRow, who: Parties, *, is_held: bool) -> Columns:
    """The columns of a live call. A party that is a user is found under that user too."""
    was = call_rows.direction(hop, who.extensions)
    cdr = call_rows.columns(hop, who)
    users = [each for each in (was.src_user_id, was.dst_user_id) if each is not None and each != was.user_id]
    connected_at = hop.answered_at if hop.disposition in {"CONNECTED", "ON_HOLD"} else None
    return {
        **{name: cdr[name] for name in (*_ALIKE, *_ALSO)},
        "start_time": hop.started_at,
        "connected_at": connected_at,
        "user_id": was.user_id,
        "peer_user_id": users[0] if users else None,
        "state": "ON_HOLD" if is_held and connected_at is not None else _STATES.get(hop.disposition, "CONNECTED"),
        "dst_contact": hop.dst_endpoint,
        "src_contact": hop.src_endpoint,
    }


_STATES = {"INITIAL": "INITIAL", "RINGING": "RINGING"}


def is_held(call: Call, hop: CallRow) -> bool:
    ends = {hop.src_endpoint, hop.dst_endpoint}
    return any(leg.is_held for leg in call.legs.values() if leg.ended_us is None and leg.endpoint in ends)


def is_up(call: Call, hop: CallRow) -> bool:
    leg: Leg | None = call.legs.get(hop.uniqueid or "")
    return leg is not None and leg.ended_us is None


class Ends(NamedTuple):
    """The channels of a live call by their names, empty where the PBX itself is the party, and the endpoints' bare names."""

    src: str
    dst: str
    src_endpoint: str
    dst_endpoint: str
    is_connected: bool


def ends(call: Call, hop: CallRow, bare: Callable[[str], str]) -> Ends:
    """`bare`: an endpoint's name without what stands for a customer."""
    names = {bare(leg.endpoint): leg.name for leg in call.legs.values() if leg.ended_us is None and not leg.is_half}
    src, dst = hop.src_endpoint or "", hop.dst_endpoint or ""
    is_connected = hop.disposition in {"CONNECTED", "ON_HOLD"}
    return Ends(names.get(src, ""), names.get(dst, ""), src, dst, is_connected)


class Shown:
    """What is in the table, so that only changes are written. `put` and `hide` are of one thread, `wait_for` of any."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.ends: dict[tuple[int, int], Ends] = {}
        """By customer and live id; read by any thread."""
        self._rows: dict[int, dict[int, Columns]] = {}
        self._of_call: dict[Call, tuple[int, set[int]]] = {}
        self._parties: dict[int, tuple[float, Parties]] = {}
        self._changed = threading.Condition()

    def put(self, customer_id: int, found: Mapping[Call, Mapping[int, Columns]]) -> None:
        """The live calls of these calls are those by these live ids, and no others."""
        shown = self._rows.setdefault(customer_id, {})
        fresh = {live_id: each for rows in found.values() for live_id, each in rows.items()}
        before = {live_id for call in found for live_id in self._of_call.get(call, (0, set()))[1]}
        changed = {live_id: each for live_id, each in fresh.items() if shown.get(live_id) != each}
        self._write(customer_id, changed, before - fresh.keys())
        for call, rows in found.items():
            self._of_call[call] = customer_id, set(rows)

    def hide(self, calls: Iterable[Call]) -> None:
        gone: dict[int, set[int]] = {}
        for call in calls:
            customer_id, ids = self._of_call.pop(call, (0, set()))
            gone.setdefault(customer_id, set()).update(ids)
        for customer_id, ids in gone.items():
            self._write(customer_id, {}, ids)

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

    def wait_for(self, live_id: int, customer_id: int, patience_s: float, is_over: Callable[[], bool]) -> bool:
        """Whether the call is shown within that time, and before it `is_over`."""
        with self._changed:
            rows = self._rows.setdefault(customer_id, {})
            self._changed.wait_for(lambda: live_id in rows or is_over(), patience_s)
            return live_id in rows

    def look(self) -> None:
        """Those who wait look again whether it is over."""
        with self._changed:
            self._changed.notify_all()

    def _write(self, customer_id: int, changed: Mapping[int, Columns], gone: Iterable[int]) -> None:
        shown = self._rows.setdefault(customer_id, {})
        ids = sorted(set(gone) & shown.keys())
        if not changed and not ids:
            return

        def write(db: Any) -> None:
            live_calls.put(db, customer_id, changed)
            live_calls.drop(db, customer_id, ids)

        self._services.database.write(write, at_once=False)
        with self._changed:
            shown.update(changed)
            for live_id in ids:
                del shown[live_id]
                self.ends.pop((customer_id, live_id), None)
            self._changed.notify_all()
