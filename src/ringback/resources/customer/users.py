"""Users: who has an account, and the directory that colleagues see of each other."""

from typing import Annotated

from ringback.record import Column, Count, Flag, Id, Name, Record, Texts, WireTime
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import listed, shown
from ringback.store import schema
from ringback.store.listing import Listing


def _private(column: str) -> Column:
    """Null for anybody but administrators and the user."""
    return Column(f"CASE WHEN :sees_all = 1 OR t.id = :me THEN t.{column} END")


class User(Record):
    id: Id
    active: Flag
    created_at: WireTime
    customer: Annotated[Id, Column("t.customer_id")]
    email: Annotated[Name | None, _private("email")]
    first_name: Name | None
    is_initial: Annotated[Flag, Column("t.is_root")]
    is_root: Flag
    last_name: Name | None
    roles: Annotated[Texts | None, _private("roles")]
    two_factor_auth: Annotated[Count | None, _private("two_factor_auth")]
    visited_apps: Texts
    ext: Name | None
    cli: Name | None
    dnd: Flag
    nb_sip_locations: Count
    presence: Name | None


USERS = Resource(Listing("users", User, schema.users, newest="id"))

ENDPOINTS = (
    listed("/users", USERS, "The users of the customer, as a directory"),
    shown("/users/{id}", USERS, "One user"),
)
