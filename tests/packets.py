"""Captured packets as tests store and count them."""

from collections.abc import Iterable, Mapping
from typing import Any

from ringback.sip.packet import Endpoint, Packet
from ringback.store import captures, incoming, signalling, slices
from ringback.store.captures import Seen
from ringback.store.database import Database
from ringback.store.slices import Row
from tests.api import Api

ENDS = (Endpoint("192.0.2.1", 5060), Endpoint("192.0.2.2", 5060))


def stored_packets(api: Api, customer: int | None = None) -> list[tuple[int, Row]]:
    """All of the customer's, with the day of their slice."""
    all_slices = api.services.database.slices
    found: list[tuple[int, Row]] = []
    for _, day, _ in all_slices.listed(customer or api.acme):
        with all_slices.packets(customer or api.acme, day, 1_000) as lots:
            found += [(day, row) for lot in lots for row in lot]
    return found


def stored_in(database: Database) -> int:
    """How many packets there are, of all customers."""
    found = 0
    for customer_id, day, _ in database.slices.listed():
        with database.slices.packets(customer_id, day, 1_000) as lots:
            found += sum(map(len, lots))
    return found


def of_call(api: Api, call_id: str) -> list[Seen]:
    return [captures.seen(row) for _, row in stored_packets(api) if row.call == slices.call_hash(call_id)]


def from_file(
    api: Api, packets: Iterable[Packet], customer: int | None = None, users: Mapping[str, int] | None = None
) -> signalling.Stored:
    """Stores them as those of a capture file."""
    span = slices.span(api.services.clock(), None)
    messages = list(incoming.of_file(packets, span))
    found: signalling.Stored = api.write(
        lambda db: signalling.store(db, customer or api.acme, messages, users or {}, strays=False)
    )
    return found


def packet(at_us: int, payload: bytes = b"INVITE") -> Packet:
    return Packet(at_us, "UDP", *ENDS, payload)


def put(api: Api, call_id: str, day: int, *packets: Packet) -> None:
    """Into the slice of a day."""
    rows = [captures.packet_row(call_id, each) for each in packets]

    def add(db: Any) -> None:
        db.slices.add(api.acme, day, rows)

    api.write(add)
