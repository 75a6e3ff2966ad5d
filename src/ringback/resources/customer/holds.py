"""Legal holds: what nobody may delete until an administrator releases it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ringback.errors import Fault, Invalid
from ringback.query import MAX_CONDITIONS, parse_filter
from ringback.record import ENUM, Column, Id, Ids, Kind, Name, Patch, Record, RequiredName, Wire, WireTime, json_text
from ringback.resources.customer.auditlog import AUDITLOG
from ringback.resources.customer.members import ids_sql
from ringback.resources.history.cdrs import CDRS
from ringback.resources.history.chatmsgs import CHATMSGS
from ringback.resources.history.chats import CHATS
from ringback.resources.history.mediasessions import MEDIASESSIONS
from ringback.resources.history.monitors import MONITORS
from ringback.resources.history.msdrs import MSDRS
from ringback.resources.history.sms import SMS
from ringback.resources.history.statements import STATEMENTS
from ringback.resources.history.voicemessages import VOICEMESSAGES
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import created, listed, shown
from ringback.store import holds, rows, schema
from ringback.store.listing import Listing

Held = Annotated[
    Literal[
        "auditlog",
        "cdrs",
        "chatmsgs",
        "chats",
        "mediasessions",
        "monitors",
        "msdrs",
        "sms",
        "statements",
        "voicemessages",
    ],
    ENUM,
]
HOLDABLE: Mapping[str, Resource] = {
    "auditlog": AUDITLOG,
    "cdrs": CDRS,
    "chatmsgs": CHATMSGS,
    "chats": CHATS,
    "mediasessions": MEDIASESSIONS,
    "monitors": MONITORS,
    "msdrs": MSDRS,
    "sms": SMS,
    "statements": STATEMENTS,
    "voicemessages": VOICEMESSAGES,
}
holds.holdable(*(each.listing for each in HOLDABLE.values()))

Entries = Annotated[
    list[dict[str, Any]],
    Meta(
        min_length=1,
        max_length=MAX_CONDITIONS,
        description='the entries of a filter, such as `[{"property": "src", "operator": "eq", "value": "442079460000"}]`',
    ),
    Wire(Kind.JSON),
]


class Hold(Record):
    """Either `ids` has the records that it keeps, or `filter` says which: those that match now and those to come."""

    id: Id
    resource: Held
    ids: Annotated[Ids, Column(ids_sql("hold_objects", "hold_id", "object_id"))]
    filter: Entries | None
    reason: Name
    user_id: Id | None
    user_name: Name | None
    created_at: WireTime


class HoldPatch(Patch):
    """`ids` or `filter`: one of the two."""

    resource: Held
    reason: RequiredName
    ids: Ids | UnsetType = UNSET
    filter: Entries | UnsetType = UNSET


HOLDS = Resource(Listing("holds", Hold, schema.holds, newest="created_at"))


def _place(call: Call, _: int | None, given: Mapping[str, Any]) -> int:
    if holds.begin_placing(call.db, call.customer_id) >= holds.MOST:
        raise Invalid(f"There are {holds.MOST} holds, which is the most. Release one first.", [Fault(None)])
    ids, text = sorted(set(given.get("ids", []))), json_text(given.get("filter"))
    _refuse_wrong(call, HOLDABLE[given["resource"]], given)
    row = {
        "resource": given["resource"],
        "filter": text,
        "reason": given["reason"],
        "user_id": call.caller.user_id,
        "user_name": call.caller.name,
        "created_at": call.now,
    }
    (hold_id,) = rows.insert(call.db, schema.holds, call.customer_id, [row])
    rows.insert(call.db, schema.hold_objects, call.customer_id, [{"hold_id": hold_id, "object_id": n} for n in ids])
    return hold_id


def _refuse_wrong(call: Call, resource: Resource, given: Mapping[str, Any]) -> None:
    if bool(given.get("ids")) == ("filter" in given):
        raise Invalid("Give the ids of records, or a filter.", [Fault("ids", "Give ids or filter, one of them.")])
    parse_filter(json_text(given.get("filter")), resource.usable_by(call.caller))
    ids = given.get("ids", [])
    found = call.services.lists.some(call.db, resource.listing, call.bound(), ids)
    there = {record.id for record in found}  # type: ignore[attr-defined]
    faults = [Fault(f"ids[{n}]", "There is no such record.") for n, each in enumerate(ids) if each not in there]
    if faults:
        raise Invalid(faults=faults)


def _release(call: Call) -> replies.Reply:
    """The audit log tells what was held, as nothing else does afterwards."""
    hold_id = call.path["id"]
    rows.lock(call.db, schema.holds, call.customer_id, [hold_id])
    hold = msgspec.json.decode(msgspec.json.encode(call.find(HOLDS, hold_id)))
    sql = "DELETE FROM hold_objects WHERE customer_id = :customer AND hold_id = :hold"
    call.db.run(sql, {"customer": call.customer_id, "hold": hold_id})
    rows.delete(call.db, schema.holds, call.customer_id, [hold_id])
    kept = {name: hold[name] for name in ("resource", "ids", "filter", "reason")}
    call.audit("delete", Hold.__name__, hold_id, **kept)
    return replies.empty()


ENDPOINTS = (
    listed("/holds", HOLDS, "The legal holds, newest first", roles=ADMINISTRATORS),
    created("/holds", HOLDS, HoldPatch, _place, "Keep records from being deleted, by whomever or whatever"),
    shown("/holds/{id}", HOLDS, "One legal hold", roles=ADMINISTRATORS),
    Endpoint(
        "DELETE",
        "/holds/{id}",
        "Release a legal hold",
        _release,
        Shape.EMPTY,
        204,
        roles=ADMINISTRATORS,
        work=Work.WRITE,
        resource=HOLDS,
    ),
)
