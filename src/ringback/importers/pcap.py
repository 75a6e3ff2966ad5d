"""`pcap`: the SIP dialogs of a capture become media sessions, with every packet for their traces."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from ringback.importers.importer import Importer, Options, Progress, Summary, uncollected, watched
from ringback.services import Services
from ringback.sip import capture
from ringback.sip.dialog import MediaSession
from ringback.sip.dialogs import media_sessions
from ringback.sip.masking import without_secrets
from ringback.sip.packet import Packet
from ringback.sip.registers import is_register
from ringback.store import captures, registrations
from ringback.store.database import Db, persistently
from ringback.store.parties import parties
from ringback.store.registrations import Seen

BATCH = 200
REGISTERS = 2_000

HELP = (
    "A pcap or pcapng file of SIP over UDP, TCP or WebSocket, with RTCP where it was captured. Each call that was dialled becomes a media "
    "session with its trace; import the calls before, so that they are linked. REGISTERs tell which phones are registered."
)


@uncollected()
def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    who = services.database.read(lambda db: parties(db, customer_id, options.country))
    report = capture.Report()
    with watched(path, progress) as file:
        read = capture.read(cast(BinaryIO, file), report)
        kept = map(without_secrets, read) if services.settings.masks_sip() else read
        sessions = media_sessions(_noted(services, customer_id, kept, who.extensions))
    summary = options.summary()
    summary.read = len(sessions)
    summary.noted.update(report.skipped)
    if not report.read and summary.noted.pop(capture.FOREIGN, 0):
        summary.refuse(str(path), capture.FOREIGN)
    if report.cut:
        summary.noted["packets that the capture had cut short"] = report.cut
    left = iter(sessions)
    while lot := list(islice(left, BATCH)):
        stored = services.database.write(partial(_store, customer_id, lot, who.extensions))
        summary.new += stored.mediasessions
        summary.known += len(lot) - stored.mediasessions
    return summary


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


def _store(customer_id: int, lot: list[MediaSession], extensions: Mapping[str, int], db: Db) -> captures.Stored:
    return captures.store_sessions(db, customer_id, lot, extensions)


PCAP = Importer("pcap", HELP, run)
