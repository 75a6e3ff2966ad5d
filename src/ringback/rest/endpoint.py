"""The rows that the API is made of: a resource, an endpoint, and the call that a handler gets."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from ringback.errors import Forbidden, NotFound
from ringback.query import Query, parse
from ringback.record import Attribute, Patch, Record
from ringback.rest import bodies
from ringback.rest.access import ADMINISTRATORS, EVERYBODY, Caller, Policy, Role
from ringback.rest.replies import Reply
from ringback.services import Services
from ringback.store import audit, holds, rows
from ringback.store.database import Db
from ringback.store.listing import Listing

P = TypeVar("P", bound=Patch)


@dataclass(frozen=True)
class Resource:
    """A family of records: what everybody of the customer's rows is, and what a plain user sees of it."""

    listing: Listing
    own: Listing | None = None
    """The rows that belong to the caller (bound as `:me`); None where everybody sees all."""
    all_for: frozenset[Role] = ADMINISTRATORS
    closed_by: frozenset[Policy] = frozenset()
    """Policies under which the whole resource answers 403."""
    hidden_by: Mapping[Policy, frozenset[str]] = field(default_factory=dict)
    """Policies under which attributes are null, and cannot be filtered or sorted by."""
    relations: Mapping[str, "Resource"] = field(default_factory=dict)
    """What `include` expands: the attribute of ids → the resource of those ids."""
    memberships: Mapping[str, "Memberships"] = field(default_factory=dict)
    """What an included object gets besides its own attributes, by the attribute of ids."""

    @property
    def record(self) -> type[Record]:
        return self.listing.record

    def seen_by(self, caller: Caller) -> Listing:
        return self.listing if self.own is None or caller.role in self.all_for else self.own

    def hidden_from(self, caller: Caller) -> frozenset[str]:
        found = (names for policy, names in self.hidden_by.items() if policy in caller.policies)
        return frozenset().union(*found)

    def usable_by(self, caller: Caller) -> dict[str, Attribute]:
        """The attributes that the caller may filter by, and sort by unless they are of other records."""
        hidden = self.hidden_from(caller)
        return {name: each for name, each in self.seen_by(caller).properties().items() if name not in hidden}


Memberships = Callable[["Call", Sequence[int]], Mapping[tuple[int, int], Mapping[str, Any]]]
"""From ids of records: what belongs to a membership itself, by (id of the record, id of the member)."""


class Work(StrEnum):
    """Which transaction the machine opens for a handler."""

    READ = "read"
    WRITE = "write"
    OWN = "own"  # the handler opens its own, and `call.db` must not be touched


class Shape(StrEnum):
    """What a successful answer looks like."""

    ITEM = "item"
    COLLECTION = "collection"
    EMPTY = "empty"
    DICTIONARY = "dictionary"
    PLAIN = "plain"  # JSON without an envelope
    FILE = "file"
    SOCKET = "socket"  # a WebSocket: the reply has an outlet


@dataclass(frozen=True)
class Endpoint:
    """One operation of the API. Routing, OpenAPI, `ringback routes` and the generated tests all read this."""

    method: str
    path: str
    summary: str
    handler: Callable[["Call"], Reply]
    shape: Shape
    status: int = 200
    answer: Any = None
    """The type of the record (item, collection), of the whole body (plain), or the media type (file)."""
    body: type[Patch] | None = None
    bulk: bool = False
    roles: frozenset[Role] = EVERYBODY
    closed_by: frozenset[Policy] = frozenset()
    open: bool = False
    """Works without a token."""
    ticketed: bool = False
    """A ticket in the query opens it too (`POST /events/tickets`)."""
    ingest: bool = False
    """Opens to tokens that bring calls in (`ringback token create --ingest`) and to no others."""
    upload: bool = False
    """The body is a file, up to 512 MiB: `Call.file` is where it lies while the handler works. The caller is checked before
    any of it is read."""
    parameters: type[Patch] | None = None
    """What the query may and must have, for operations that are no list: `Call.parameters` reads it."""
    takes: str = ""
    """The media type of a body that is neither JSON nor audio."""
    work: Work = Work.READ
    resource: Resource | None = None
    """The resource of the record that `{id}` or `{ids}` names, or of the collection."""
    parent: Resource | None = None
    """The resource of the record that `{id}` names, where the collection under it is of another."""

    @property
    def closing(self) -> frozenset[Policy]:
        """The policies under which it answers 403: its own, and those of its resources."""
        return self.closed_by.union(*(each.closed_by for each in (self.resource, self.parent) if each is not None))


def bound_to(caller: Caller) -> dict[str, Any]:
    """What every listing may use: the customer, the caller, whether the caller sees everybody's details, presence."""
    return {
        "customer": caller.customer_id,
        "me": caller.user_id,
        "me_text": str(caller.user_id),
        "sees_all": int(caller.is_administrator),
        "sees_presence": int(Policy.PRESENCE_DISABLED not in caller.policies),
    }


@dataclass(slots=True)
class Call:
    """One request on its way through a handler. Everything runs in one worker thread."""

    endpoint: Endpoint
    services: Services
    method: str
    """As it came: HEAD where the endpoint's is GET."""
    path: Mapping[str, Any]
    """Path parameters: `id` and names ending in `_id` are int, `ids` a list of int, others text."""
    params: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    raw: bytes
    ip: str
    now: int
    """UTC seconds."""
    current: Caller | None = None
    transaction: Db | None = None
    file: Path | None = None
    """The body of an upload; gone when the handler has returned."""

    @property
    def caller(self) -> Caller:
        assert self.current is not None, "an open endpoint has no caller"
        return self.current

    @property
    def db(self) -> Db:
        assert self.transaction is not None, "an endpoint with Work.OWN opens its own transaction"
        return self.transaction

    @property
    def customer_id(self) -> int:
        return self.caller.customer_id

    def bound(self, **more: Any) -> dict[str, Any]:
        return {**bound_to(self.caller), "now": self.now, **more}

    def parameters(self, patch: type[P]) -> P:
        """What the query gives."""
        return bodies.decode_query(self.params, patch)

    def body(self, patch: type[P], *, partial: bool = False, ignored: Sequence[str] = ()) -> P:
        """The decoded body. `partial`: required attributes may be absent (PATCH). Read-only ones are passed over."""
        return bodies.decode(self.raw, patch, partial=partial, ignored=(*self._read_only(), *ignored))

    def bulk(self, patch: type[P], *, ignored: Sequence[str] = ()) -> list[tuple[int, P]]:
        """The elements of a bulk PATCH as (id, what to change), in order; their rows are locked."""
        found = bodies.decode_bulk(self.raw, patch, ignored=(*self._read_only(), *ignored))
        table = self.endpoint.resource.listing.table if self.endpoint.resource is not None else None
        if table is not None:
            rows.lock(self.db, table, self.customer_id, [record_id for record_id, _ in found])
        return found

    def _read_only(self) -> Sequence[str]:
        return self.endpoint.resource.record.__struct_fields__ if self.endpoint.resource is not None else ()

    def query(self, resource: Resource) -> Query:
        """The collection query, allowing the attributes that the caller may see."""
        return parse(self.params, resource.usable_by(self.caller), tuple(resource.relations))

    def find(self, resource: Resource, record_id: int) -> Record:
        """The record, or NotFound (unknown, another customer's), or Forbidden (not for this role or policy)."""
        return self.find_all(resource, [record_id])[0]

    def find_all(self, resource: Resource, ids: Sequence[int]) -> list[Record]:
        """The records of all these ids; NotFound or Forbidden when one of them may not be had."""
        lists, bound = self.services.lists, self.bound()
        hidden = resource.hidden_from(self.caller)
        there = lists.some(self.db, resource.listing, bound, ids, hidden)
        if len(there) < len(set(ids)):
            raise NotFound
        seen = resource.seen_by(self.caller)
        if seen is not resource.listing and len(lists.some(self.db, seen, bound, ids)) < len(there):
            raise Forbidden
        return there

    def refuse_held(self, table_name: str, ids: Sequence[int]) -> None:
        """Raises Held when a legal hold keeps one of these rows."""
        tells_reason = self.caller.is_administrator
        holds.refuse_held(self.db, self.customer_id, table_name, ids, tells_reason=tells_reason)

    def audit(self, action: str, object_class: str | None = None, object_id: int | None = None, **details: Any) -> None:
        """Notes in the audit log, within the same transaction, who did what."""
        audit.note(
            self.db,
            self.caller.customer_id,
            at=self.now,
            action=action,
            user_id=self.caller.user_id,
            user_name=self.caller.name,
            object_class=object_class,
            object_id=object_id,
            ip=self.ip,
            details=json.dumps(details, ensure_ascii=False) if details else None,
        )
