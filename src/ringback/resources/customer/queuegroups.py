"""Queue groups: queues under one name."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, UnsetType

from ringback.record import Column, Id, Ids, Name, Patch, Record, RequiredName
from ringback.resources.customer.members import ids_sql, save_group
from ringback.resources.customer.queues import OF_GROUPS, QUEUES
from ringback.rest.access import RECEPTION
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import rows, schema
from ringback.store.database import Db
from ringback.store.listing import Listing


class QueueGroup(Record):
    id: Id
    name: Name
    queues: Annotated[Ids, Column(ids_sql("queuegroup_queues", "queuegroup_id", "queue_id"))]


class QueueGroupPatch(Patch):
    name: RequiredName
    queues: Ids | UnsetType | None = UNSET


_MINE = (
    "t.id IN (SELECT l.queuegroup_id FROM queuegroup_queues l JOIN queue_users m"
    " ON m.customer_id = l.customer_id AND m.queue_id = l.queue_id"
    " WHERE l.customer_id = :customer AND m.user_id = :me)"
)
QUEUEGROUPS = Resource(
    Listing("queuegroups", QueueGroup, schema.queuegroups),
    own=Listing("own queuegroups", QueueGroup, schema.queuegroups, where=_MINE),
    all_for=RECEPTION,
    relations={"queues": QUEUES},
)


def _save(call: Call, group_id: int | None, given: Mapping[str, Any]) -> int:
    return save_group(call, schema.queuegroups, OF_GROUPS, group_id, given, {})


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    OF_GROUPS.clear(db, customer_id, ids)
    rows.delete(db, schema.queuegroups, customer_id, ids)


ENDPOINTS = (
    listed("/queuegroups", QUEUEGROUPS, "The queue groups; a plain user's own"),
    created("/queuegroups", QUEUEGROUPS, QueueGroupPatch, _save, "Create a queue group"),
    shown("/queuegroups/{id}", QUEUEGROUPS, "One queue group"),
    patched("/queuegroups/{id}", QUEUEGROUPS, QueueGroupPatch, _save, "Change a queue group"),
    removed("/queuegroups/{id}", QUEUEGROUPS, _remove, "Delete a queue group; its queues stay"),
)
