"""SMS, sent and received."""

from typing import Annotated, Literal

import msgspec

from ringback.record import ENUM, Id, Name, Number, Record, Text, WireTime
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import dictionary, listed, shown
from ringback.rest.wipes import cleared
from ringback.store import messages, schema
from ringback.store.listing import Listing


class Sms(Record):
    id: Id
    created_at: WireTime
    from_: Number | None = msgspec.field(name="from")
    from_id: Name | None
    from_name: Name | None
    message: Text | None
    result: Annotated[Literal["QUEUED", "SENT", "DELIVERED", "FAILED", "RECEIVED"], ENUM] | None
    to: Number | None
    to_id: Name | None
    to_name: Name | None
    type: Annotated[Literal["I", "O"], ENUM] | None
    user_id: Id | None


ALL = Listing("sms", Sms, schema.sms, newest="created_at")
SMS = Resource(ALL, own=ALL.own_by("user_id"))

ENDPOINTS = (
    listed("/sms", SMS, "The customer's SMS; a plain user's own"),
    cleared("/sms", SMS, messages.delete_sms, 202, "Delete the SMS that the filter matches, or all"),
    dictionary("/sms/dictionaries", Sms, "The vocabularies of an SMS", {"type": {"O": "Outbound", "I": "Inbound"}}),
    shown("/sms/{id}", SMS, "One SMS"),
)
