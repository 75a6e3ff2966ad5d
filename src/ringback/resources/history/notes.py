"""Notes on CDRs (reference page "History", Notes). `nb_notes` of a CDR changes in the same transaction."""

from typing import Annotated

from msgspec import Meta

from ringback.errors import Forbidden, NotFound
from ringback.record import Id, Kind, Name, Patch, Record, Text, Wire, WireTime
from ringback.resources.history.cdrs import CDRS
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import item_of, nested
from ringback.store import cdrs, rows, schema
from ringback.store.database import value
from ringback.store.listing import Listing

NoteText = Annotated[
    str, Meta(min_length=1, max_length=10_000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$"), Wire(Kind.TEXT)
]


class Note(Record):
    id: Id
    cdr_id: Id
    user_id: Id
    user_name: Name | None
    text: Text
    created_at: WireTime


class NotePatch(Patch):
    text: NoteText


NOTES = Resource(Listing("notes", Note, schema.cdr_notes, newest="created_at"))
OF_CDR = Listing("notes of a cdr", Note, schema.cdr_notes, newest="created_at", where="t.cdr_id = :parent")


def _add(call: Call) -> replies.Reply:
    cdr_id = call.path["id"]
    rows.lock(call.db, schema.cdrs, call.customer_id, [cdr_id])
    call.find(CDRS, cdr_id)
    row = {
        "cdr_id": cdr_id,
        "user_id": call.caller.user_id,
        "user_name": call.caller.name,
        "text": call.body(NotePatch).text,
        "created_at": call.now,
    }
    (note_id,) = rows.insert(call.db, schema.cdr_notes, call.customer_id, [row])
    cdrs.count_notes(call.db, call.customer_id, cdr_id, 1)
    return item_of(call, NOTES, note_id, 201)


def _remove(call: Call) -> replies.Reply:
    """By its author or an administrator."""
    cdr_id, note_id = call.path["id"], call.path["note_id"]
    rows.lock(call.db, schema.cdrs, call.customer_id, [cdr_id])
    call.find(CDRS, cdr_id)
    sql = "SELECT user_id FROM cdr_notes WHERE customer_id = :customer AND cdr_id = :cdr AND id = :note"
    author = value(call.db, sql, {"customer": call.customer_id, "cdr": cdr_id, "note": note_id})
    if author is None:
        raise NotFound
    if author != call.caller.user_id and not call.caller.is_administrator:
        raise Forbidden
    call.refuse_held("cdr_notes", [note_id])
    rows.delete(call.db, schema.cdr_notes, call.customer_id, [note_id])
    cdrs.count_notes(call.db, call.customer_id, cdr_id, -1)
    call.audit("delete", Note.__name__, note_id)
    return replies.empty()


ENDPOINTS = (
    nested("/cdrs/{id}/notes", CDRS, NOTES, OF_CDR, "The notes on a CDR, newest first"),
    Endpoint(
        "POST",
        "/cdrs/{id}/notes",
        "Add a note to a CDR",
        _add,
        Shape.ITEM,
        201,
        answer=Note,
        body=NotePatch,
        work=Work.WRITE,
        resource=NOTES,
    ),
    Endpoint(
        "DELETE",
        "/cdrs/{id}/notes/{note_id}",
        "Delete a note: its author, or an administrator",
        _remove,
        Shape.EMPTY,
        204,
        work=Work.WRITE,
        resource=CDRS,
    ),
)
