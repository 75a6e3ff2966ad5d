"""Voice messages: what callers left in a user's mailbox (reference page "History", Voicemessage)."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, UnsetType

from ringback.calls import mailboxes
from ringback.calls.mailboxes import INBOX
from ringback.jobs import drop_blobs
from ringback.record import ENUM, Count, Flag, Id, Number, Patch, Record, Text, WireTime
from ringback.rest import files, replies
from ringback.rest.access import EVERYBODY
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import listed, removed, shown
from ringback.rest.wipes import cleared
from ringback.store import outbox, rows, schema
from ringback.store.database import Db
from ringback.store.listing import Listing

Folder = Annotated[mailboxes.Folder, ENUM]


class Voicemessage(Record):
    """The page's attributes in its order, then ours. `extension_id` is the user whose mailbox it is in."""

    id: Id
    caller: Number | None
    callerid: Number | None
    dialled: Number | None
    duration: Count
    extension_id: Id | None
    folder: Folder
    is_new: Flag
    live_id: Id | None
    origtime: WireTime
    parent_live_id: Id | None
    transcript: Text | None
    size: Count


class VoicemessagePatch(Patch):
    folder: Folder | UnsetType = UNSET
    is_new: Flag | UnsetType = UNSET


ALL = Listing("voicemessages", Voicemessage, schema.voicemessages, newest="origtime")
VOICEMESSAGES = Resource(ALL, own=ALL.own_by("extension_id"))


def remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    drop_blobs.delete(db, schema.voicemessages, customer_id, ids)


def _patch_many(call: Call) -> replies.Reply:
    changes = call.bulk(VoicemessagePatch)
    ids = [message_id for message_id, _ in changes]
    before = call.find_all(VOICEMESSAGES, ids)
    for message, (message_id, patch) in zip(before, changes, strict=True):
        assert isinstance(message, Voicemessage)
        rows.update(call.db, schema.voicemessages, call.customer_id, message_id, _columns(message, patch))
    outbox.changed(call.db, call.customer_id, "voicemessage.updated", ids)
    records = call.find_all(VOICEMESSAGES, ids)
    return replies.collection(records, len(records))


def _columns(message: Voicemessage, patch: VoicemessagePatch) -> dict[str, Any]:
    """What changes. Out of INBOX nothing stays new, also when a fetched message is sent back with another folder."""
    given = patch.given()
    if message.folder == INBOX and given.get("folder", INBOX) != INBOX:
        given["is_new"] = False
    if "is_new" in given:
        given["is_new"] = int(given["is_new"])
    return given


ENDPOINTS = (
    listed("/voicemessages", VOICEMESSAGES, "The customer's voice messages; a plain user's own"),
    Endpoint(
        "PATCH",
        "/voicemessages",
        "Move voice messages to a folder, or mark them",
        _patch_many,
        Shape.COLLECTION,
        answer=Voicemessage,
        body=VoicemessagePatch,
        bulk=True,
        work=Work.WRITE,
        resource=VOICEMESSAGES,
    ),
    cleared("/voicemessages", VOICEMESSAGES, remove, 202, "Delete the voice messages that the filter matches, or all"),
    shown("/voicemessages/{id}", VOICEMESSAGES, "One voice message"),
    files.played("/voicemessages/{id}.mp3", VOICEMESSAGES, "The voice message as MP3"),
    removed("/voicemessages/{ids}", VOICEMESSAGES, remove, "Delete voice messages", roles=EVERYBODY),
)
