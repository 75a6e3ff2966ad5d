"""`asterisk-cel`: Asterisk's channel event log, folded into calls."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ringback.calls import events
from ringback.calls.events import Event
from ringback.calls.ledger import Call, Ledger
from ringback.connectors.asterisk import cel
from ringback.errors import UsageError
from ringback.importers import asterisk_cdr, asterisk_files, asterisk_tables, call_rows, cel_records, ledger_rows
from ringback.importers.call_rows import CallRow
from ringback.importers.csv_records import Readable, Refused
from ringback.importers.importer import Importer, Options, Progress, Refusal, Summary, each_watched
from ringback.services import Services

HELP = (
    "Asterisk's cel-custom/Master.csv (the sample's columns, or others with --columns), a CSV dump of a cel table, a folder of "
    "such files, or the table: postgresql://user@host/asterisk, mysql://user@host/asteriskcdrdb?table=cel. Whole calls with "
    "their transfers, queues and forwards; adds only what is new."
)
STILL_UP_S = 86_400
"""A call of which the file tells no end, and something within the last day, may go on: it is left for the next time."""
Unread = Refused | Refusal
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_HEAD_BYTES = 65_536
_MOST_SYSTEMS = 100
_FALL = 1_000


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    paths = _files(path, options) if path.is_dir() else [path]
    if not options.columns:
        for each in paths:
            asterisk_files.refuse_other(each, asterisk_files.CEL)
    try:
        cel_records.parse((), options)
    except ValueError as error:
        raise UsageError(f"This cannot be read so: {error}.") from None
    return _stored(services, customer_id, _of_files(paths, options, progress), options)


def run_url(services: Services, customer_id: int, url: str, options: Options, progress: Progress) -> Summary:
    if options.columns:
        raise UsageError("--columns is for files: a table names its columns.")
    with asterisk_tables.opened_cel(url, options, progress) as records:
        return _stored(services, customer_id, _of_table(records), options)


def _stored(services: Services, customer_id: int, records: Iterator[cel.Record | Unread], options: Options) -> Summary:
    summary = options.summary()
    rows = folded(_translated(records, options), options, services.clock(), summary)
    call_rows.take(services, customer_id, ledger_rows.SOURCE, rows, options, summary, told_also_by=asterisk_cdr.SOURCE)
    return summary


def _files(folder: Path, options: Options) -> list[Path]:
    """Those of a folder, the oldest first: what was moved away as the log grew comes before it."""
    found = [each for each in folder.iterdir() if each.is_file() and ".csv" in each.name]
    packed = sorted(each.name for each in found if each.suffix in PACKED)
    if packed:
        raise UsageError(f"{packed[0]} is compressed: unpack it first.")
    if not found:
        raise UsageError(f"There is no file in {folder} whose name has .csv in it.")
    return sorted(found, key=lambda path: (_begins_us(path, options), path.name))


def _begins_us(path: Path, options: Options) -> int:
    """When the first thing happened that it tells of; 0 where it tells nothing."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).splitlines(keepends=True)
    return next((each.at_us for each in cel_records.parse(head, options) if isinstance(each, cel.Record)), 0)


def _of_files(paths: Sequence[Path], options: Options, progress: Progress) -> Iterator[cel.Record | Unread]:
    for path, file in zip(paths, each_watched(paths, progress), strict=True):
        for each in cel_records.parse(file, options):
            if isinstance(each, Refused) and len(paths) > 1:
                yield _refusal(f"{path.name} line", each)
            else:
                yield each


def _of_table(records: Iterator[cel.Record | Refused]) -> Iterator[cel.Record | Unread]:
    for each in records:
        yield each if isinstance(each, cel.Record) else _refusal("row", each)


def _refusal(where: str, refused: Refused) -> Refusal:
    return Refusal(f"{where} {refused.line_no}", refused.reason, refused.raw)


def translated(source: Readable | Iterable[bytes], options: Options) -> Iterator[list[Event] | Unread]:
    """The events of each line. ValueError, before anything is read, when the time zone or a column is unknown."""
    return _translated(iter(cel_records.parse(source, options)), options)


def _translated(records: Iterator[cel.Record | Unread], options: Options) -> Iterator[list[Event] | Unread]:
    systems: dict[str, tuple[int, int]] = {}
    for record in records:
        if not isinstance(record, cel.Record):
            yield record
            continue
        marked = record.marked(options.mark)
        if options.share is not None and record.type == "CHAN_START":
            options.share.began(marked.uniqueid, record.context, record.account, record.exten)
        found = cel.translated(marked)
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
    found: Iterable[list[Event] | Unread], options: Options, now: int, summary: Summary
) -> Iterator[CallRow | Unread]:
    """The rows of each call as soon as it is over, and what could not be read. `now`: UTC seconds."""

    def rows(call: Call) -> Iterator[CallRow]:
        share = options.share
        if share is None:
            yield from ledger_rows.rows(call, options)
        elif share.has(call):
            yield from (call_rows.own(row, share.bare) for row in ledger_rows.rows(call, options))
        else:
            summary.noted[asterisk_cdr.LEFT_OUT] += 1

    ledger = Ledger()
    for each in found:
        if not isinstance(each, list):
            yield each
            continue
        for event in each:
            for call in ledger.take(event):
                yield from rows(call)
    for call in ledger.closed_before((now - STILL_UP_S) * 1_000_000):
        yield from rows(call)
    _note_left(list(ledger.board.calls.values()), summary)


def _note_left(calls: list[Call], summary: Summary) -> None:
    if calls:
        summary.noted["call that had not ended, left for the next import"] += len(calls)


ASTERISK_CEL = Importer("asterisk-cel", HELP, run, run_url, is_marked=True)
