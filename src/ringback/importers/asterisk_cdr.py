"""`asterisk-cdr`: Asterisk's call records, from a CSV file or straight from a `cdr` table."""

from pathlib import Path

from ringback.errors import UsageError
from ringback.importers import asterisk_rows, asterisk_tables, call_rows
from ringback.importers.importer import Importer, Options, Progress, Summary, watched
from ringback.services import Services

SOURCE = "asterisk"
ALSO = "asterisk-cel"
"""What tells the same calls (`ledger_rows.SOURCE`)."""

HELP = (
    "Asterisk's cdr-csv/Master.csv, a CSV of cdr_custom (with --columns clid,src,dst,…; Asterisk's sample needs none), or a "
    "cdr table: postgresql://user@host/asterisk, mysql://user@host/asteriskcdrdb?table=cdr. Each adds only what is new."
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    with watched(path, progress) as file:
        try:
            rows = asterisk_rows.parse(file, options)
        except ValueError as error:
            raise UsageError(f"This cannot be read so: {error}.") from None
        call_rows.take(services, customer_id, SOURCE, rows, options, summary, told_also_by=ALSO)
    return summary


def run_url(services: Services, customer_id: int, url: str, options: Options, progress: Progress) -> Summary:
    if options.columns:
        raise UsageError("--columns is for files: a table names its columns.")
    summary = options.summary()
    with asterisk_tables.opened(url, options, progress) as rows:
        call_rows.take(services, customer_id, SOURCE, rows, options, summary, told_also_by=ALSO)
    return summary


ASTERISK_CDR = Importer("asterisk-cdr", HELP, run, run_url)
