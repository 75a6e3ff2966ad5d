"""Where the records of a customer may name a person, and taking one person out of them.

A row goes when the person is a party of it (`owners`); where somebody else's row only mentions the person (`mentions`), the
words go. What hangs on a row that goes, goes with it. Amounts of money stay.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Table

from ringback.calls.persons import Person
from ringback.store import captures, holds, retention, rows, schema, slices
from ringback.store.database import Database, Db, Row
from ringback.store.slices import Slice

LOT = 200
MOST_PACKETS = 5_000


@dataclass(frozen=True, slots=True)
class Trace:
    """One table. `json_columns` among them are objects or lists, whose texts are looked at one by one. `only`: which rows
    are looked at."""

    table: Table
    owners: tuple[str, ...]
    mentions: tuple[str, ...] = ()
    json_columns: tuple[str, ...] = ()
    only: str = "1 = 1"

    def where(self, engine: str, someone: Person) -> tuple[str, dict[str, str]]:
        """What finds all rows that may name someone, and more, with its parameters."""
        place, fold = "instr" if engine == "sqlite" else "strpos", "fold" if someone.kind == "email" else ""
        found = (f'{place}({fold}("{each}"), :{"bare" if each in _BARE else "text"}) > 0' for each in self.columns)
        return " OR ".join(found), {"bare": someone.bare_needle, "text": someone.needle}

    @property
    def columns(self) -> tuple[str, ...]:
        return self.owners + self.mentions

    def owned_by(self, someone: Person, row: Sequence[Any]) -> bool:
        return any(map(someone.is_in, row[: len(self.owners)]))


_PARTIES = ("src", "dst")
_BARE = frozenset({*_PARTIES, "called", "caller", "dialled", "from", "to"})
"""Columns of numbers that were normalised on their way in: there two digits stand side by side."""
_NAMES = ("src_name", "dst_name")
_PHONES = ("tel", "tel_1", "tel_2", "mobile", "mobile_1", "mobile_2")
TRACES = (
    Trace(schema.cdrs, (*_PARTIES, "clid"), (*_NAMES, "info", "metadata", "labels"), ("metadata", "labels")),
    Trace(
        schema.monitors,
        ("called", "caller", *_PARTIES),
        (*_NAMES, "summary", "transcript", "transcript_speakers", "metadata"),
        ("transcript_speakers", "metadata"),
    ),
    Trace(schema.voicemessages, ("caller", "callerid", "dialled"), ("transcript",)),
    Trace(schema.audio_inbox, ("row", "name")),
    Trace(schema.mediasessions, _PARTIES),
    Trace(schema.msdrs, _PARTIES),
    Trace(schema.registrations, ("aor", "contact", "attempts")),
    Trace(schema.chats, ("visitor_email", "visitor_id"), ("visitor_name", "visitor_referer", "visitor_page")),
    Trace(schema.chatmsgs, (), ("from_name", "to_name", "message")),
    Trace(schema.sms, ("from", "to"), ("from_name", "to_name", "message")),
    Trace(
        schema.contacts,
        ("email", *_PHONES),
        ("company", "first_name", "last_name", "notes", "labels", "extra"),
        ("labels", "extra"),
    ),
    Trace(schema.cdr_notes, (), ("text",)),
    Trace(schema.statements, (), ("description",)),
    Trace(schema.callmeback_visitors, ("number",), ("name", "referer", "page")),
    Trace(schema.callmeback_requests, ("number", "open_number"), ("reason",)),
    Trace(schema.callmeback_donotcall, ("number",), ("note",)),
    Trace(schema.holds, ("filter",), ("reason",)),
    Trace(schema.jobs, (), ("args", "error"), ("args",), only="kind <> 'erase'"),
    Trace(schema.auditlog, (), ("details", "user_name"), ("details",)),
)
"""Calls first, so that what hangs on them goes with them; the audit log last."""


def rows_of(database: Database, customer_id: int, trace: Trace, someone: Person | None) -> Iterator[Sequence[Any]]:
    """(id, columns …) of the rows that may name someone, or of all; without the time limit of requests."""
    listed = ", ".join(f'"{name}"' for name in trace.columns)
    sql = f'SELECT id, {listed} FROM "{trace.table.name}" WHERE customer_id = :customer AND {trace.only}'
    bound: dict[str, Any] = {"customer": customer_id}
    if someone is not None:
        where, needles = trace.where(database.engine, someone)
        sql, bound = f"{sql} AND ({where})", bound | needles
    with database.stream(sql, bound, LOT) as lots:
        for lot in lots:
            yield from lot


def lots_with(
    database: Database, customer_id: int, trace: Trace, someone: Person
) -> Iterator[tuple[list[int], list[int]]]:
    """Ids of rows that the person owns, and of rows that mention the person, in small lots."""
    found = rows_of(database, customer_id, trace, someone)
    concerned = ((row[0], trace.owned_by(someone, row[1:])) for row in found if any(map(someone.is_in, row[1:])))
    while lot := list(islice(concerned, LOT)):
        yield [row_id for row_id, is_owner in lot if is_owner], [row_id for row_id, is_owner in lot if not is_owner]


def packets_with(database: Database, one: Slice, someone: Person) -> Iterator[list[slices.Row]]:
    """The packets of a slice that name someone, in small lots."""
    with database.slices.packets(one.customer_id, one.day, LOT) as lots:
        for lot in lots:
            if found := [row for row in lot if _names(row, someone)]:
                yield found


def _names(row: slices.Row, someone: Person) -> bool:
    return someone.is_in(row.payload.decode("latin-1")) or someone.is_in(row.correlation)


def packets_free_of_holds(db: Db, customer_id: int, day: int, found: Sequence[slices.Row]) -> list[slices.Row]:
    """Those of the packets that may go: the others are of a call that a hold keeps."""
    if not holds.concern(db, customer_id, schema.mediasessions.name):
        return list(found)
    names = captures.names(db, customer_id, day, sorted({row.call for row in found}))
    sql = f"SELECT id, call_id FROM mediasessions WHERE customer_id = :customer AND {db.among('call_id', 'names')}"
    sessions: dict[int, str] = dict(db.all(sql, {"customer": customer_id, "names": list(names.values())}))
    kept = holds.held(db, customer_id, schema.mediasessions.name, list(sessions))
    calls = {slices.call_hash(sessions[each]) for each in kept}
    return [row for row in found if row.call not in calls]


def free_of_holds(db: Db, customer_id: int, table: Table, ids: Sequence[int]) -> list[int]:
    """Those of the rows that may go. A hold itself may not, and a chat not while one of its messages is held."""
    if table is schema.holds:
        return []
    kept = holds.held(db, customer_id, table.name, ids)
    if table is schema.chats:
        messages = {row[0]: row[1] for row in _of_chats(db, customer_id, ids)}
        kept |= {messages[each] for each in holds.held(db, customer_id, schema.chatmsgs.name, list(messages))}
    return [each for each in ids if each not in kept]


def _of_chats(db: Db, customer_id: int, ids: Sequence[int]) -> list[Row]:
    """(id, chat) of the messages of chats."""
    sql = f"SELECT id, chat_id FROM chatmsgs WHERE customer_id = :customer AND {db.among('chat_id', 'ids')}"
    return db.all(sql, {"customer": customer_id, "ids": list(ids)})


def redact(db: Db, customer_id: int, trace: Trace, ids: Sequence[int], someone: Person) -> int:
    """Takes the person out of the texts of these rows; returns how many rows changed."""
    rows.lock(db, trace.table, customer_id, ids)
    listed = ", ".join(f'"{name}"' for name in trace.mentions)
    sql = f'SELECT id, {listed} FROM "{trace.table.name}" WHERE {rows.by_ids(db)}'
    changed = 0
    for row_id, *texts in db.all(sql, {"customer": customer_id, "ids": list(ids)}):
        changes = _changes(trace, texts, someone)
        rows.update(db, trace.table, customer_id, row_id, changes)
        changed += bool(changes)
    return changed


def _changes(trace: Trace, texts: Iterable[str | None], someone: Person) -> dict[str, str]:
    found = {name: text for name, text in zip(trace.mentions, texts, strict=True) if text and someone.is_in(text)}
    return {
        name: _redacted_json(text, someone) if name in trace.json_columns else someone.redacted(text)
        for name, text in found.items()
    }


def _redacted_json(text: str, someone: Person) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return someone.redacted(text)
    return json.dumps(_without(value, someone), ensure_ascii=False)


def _without(value: Any, someone: Person) -> Any:
    """A JSON value without the person, who may be a key, a text or a number in it."""
    match value:
        case dict():
            return {someone.redacted(key): _without(each, someone) for key, each in value.items()}
        case list():
            return [_without(each, someone) for each in value]
        case str():
            return someone.redacted(value)
        case int() if not isinstance(value, bool) and someone.is_in(str(value)):
            return someone.redacted(str(value))
        case _:
            return value


# -- what goes with what ----------------------------------------------------------------------------------------------


def hanging_on_cdrs(db: Db, customer_id: int, ids: Sequence[int]) -> Mapping[str, list[int]]:
    """Recordings, voice messages and media sessions of these calls, by table."""
    bound = {"customer": customer_id, "ids": list(ids)}
    linked = db.among("cdr_id", "ids")
    calls = f"SELECT live_id FROM cdrs WHERE {rows.by_ids(db)}"
    sessions = f"SELECT call_id FROM msdrs WHERE customer_id = :customer AND {linked}"
    asked = {
        "monitors": f"SELECT id FROM monitors WHERE customer_id = :customer AND {linked}",
        "voicemessages": "SELECT id FROM voicemessages WHERE customer_id = :customer"
        f" AND (live_id IN ({calls}) OR parent_live_id IN ({calls}))",
        "mediasessions": f"SELECT id FROM mediasessions WHERE customer_id = :customer AND call_id IN ({sessions})",
    }
    return {table: [row[0] for row in db.all(sql, bound)] for table, sql in asked.items()}


def take_sessions(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    """Media sessions with their MSDRs and every packet of them."""
    while not retention.take_sessions(db, customer_id, ids, MOST_PACKETS):
        pass


def take_chats(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    rows.delete(db, schema.chatmsgs, customer_id, [row[0] for row in _of_chats(db, customer_id, ids)])
    rows.delete(db, schema.chats, customer_id, ids)
