"""The audio inbox: what came in and waits to be encoded, or is broken and will not be tried again by itself."""

from collections.abc import Sequence
from typing import Annotated, Literal

from ringback.errors import Invalid
from ringback.jobs import encode
from ringback.record import ENUM, Column, Id, Name, Record, Text, WireTime
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import item_of, listed, removed, shown
from ringback.store import inbox, rows, schema
from ringback.store.database import Db
from ringback.store.listing import Listing

Becomes = Annotated[Literal["monitors", "voicemessages"], ENUM, Column("t.shelf")]
State = Annotated[Literal["waiting", "broken"], ENUM]


class IncomingAudio(Record):
    """`name`: of the file, as its sender called it. `becomes`: the list that it will be in. `error`: why it is broken."""

    id: Id
    name: Name
    becomes: Becomes
    state: State
    error: Text | None
    created_at: WireTime


INBOX = Resource(Listing("audioinbox", IncomingAudio, schema.audio_inbox, newest="created_at"))


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    encode.remove(db, customer_id, ids)


def _retry(call: Call) -> replies.Reply:
    entry_id = call.path["id"]
    rows.lock(call.db, schema.audio_inbox, call.customer_id, [entry_id])
    call.find(INBOX, entry_id)
    entry = inbox.of_id(call.db, call.customer_id, entry_id)
    if entry is None or entry.blob_key is None:
        raise Invalid("This file was imported from a folder and is still there: delete the entry, and import it again.")
    encode.again(call.db, entry, call.now)
    call.audit("change", "IncomingAudio", entry_id, attributes=["state"])
    return item_of(call, INBOX, entry_id)


ENDPOINTS = (
    listed("/audioinbox", INBOX, "Audio that waits to be encoded, or is broken", roles=ADMINISTRATORS),
    shown("/audioinbox/{id}", INBOX, "One file of the audio inbox", roles=ADMINISTRATORS),
    removed("/audioinbox/{ids}", INBOX, _remove, "Delete audio that is not encoded yet, or broken"),
    Endpoint(
        "POST",
        "/audioinbox/{id}/retry",
        "Have the audio tried again, now",
        _retry,
        Shape.ITEM,
        answer=IncomingAudio,
        roles=ADMINISTRATORS,
        work=Work.WRITE,
        resource=INBOX,
    ),
)
