"""Which of Asterisk's two logs a file is: call records (CDR) or channel events (CEL). Both are often called Master.csv."""

from pathlib import Path

from ringback.errors import UsageError
from ringback.importers import asterisk_rows, cel_records
from ringback.importers.csv_records import Record, read

CDR, CEL = "asterisk-cdr", "asterisk-cel"
_HEAD_BYTES = 65_536
_MOST_COLUMNS = 60


def refuse_other(path: Path, kind: str) -> None:
    """UsageError for a file whose first line is of the other kind."""
    with path.open("rb") as file:
        lines = file.read(_HEAD_BYTES).splitlines(keepends=True)
    first = next((each for each in read(lines, range(2, _MOST_COLUMNS)) if isinstance(each, Record)), None)
    if first is None:
        return
    is_cdr, is_cel = asterisk_rows.is_record(first.columns), cel_records.is_record(first.columns)
    if kind == CEL and is_cdr and not is_cel:
        raise UsageError(f"{path.name} holds call records (CDR), not channel events: import it as {CDR}.")
    if kind == CDR and is_cel and not is_cdr:
        raise UsageError(f"{path.name} holds channel events (CEL), not call records: import it as {CEL}.")
