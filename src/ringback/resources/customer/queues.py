"""Queues: who answers the calls that wait. `status` belongs to the membership: false pauses the member."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from ringback.connectors.orders import NotDone
from ringback.errors import Invalid, Unavailable
from ringback.record import Column, Count, Flag, Id, Ids, Kind, Name, Number, Patch, Record, RequiredName, Wire, to_db
from ringback.resources.customer.members import Members, ids_sql, name_faults
from ringback.resources.customer.users import DIRECTORY
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS, RECEPTION
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import item_of, listed, removed, shown
from ringback.store import queues as store
from ringback.store import rows, schema
from ringback.store.database import Db, first
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


_ACTIVE = {"status": 1}
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
    columns = _checked(call, queue_id, given)
    saved = rows.save(call.db, schema.queues, call.customer_id, queue_id, columns, {})
    if "users" in given:
        MEMBERS.replace(call.db, call.customer_id, saved, _statuses(call, saved, given["users"] or []))
    return saved


def _checked(call: Call, queue_id: int | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns; Invalid."""
    columns = to_db(Queue, {name: each for name, each in given.items() if name != "users"})
    members = given.get("users") or []
    objects = any(isinstance(each, QueueMember) for each in members)
    ids = [each.id if isinstance(each, QueueMember) else each for each in members]
    faults = name_faults(call.db, schema.queues, call.customer_id, queue_id, columns)
    faults += MEMBERS.faults(call.db, call.customer_id, ids, ".id" if objects else "")
    if faults:
        raise Invalid(faults=faults)
    return columns


class Order(NamedTuple):
    """`names`: the queue's number before its name. `extensions`: the ids of all users by theirs. `statuses`: of the members."""

    names: Sequence[str]
    extensions: Mapping[str, int]
    statuses: Mapping[int, Mapping[str, int]]


def _ordering(method: str, path: str, summary: str, handler: Callable[[Call], replies.Reply], status: int) -> Endpoint:
    """What changes members tells the PBX first, and holds nothing while that answers."""
    return Endpoint(
        method,
        path,
        summary,
        handler,
        Shape.ITEM,
        status,
        answer=Queue,
        body=QueuePatch,
        roles=ADMINISTRATORS,
        work=Work.OWN,
        resource=QUEUES,
    )


def _create(call: Call) -> replies.Reply:
    _carry_out(call, call.services.database.read(partial(_order, call, None)))
    return call.services.database.write(partial(_created, call))


def _created(call: Call, db: Db) -> replies.Reply:
    call.transaction = db
    queue_id = _save(call, None, call.body(QueuePatch).given())
    call.audit("create", "Queue", queue_id)
    return item_of(call, QUEUES, queue_id, 201)


def _change(call: Call) -> replies.Reply:
    _carry_out(call, call.services.database.read(partial(_order, call, call.path["id"])))
    return call.services.database.write(partial(_changed, call))


def _changed(call: Call, db: Db) -> replies.Reply:
    call.transaction = db
    queue_id = call.path["id"]
    call.find(QUEUES, queue_id)
    given = call.body(QueuePatch, partial=True).given()
    if given:
        _save(call, queue_id, given)
        call.audit("change", "Queue", queue_id, attributes=sorted(given))
    return item_of(call, QUEUES, queue_id)


def _order(call: Call, queue_id: int | None, db: Db) -> Order | None:
    """What the PBX is to know of the members; None where they stay as they are. Invalid, NotFound."""
    call.transaction = db
    if queue_id is not None:
        call.find(QUEUES, queue_id)
    given = call.body(QueuePatch, partial=queue_id is not None).given()
    columns = _checked(call, queue_id, given)
    before = {} if queue_id is None else _members(call, queue_id)
    wanted = _statuses(call, queue_id or 0, given.get("users") or [])
    if "users" not in given or wanted == before:
        return None
    return Order(_names(call, queue_id, columns), store.extensions(db, call.customer_id), wanted)


def _names(call: Call, queue_id: int | None, columns: Mapping[str, Any]) -> list[str]:
    sql = "SELECT number, name FROM queues WHERE customer_id = :customer AND id = :id"
    number, name = first(call.db, sql, {"customer": call.customer_id, "id": queue_id or 0}) or (None, None)
    return list(filter(None, (columns.get("number", number), columns.get("name", name))))


def _members(call: Call, queue_id: int) -> dict[int, dict[str, int]]:
    return {user: {"status": int(each["status"])} for (_, user), each in _memberships(call, [queue_id]).items()}


def _carry_out(call: Call, wanted: Order | None) -> None:
    """Unavailable when the PBX does not do it: then nothing is changed here either."""
    if wanted is None:
        return
    named = {ext: wanted.statuses[user_id] for ext, user_id in wanted.extensions.items() if user_id in wanted.statuses}
    paused = {ext: not each["status"] for ext, each in named.items()}
    try:
        for staff in call.services.desk.staffs:
            if staff.serves(call.customer_id):
                staff.assign(call.customer_id, wanted.names, paused, wanted.extensions)
    except NotDone as error:
        raise Unavailable(str(error)) from None


def _statuses(call: Call, queue_id: int, members: Sequence[int | QueueMember]) -> dict[int, dict[str, int]]:
    before = _members(call, queue_id)
    found = {}
    for each in members:
        user_id = each.id if isinstance(each, QueueMember) else each
        status = each.status if isinstance(each, QueueMember) else UNSET
        found[user_id] = {"status": before.get(user_id, _ACTIVE)["status"] if status is UNSET else int(status)}
    return found


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    MEMBERS.clear(db, customer_id, ids)
    OF_GROUPS.clear(db, customer_id, ids, "queue_id")
    rows.delete(db, schema.queues, customer_id, ids)


ENDPOINTS = (
    listed("/queues", QUEUES, "The queues; a plain user's own"),
    _ordering("POST", "/queues", "Create a queue", _create, 201),
    shown("/queues/{id}", QUEUES, "One queue"),
    _ordering("PATCH", "/queues/{id}", "Change a queue, or log its members in and out, or pause them", _change, 200),
    removed("/queues/{id}", QUEUES, _remove, "Delete a queue"),
)
