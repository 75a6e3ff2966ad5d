"""`recordings`: a folder of call recordings becomes monitors.

A recording belongs to the call whose uniqueid stands in its name, as in `out-101-1795322203.3.wav`, or is its whole name.
Where that call had several hops it belongs to the one that talked longest.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ringback.importers.audio import Keeper, Shelf, audio_files, content_hash, refuse_nothing
from ringback.importers.importer import Importer, Options, Progress, Summary
from ringback.media.encoder import Encoder
from ringback.services import Services
from ringback.store import rows, schema
from ringback.store.database import Db, first

MONITORS = Shelf(schema.monitors, "monitors")
_UNIQUEID = re.compile(r"(?<!\d)\d{9,11}\.\d+", re.ASCII)
_SAME = (
    "live_id",
    "user_id",
    "sip_endpoint_id",
    "type",
    "context",
    "src",
    "src_id",
    "src_name",
    "dst",
    "dst_id",
    "dst_name",
)

HELP = (
    "A folder of call recordings (WAV, MP3, Ogg, GSM, raw telephony formats), also in folders below it. The name of a file "
    "holds the uniqueid of its call (mixmonitor-1795322203.3.wav) or is it; import the calls before. Links are not followed."
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    files = audio_files(path, summary)
    refuse_nothing(files, path, "audio", summary)
    progress.start(len(files), "files")
    with Encoder() as encoder:
        keeper = Keeper(services, customer_id, MONITORS, encoder, summary)
        for file in files:
            summary.read += 1
            _take(services, customer_id, file, keeper, summary)
            progress.advance(1)
    return summary


def _take(services: Services, customer_id: int, file: Path, keeper: Keeper, summary: Summary) -> None:
    names = list(uniqueids(file))
    call = services.database.read(lambda db: _call(db, customer_id, names))
    if call is None:
        named = " or ".join(map(repr, names))
        summary.refuse(str(file), f"no call has the uniqueid {named} (taken from the file name)")
        return
    uniqueid, row = call
    source_key = f"recording:{uniqueid[:200]}/{content_hash(file)}"
    if keeper.is_known(source_key):
        summary.known += 1
        services.database.write(lambda db: _link(db, customer_id, source_key, row))
    else:
        keeper.keep(file, source_key, row)


def _link(db: Db, customer_id: int, source_key: str, row: Mapping[str, Any]) -> None:
    """A recording outlives its call; when the call comes in anew, it is the recording's again."""
    sql = "SELECT id FROM monitors WHERE customer_id = :customer AND source_key = :key AND cdr_id IS NULL"
    unlinked = first(db, sql, {"customer": customer_id, "key": source_key})
    if unlinked is not None:
        changes = {name: row[name] for name in ("cdr_id", "live_id")}
        rows.update(db, schema.monitors, customer_id, unlinked[0], changes)


def uniqueids(file: Path) -> Iterator[str]:
    """What may be the uniqueid of the call: the whole name, then what looks like one in it."""
    yield file.stem
    yield from (found for found in _UNIQUEID.findall(file.stem) if found != file.stem)


def _call(db: Db, customer_id: int, names: list[str]) -> tuple[str, dict[str, Any]] | None:
    """The uniqueid that was found, and what the recording takes over from the call."""
    same = ", ".join(_SAME)
    sql = f"""
        SELECT id, calldate, {same} FROM cdrs WHERE customer_id = :customer AND uniqueid = :uniqueid
        ORDER BY disposition = 'CONNECTED' DESC, billsec DESC, id LIMIT 1
    """
    for name in names:
        found = first(db, sql, {"customer": customer_id, "uniqueid": name})
        if found is not None:
            cdr_id, calldate, *values = found
            row = dict(zip(_SAME, values, strict=True))
            parties = {"caller": row["src"], "called": row["dst"]}
            return name, {**row, **parties, "cdr_id": cdr_id, "timestamp": calldate}
    return None


RECORDINGS = Importer("recordings", HELP, run)
