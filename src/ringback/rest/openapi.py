"""The OpenAPI 3.1 document, made from the same rows as the routes."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ringback.query import DEFAULT_LIMIT, MAX_LIMIT, OPERATORS
from ringback.rest.access import EVERYBODY
from ringback.rest.bodies import fields_of
from ringback.rest.endpoint import Endpoint, Shape
from ringback.rest.schemas import Schema, Schemas, is_upload, ref
from ringback.rest.wipes import WipeEndpoint
from ringback.settings import BASE_PATHS, Settings

DESCRIPTION = f"""\
All paths are below one of the base paths {", ".join(f"`{base}`" for base in BASE_PATHS)}, which are the same API.

## A token

`POST /login` with `email` and `password` answers a `user_token` for a session. A program has its own: `POST /apitokens`, \
or `ringback token create` on the server. Send it as the header `X-Auth-Token`, or with HTTP Basic as `user id:token`, \
`e-mail:token` or `:token`.

    curl -H "X-Auth-Token: $RINGBACK_TOKEN" "$RINGBACK_URL/cdrs?limit=3"

A program that only brings calls in gets a token that can do nothing else: `ringback token create --ingest`, or `POST \
/apitokens` with `"ingest": true`.

## Answers

Collections answer `{{"data": […], "total": n}}`, where `total` counts all matches; single records answer \
`{{"data": {{…}}, "links": {{}}}}`. Dates are UTC, `YYYY-MM-DD HH:MM:SS`. Every attribute of a record is always there; unknown \
is null. In PATCH an absent attribute stays as it is and null clears it.

## Filters

`filter` is a JSON array of entries, all of which must hold; `value` is a text, a number, true, false or null. Operators \
are {", ".join(f"`{name}`" for name in OPERATORS)}; without one it is `eq`. `sort=-id` orders descending; `page` and \
`limit` (up to {MAX_LIMIT}) cut the list into pages. In a URL the JSON is percent-encoded, which curl does:

    curl -G -H "X-Auth-Token: $RINGBACK_TOKEN" "$RINGBACK_URL/cdrs" \\
      --data-urlencode 'filter=[{{"property": "calldate", "operator": "gte", "value": "2026-11-01 00:00:00"}}]'

## Errors

Every error is `{{"message": …, "errors": [{{"field", "message", "code"}}]}}` and names all faults at once. 401: no valid \
token. 403: role or policy forbids it. A record of another customer answers 404 as an unknown one does; an unknown method \
on a known path answers 405 with `Allow`.
"""

INGEST = "Takes only a token made with `ringback token create --ingest`, which opens nothing else."

_JSON = "application/json"
_ERRORS: Mapping[str, str] = {
    "400": "The request is not valid; every fault is named.",
    "401": "The token is missing, unknown or has expired.",
    "403": "The caller's role or a policy forbids it.",
    "404": "There is no such record, or it is another customer's.",
    "405": "The path knows no such method; `Allow` names those that it has.",
    "413": "The body is larger than 10 MiB, or a file than 512 MiB.",
    "415": "The body is of another media type than the operation takes.",
    "416": "The range lies outside of the file.",
    "503": "The database or the audio store is busy or away, or the query takes too long.",
}

ALSO: Mapping[tuple[str, str], tuple[str, str]] = {
    ("POST", "/login"): ("202", "A second factor is needed: send `nonce` with the code to `POST /login2fa`."),
}
"""Successes besides the one of the row."""


def document(endpoints: Iterable[Endpoint], settings: Settings) -> dict[str, Any]:
    """The whole document. `servers` are the three base paths, below the public URL when that is set."""
    rows = list(endpoints)
    schemas = Schemas(rows)
    tags = _tags(rows)
    modules = _modules(rows, tags)
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, tags[row.path], schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ringback", "version": version("ringback"), "description": DESCRIPTION},
        "servers": [{"url": settings.public_url.rstrip("/") + base} for base in BASE_PATHS],
        "tags": [
            {"name": tag, "x-module": modules[tag]} for tag in sorted(modules, key=lambda tag: (modules[tag], tag))
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {f"Error{status}": _error(text) for status, text in _ERRORS.items()},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "basic": {"type": "http", "scheme": "basic"},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
            },
        },
    }


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": ref("Error")}}}


def _operation(row: Endpoint, tag: str, schemas: Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {
        "operationId": operation_id(row),
        "summary": row.summary,
        "tags": [tag],
        "parameters": [*_path_parameters(row), *_query_parameters(row), *schemas.parameters(row)],
        "responses": _responses(row, schemas),
        "security": [] if row.open else [{"token": []}, {"basic": []}, *([{"ticket": []}] if row.ticketed else [])],
    }
    rights = _rights(row)
    if rights:
        content["description"] = rights
    body = _request_body(row, schemas)
    if body:
        content["requestBody"] = body
    return content


def _rights(row: Endpoint) -> str:
    texts = [INGEST] if row.ingest else []
    if row.roles != EVERYBODY:
        texts.append(f"For {' and '.join(sorted(row.roles))}.")
    if row.closing:
        texts.append(f"Closed by the team policies {', '.join(sorted(row.closing))}.")
    return " ".join(texts)


# -- names ------------------------------------------------------------------------------------------------------------


def _tags(rows: Sequence[Endpoint]) -> dict[str, str]:
    """Path → family: the first segment (below `/callmeback` the second), or the file where a segment is no collection."""
    collections = {_segment(row.path) for row in rows if row.shape is Shape.COLLECTION}
    return {
        row.path: _segment(row.path) if _segment(row.path) in collections else _home(row)[1].replace("_", "")
        for row in rows
    }


def _segment(path: str) -> str:
    parts = [re.split(r"[.{]", part)[0] for part in path.strip("/").split("/")]
    return "/".join(parts[:2]) if parts[0] == "callmeback" and len(parts) > 1 else parts[0]


def _modules(rows: Sequence[Endpoint], tags: Mapping[str, str]) -> dict[str, str]:
    """Tag → the module of the API that most of its rows belong to."""
    votes: dict[str, Counter[str]] = {}
    for row in rows:
        first, below, _ = tags[row.path].partition("/")
        votes.setdefault(tags[row.path], Counter()).update([first if below else _home(row)[0]])
    return {tag: counter.most_common(1)[0][0] for tag, counter in votes.items()}


def _home(row: Endpoint) -> tuple[str, str]:
    """The module and the file of `ringback.resources` that a row comes from, as far as its parts tell."""
    record = row.resource.record if row.resource is not None else None
    for part in (record, row.answer, row.body, row.handler):
        names = str(getattr(part, "__module__", "")).split(".")
        if names[:2] == ["ringback", "resources"] and len(names) > 3:
            return names[2], names[3]
    return "other", _segment(row.path)


def operation_id(row: Endpoint) -> str:
    """`listCdrs`, `getCdr`, `getCdrTrace`, `deleteCdrs` (by ids), `clearCdrs`, `listUserContacts`."""
    words: list[str] = []
    for part in re.findall(r"\{\w+\}|[^/.{}]+", row.path):
        if not part.startswith("{"):
            words.append("".join(word[:1].upper() + word[1:] for word in re.split(r"[^0-9A-Za-z]+", part)))
        elif part != "{ids}" and words:
            words[-1] = _singular(words[-1])
    if row.method == "POST" and row.shape is Shape.ITEM and words:
        words[-1] = _singular(words[-1])
    return _verb(row) + "".join(words)


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and word.lower() != "sms" else word


def _verb(row: Endpoint) -> str:
    if row.method == "GET":
        return "list" if row.shape is Shape.COLLECTION else "get"
    if row.method == "DELETE":
        return "clear" if isinstance(row, WipeEndpoint) else "delete"
    if row.method == "POST":
        return "create" if row.shape is Shape.ITEM else "post"
    return {"PATCH": "change", "PUT": "put"}[row.method]


# -- parameters -------------------------------------------------------------------------------------------------------


def _path_parameters(row: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, **_path_schema(name)}
        for name in re.findall(r"\{(\w+)\}", row.path)
    ]


def _path_schema(name: str) -> dict[str, Any]:
    integer = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    if name == "ids":
        ids = {"type": "array", "items": integer, "minItems": 1, "maxItems": 1000}
        return {"style": "simple", "schema": ids, "description": "Ids, comma-separated. All or nothing."}
    if name == "id" or name.endswith("_id"):
        return {"schema": integer}
    return {"schema": {"type": "string", "minLength": 1, "maxLength": 255}}


def _query_parameters(row: Endpoint) -> list[dict[str, Any]]:
    if row.resource is None:
        return []
    if isinstance(row, WipeEndpoint):
        return [_filter_parameter(row)]
    if row.shape is Shape.FILE and str(row.answer).startswith("text/csv"):
        return [_filter_parameter(row), *_sort_parameters()]
    if row.shape is Shape.COLLECTION and row.method == "GET":
        return [_filter_parameter(row), *_sort_parameters(), *_page_parameters(), *_include_parameters(row)]
    return _include_parameters(row) if row.shape is Shape.ITEM else []


def _filter_parameter(row: Endpoint) -> dict[str, Any]:
    assert row.resource is not None
    known = [each.name for each in row.resource.listing.properties().values() if each.filterable]
    text = f"Entries joined by AND. Attributes: {', '.join(known)}."
    return {"name": "filter", "in": "query", "description": text, "content": {_JSON: {"schema": ref("Filter")}}}


def _sort_parameters() -> list[dict[str, Any]]:
    text = 'An attribute, `-attribute` for descending, or a JSON array of `{"property", "direction"}`.'
    return [
        {"name": "sort", "in": "query", "description": text, "schema": {"type": "string"}},
        {"name": "dir", "in": "query", "schema": {"type": "string", "enum": ["ASC", "DESC"]}},
    ]


def _page_parameters() -> list[dict[str, Any]]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return [
        {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 1}},
        {"name": "limit", "in": "query", "schema": limit},
        {
            "name": "start",
            "in": "query",
            "description": "Offset of the first row; wins over page.",
            "schema": {"type": "integer", "minimum": 0},
        },
    ]


def _include_parameters(row: Endpoint) -> list[dict[str, Any]]:
    relations = sorted(row.resource.relations) if row.resource is not None else []
    if not relations:
        return []
    names: Schema = {"type": "array", "items": {"type": "string", "enum": relations}}
    picks: Schema = {"type": "object", "properties": {name: {"type": "string"} for name in relations}}
    return [
        {
            "name": "include",
            "in": "query",
            "description": "Relations whose ids become objects, comma-separated.",
            "style": "form",
            "explode": False,
            "schema": names,
        },
        {
            "name": "fields",
            "in": "query",
            "description": "`fields[relation]=id,name`: which attributes the included objects have.",
            "style": "deepObject",
            "explode": True,
            "schema": picks,
        },
    ]


# -- bodies and answers -----------------------------------------------------------------------------------------------


def _request_body(row: Endpoint, schemas: Schemas) -> dict[str, Any]:
    if row.upload:
        return {"required": True, "content": {"audio/*": {}, "application/octet-stream": {}}}
    if is_upload(row):
        return {"required": True, "content": {"audio/wav": {}, "audio/mpeg": {}}}
    if row.takes:
        return {"required": True, "content": {row.takes: {"schema": {"type": "string"}}}}
    if row.body is None:
        return {}
    return {"required": row.bulk or _needs_body(row), "content": {_JSON: {"schema": schemas.body(row)}}}


def _needs_body(row: Endpoint) -> bool:
    """An empty body is an empty object, which is enough where nothing is required."""
    if row.body is None or row.method == "PATCH":
        return False
    return row.body.LEAST > 0 or any(needed for _, needed in fields_of(row.body).values())


def _responses(row: Endpoint, schemas: Schemas) -> dict[str, Any]:
    answers: dict[str, Any] = {str(row.status): _success(row, schemas)}
    if row.shape is Shape.FILE and str(row.answer).startswith("audio/"):
        answers["206"] = {**_success(row, schemas), "description": "The part that Range asked for"}
    if (row.method, row.path) in ALSO:
        status, text = ALSO[row.method, row.path]
        answers[status] = _json(text, {"type": "object"})
    statuses = [status for status in _ERRORS if status in _error_statuses(row)]
    answers |= {status: {"$ref": f"#/components/responses/Error{status}"} for status in statuses}
    answers["default"] = _error("Any other error, in the same shape")
    return answers


_WITHOUT_BODY = {101: "The connection is a WebSocket now", 202: "Goes on in the background"}


def _success(row: Endpoint, schemas: Schemas) -> dict[str, Any]:
    match row.shape:
        case Shape.EMPTY | Shape.SOCKET:
            return {"description": _WITHOUT_BODY.get(row.status, "Done")}
        case Shape.FILE:
            return {"description": "The file", "content": {_bare(row.answer): {}}}
        case Shape.COLLECTION:
            return _json("The matches", _collection(schemas.answer(row.answer)))
        case Shape.DICTIONARY:
            return _json("The vocabularies", _collection(ref("Dictionary")))
        case Shape.ITEM:
            return _json("The record", _item(schemas.answer(row.answer)))
        case Shape.PLAIN:
            return _json("The answer", schemas.answer(row.answer))


def _bare(media_type: Any) -> str:
    return str(media_type or "application/octet-stream").partition(";")[0].strip()


def _json(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": schema}}}


def _collection(element: Schema) -> Schema:
    properties = {"data": {"type": "array", "items": element}, "total": {"type": "integer", "minimum": 0}}
    return {"type": "object", "properties": properties, "required": ["data", "total"]}


def _item(record: Schema) -> Schema:
    properties: Schema = {"data": record, "links": {"type": "object"}}
    return {"type": "object", "properties": properties, "required": ["data", "links"]}


def _error_statuses(row: Endpoint) -> Sequence[str]:
    """What can go wrong with this operation, 405 included because every path has it."""
    found = ["400", "405", "503"]
    if not row.open:
        found += ["401", "403", "404"]
    if row.body is not None or row.takes or is_upload(row):
        found += ["413", "415"]
    if row.shape is Shape.FILE and str(row.answer).startswith("audio/"):
        found.append("416")
    return found
