"""Policies of teams: what their members may not do or see."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from ringback.record import Column, Id, Ids, Kind, Name, Patch, Record, RequiredName, Texts, Wire, json_text
from ringback.resources.customer.members import ids_sql, save_group
from ringback.resources.customer.usergroups import DEFAULT_COLOR, OF_POLICIES, USERGROUPS, Color, colored
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import rows, schema
from ringback.store.database import Db
from ringback.store.listing import Listing

Policies = Annotated[list[Policy], Meta(max_length=100), Wire(Kind.JSON)]


class UserGroupPolicy(Record):
    id: Id
    color: Name
    name: Name
    usergroups: Annotated[Ids, Column(ids_sql("usergrouppolicy_usergroups", "usergrouppolicy_id", "usergroup_id"))]
    policies: Texts


class UserGroupPolicyPatch(Patch):
    name: RequiredName
    color: Color | UnsetType | None = UNSET
    usergroups: Ids | UnsetType | None = UNSET
    policies: Policies | UnsetType | None = UNSET


_MINE = (
    "t.id IN (SELECT l.usergrouppolicy_id FROM usergrouppolicy_usergroups l JOIN usergroup_users m"
    " ON m.customer_id = l.customer_id AND m.usergroup_id = l.usergroup_id"
    " WHERE l.customer_id = :customer AND m.user_id = :me)"
)
USERGROUPPOLICIES = Resource(
    Listing("usergrouppolicies", UserGroupPolicy, schema.usergrouppolicies),
    own=Listing("own usergrouppolicies", UserGroupPolicy, schema.usergrouppolicies, where=_MINE),
    relations={"usergroups": USERGROUPS},
)


def _save(call: Call, policy_id: int | None, given: Mapping[str, Any]) -> int:
    columns = colored(given)
    if "policies" in columns:
        columns["policies"] = json_text(list(dict.fromkeys(columns["policies"] or [])))
    defaults = {"color": DEFAULT_COLOR, "policies": "[]"}
    return save_group(call, schema.usergrouppolicies, OF_POLICIES, policy_id, columns, defaults)


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    OF_POLICIES.clear(db, customer_id, ids)
    rows.delete(db, schema.usergrouppolicies, customer_id, ids)


ENDPOINTS = (
    listed("/usergrouppolicies", USERGROUPPOLICIES, "The policies; a plain user's own"),
    created("/usergrouppolicies", USERGROUPPOLICIES, UserGroupPolicyPatch, _save, "Create a policy"),
    shown("/usergrouppolicies/{id}", USERGROUPPOLICIES, "One policy"),
    patched("/usergrouppolicies/{id}", USERGROUPPOLICIES, UserGroupPolicyPatch, _save, "Change a policy"),
    removed("/usergrouppolicies/{id}", USERGROUPPOLICIES, _remove, "Delete a policy"),
)
