"""Queues: who answers the calls that wait. `status` belongs to the membership: false pauses the member."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from ringback.errors import Invalid
from ringback.record import Column, Count, Flag, Id, Ids, Kind, Name, Number, Patch, Record, RequiredName, Wire, to_db
from ringback.resources.customer.members import Members, ids_sql, name_faults
from ringback.resources.customer.users import DIRECTORY
from ringback.rest.access import RECEPTION
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import rows, schema
from ringback.store.database import Db
from ringback.store.listing import Listing


class Queue(Record):
    id: Id
    name: Name
    number: Number | None
    users: Annotated[Ids, Column(ids_sql("queue_users", "queue_id", "user_id"))]
    ring_strategy: Name | None
    ring_time: Count | None
    skip_busy: Flag | None


class QueueMember(Struct):
    """One entry of `users` as the queue script sends it. Without `status` it stays as it is; new members are active."""

    id: Id
    status: Flag | UnsetType = UNSET


QueueMembers = Annotated[list[QueueMember], Meta(max_length=1000), Wire(Kind.JSON)]


class QueuePatch(Patch):
    """`users` replaces the members: ids, or objects as `include=users` answers them."""

    name: RequiredName
    number: Number | UnsetType | None = UNSET
    users: Ids | QueueMembers | UnsetType | None = UNSET
    ring_strategy: Name | UnsetType | None = UNSET
    ring_time: Annotated[Count, Meta(description="seconds")] | UnsetType | None = UNSET
    skip_busy: Flag | UnsetType | None = UNSET


MEMBERS = Members("users", schema.queue_users, "queue_id", "user_id", schema.users)
OF_GROUPS = Members("queues", schema.queuegroup_queues, "queuegroup_id", "queue_id", schema.queues)
_MINE = "t.id IN (SELECT queue_id FROM queue_users WHERE customer_id = :customer AND user_id = :me)"


def _memberships(call: Call, ids: Sequence[int]) -> dict[tuple[int, int], dict[str, Any]]:
    sql = f"SELECT queue_id, user_id, status FROM queue_users WHERE customer_id = :customer AND {call.db.among('queue_id', 'ids')}"
    found = call.db.all(sql, {"customer": call.customer_id, "ids": list(ids)})
    return {(queue_id, user_id): {"status": status != 0} for queue_id, user_id, status in found}


QUEUES = Resource(
    Listing("queues", Queue, schema.queues),
    own=Listing("own queues", Queue, schema.queues, where=_MINE),
    all_for=RECEPTION,
    relations={"users": DIRECTORY},
    memberships={"users": _memberships},
)


def _save(call: Call, queue_id: int | None, given: Mapping[str, Any]) -> int:
    columns = to_db(Queue, {name: each for name, each in given.items() if name != "users"})
    members = given.get("users") or []
    objects = any(isinstance(each, QueueMember) for each in members)
    ids = [each.id if isinstance(each, QueueMember) else each for each in members]
    faults = name_faults(call.db, schema.queues, call.customer_id, queue_id, columns)
    faults += MEMBERS.faults(call.db, call.customer_id, ids, ".id" if objects else "")
    if faults:
        raise Invalid(faults=faults)
    saved = rows.save(call.db, schema.queues, call.customer_id, queue_id, columns, {})
    if "users" in given:
        MEMBERS.replace(call.db, call.customer_id, saved, _statuses(call, saved, members))
    return saved


def _statuses(call: Call, queue_id: int, members: Sequence[int | QueueMember]) -> dict[int, dict[str, int]]:
    before = {user: int(each["status"]) for (_, user), each in _memberships(call, [queue_id]).items()}
    found = {}
    for each in members:
        user_id = each.id if isinstance(each, QueueMember) else each
        status = each.status if isinstance(each, QueueMember) else UNSET
        found[user_id] = {"status": before.get(user_id, 1) if status is UNSET else int(status)}
    return found


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    MEMBERS.clear(db, customer_id, ids)
    OF_GROUPS.clear(db, customer_id, ids, "queue_id")
    rows.delete(db, schema.queues, customer_id, ids)


ENDPOINTS = (
    listed("/queues", QUEUES, "The queues; a plain user's own"),
    created("/queues", QUEUES, QueuePatch, _save, "Create a queue"),
    shown("/queues/{id}", QUEUES, "One queue"),
    patched("/queues/{id}", QUEUES, QueuePatch, _save, "Change a queue, or pause its members"),
    removed("/queues/{id}", QUEUES, _remove, "Delete a queue"),
)
