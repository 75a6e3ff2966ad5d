"""Registrations: whether a phone is registered, and if not why, as captured REGISTERs tell it. Ours."""

from dataclasses import replace
from typing import Annotated, Literal

from ringback.record import ENUM, Column, Count, Exact, Id, Name, Record, WireTime
from ringback.resources.customer.users import DIRECTORY
from ringback.resources.history.traces import traced
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import dictionary, listed, shown
from ringback.store import register_traces, schema
from ringback.store.listing import Listing

State = Annotated[Literal["REGISTERED", "UNREGISTERED", "EXPIRED", "FAILED"], ENUM]
_STATE = Column('CASE WHEN t."state" = \'REGISTERED\' AND t."expires_at" <= :now THEN \'EXPIRED\' ELSE t."state" END')


class Registration(Record):
    """One address-of-record at one phone. `user_id`: whose extension it is. `failures`: in a row since the last success.
    `last_cause`: what became of the last attempt. `registered_at`: the last success, `last_at`: the last attempt."""

    id: Id
    user_id: Id | None
    aor: Name
    contact: Name | None
    src_ip: Exact
    src_port: Id | None
    transport: Name
    user_agent: Name | None
    state: Annotated[State, _STATE]
    registered_at: WireTime | None
    expires_at: WireTime | None
    last_at: WireTime
    failures: Count
    last_cause: Name | None
    call_id: Exact


ALL = Listing("registrations", Registration, schema.registrations, newest="last_at")
REGISTRATIONS = Resource(
    ALL, own=replace(ALL, name="own registrations", where="t.user_id = :me"), relations={"user_id": DIRECTORY}
)

ENDPOINTS = (
    listed("/registrations", REGISTRATIONS, "The registrations of the customer's phones; a plain user's own"),
    dictionary("/registrations/dictionaries", Registration, "The vocabularies of a registration"),
    shown("/registrations/{id}", REGISTRATIONS, "One registration"),
    traced(
        "/registrations/{id}.trace",
        REGISTRATIONS,
        register_traces.of_registration,
        "The captured REGISTERs of the phone's last attempts as text",
    ),
)
