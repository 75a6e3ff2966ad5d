"""MSDRs: one for every SIP dialog that has ended, as seen on the wire (reference page "History", Msdr)."""

from typing import Annotated, Literal

from ringback.record import ENUM, Count, Exact, Id, Name, Number, Object, Record, WireTime
from ringback.resources.history.diagnoses import diagnosed
from ringback.resources.history.ladders import drawn, paged
from ringback.resources.history.mediasessions import NAMES as TYPES
from ringback.resources.history.mediasessions import Type
from ringback.resources.history.traces import dumped, traced
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import dictionary, listed, shown
from ringback.store import schema, whole_calls
from ringback.store.listing import Listing

EndedBy = Annotated[Literal["src", "dst"], ENUM]


class Msdr(Record):
    """The page's attributes in its order, then ours. `call_id` is the SIP Call-ID; `src_ip` and `dst_ip` are the addresses that
    the first INVITE went between. `ended_by`: who sent the BYE, the CANCEL or the refusal; null where nobody did."""

    id: Id
    call_id: Exact
    created_at: WireTime
    dst: Number | None
    dst_id: Name | None
    dst_ua: Name | None
    duration: Count
    media_session_id: Id | None
    src: Number | None
    src_id: Name | None
    src_ua: Name | None
    t_cause: Name | None
    type: Type | None
    user_id: Id | None
    quality: Object | None
    src_ip: Exact | None
    dst_ip: Exact | None
    ended_by: EndedBy | None


ALL = Listing("msdrs", Msdr, schema.msdrs, newest="created_at")
MSDRS = Resource(ALL, own=ALL.own_by("user_id"))

NAMES = {**TYPES, "ended_by": {"src": "The caller", "dst": "The callee"}}
ENDPOINTS = (
    listed("/msdrs", MSDRS, "The customer's MSDRs; a plain user's own"),
    dictionary("/msdrs/dictionaries", Msdr, "The vocabularies of an MSDR", NAMES),
    shown("/msdrs/{id}", MSDRS, "One MSDR"),
    traced("/msdrs/{id}.trace", MSDRS, whole_calls.of_msdr, "The SIP messages of all legs of its call as text"),
    dumped(
        "/msdrs/{id}.pcap", MSDRS, whole_calls.of_msdr, "The SIP messages of all legs of its call as a capture file"
    ),
    drawn(
        "/msdrs/{id}.svg", MSDRS, whole_calls.of_msdr, "The SIP messages of all legs of its call as a ladder diagram"
    ),
    paged("/msdrs/{id}.html", MSDRS, whole_calls.of_msdr, "That diagram as a page with the messages to click on"),
    diagnosed("/msdrs/{id}/diagnosis", MSDRS, whole_calls.of_msdr, "What is wrong with its call, in words"),
)
