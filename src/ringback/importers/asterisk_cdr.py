"""`asterisk-cdr`: Asterisk's call records, from a CSV file or straight from a `cdr` table."""

from collections.abc import Iterator
from pathlib import Path

from ringback.connectors.asterisk import marks
from ringback.errors import UsageError
from ringback.importers import asterisk_files, asterisk_rows, asterisk_tables, call_rows
from ringback.importers.call_rows import CallRow
from ringback.importers.csv_records import Refused
from ringback.importers.importer import Importer, Options, Progress, Refusal, Share, Summary, watched
from ringback.services import Services
from ringback.store import cdr_channels

Row = CallRow | Refused | Refusal
SOURCE = "asterisk"
ALSO = "asterisk-cel"
"""What tells the same calls (`ledger_rows.SOURCE`)."""
LEFT_OUT = "call of another customer of this PBX, left out"
NAMELESS = "no uniqueid: taken, though channel events may have brought the call"

HELP = (
    "Asterisk's cdr-csv/Master.csv, a CSV of cdr_custom (with --columns clid,src,dst,…; Asterisk's sample needs none), or a "
    "cdr table: postgresql://user@host/asterisk, mysql://user@host/asteriskcdrdb?table=cdr. Each adds only what is new."
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    if path.is_file() and not options.columns:
        asterisk_files.refuse_other(path, asterisk_files.CDR)
    with watched(path, progress) as file:
        try:
            rows = asterisk_rows.parse(file, options)
        except ValueError as error:
            raise UsageError(f"This cannot be read so: {error}.") from None
        _take(services, customer_id, rows, options, summary)
    return summary


def _take(services: Services, customer_id: int, rows: Iterator[Row], options: Options, summary: Summary) -> None:
    """What a PBX of several has told of a call may be another one's, though a row of it names nobody's endpoint but our own."""
    share = options.share
    found = _own(_marked(rows, options.mark), share, summary)
    if services.database.read(lambda db: cdr_channels.has_told(db, customer_id, ALSO)):
        found = _noted(found, summary)
    told_to = share.customers if share is not None else ()
    call_rows.take(services, customer_id, SOURCE, found, options, summary, told_also_by=ALSO, told_to=told_to)


def _own(rows: Iterator[Row], share: Share | None, summary: Summary) -> Iterator[Row]:
    """Of a PBX of several customers: without the calls of the others."""
    if share is None:
        return rows
    if not share.by_endpoints:
        raise UsageError(
            "This PBX has several customers, and its rules go by more than endpoints: import asterisk-cel, which tells whose call it is."
        )

    def kept() -> Iterator[Row]:
        for row in rows:
            if not isinstance(row, CallRow):
                yield row
            elif share.has_record(_known(row.linked_id, row.uniqueid), _known(row.src_endpoint, row.dst_endpoint)):
                yield call_rows.own(row, share.bare)
            else:
                summary.noted[LEFT_OUT] += 1

    return kept()


def _noted(rows: Iterator[Row], summary: Summary) -> Iterator[Row]:
    """Says how many are taken though nothing tells whether they are here."""
    for row in rows:
        if isinstance(row, CallRow) and row.uniqueid is None and row.linked_id is None:
            summary.noted[NAMELESS] += 1
        yield row


def _known(*found: str | None) -> list[str]:
    return [each for each in found if each is not None]


def _marked(rows: Iterator[Row], mark: str) -> Iterator[Row]:
    """With `mark` before the ids of channels (`marks.py`)."""
    for row in rows:
        if mark and isinstance(row, CallRow):
            uniqueid, linked_id = (each and marks.named(mark, each) for each in (row.uniqueid, row.linked_id))
            yield row._replace(key=f"{mark}-{row.key}", uniqueid=uniqueid, linked_id=linked_id)
        else:
            yield row


def run_url(services: Services, customer_id: int, url: str, options: Options, progress: Progress) -> Summary:
    if options.columns:
        raise UsageError("--columns is for files: a table names its columns.")
    summary = options.summary()
    with asterisk_tables.opened(url, options, progress) as rows:
        _take(services, customer_id, rows, options, summary)
    return summary


ASTERISK_CDR = Importer("asterisk-cdr", HELP, run, run_url, is_marked=True)
