"""Every row: what comes out."""

import json
import re
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from ringback.record import Record
from ringback.resources import ENDPOINTS
from ringback.rest.endpoint import Endpoint, Shape
from ringback.rest.openapi import document
from ringback.settings import Settings
from tests.api import Answer, Api
from tests.contract.rows import (
    assert_error,
    has_maker,
    name_of,
    rows,
)
from tests.contract.world import World

REFUSED = {
    "POST /login": 400,
    "POST /login2fa": 400,
    "POST /password/forgot": 400,
    "POST /password/reset": 400,
    "POST /me/twofactor/confirm": 400,
    "DELETE /me/twofactor": 400,
    "POST /calls": 412,
    "GET /rates/lookup": 400,
    "GET /events/socket": 426,
    "POST /webcalls": 412,
    "DELETE /calls/{id}": 412,
    "PUT /users/{id}/audio": 400,
    "POST /ingest/voicemails": 400,
    "GET /users/{id}/audio.mp3": 404,
    "GET /monitors/{id}/link.mp3": 403,
    "GET /exports/{id}/file": 403,
    "GET /cdrs/{id}.trace": 404,
    "GET /cdrs/{id}.pcap": 404,
    "GET /msdrs/{id}.trace": 404,
    "GET /msdrs/{id}.pcap": 404,
    "POST /cdrs/{id}/share": 404,
    "GET /cdrs/{id}.svg": 404,
    "GET /cdrs/{id}.html": 404,
    "GET /msdrs/{id}.svg": 404,
    "GET /msdrs/{id}.html": 404,
    "GET /cdrs/{id}/diagnosis": 404,
    "GET /msdrs/{id}/diagnosis": 404,
    "GET /registrations/{id}.trace": 404,
}
"""What needs more than a record to succeed (a password, a phone, audio, a capture), and what it answers without."""


@rows(lambda row: True)
def test_it_answers_as_declared(api: Api, row: Endpoint) -> None:
    world = World(api)
    if has_maker(row):
        world.make(row.path, world.us)
    answer = world.send(row, world.us, world.path(row, world.us))
    if name_of(row) in REFUSED:
        assert_error(answer, REFUSED[name_of(row)])
        return
    assert answer.status == row.status, answer.body
    assert answer.headers["access-control-allow-origin"] == "*"
    check_shape(row, answer)
    check_document(row, answer)


@lru_cache(maxsize=1)
def spec() -> dict[str, Any]:
    return document(ENDPOINTS, Settings())


def check_document(row: Endpoint, answer: Answer) -> None:
    """The OpenAPI document describes the answer."""
    told = spec()["paths"][row.path][row.method.lower()]["responses"][str(answer.status)].get("content", {})
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    assert list(told) == ([media_type] if answer.body else [])
    if "schema" in told.get("application/json", {}):
        schema = {**told["application/json"]["schema"], "components": spec()["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json)


def check_shape(row: Endpoint, answer: Answer) -> None:
    match row.shape:
        case Shape.EMPTY:
            assert answer.body == b""
        case Shape.FILE:
            assert answer.headers["content-type"] == row.answer
        case Shape.ITEM:
            assert set(answer.json) == {"data", "links"}
            check_record(row.answer, answer.data)
        case Shape.COLLECTION | Shape.DICTIONARY:
            assert set(answer.json) == {"data", "total"}
            assert answer.json["total"] == len(answer.data)
            for record in answer.data if row.shape is Shape.COLLECTION else ():
                check_record(row.answer, record)
        case Shape.PLAIN if row.answer is not None:
            msgspec.json.decode(answer.body, type=row.answer)


def check_record(kind: type[Record], content: Any) -> None:
    """Every attribute is there, in order, and of its type; nothing else is."""
    assert list(content) == list(kind.__struct_encode_fields__)
    msgspec.convert(content, kind, strict=True)


@rows(lambda row: row.method == "GET" and row.shape is not Shape.FILE)
def test_head_is_get_without_the_body(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    got, head = world.us.get(path), world.us.call("HEAD", path)
    assert head.status == got.status
    assert head.body == b""
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("path", sorted({row.path for row in ENDPOINTS}))
def test_browsers_of_any_origin_may_ask(world: World, path: str) -> None:
    answer = world.api.nobody.call("OPTIONS", re.sub(r"\{\w+\}", "1", path), headers={"origin": "null"})
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert method in answer.headers["access-control-allow-methods"]
    for header in ("Content-Type", "X-Auth-Token", "Authorization", "X-Language"):
        assert header in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", sorted({row.path for row in ENDPOINTS}))
def test_a_method_that_a_path_has_not_is_told_which_it_has(world: World, path: str) -> None:
    here = re.sub(r"\{\w+\}", "1", path)
    known = {
        row.method for row in ENDPOINTS if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(row.path)), here)
    }
    for method in {"POST", "PUT", "PATCH", "DELETE", "PROPFIND"} - known:
        answer = world.us.call(method, here)
        assert_error(answer, 405)
        assert {row.method for row in ENDPOINTS if row.path == path} <= set(answer.headers["allow"].split(", "))


def test_what_nobody_knows_is_not_found_but_only_for_callers_with_a_token(world: World) -> None:
    assert_error(world.us.get("/nonsense"), 404)
    assert_error(world.us.get("/cdrs/abc"), 404)
    assert_error(world.us.get(f"/cdrs/{2**63}"), 404)
    assert_error(world.api.nobody.get("/nonsense"), 401)


def test_a_body_beyond_the_limit_is_refused(world: World) -> None:
    assert_error(world.us.patch("/cdrs", json.dumps("x" * (10 * 1024 * 1024)).encode()), 413)
