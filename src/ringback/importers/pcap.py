"""`pcap`: the SIP dialogs of a capture become media sessions, with every packet for their traces."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from ringback.importers.importer import Importer, Options, Progress, Summary, uncollected, watched
from ringback.services import Services
from ringback.sip import capture
from ringback.sip.masking import without_secrets
from ringback.sip.packet import Packet
from ringback.sip.registrations.registers import is_register
from ringback.store import registrations, signalling
from ringback.store.captured_calls import Calls, Message
from ringback.store.database import T, persistently
from ringback.store.incoming import of_file
from ringback.store.parties import parties
from ringback.store.registrations import Seen
from ringback.store.retention import span_of_packets

LOT = 4_000
REGISTERS = 2_000
MOST_IN_MEMORY = 32 << 20
"""Bytes of calls: what goes on for longer is read again."""
LOTS_PER_LOOK = 10
"""So often sessions are looked for whose session timer has run out."""

HELP = (
    "A pcap or pcapng file of SIP over UDP, TCP or WebSocket, with RTCP where it was captured. Each call that was dialled becomes a media "
    "session with its trace; import the calls before, so that they are linked. REGISTERs tell which phones are registered."
)


@uncollected()
def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    who = services.database.read(lambda db: parties(db, customer_id, options.country))
    span = services.database.read(lambda db: span_of_packets(db, customer_id, services.clock()))
    report = capture.Report()
    summary = options.summary()
    storing = _Storing(services, customer_id, who.extensions, summary)
    with watched(path, progress) as file:
        read = capture.read(cast(BinaryIO, file), report)
        kept = map(without_secrets, read) if services.settings.masks_sip() else read
        messages = of_file(_noted(services, customer_id, kept, who.extensions), span)
        while lot := list(islice(messages, LOT)):
            storing.store(lot)
    storing.finish()
    summary.noted.update(report.skipped)
    if not report.read and summary.noted.pop(capture.FOREIGN, 0):
        summary.refuse(str(path), capture.FOREIGN)
    if report.cut:
        summary.noted["packets that the capture had cut short"] = report.cut
    return summary


class _Storing:
    """As the collector stores what comes in live, but for what is of no call: nobody would see it, and a file may be full of it."""

    def __init__(self, services: Services, customer_id: int, extensions: Mapping[str, int], summary: Summary) -> None:
        self._database, self._summary = services.database, summary
        self._own = {"customer_id": customer_id, "users_by_extension": extensions}
        self._calls = Calls(MOST_IN_MEMORY)
        self._sessions: set[int] = set()
        self._lots = self._last_us = 0
        self._written(signalling.heal)

    def store(self, lot: Sequence[Message]) -> None:
        stored = self._written(signalling.store, messages=lot, calls=self._calls, strays=False)
        self._sessions.update(stored.sessions)
        self._summary.new += stored.saved.mediasessions
        self._last_us = max(self._last_us, *(each.packet.at_us for each in lot))
        self._lots += 1
        if self._lots % LOTS_PER_LOOK == 0:
            self._close_overdue()

    def finish(self) -> None:
        self._close_overdue()
        self._summary.read = len(self._sessions)
        self._summary.known = self._summary.read - self._summary.new

    def _close_overdue(self) -> None:
        self._written(signalling.close_overdue, now_us=self._last_us, calls=self._calls)

    def _written(self, work: Callable[..., T], **named: object) -> T:
        return signalling.written(self._database, self._calls, partial(work, **self._own, **named))


def _noted(
    services: Services, customer_id: int, packets: Iterable[Packet], extensions: Mapping[str, int]
) -> Iterator[Packet]:
    """All of them; the REGISTERs among them go into registrations on their way."""
    waiting: list[Seen] = []
    for packet in packets:
        yield packet
        if is_register(packet.payload):
            waiting.append((packet, None))
        if len(waiting) >= REGISTERS:
            _note(services, customer_id, waiting, extensions)
            waiting.clear()
    _note(services, customer_id, waiting, extensions)


def _note(services: Services, customer_id: int, seen: Sequence[Seen], extensions: Mapping[str, int]) -> None:
    now = services.clock()
    persistently(services.database, lambda db: registrations.take(db, customer_id, seen, extensions, now=now))


PCAP = Importer("pcap", HELP, run)
