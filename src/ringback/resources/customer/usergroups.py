"""Teams: users under a name and a colour. Policies bind teams, not users."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from ringback.record import END, Column, Id, Ids, Kind, Name, Patch, Record, RequiredName, Wire
from ringback.resources.customer.members import Members, ids_sql, save_group
from ringback.resources.customer.users import DIRECTORY
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import rows, schema
from ringback.store.database import Db
from ringback.store.listing import Listing

Color = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}" + END), Wire(Kind.TEXT)]
DEFAULT_COLOR = "#808080"


class UserGroup(Record):
    id: Id
    color: Name
    name: Name
    users: Annotated[Ids, Column(ids_sql("usergroup_users", "usergroup_id", "user_id"))]


class UserGroupPatch(Patch):
    name: RequiredName
    color: Color | UnsetType | None = UNSET
    users: Ids | UnsetType | None = UNSET


MEMBERS = Members("users", schema.usergroup_users, "usergroup_id", "user_id", schema.users)
OF_POLICIES = Members(
    "usergroups", schema.usergrouppolicy_usergroups, "usergrouppolicy_id", "usergroup_id", schema.usergroups
)
_MINE = "t.id IN (SELECT usergroup_id FROM usergroup_users WHERE customer_id = :customer AND user_id = :me)"
USERGROUPS = Resource(
    Listing("usergroups", UserGroup, schema.usergroups),
    own=Listing("own usergroups", UserGroup, schema.usergroups, where=_MINE),
    relations={"users": DIRECTORY},
)


def colored(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a body gave, its colour in lower case; null takes the default back."""
    columns = dict(given)
    if "color" in columns:
        columns["color"] = (columns["color"] or DEFAULT_COLOR).lower()
    return columns


def _save(call: Call, group_id: int | None, given: Mapping[str, Any]) -> int:
    return save_group(call, schema.usergroups, MEMBERS, group_id, colored(given), {"color": DEFAULT_COLOR})


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    MEMBERS.clear(db, customer_id, ids)
    OF_POLICIES.clear(db, customer_id, ids, "usergroup_id")
    rows.delete(db, schema.usergroups, customer_id, ids)


ENDPOINTS = (
    listed("/usergroups", USERGROUPS, "The teams; a plain user's own"),
    created("/usergroups", USERGROUPS, UserGroupPatch, _save, "Create a team"),
    shown("/usergroups/{id}", USERGROUPS, "One team"),
    patched("/usergroups/{id}", USERGROUPS, UserGroupPatch, _save, "Change a team"),
    removed("/usergroups/{id}", USERGROUPS, _remove, "Delete a team; its policies stay"),
)
