"""Recordings and voice messages of the other account, with their audio as it is there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Table

from ringback.errors import Unavailable
from ringback.importers import reservations
from ringback.importers.importer import Unusable
from ringback.importers.voipstudio import ids, listing
from ringback.importers.voipstudio.connection import NotServed
from ringback.importers.voipstudio.copy import Columns, Copy, Read
from ringback.importers.voipstudio.history import parties_of, with_parties
from ringback.importers.voipstudio.ids import KEY, Parties
from ringback.importers.voipstudio.rows import columns
from ringback.resources.history import monitors as monitor_resource
from ringback.resources.history import voicemessages as voicemail_resource
from ringback.store import rows, schema
from ringback.store.database import Db, first


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
    """Known by its id there, and under it where nobody here has that."""
    source_key = f"{KEY}{row['id']}"

    def new_id(db: Db) -> int:
        return ids.kept(db, table.name, [row["id"]], ids.used(db, table, [row["id"]]))[row["id"]]

    def insert(db: Db, row_id: int, blob_key: str) -> None:
        here = _adapted(db, copy.customer_id, table, row)
        full = {**here, "id": row_id, "blob_key": blob_key, "source_key": source_key}
        rows.insert(db, table, copy.customer_id, [full])

    shelf, key = table.name, f"{table.name}/{source_key}"
    if not reservations.store(copy.services, copy.customer_id, shelf, key, file, new_id, insert):
        raise Unavailable("Storing a recording took over an hour. Try again.")
    return True


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
