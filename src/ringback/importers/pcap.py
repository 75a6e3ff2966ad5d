"""`pcap`: the SIP dialogs of a capture become media sessions, with every packet for their traces."""

from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from ringback.importers.importer import Importer, Options, Progress, Summary, watched
from ringback.services import Services
from ringback.sip import capture
from ringback.sip.dialogs import MediaSession, media_sessions
from ringback.store import captures
from ringback.store.database import Db
from ringback.store.parties import parties

BATCH = 200

HELP = (
    "A pcap or pcapng file of SIP over UDP, TCP or WebSocket, with RTCP where it was captured. Each call that was dialled becomes a media "
    "session with its trace; import the calls before, so that they are linked."
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    who = services.database.read(lambda db: parties(db, customer_id, options.country))
    report = capture.Report()
    with watched(path, progress) as file:
        sessions = media_sessions(capture.read(cast(BinaryIO, file), report))
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


def _store(customer_id: int, lot: list[MediaSession], extensions: Mapping[str, int], db: Db) -> captures.Stored:
    return captures.store_sessions(db, customer_id, lot, extensions)


PCAP = Importer("pcap", HELP, run)
