"""What an export is as a file: CDRs as CSV, NDJSON or Parquet, recordings as ZIP with an index. In flat memory."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from tempfile import TemporaryFile
from typing import IO, Annotated, Any

import msgspec

from ringback.blobs import BlobMissing
from ringback.query import Query
from ringback.record import Column, Name, json_text, time_text
from ringback.resources.history import csv, parquet
from ringback.resources.history.cdrs import Cdr
from ringback.resources.history.zips import ZipWriter
from ringback.services import Services
from ringback.store import rows as stored
from ringback.store.database import Db, Row
from ringback.store.listing import Listing
from ringback.store.statements import records_of

INDEX = "index.csv"
_UNREADABLE = re.compile(r"[^0-9A-Za-z+]+")
_encode = msgspec.json.Encoder().encode


class CdrLine(Cdr):
    """A CDR with the names that it has at its source, so that nothing is lost on the way to another server."""

    uniqueid: Name | None
    linkedid: Name | None
    source_key: Annotated[Name | None, Column("t.source_key", filterable=False)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What goes into the file. `bound`, `hidden`: what its reader is and may not see. `told` hears how many rows are in it,
    and may raise to end the work."""

    customer_id: int
    listing: Listing
    bound: Mapping[str, Any]
    query: Query
    hidden: frozenset[str]
    told: Callable[[int], None]


Write = Callable[[Services, Wanted, IO[bytes], str], None]
"""`write(services, wanted, file, folder)`; `folder` is for what has to wait on disk meanwhile."""


def write_csv(services: Services, wanted: Wanted, file: IO[bytes], _: str) -> None:
    """Byte for byte what `GET /cdrs.csv` answers."""
    for chunk in csv.of_lots(wanted.listing, _counted(services, wanted)):
        file.write(chunk)


def write_ndjson(services: Services, wanted: Wanted, file: IO[bytes], _: str) -> None:
    """A JSON object in each line."""
    listing = replace(wanted.listing, name=f"{wanted.listing.name} with sources", record=CdrLine)
    labels = list(listing.attributes()).index("labels")
    for rows in _counted(services, replace(wanted, listing=listing)):
        records = records_of(CdrLine, rows)
        for record, row in zip(records, rows, strict=True):
            record.labels = _canonical(row[labels])  # type: ignore[attr-defined]
        file.write(b"".join(_encode(record) + b"\n" for record in records))


def write_parquet(services: Services, wanted: Wanted, file: IO[bytes], _: str) -> None:
    parquet.write(file, wanted.listing, _counted(services, wanted))


def write_zip(services: Services, wanted: Wanted, file: IO[bytes], folder: str) -> None:
    """The recordings under readable names, and `index.csv`: all that is known of each, and the name of its file."""
    attributes = list(wanted.listing.attributes().values())
    heading = csv.lines([["file", *(each.name for each in attributes)]])
    with TemporaryFile(dir=folder) as list_, TemporaryFile(dir=folder) as index, ZipWriter(file, folder) as archive:
        _write_list(services, wanted, list_)
        index.write(heading.encode())
        done = 0
        for lot in _lots_of(list_):
            names = [_archived(services, archive, wanted, row, blob) for row, blob in lot]
            cells = csv.cells([row for row, _ in lot], attributes)
            index.write(csv.lines([name, *line] for name, line in zip(names, cells, strict=True)).encode())
            done += len(lot)
            wanted.told(done)
        size = index.tell()
        index.seek(0)
        archive.add(INDEX, services.clock(), size, iter(lambda: index.read(1 << 20), b""))
        archive.close()


def _counted(services: Services, wanted: Wanted) -> Iterator[list[Row]]:
    """The rows in lots, in one snapshot."""
    done = 0
    stream = services.lists.stream(services.database, wanted.listing, wanted.bound, wanted.query, wanted.hidden)
    with stream as lots:
        for rows in lots:
            yield rows
            done += len(rows)
            wanted.told(done)


@lru_cache(maxsize=256)
def _canonical(text: str) -> msgspec.Raw:
    """JSON in the one form that an import writes too."""
    return msgspec.Raw((json_text(json.loads(text)) or "null").encode())


# -- recordings -------------------------------------------------------------------------------------------------------

Blob = tuple[str, int]
"""Key and size."""


def _write_list(services: Services, wanted: Wanted, file: IO[bytes]) -> None:
    """All rows first, and where their audio is: reading audio takes long, and a snapshot must not stay open for that."""
    place = list(wanted.listing.attributes()).index("id")
    stream = services.lists.stream(services.database, wanted.listing, wanted.bound, wanted.query, wanted.hidden)
    with stream as lots:
        for rows in lots:
            wanted.told(0)
            where = services.database.read(_finder(wanted, [row[place] for row in rows]))
            file.write(_encode([(row, where.get(row[place])) for row in rows]) + b"\n")
    file.seek(0)


def _finder(wanted: Wanted, ids: Sequence[int]) -> Callable[[Db], dict[int, Blob]]:
    def find(db: Db) -> dict[int, Blob]:
        table = wanted.listing.table
        assert table is not None
        sql = f"SELECT id, blob_key, size FROM {table.name} WHERE {stored.by_ids(db)}"
        found = db.all(sql, {"customer": wanted.customer_id, "ids": ids})
        return {row_id: (key, size) for row_id, key, size in found if key}

    return find


def _lots_of(file: IO[bytes]) -> Iterable[list[tuple[Row, Blob | None]]]:
    for line in file:
        yield [(tuple(row), blob) for row, blob in msgspec.json.decode(line)]


def _archived(services: Services, archive: ZipWriter, wanted: Wanted, row: Row, blob: Blob | None) -> str | None:
    """The name of the entry; None when the audio is not there any more."""
    values = dict(zip(wanted.listing.attributes(), row, strict=True))
    if blob is not None:
        with suppress(BlobMissing):
            key, size = blob
            chunks = services.blobs.read(key)
            name = _name(values)
            archive.add(name, values["timestamp"], size, chunks)
            return name
    return None


def _name(values: Mapping[str, Any]) -> str:
    """`2026-11-20_10-00-00_101_442079460000_12.mp3`: when (UTC), who, whom, id."""
    at = (time_text(values["timestamp"]) or "").replace(" ", "_").replace(":", "-")
    sides = (_UNREADABLE.sub("-", values[name] or "unknown")[:40] for name in ("caller", "called"))
    return "_".join([at, *sides, str(values["id"])]) + ".mp3"
