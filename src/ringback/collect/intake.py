"""A packet from a capture agent: read, admitted, and queued for the writer. Runs in the listeners' thread."""

import time
from collections import Counter, deque
from threading import Condition
from typing import NamedTuple

import structlog

from ringback.collect.sources import Gate, Refused
from ringback.sip.capture import hep
from ringback.sip.capture.hep import Captured, HepError
from ringback.sip.masking import without_secrets

log = structlog.get_logger()

MOST_WAITING = 20_000
MOST_WAITING_BYTES = 64 << 20
SAMPLE_S = 1.0
SAMPLE_BYTES = 64
KEPT = frozenset({hep.SIP, hep.RTCP, hep.RTCP_JSON, hep.QUALITY_REPORT})
OTHER = "other protocol"
_OVERHEAD = 600  # bytes that an entry takes beside its payload


class Entry(NamedTuple):
    customer_id: int
    captured: Captured


class Counts:
    """What happened to packets since the start. Each number is written by one thread."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        """By transport."""
        self.refused: Counter[str] = Counter()
        """By reason."""
        self.dropped = 0
        """UDP packets that came while the queue was full."""
        self.kernel_dropped = 0
        """UDP packets that the system did not hand over, its buffer being full."""
        self.stored = 0
        self.known = 0
        """Packets that were stored before."""
        self.left_out = 0
        """Messages of methods that a setting leaves out."""
        self.failed = 0
        """Packets that the database did not take."""


class Queue:
    """Between the listeners and the writer; bounded in number and in bytes."""

    def __init__(self, most: int = MOST_WAITING, most_bytes: int = MOST_WAITING_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = Condition()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_full(self) -> bool:
        return len(self._entries) >= self._most or self._bytes >= self._most_bytes

    def put(self, entry: Entry) -> None:
        with self._changed:
            self._entries.append(entry)
            self._bytes += _size(entry)
            if len(self._entries) == 1:
                self._changed.notify()

    def take(self, most: int, linger_s: float, patience_s: float) -> list[Entry] | None:
        """Up to `most`: waits for a first one, then as long as `linger_s` for others. Nothing after `patience_s` without any;
        None when it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._closed, patience_s)
            if not self._entries:
                return None if self._closed else []
        until = time.monotonic() + linger_s
        while len(self._entries) < most and not self._closed and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.02))
        with self._changed:
            taken = [self._entries.popleft() for _ in range(min(most, len(self._entries)))]
            self._bytes -= sum(map(_size, taken))
            return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(entry: Entry) -> int:
    return len(entry.captured.packet.payload) + _OVERHEAD


class Intake:
    """`masks`: whether secrets are taken out of SIP messages, before anything keeps them."""

    def __init__(self, gate: Gate, queue: Queue, counts: Counts, *, masks: bool = False) -> None:
        self.gate, self.queue, self.counts = gate, queue, counts
        self._masks = masks
        self._sampled_at = 0.0

    def datagram(self, data: bytes, ip: str) -> None:
        """One that comes while the queue is full is lost, and counted."""
        self.counts.received["UDP"] += 1
        entry = self._admitted(data, ip)
        if entry is None:
            return
        if self.queue.is_full:
            self.counts.dropped += 1
        else:
            self.queue.put(entry)

    def frame(self, data: bytes, ip: str, transport: str) -> bool:
        """A packet of a connection, which is not read on while the queue is full. False: not taken."""
        self.counts.received[transport] += 1
        entry = self._admitted(data, ip)
        if entry is not None:
            self.queue.put(entry)
        return entry is not None

    def refuse(self, reason: str, data: bytes, ip: str) -> None:
        """Counts it; the debug log has a sample, at most one a second."""
        self.counts.refused[reason] += 1
        now = time.monotonic()
        if now - self._sampled_at >= SAMPLE_S:
            self._sampled_at = now
            log.debug("hep packet refused", reason=reason, sender=ip, size=len(data), begin=data[:SAMPLE_BYTES].hex())

    def _admitted(self, data: bytes, ip: str) -> Entry | None:
        try:
            captured = hep.read(data, time.time_ns() // 1_000)
            customer_id = self.gate.customer(ip, captured)
            if captured.protocol not in KEPT:
                raise Refused(OTHER)
        except (HepError, Refused) as error:
            self.refuse(str(error), data, ip)
            return None
        if self._masks:
            captured = captured._replace(packet=without_secrets(captured.packet))
        return Entry(customer_id, captured)
