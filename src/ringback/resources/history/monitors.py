"""Monitors: recordings of calls, with what was said in them (reference page "History", Monitor)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ringback.errors import Forbidden
from ringback.identity import links
from ringback.jobs import drop_blobs
from ringback.record import (
    ENUM,
    Check,
    Column,
    Count,
    Id,
    Kind,
    Name,
    Number,
    Object,
    Patch,
    Record,
    Text,
    Wire,
    WireTime,
    json_text,
    time_text,
)
from ringback.rest import files, replies
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import listed, patched, removed, shown
from ringback.rest.wipes import cleared
from ringback.store import rows, schema
from ringback.store.database import Db
from ringback.store.listing import Listing

Type = Annotated[Literal["O", "I", "M"], ENUM]
Sentiment = Annotated[Literal["positive", "neutral", "negative"], ENUM]
Score = Annotated[int, Meta(ge=1, le=10), Wire(Kind.INT)]


class Monitor(Record):
    """The page's attributes in its order, then ours. `transcript_speakers` is the JSON text of a list of `Speech`."""

    id: Id
    call_id: Annotated[Id | None, Column("t.live_id")]
    called: Number | None
    caller: Number | None
    context: Name | None
    cx_score: Score | None
    dst: Number | None
    dst_id: Name | None
    dst_name: Name | None
    duration: Count
    live_id: Id | None
    sentiment: Sentiment | None
    sip_endpoint_id: Id | None
    size: Count
    src: Number | None
    src_id: Name | None
    src_name: Name | None
    summary: Text | None
    timestamp: WireTime
    transcript: Text | None
    type: Type | None
    user_id: Id | None
    transcript_speakers: Text | None
    metadata: Object | None


Second = Annotated[float, Meta(ge=0)]


class Speech(Struct):
    """One part of a transcript: who spoke from when to when, in seconds of the recording."""

    speaker: str
    start_s: Second
    end_s: Second
    text: str


_speeches = msgspec.json.Decoder(list[Speech])


def speeches_fault(text: str) -> str | None:
    wanted = 'JSON text of a list of {"speaker", "start_s", "end_s", "text"} is expected'
    try:
        speeches = _speeches.decode(text)
    except msgspec.DecodeError as error:
        return f"{wanted}; {error}"
    is_backward = any(speech.end_s < speech.start_s for speech in speeches)
    return f"{wanted}; an end_s lies before its start_s" if is_backward else None


Speeches = Annotated[Text, Check(speeches_fault)]


class MonitorPatch(Patch):
    """What a transcription service or a reviewer sets. `metadata` is replaced, not merged."""

    transcript: Text | UnsetType | None = UNSET
    transcript_speakers: Speeches | UnsetType | None = UNSET
    summary: Text | UnsetType | None = UNSET
    sentiment: Sentiment | UnsetType | None = UNSET
    cx_score: Score | UnsetType | None = UNSET
    metadata: Object | UnsetType | None = UNSET


class Link(Record):
    """A URL (relative to the server where `public_url` is not set) that plays one recording until `expires_at`."""

    url: Text
    expires_at: WireTime


ALL = Listing("monitors", Monitor, schema.monitors, newest="timestamp")
MONITORS = Resource(ALL, own=ALL.own_by("user_id"), closed_by=frozenset({Policy.RECORDINGS_DISABLED}))


def remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    drop_blobs.delete(db, schema.monitors, customer_id, ids)


def _save(call: Call, monitor_id: int | None, given: Mapping[str, Any]) -> int:
    assert monitor_id is not None, "monitors come from recorded calls, not from requests"
    changes = dict(given)
    if "metadata" in changes:
        changes["metadata"] = json_text(changes["metadata"])
    rows.update(call.db, schema.monitors, call.customer_id, monitor_id, changes)
    return monitor_id


def _link(call: Call) -> replies.Reply:
    def find(db: Db) -> None:
        call.transaction = db
        call.find(MONITORS, call.path["id"])

    services = call.services
    services.database.read(find)
    path = _signed_path(call)
    query, expires = links.query(services.database, call.customer_id, path, call.now)
    url = services.settings.api_url(f"{path}?{query}")
    expires_at = time_text(expires)
    assert expires_at is not None
    return replies.item(Link(url, expires_at), 201)


def _play_signed(call: Call) -> replies.Reply:
    database = call.services.database
    customer_id = links.customer_of(database, _signed_path(call), dict(call.params), call.now)
    if customer_id is None:
        raise Forbidden("This link is not valid or has ended. POST /monitors/{id}/link gives a new one.")
    place = database.read(lambda db: files.place(db, MONITORS, customer_id, call.path["id"]))
    return files.audio(call, *place)


def _signed_path(call: Call) -> str:
    return f"/monitors/{call.path['id']}/link.mp3"


ENDPOINTS = (
    listed("/monitors", MONITORS, "The customer's call recordings; a plain user's own"),
    cleared("/monitors", MONITORS, remove, 202, "Delete the recordings that the filter matches, or all"),
    shown("/monitors/{id}", MONITORS, "One recording"),
    patched("/monitors/{id}", MONITORS, MonitorPatch, _save, "Set transcript, summary, rating or metadata"),
    files.played("/monitors/{id}.mp3", MONITORS, "The recording as MP3"),
    removed("/monitors/{ids}", MONITORS, remove, "Delete recordings"),
    Endpoint(
        "POST",
        "/monitors/{id}/link",
        "A signed URL of the recording's MP3 for ten minutes",
        _link,
        Shape.ITEM,
        201,
        answer=Link,
        work=Work.OWN,
        resource=MONITORS,
    ),
    Endpoint(
        "GET",
        "/monitors/{id}/link.mp3",
        "The recording as MP3, by a signed URL",
        _play_signed,
        Shape.FILE,
        answer=files.MP3,
        open=True,
        parameters=files.LinkParameters,
        work=Work.OWN,
    ),
)
