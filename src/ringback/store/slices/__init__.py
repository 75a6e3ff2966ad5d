"""Captured packets, apart from all other rows: a slice holds those of one customer and one day, and can be dropped whole.

The day of a packet is that of its call, so that a call is in one slice, and goes whole or stays whole. On SQLite a slice is a
file beside the database, on PostgreSQL a table.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Protocol

DAY_S = 86_400

OLDEST_S = 3_650 * DAY_S
AHEAD_S = 2 * DAY_S
"""By so much a capture clock may be fast."""
KEPT = 0
"""The day of the slice to which packets go that a legal hold keeps longer than their day."""
MOST = 1 << 62
"""Packets: all."""
COLUMNS = ("call", "digest", "at_us", "agent", "ends", "payload", "correlation")


class Row(NamedTuple):
    """A packet as stored. `call`: `call_hash` of its Call-ID. `digest`: of two packets of a call that one agent saw, these are
    different. `agent`: the number of the capture agent, None for a file. `ends`: transport, source and destination.
    `correlation`: what ties it to others by the agent's word, None where that is its Call-ID."""

    call: int
    digest: int
    at_us: int
    agent: int | None
    ends: str
    payload: bytes
    correlation: str | None


class Span(NamedTuple):
    """From `first` to before `end` (s) a packet's own time tells its day; all others came `now`, and go as what came now."""

    first: int
    end: int
    now: int


class Slice(NamedTuple):
    """`day`: as 20261122, or KEPT. `size`: bytes on the disk."""

    customer_id: int
    day: int
    size: int


class Slices(Protocol):
    """The slices as a transaction sees them. What it adds and removes is committed with it on PostgreSQL, at once on SQLite.
    A slice that is not there has no packets; it is made when some are added."""

    def begin(self, customer_id: int) -> None:
        """Keeps other writers of the customer's packets away until the end of the transaction."""
        ...

    def add(self, customer_id: int, day: int, rows: Sequence[Row]) -> int:
        """Adds what is not there yet; returns how many that were."""
        ...

    def counts(self, customer_id: int, day: int, calls: Sequence[int]) -> dict[int, int]:
        """How many packets there are of each call that has any."""
        ...

    def read(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> list[Row]:
        """The packets of calls by time, of each the first `most` that came."""
        ...

    def read_last(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> list[Row]:
        """The packets of calls by time, of each the last `most` that came."""
        ...

    def remove(self, customer_id: int, day: int, calls: Sequence[int], most: int) -> int:
        """Deletes up to `most` packets of calls; returns how many."""
        ...

    def remove_packets(self, customer_id: int, day: int, packets: Sequence[tuple[int, int]]) -> None:
        """Deletes packets by (call, digest)."""
        ...

    def unsettled(self, customer_id: int) -> list[tuple[int, list[int]]]:
        """Calls, by day, whose packets came with a transaction of which nobody knows whether it was committed. The caller's
        transaction, which sees to them, settles that."""
        ...

    def listed(self, customer_id: int) -> list[Slice]:
        """By day."""
        ...

    def drop(self, customer_id: int, day: int) -> None:
        """Unavailable on PostgreSQL while somebody reads it for long: a dump, an erasure."""
        ...


class AllSlices(Protocol):
    """The slices of a database, outside of a transaction."""

    def listed(self, customer_id: int | None = None) -> list[Slice]:
        """By customer and day."""
        ...

    def packets(self, customer_id: int, day: int, size: int) -> AbstractContextManager[Iterator[list[Row]]]:
        """All packets of a slice in the order in which they came, in lots of `size`."""
        ...


@lru_cache(maxsize=8192)
def call_hash(call_id: str) -> int:
    """64 bits of a Call-ID, which nobody can choose another one for."""
    return int.from_bytes(blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def digest(at_us: int, agent: int | None, ends: str, payload: bytes) -> int:
    told = payload + f"{at_us} {agent} {ends}".encode()
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big", signed=True)


def span(now: int, kept_days: int | None) -> Span:
    """`kept_days`: as the customer's rule says, None for ever. What would be gone already by its own time is of an agent whose
    clock is wrong, or somebody wants to read it still."""
    kept_s = OLDEST_S if kept_days is None else min(kept_days * DAY_S, OLDEST_S)
    return Span((now - kept_s) // DAY_S * DAY_S, now + AHEAD_S, now)


def day_of(at_s: int) -> int:
    """As 20261122, in UTC."""
    return _day(at_s // DAY_S)


@lru_cache(maxsize=1024)
def _day(days: int) -> int:
    return int(f"{datetime.fromtimestamp(days * DAY_S, UTC):%Y%m%d}")


def begin_of(day: int) -> int:
    """The first second of a day."""
    return int(datetime.strptime(str(day), "%Y%m%d").replace(tzinfo=UTC).timestamp())
