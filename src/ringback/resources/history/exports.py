"""Exports: files of everything that a filter matches, made in the background and fetched by a signed URL."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from ringback.errors import Fault, Forbidden, Invalid, NotFound
from ringback.identity import links, tokens
from ringback.jobs import exports as store
from ringback.record import ENUM, Column, Count, Id, Kind, Patch, Record, Text, Wire, WireTime, json_text
from ringback.resources.history.export_job import RESOURCES, WRITERS, asked, covers, is_closed, rights
from ringback.rest import files, replies
from ringback.rest.access import EVERYBODY, Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import removed
from ringback.store import audit, schema
from ringback.store.database import Db
from ringback.store.listing import Listing

LINK_S = 86_400
ANY = "application/octet-stream"
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "zip": "application/zip",
}

What = Annotated[Literal["cdrs", "monitors"], ENUM]
Form = Annotated[Literal["csv", "ndjson", "parquet", "zip"], ENUM]
State = Annotated[Literal["waiting", "running", "done", "failed"], ENUM]
Entries = Annotated[list[Any], Meta(max_length=100), Wire(Kind.JSON)]


class Export(Record):
    """`url` fetches the file of a `done` export for a day; asking again gives a new one. `error` says why one `failed`."""

    id: Id
    resource: What
    format: Form
    filter: Entries | None
    sort: Text | None
    state: State
    progress: Annotated[int, Meta(ge=0, le=100, description="per cent"), Wire(Kind.INT)]
    rows: Count | None
    size: Count | None
    error: Text | None
    created_at: WireTime
    finished_at: WireTime | None
    expires_at: WireTime | None
    url: Annotated[Text | None, Column("CAST(NULL AS TEXT)", filterable=False)]


class ExportBody(Patch):
    """`filter` and `sort` as in the list of the resource."""

    resource: What
    format: Form
    filter: Entries | UnsetType | None = UNSET
    sort: Text | Entries | UnsetType | None = UNSET


OWN = Listing("own exports", Export, schema.exports, newest="created_at", where="t.user_id = :me")
EXPORTS = Resource(
    Listing("exports", Export, schema.exports, newest="created_at"),
    own=OWN,
    all_for=frozenset(),  # an administrator bound by a policy must not read what another's export holds
    closed_by=frozenset({Policy.EXPORT_DISABLED}),
)


def _list(call: Call) -> replies.Reply:
    def read(db: Db) -> tuple[Sequence[Record], int]:
        return call.services.lists.page(db, OWN, call.bound(), call.query(EXPORTS))

    records, total = call.services.database.read(read)
    return replies.collection([_with_url(call, record) for record in records], total)


def _show(call: Call) -> replies.Reply:
    def read(db: Db) -> Record:
        call.transaction = db
        return call.find(EXPORTS, call.path["id"])

    return replies.item(_with_url(call, call.services.database.read(read)))


def _create(call: Call) -> replies.Reply:
    body = call.body(ExportBody)
    row = _row(body.given())
    resource = RESOURCES[body.resource]
    if is_closed(resource, call.caller):
        raise Forbidden
    asked(row, resource, call.caller)
    if store.busy(call.db, call.customer_id, call.caller.user_id) >= store.AT_ONCE:
        raise Invalid(f"At most {store.AT_ONCE} exports of a user wait or run at a time.", [Fault(None)])
    named = {"user_id": call.caller.user_id, "user_name": call.caller.name}
    export_id = store.add(call.db, call.customer_id, {**row, **named}, call.now)
    call.audit("create", "Export", export_id, resource=body.resource, format=body.format)
    return replies.item(call.find(EXPORTS, export_id), 202)


def _row(given: Mapping[str, Any]) -> dict[str, Any]:
    if (given["resource"], given["format"]) not in WRITERS:
        forms = ", ".join(form for resource, form in WRITERS if resource == given["resource"])
        raise Invalid(faults=[Fault("format", f"There are {forms} of {given['resource']}.")])
    sort = given.get("sort")
    texts = {"filter": json_text(given.get("filter")), "sort": json_text(sort) if isinstance(sort, list) else sort}
    return {"resource": given["resource"], "format": given["format"], **texts}


def _with_url(call: Call, record: Record) -> Record:
    """Outside of any transaction: the first signature of all is made with a new secret."""
    assert isinstance(record, Export)
    if record.state == store.DONE:
        query, _ = links.query(call.services.database, call.customer_id, _path(record.id), call.now, lasting_s=LINK_S)
        record.url = call.services.settings.api_url(f"{_path(record.id)}?{query}")
    return record


def _path(export_id: int) -> str:
    return f"/exports/{export_id}/file"


def _fetch(call: Call) -> replies.Reply:
    """By the URL alone; but its user must still be allowed to see what is in the file."""
    services, export_id = call.services, call.path["id"]
    customer_id = links.customer_of(services.database, _path(export_id), dict(call.params), call.now)
    if customer_id is None:
        raise Forbidden("This link is not valid or has ended. GET /exports/{id} gives a new one.")
    row = services.database.read(lambda db: _fetchable(db, customer_id, export_id, call.now))
    reply = files.blob(
        call,
        row["blob_key"],
        row["size"],
        MEDIA_TYPES[row["format"]],
        etag=f'"{export_id}-{row["finished_at"]}-{row["size"]}"',
        name=f"{row['resource']}-{export_id}.{store.ENDINGS[row['format']]}",
    )
    if reply.status == 200 and call.method == "GET":
        services.database.write(lambda db: _note(db, call, row))
    return reply


def _fetchable(db: Db, customer_id: int, export_id: int, now: int) -> dict[str, Any]:
    row = store.found(db, customer_id, export_id)
    if row is None or row["state"] != store.DONE or row["expires_at"] <= now:
        raise NotFound
    caller = tokens.user(db, customer_id, row["user_id"])
    resource = RESOURCES[row["resource"]]
    if caller is None or is_closed(resource, caller) or not covers(rights(resource, caller), row["rights"]):
        raise Forbidden
    return row


def _note(db: Db, call: Call, row: Mapping[str, Any]) -> None:
    whose = {"user_id": row["user_id"], "user_name": row["user_name"], "ip": call.ip}
    what = {"object_class": "Export", "object_id": row["id"]}
    audit.note(db, row["customer_id"], at=call.now, action="download", **whose, **what)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/exports",
        "The caller's exports",
        _list,
        Shape.COLLECTION,
        answer=Export,
        work=Work.OWN,
        resource=EXPORTS,
    ),
    Endpoint(
        "POST",
        "/exports",
        "Have everything that a filter matches written to a file, in the background",
        _create,
        Shape.ITEM,
        202,
        answer=Export,
        body=ExportBody,
        work=Work.WRITE,
        resource=EXPORTS,
    ),
    Endpoint(
        "GET",
        "/exports/{id}",
        "One export, with the URL of its file when it is done",
        _show,
        Shape.ITEM,
        answer=Export,
        work=Work.OWN,
        resource=EXPORTS,
    ),
    removed("/exports/{ids}", EXPORTS, store.remove, "Delete exports and their files", roles=EVERYBODY),
    Endpoint(
        "GET",
        "/exports/{id}/file",
        "The file of an export, by its signed URL",
        _fetch,
        Shape.FILE,
        answer=ANY,
        open=True,
        parameters=files.LinkParameters,
        work=Work.OWN,
    ),
)
