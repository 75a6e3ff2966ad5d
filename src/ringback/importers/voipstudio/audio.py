"""Recordings and voice messages of the other account, with their audio as it is there."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Table

from ringback.errors import Unavailable
from ringback.importers.headed import Unusable
from ringback.importers.voipstudio import ids, listing
from ringback.importers.voipstudio.connection import NotServed
from ringback.importers.voipstudio.copy import Columns, Copy, Read
from ringback.importers.voipstudio.history import parties_of, with_parties
from ringback.importers.voipstudio.ids import KEY, Parties
from ringback.importers.voipstudio.rows import columns
from ringback.jobs import drop_blobs, queue
from ringback.resources.history import monitors as monitor_resource
from ringback.resources.history import voicemessages as voicemail_resource
from ringback.store import rows, schema
from ringback.store.database import Db, first, value

RESERVED_S = 2 * 3_600
"""Longer than fetching a file may take."""
_RESERVATION = "customer_id = :customer AND kind = :kind AND unique_key = :key AND state = 'waiting'"


def monitors(copy: Copy) -> None:
    for page in listing.by_time(copy.source, "/monitors", "timestamp", 100):
        _take(copy, "recording", "/monitors", schema.monitors, page, _monitor)


def voicemessages(copy: Copy) -> None:
    for page in listing.by_time(copy.source, "/voicemessages", "origtime", 100):
        _take(copy, "voice message", "/voicemessages", schema.voicemessages, page, _voicemessage)


def _monitor(row: Mapping[str, Any]) -> Columns:
    found = columns(monitor_resource.Monitor, schema.monitors, row, size=0, duration=0)
    if found["transcript_speakers"] is not None and monitor_resource.speeches_fault(found["transcript_speakers"]):
        raise Unusable("transcript_speakers is not as the API promises")
    return found


def _voicemessage(row: Mapping[str, Any]) -> Columns:
    return columns(voicemail_resource.Voicemessage, schema.voicemessages, row, size=0, duration=0, is_new=False)


def _take(copy: Copy, what: str, path: str, table: Table, page: Sequence[Mapping[str, Any]], read: Read) -> None:
    lot = copy.readable(what, page, read)
    known = copy.services.database.read(lambda db: _known(db, copy.customer_id, table, lot))
    copy.counted(len(known), 0)
    copy.progress.advance(len(page) - len(lot) + len(known))
    fresh = (row for row in lot if row["id"] not in known)
    copy.each(what, fresh, lambda row: _fetched(copy, f"{path}/{row['id']}.mp3", table, dict(row)))


def _known(db: Db, customer_id: int, table: Table, lot: Sequence[Columns]) -> set[int]:
    sql = f'SELECT source_key FROM "{table.name}" WHERE customer_id = :customer AND {db.among("source_key", "keys")}'
    keys = [f"{KEY}{row['id']}" for row in lot]
    found = db.all(sql, {"customer": customer_id, "keys": keys}) if keys else []
    return {int(row[0].removeprefix(KEY)) for row in found}


def _fetched(copy: Copy, path: str, table: Table, row: Columns) -> bool:
    with TemporaryDirectory(prefix="ringback-") as folder:
        file = Path(folder) / "audio.mp3"
        try:
            kind = copy.source.fetch(path, file)
        except NotServed as fault:
            raise Unusable(f"its audio: {fault}") from None
        size = file.stat().st_size
        if kind != "audio/mpeg" or not _is_mp3(file):
            raise Unusable(f"its audio is no MP3 ({kind[:60] or 'of no type'})")
        if row["size"] not in (0, size):
            raise Unusable(f"its audio has {size} bytes instead of {row['size']}")
        return _stored(copy, table, {**row, "size": size}, file)


def _is_mp3(file: Path) -> bool:
    """An ID3 tag, or the header of a frame of layer III (ISO 11172-3, 2.4.1.3)."""
    with file.open("rb") as opened:
        head = opened.read(3)
    return head == b"ID3" or (len(head) == 3 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)


def _stored(copy: Copy, table: Table, row: Columns, file: Path) -> bool:
    """As every audio comes in: the id is reserved together with a job that removes the blob, the blob stored, and the row
    takes that job away. A run that was killed left the reservation, and the next one stores under the same id."""
    reserved = {"customer": copy.customer_id, "kind": drop_blobs.KIND, "key": f"{table.name}/{KEY}{row['id']}"}
    row_id = copy.services.database.write(partial(_reserve, copy, table, row["id"], reserved))
    blob_key = _blob_key(copy, table, row_id)
    copy.services.blobs.put_file(blob_key, file)

    def work(db: Db) -> bool:
        if not db.run(f"DELETE FROM jobs WHERE {_RESERVATION}", reserved):
            raise Unavailable("Storing a recording took over two hours. Try again.")
        here = _adapted(db, copy.customer_id, table, row)
        full = {**here, "id": row_id, "blob_key": blob_key, "source_key": f"{KEY}{row['id']}"}
        rows.insert(db, table, copy.customer_id, [full])
        return True

    return copy.services.database.write(work)


def _reserve(copy: Copy, table: Table, there: int, reserved: Mapping[str, Any], db: Db) -> int:
    until = copy.services.clock() + RESERVED_S
    waiting = value(db, f"SELECT args FROM jobs WHERE {_RESERVATION}", reserved)
    if waiting is not None:
        db.run(f"UPDATE jobs SET run_at = :until WHERE {_RESERVATION}", {**reserved, "until": until})
        return _row_id(waiting)
    row_id = ids.kept(db, table.name, [there], ids.used(db, table, [there]))[there]
    what = {"keys": [_blob_key(copy, table, row_id)], "row_id": row_id}
    queue.enqueue(db, copy.customer_id, drop_blobs.KIND, what, now=until, key=reserved["key"])
    return row_id


def _row_id(args: str) -> int:
    found: int = json.loads(args)["row_id"]
    return found


def _blob_key(copy: Copy, table: Table, row_id: int) -> str:
    return f"{copy.customer_id}/{table.name}/{row_id}.mp3"


def _adapted(db: Db, customer_id: int, table: Table, row: Columns) -> Columns:
    """With the ids of here. A recording is its call's, where that is here."""
    if table is schema.voicemessages:
        owner = Parties(db, customer_id, [], [row["extension_id"]]).user(row["extension_id"])
        lives = ids.lives(db, customer_id, (row["live_id"], row["parent_live_id"]))
        return {**row, "extension_id": owner, **_lived(row, lives, "live_id", "parent_live_id")}
    here = with_parties(parties_of(db, customer_id, [row]), row)
    here |= _lived(row, ids.lives(db, customer_id, [row["live_id"]]), "live_id")
    sql = "SELECT id FROM cdrs WHERE customer_id = :customer AND live_id = :live"
    cdr = first(db, sql, {"customer": customer_id, "live": here["live_id"]})
    return {**here, "cdr_id": None if cdr is None else cdr[0]}


def _lived(row: Columns, lives: Mapping[int, int], *names: str) -> Columns:
    return {name: None if row[name] is None else lives[row[name]] for name in names}
