"""The common rows: lists, single records, creations, changes, deletions, wipes, dictionaries.

Each function returns an `Endpoint`. An operation that differs is a handler of its own in its family's file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ringback.record import Kind, Patch, Record, attributes
from ringback.rest import include, replies
from ringback.rest.access import ADMINISTRATORS, EVERYBODY, Role
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.store import rows
from ringback.store.database import Db
from ringback.store.listing import Listing

Save = Callable[[Call, int | None, Mapping[str, Any]], int]
"""Stores what a body gave: the id is None for a new record. Returns the id."""
Remove = Callable[[Db, int, Sequence[int]], None]
"""Removes the customer's rows of these ids, with all that goes with them."""


def list_of(call: Call, resource: Resource, listing: Listing, **bound: Any) -> replies.Reply:
    """The collection answer of a listing, as the query asks for it."""
    query = call.query(resource)
    hidden = resource.hidden_from(call.caller)
    records, total = call.services.lists.page(call.db, listing, call.bound(**bound), query, hidden)
    return replies.collection(include.expanded(call, resource, records, query), total)


def listed(path: str, resource: Resource, summary: str, *, roles: frozenset[Role] = EVERYBODY) -> Endpoint:
    def handler(call: Call) -> replies.Reply:
        return list_of(call, resource, resource.seen_by(call.caller))

    return Endpoint(
        "GET", path, summary, handler, Shape.COLLECTION, answer=resource.record, resource=resource, roles=roles
    )


def nested(path: str, parent: Resource, resource: Resource, listing: Listing, summary: str) -> Endpoint:
    """A list under a record: `listing` binds the parent's id as `:parent`."""

    def handler(call: Call) -> replies.Reply:
        call.find(parent, call.path["id"])
        return list_of(call, resource, listing, parent=call.path["id"])

    return Endpoint(
        "GET", path, summary, handler, Shape.COLLECTION, answer=resource.record, resource=resource, parent=parent
    )


def shown(path: str, resource: Resource, summary: str, *, roles: frozenset[Role] = EVERYBODY) -> Endpoint:
    def handler(call: Call) -> replies.Reply:
        return item_of(call, resource, call.path["id"])

    return Endpoint("GET", path, summary, handler, Shape.ITEM, answer=resource.record, resource=resource, roles=roles)


def item_of(call: Call, resource: Resource, record_id: int, status: int = 200) -> replies.Reply:
    """The record as it is now, with what `include` asks for."""
    record = call.find(resource, record_id)
    return replies.item(include.expanded(call, resource, [record], call.query(resource))[0], status)


def created(
    path: str,
    resource: Resource,
    body: type[Patch],
    save: Save,
    summary: str,
    *,
    roles: frozenset[Role] = ADMINISTRATORS,
) -> Endpoint:
    def handler(call: Call) -> replies.Reply:
        record_id = save(call, None, call.body(body).given())
        call.audit("create", resource.record.__name__, record_id)
        return item_of(call, resource, record_id, 201)

    return Endpoint(
        "POST",
        path,
        summary,
        handler,
        Shape.ITEM,
        201,
        answer=resource.record,
        body=body,
        roles=roles,
        work=Work.WRITE,
        resource=resource,
    )


def patched(
    path: str,
    resource: Resource,
    body: type[Patch],
    save: Save,
    summary: str,
    *,
    roles: frozenset[Role] = ADMINISTRATORS,
) -> Endpoint:
    def handler(call: Call) -> replies.Reply:
        call.find(resource, call.path["id"])
        given = call.body(body, partial=True).given()
        if given:
            save(call, call.path["id"], given)
            call.audit("change", resource.record.__name__, call.path["id"], attributes=sorted(given))
        return item_of(call, resource, call.path["id"])

    return Endpoint(
        "PATCH",
        path,
        summary,
        handler,
        Shape.ITEM,
        answer=resource.record,
        body=body,
        roles=roles,
        work=Work.WRITE,
        resource=resource,
    )


def removed(
    path: str, resource: Resource, remove: Remove, summary: str, *, roles: frozenset[Role] = ADMINISTRATORS
) -> Endpoint:
    """`{id}` or `{ids}`: all or nothing, 204; 403 when a legal hold keeps one of them."""

    def handler(call: Call) -> replies.Reply:
        ids = call.path["ids"] if "ids" in call.path else [call.path["id"]]
        if resource.listing.table is not None:
            rows.lock(call.db, resource.listing.table, call.customer_id, ids)
        call.find_all(resource, ids)
        if resource.listing.table is not None:
            call.refuse_held(resource.listing.table.name, ids)
        remove(call.db, call.customer_id, ids)
        for each in ids:
            call.audit("delete", resource.record.__name__, each)
        return replies.empty()

    return Endpoint("DELETE", path, summary, handler, Shape.EMPTY, 204, roles=roles, work=Work.WRITE, resource=resource)


def dictionary(path: str, record: type[Record], summary: str, names: Mapping[str, Mapping[str, str]] = {}) -> Endpoint:
    """The fixed vocabularies of a record: one entry per enumerated attribute. Needs no login.

    `names`: attribute → value → name, of values that do not name themselves.
    """
    entries = [
        {"property": each.name, "values": [_entry(value, names.get(each.name, {})) for value in each.values]}
        for each in attributes(record).values()
        if each.kind is Kind.ENUM
    ]
    body = msgspec.json.encode({"data": entries, "total": len(entries)})

    def handler(_: Call) -> replies.Reply:
        return replies.Reply(200, body, replies.JSON)

    return Endpoint("GET", path, summary, handler, Shape.DICTIONARY, open=True, work=Work.OWN)


def _entry(value: str, names: Mapping[str, str]) -> dict[str, str]:
    return {"id": value, "name": names.get(value) or value.replace("_", " ").capitalize()}
