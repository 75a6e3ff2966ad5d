"""Media sessions: the state of every SIP dialog that was seen on the wire (reference page "History", Media Session)."""

from typing import Annotated, Literal

from ringback.record import ENUM, Column, Count, Exact, Id, Name, Object, Record, WireTime
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import dictionary, listed, shown
from ringback.store import schema
from ringback.store.listing import Listing

Type = Annotated[Literal["O", "I", "INTERNAL"], ENUM]
Status = Annotated[Literal["INITIAL", "RINGING", "CONNECTED", "ON_HOLD", "ENDED"], ENUM]


class Mediasession(Record):
    """The page's attributes in its order, then ours. `user` is a user's id; `call_id` is the SIP Call-ID."""

    id: Id
    call_id: Exact
    created_at: WireTime
    dst_id: Name | None
    dst_ua: Name | None
    duration: Count
    src_id: Name | None
    src_ua: Name | None
    status: Status
    type: Type | None
    updated_at: WireTime
    user: Annotated[Id | None, Column("t.user_id")]
    quality: Object | None
    src_ip: Exact | None
    dst_ip: Exact | None


ALL = Listing("mediasessions", Mediasession, schema.mediasessions, newest="created_at")
MEDIASESSIONS = Resource(ALL, own=ALL.own_by("user_id"))

NAMES = {"type": {"O": "Outbound", "I": "Inbound", "INTERNAL": "Internal"}}
ENDPOINTS = (
    listed("/mediasessions", MEDIASESSIONS, "The customer's media sessions; a plain user's own"),
    dictionary("/mediasessions/dictionaries", Mediasession, "The vocabularies of a media session", NAMES),
    shown("/mediasessions/{id}", MEDIASESSIONS, "One media session"),
)
