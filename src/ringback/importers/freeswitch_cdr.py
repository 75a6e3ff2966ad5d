"""`freeswitch-cdr`: FreeSWITCH's call records, from files of `mod_json_cdr` and of `mod_cdr_csv`."""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from ringback.errors import UsageError
from ringback.importers import call_rows, freeswitch_csv, freeswitch_json, ledger_rows
from ringback.importers.call_rows import CallRow
from ringback.importers.csv_records import Refused
from ringback.importers.freeswitch_rows import Reader
from ringback.importers.importer import Importer, Options, Progress, Refusal, Summary, watched
from ringback.services import Services

SOURCE = "freeswitch"
_JSON = (".json", ".ndjson", ".jsonl")
_CSV = ".csv"

HELP = (
    "FreeSWITCH's json_cdr folder (or one file of it, or one with a document a line), or cdr-csv/Master.csv of the template "
    "example; --columns snom (linksys, asterisk, opencdrrate) or --columns uuid,start_stamp,… for others."
)

Found = Iterator[CallRow | Refusal]


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    try:
        reader, columns = Reader(options), freeswitch_csv.columns(options.columns)
    except ValueError as error:
        raise UsageError(f"This cannot be read so: {error}.") from None
    files = _Files(reader, columns, progress)
    found = files.below(path) if path.is_dir() else files.single(path)
    also = ledger_rows.SOURCES["freeswitch"]
    call_rows.take(services, customer_id, SOURCE, found, options, summary, told_also_by=also)
    if not summary.read:
        summary.refuse(str(path), "there is no call record in it")
    return summary


class _Files:
    def __init__(self, reader: Reader, columns: tuple[str, ...], progress: Progress) -> None:
        self._reader, self._columns, self._progress = reader, columns, progress

    def single(self, path: Path) -> Found:
        with watched(path, self._progress) as file:
            yield from self._rows(cast(BinaryIO, file), str(path))

    def below(self, folder: Path) -> Found:
        """Of every file of the folder, in no order: it may hold millions. A link leads out of no folder."""
        self._progress.start(sum(1 for _ in _entries(folder)), "files")
        for entry in _entries(folder):
            if entry.is_symlink():
                yield Refusal(entry.path, "a symbolic link")
            elif _is_record(entry.name):
                yield from self._opened(entry.path)
            self._progress.advance(1)

    def _opened(self, path: str) -> Found:
        with ExitStack() as stack:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                file = stack.enter_context(os.fdopen(descriptor, "rb"))
            except OSError as error:
                yield Refusal(path, f"cannot be read: {error.strerror}")
                return
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                yield from self._rows(file, path)
            else:
                yield Refusal(path, "no regular file")

    def _rows(self, file: BinaryIO, name: str) -> Found:
        """CSV by its name, else JSON."""
        return self._of_csv(file, name) if _CSV in Path(name).name.lower() else self._of_json(file, name)

    def _of_json(self, file: BinaryIO, name: str) -> Found:
        for found in freeswitch_json.documents(file, name):
            if isinstance(found, Refusal):
                yield found
                continue
            where, data = found
            try:
                leg, lossy = freeswitch_json.document(data)
                row = self._reader.row(0, leg, lossy=lossy)
            except ValueError as error:
                row = str(error)
            yield row if isinstance(row, CallRow) else Refusal(where, row, data[: freeswitch_json.RAW_LIMIT_BYTES])

    def _of_csv(self, file: BinaryIO, name: str) -> Found:
        for found in freeswitch_csv.legs(file, self._columns):
            if isinstance(found, Refused):
                yield Refusal(f"{name}, line {found.line_no}", found.reason, found.raw)
                continue
            record, leg = found
            row = self._reader.row(record.line_no, leg, lossy=record.lossy)
            where = f"{name}, line {record.line_no}"
            yield row if isinstance(row, CallRow) else Refusal(where, row, record.line[:1024])


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below that is no folder."""
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry


def _is_record(name: str) -> bool:
    return name.lower().endswith(_JSON) or _CSV in name.lower()


FREESWITCH_CDR = Importer("freeswitch-cdr", HELP, run)
