"""Calls with their notes, SMS and chats of the other account."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ringback.importers.voipstudio import ids, listing
from ringback.importers.voipstudio.connection import Broken, NotServed
from ringback.importers.voipstudio.copy import Columns, Copy
from ringback.importers.voipstudio.ids import Parties
from ringback.importers.voipstudio.rows import columns
from ringback.resources.history import cdrs as cdr_resource
from ringback.resources.history import chatmsgs as message_resource
from ringback.resources.history import chats as chat_resource
from ringback.resources.history import notes as note_resource
from ringback.resources.history import sms as sms_resource
from ringback.store import cdrs as store
from ringback.store import schema
from ringback.store.database import Db, persistently

_CDR_DEFAULTS: dict[str, Any] = {"labels": [], "nb_notes": 0, "call_id": 0, "is_root": False}
_PARTIES = ("src_id", "dst_id")
_LIVE = ("live_id", "parent_live_id", "root_live_id")


def cdrs(copy: Copy) -> None:
    for page in listing.by_time(copy.source, "/cdrs", "calldate", 500):
        lot = copy.readable("call", page, _cdr)
        new, doubled = persistently(copy.services.database, partial(_store_cdrs, copy.customer_id, lot))
        copy.counted(len(lot) - len(doubled), new)
        for each in doubled:
            copy.refuse("call", each, "its call_id is another call's")
        copy.progress.advance(len(page))
        for row in page:
            if row.get("nb_notes"):
                _notes(copy, row)


def _cdr(row: Mapping[str, Any]) -> Columns:
    return columns(cdr_resource.Cdr, schema.cdrs, row, **_CDR_DEFAULTS)


def _store_cdrs(customer_id: int, lot: Sequence[Columns], db: Db) -> tuple[int, list[Columns]]:
    """How many were new, and which have the live id of another call."""
    known = _here(db, customer_id, (row["id"] for row in lot))
    fresh = [row for row in lot if row["id"] not in known]
    if not fresh:
        return 0, []
    lives = ids.lives(db, customer_id, (row[name] for row in fresh for name in _LIVE))
    doubled = _doubled(db, customer_id, fresh, lives)
    sound = [row for row in fresh if row["id"] not in doubled]
    store.insert(db, customer_id, list(_ready(db, customer_id, sound, lives)))
    return len(sound), [row for row in fresh if row["id"] in doubled]


def _here(db: Db, customer_id: int, there: Iterable[int]) -> dict[int, int]:
    """The ids here of copied CDRs, by their ids there."""
    sql = f"SELECT source_key, id FROM cdrs WHERE customer_id = :customer AND {db.among('source_key', 'keys')}"
    keys = [f"{ids.KEY}{each}" for each in there]
    found = db.all(sql, {"customer": customer_id, "keys": keys}) if keys else []
    return {int(key.removeprefix(ids.KEY)): cdr_id for key, cdr_id in found}


def _doubled(db: Db, customer_id: int, fresh: Sequence[Columns], lives: Mapping[int, int]) -> set[int]:
    sql = f"SELECT live_id FROM cdrs WHERE customer_id = :customer AND {db.among('live_id', 'ids')}"
    wanted = [lives[row["live_id"]] for row in fresh]
    seen = {row[0] for row in db.all(sql, {"customer": customer_id, "ids": wanted})}
    found = set()
    for row, live_id in zip(fresh, wanted, strict=True):
        if live_id in seen:
            found.add(row["id"])
        seen.add(live_id)
    return found


def _ready(db: Db, customer_id: int, lot: Sequence[Columns], lives: Mapping[int, int]) -> Iterator[Columns]:
    there = [row["id"] for row in lot]
    cdr_ids = ids.kept(db, "cdrs", there, ids.used(db, schema.cdrs, there))
    parties = parties_of(db, customer_id, lot)
    for row in lot:
        live = {name: None if row[name] is None else lives[row[name]] for name in _LIVE}
        fixed = {"id": cdr_ids[row["id"]], "nb_notes": 0, "source_key": f"{ids.KEY}{row['id']}"}
        yield {**with_parties(parties, row), **live, **fixed}


def parties_of(db: Db, customer_id: int, lot: Sequence[Columns], *names: str) -> Parties:
    """The users, contacts and queues of rows: `user_id`, and the parties in `names`."""
    texts = (row[name] for row in lot for name in names or _PARTIES)
    return Parties(db, customer_id, texts, (row["user_id"] for row in lot))


def with_parties(parties: Parties, row: Columns, *names: str) -> Columns:
    here = {name: parties.party(row[name]) for name in names or _PARTIES}
    return {**row, **here, "user_id": parties.user(row["user_id"])}


def _notes(copy: Copy, row: Mapping[str, Any]) -> None:
    """The notes of a call that is here, by their ids there."""
    source_id = ids.number(row.get("id"))
    there = copy.services.database.read(lambda db: _here(db, copy.customer_id, [source_id]))
    for cdr_id in there.values():
        try:
            page = listing.items(copy.source, f"/cdrs/{source_id}/notes", 1_000)
        except NotServed as fault:
            copy.refuse("notes of call", row, str(fault))
            return
        copy.all("note", schema.cdr_notes, page, _note, partial(_of_cdr, copy.customer_id, cdr_id))


def _note(row: Mapping[str, Any]) -> Columns:
    return columns(note_resource.Note, schema.cdr_notes, row, user_id=0)


def _of_cdr(customer_id: int, cdr_id: int, db: Db, lot: Sequence[Columns]) -> Iterator[Columns]:
    authors = Parties(db, customer_id, [], (row["user_id"] for row in lot))
    store.count_notes(db, customer_id, cdr_id, len(lot))
    for row in lot:
        yield {**row, "cdr_id": cdr_id, "user_id": authors.user(row["user_id"])}


def sms(copy: Copy) -> None:
    for page in listing.by_time(copy.source, "/sms", "created_at", 500):
        copy.all("sms", schema.sms, page, _sms, partial(_between, copy.customer_id))


def _sms(row: Mapping[str, Any]) -> Columns:
    return columns(sms_resource.Sms, schema.sms, row)


def _between(customer_id: int, db: Db, lot: Sequence[Columns]) -> Iterator[Columns]:
    parties = parties_of(db, customer_id, lot, "from_id", "to_id")
    return (with_parties(parties, row, "from_id", "to_id") for row in lot)


def chats(copy: Copy) -> None:
    """Website visitors' chats with their messages; without the widget, whose settings are not copied."""
    for page in listing.by_time(copy.source, "/chats", "created_at", 200):
        copy.all("chat", schema.chats, page, _chat, partial(_operated, copy.customer_id))
        for row in page:
            _messages(copy, f"/chats/{ids.number(row.get('id'))}/chatmsgs")


def _chat(row: Mapping[str, Any]) -> Columns:
    return columns(chat_resource.Chat, schema.chats, {**row, "website_id": None}, customer_id=0)


def _operated(customer_id: int, db: Db, lot: Sequence[Columns]) -> Iterator[Columns]:
    users = Parties(db, customer_id, [], (row["operator_id"] for row in lot))
    return ({**row, "operator_id": users.user(row["operator_id"])} for row in lot)


def colleagues(copy: Copy) -> None:
    """The messages between colleagues, which each of them lists."""
    sql = """
        SELECT c.source_id FROM copied c JOIN users u ON u.id = c.object_id AND u.customer_id = c.customer_id
        WHERE c.customer_id = :customer AND c.resource = 'users' ORDER BY u.id
    """
    for (user_id,) in copy.services.database.read(lambda db: db.all(sql, {"customer": copy.customer_id})):
        _messages(copy, f"/users/{user_id}/chatmsgs")


def _messages(copy: Copy, path: str) -> None:
    try:
        for page in listing.by_id(copy.source, path, 500):
            copy.all("message", schema.chatmsgs, page, _message, partial(_said, copy.customer_id))
    except Broken as fault:
        copy.summary.refuse(path, str(fault))
    except NotServed:  # of a user who is gone there; or there are no chats
        return


def _message(row: Mapping[str, Any]) -> Columns:
    return columns(message_resource.ChatMsg, schema.chatmsgs, row)


def _said(customer_id: int, db: Db, lot: Sequence[Columns]) -> Iterator[Columns]:
    in_chats = ids.claim(db, customer_id, schema.chats, (row["chat_id"] for row in lot if row["chat_id"]))
    for row in _between(customer_id, db, lot):
        yield {**row, "chat_id": in_chats.get(row["chat_id"])}
