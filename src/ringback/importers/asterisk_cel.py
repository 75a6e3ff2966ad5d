"""`asterisk-cel`: Asterisk's channel event log, folded into calls."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ringback.calls import events
from ringback.calls.events import Event
from ringback.calls.ledger import Call, Ledger
from ringback.connectors.asterisk import cel
from ringback.errors import UsageError
from ringback.importers import asterisk_cdr, call_rows, cel_records, ledger_rows
from ringback.importers.call_rows import CallRow
from ringback.importers.csv_records import Readable, Refused
from ringback.importers.importer import Importer, Options, Progress, Summary, watched
from ringback.services import Services

HELP = (
    "Asterisk's cel-custom/Master.csv (the sample's columns, or others with --columns), or a CSV dump of a cel table. Whole "
    "calls with their transfers, queues and forwards; adds only what is new."
)
STILL_UP_S = 86_400
"""A call of which the file tells no end, and something within the last day, may go on: it is left for the next time."""
_MOST_SYSTEMS = 100
_FALL = 1_000


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    with watched(path, progress) as file:
        try:
            found = translated(file, options)
        except ValueError as error:
            raise UsageError(f"This cannot be read so: {error}.") from None
        rows = folded(found, options, services.clock(), summary)
        call_rows.take(
            services, customer_id, ledger_rows.SOURCE, rows, options, summary, told_also_by=asterisk_cdr.SOURCE
        )
    return summary


def translated(source: Readable | Iterable[bytes], options: Options) -> Iterator[list[Event] | Refused]:
    """The events of each line. ValueError, before anything is read, when the time zone or a column is unknown."""
    return _translated(cel_records.parse(source, options))


def _translated(records: Iterator[cel.Record | Refused]) -> Iterator[list[Event] | Refused]:
    systems: dict[str, tuple[int, int]] = {}
    for record in records:
        if isinstance(record, Refused):
            yield record
            continue
        found = cel.translated(record, applications=True)
        if record.type == "CHAN_START" and _is_restarted(record.uniqueid, systems):
            found.insert(0, Event(record.at_us, "", "", "", events.Restarted()))
        yield found


def _is_restarted(uniqueid: str, systems: dict[str, tuple[int, int]]) -> bool:
    """Asterisk counts its channels from 0 on. `systems`: second and count of the last one of each; where several write one log,
    nobody knows whose calls a restart ends."""
    parts = cel_records.system_and_serial(uniqueid)
    if parts is None:
        return False
    system, second, serial = parts
    before = systems.get(system)
    if before is None and len(systems) >= _MOST_SYSTEMS:
        return False
    systems[system] = (second, serial)
    if before is None or len(systems) > 1 or second <= before[0]:
        return False
    return (serial == 0 and before[1] > 0) or serial < before[1] - _FALL


def folded(
    found: Iterable[list[Event] | Refused], options: Options, now: int, summary: Summary
) -> Iterator[CallRow | Refused]:
    """The rows of each call as soon as it is over, and what could not be read. `now`: UTC seconds."""
    ledger = Ledger()
    for each in found:
        if isinstance(each, Refused):
            yield each
            continue
        for event in each:
            for call in ledger.take(event):
                yield from ledger_rows.rows(call, options)
    for call in ledger.closed_before((now - STILL_UP_S) * 1_000_000):
        yield from ledger_rows.rows(call, options)
    _note_left(list(ledger.board.calls.values()), summary)


def _note_left(calls: list[Call], summary: Summary) -> None:
    if calls:
        summary.noted["call that had not ended, left for the next import"] += len(calls)


ASTERISK_CEL = Importer("asterisk-cel", HELP, run)
