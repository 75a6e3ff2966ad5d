"""Checks that every row of the API passes: who gets in, whose records can be had, what is refused, what comes out.

Made from `ENDPOINTS`, so that a new row is checked without a new test. Rows that name records need a maker in `world.py`.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jsonschema_rs
import msgspec
import pytest

from ringback import app as composition
from ringback.query import OPERATORS
from ringback.record import Ids, Record
from ringback.resources import ENDPOINTS
from ringback.rest.access import Policy, Role
from ringback.rest.bodies import fields_of
from ringback.rest.endpoint import Endpoint, Shape
from ringback.rest.openapi import document
from ringback.rest.wipes import WipeEndpoint
from ringback.settings import Settings
from tests.api import Answer, Api, Client, filter_text
from tests.clock import TestClock
from tests.conftest import POSTGRES
from tests.contract.pages import table
from tests.contract.world import MAKERS, REFERENCES, UNKNOWN, World, filled

ABSENT = {tuple(cells[0].split()) for cells in table("Called by clients, not here") if cells[1] == "404"}
"""Operations that clients call and that answer 404."""
ROWS = tuple(row for row in ENDPOINTS if (row.method, row.path) not in ABSENT)
LENIENT = {"/login", "/login2fa"}
"""Here clients send attributes that mean nothing."""


def name_of(row: Endpoint) -> str:
    return f"{row.method} {row.path}"


def rows(wanted: Callable[[Endpoint], Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [row for row in ROWS if wanted(row)], ids=name_of)


def is_list(row: Endpoint) -> bool:
    return row.method == "GET" and row.shape is Shape.COLLECTION and row.resource is not None


def names_record(row: Endpoint) -> bool:
    return bool(re.search(r"\{(ids|id|\w+_id)\}", row.path)) and not row.open


def has_maker(row: Endpoint) -> bool:
    """Whether it lists records that `MAKERS` makes, named by their ids."""
    return is_list(row) and row.path in MAKERS and row.path not in ("/sessions", "/apitokens")


def closed_by(row: Endpoint) -> frozenset[Policy]:
    return row.closed_by | (row.resource.closed_by if row.resource is not None else frozenset())


@pytest.fixture(scope="module")
def world(template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One filled world for all tests here that leave it as it is, or take only what they made."""
    folder = tmp_path_factory.mktemp("world")
    with database(template, folder) as url:
        services = composition.open_services(Settings(data_dir=str(folder), database=url), TestClock())
        yield filled(Api(composition.build(services)))
        services.database.close()


def database(template: str, folder: Path) -> Any:
    if POSTGRES:
        from tests import postgres

        return postgres.copy_of(template)
    from contextlib import nullcontext

    return nullcontext(str(shutil.copy(template, folder / "ringback.db")))


def assert_error(answer: Answer, *statuses: int) -> None:
    assert answer.status in statuses, answer.body[:500]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    content = answer.json
    assert set(content) == {"message", "errors"}
    assert content["message"]
    assert all(set(fault) == {"field", "message", "code"} for fault in content["errors"])


# -- who gets in ------------------------------------------------------------------------------------------------------


@rows(lambda row: not row.open)
@pytest.mark.parametrize("token", [None, "0" * 40, "x"])
def test_without_a_valid_token_nothing_comes_out(world: World, row: Endpoint, token: str | None) -> None:
    path = re.sub(r"\{\w+\}", "1", row.path)
    answer = Client(world.api.app, token).call(row.method, path)
    assert_error(answer, 401)
    assert "www-authenticate" not in answer.headers


@rows(lambda row: len(row.roles) < len(Role))
def test_a_role_that_may_not_is_refused(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    for role in set(Role) - row.roles:
        assert_error(world.send(row, world.member(role), path, None), 403)


@rows(closed_by)
def test_each_policy_that_closes_it_does(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    for policy in closed_by(row):
        assert_error(world.send(row, world.member(Role.ADMINISTRATOR, policy), path, None), 403)


# -- whose records ----------------------------------------------------------------------------------------------------


def theirs_and_unknown(world: World, row: Endpoint) -> tuple[str, str]:
    theirs = world.path(row, world.them)
    return theirs, re.sub(r"\{\w+\}", str(UNKNOWN), row.path)


@rows(names_record)
def test_another_customers_record_is_as_unknown_as_one_that_never_was(world: World, row: Endpoint) -> None:
    theirs, unknown = theirs_and_unknown(world, row)
    answer, never = (world.send(row, world.us, path, world.body(row, world.us)) for path in (theirs, unknown))
    assert_error(answer, 404)
    assert (answer.status, answer.body) == (never.status, never.body)


@rows(
    lambda row: names_record(row) and row.method == "DELETE" and ("GET", row.path) in {(r.method, r.path) for r in ROWS}
)
def test_what_another_customer_may_not_delete_stays(world: World, row: Endpoint) -> None:
    theirs = world.path(row, world.them)
    world.send(row, world.us, theirs, None)
    assert world.them.get(theirs).status == 200


@rows(lambda row: "{ids}" in row.path)
def test_one_unknown_id_among_several_deletes_nothing(world: World, row: Endpoint) -> None:
    collection = row.path.removesuffix("/{ids}")
    ours, theirs = world.make(collection, world.us), world.make(collection, world.them)
    for ids in (f"{ours},{theirs}", f"{ours},{UNKNOWN}", f"{theirs}"):
        assert_error(world.us.delete(f"{collection}/{ids}"), 404)
    assert world.us.delete(f"{collection}/{ours}").status == row.status
    assert world.them.delete(f"{collection}/{theirs}").status == row.status


@rows(is_list)
def test_a_list_has_no_record_of_another_customer(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    collection = row.path
    if has_maker(row):
        theirs = str(world.make(collection, world.them))
        ids = [str(each["id"]) for each in world.us.listed(path, limit=10_000)]
        assert ids
        assert theirs not in ids
        assert world.us.listed(path, ("id", "eq", theirs)) == []
        assert world.us.listed(path, ("id", "in", [theirs, UNKNOWN])) == []
    answer = world.us.get(path, limit=10_000)
    assert answer.status == 200
    assert answer.json["total"] == len(answer.data)


@rows(lambda row: is_list(row) and row.resource and row.resource.relations)
def test_include_brings_objects_of_the_own_customer_only(world: World, row: Endpoint) -> None:
    assert row.resource is not None
    world.path(row, world.us)
    for name in row.resource.relations:
        answer = world.us.get(world.path(row, world.us), include=name, **{f"fields[{name}]": "id,nonsense"})
        assert answer.status == 200
        ids = {each["id"] for record in answer.data for each in record[name] or []}
        theirs = {each["id"] for each in world.them.listed(REFERENCES[name], limit=10_000)}
        assert not ids & theirs


def references_of(row: Endpoint) -> list[str]:
    if row.body is None or row.path in ("/webcalls",):
        return []
    return [name for name, (hint, _) in fields_of(row.body).items() if name in REFERENCES or is_reference(name, hint)]


def is_reference(name: str, hint: Any) -> bool:
    """Whether an attribute names records; such a one without an entry in REFERENCES fails the test."""
    parts = [hint, *get_args(hint)]
    return (name.endswith("_id") and name != "caller_id") or any(part == Ids for part in parts)


@rows(references_of)
def test_a_body_cannot_name_records_of_another_customer(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    assert row.body is not None
    for name in references_of(row):
        theirs = world.make(REFERENCES[name], world.them)
        hint = fields_of(row.body)[name][0]
        value = [theirs] if any(get_origin(part) is list or part == Ids for part in (hint, *get_args(hint))) else theirs
        body = world.body(row, world.us)
        changed = [{**body[0], name: value}] if row.bulk else {**body, name: value}
        answer = world.send(row, world.us, path, changed)
        assert_error(answer, 400)
        assert any(name in str(each) for each in answer.fields), answer.body


@rows(lambda row: row.bulk)
def test_a_bulk_change_with_another_customers_record_changes_nothing(world: World, row: Endpoint) -> None:
    ours, theirs = world.make(row.path, world.us), world.make(row.path, world.them)
    for other in (theirs, UNKNOWN):
        assert_error(world.us.patch(row.path, [{"id": ours}, {"id": other}]), 404)
    no_id: list[Any] = [[{}, {"labels": []}], [{"id": "x"}], [1], {"id": ours}, [{"id": True}]]
    for wrong in ([{"id": ours}, {"id": ours}], *no_id):
        assert_error(world.us.patch(row.path, wrong), 400)
    assert world.us.patch(row.path, [[], {}]).json == {"data": [], "total": 0}


# -- what is refused --------------------------------------------------------------------------------------------------


BROKEN = [b"nonsense", b"{", b"\xff\xfe", b'{"a":1,}', b"1", b'"x"', b"null", b"[" * 100_000, b'{"a":' * 100_000]


@rows(lambda row: row.body is not None)
def test_a_body_that_is_no_object_is_refused(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    for raw in BROKEN:
        assert_error(world.send(row, world.us, path, raw), 400)
    assert_error(world.us.call(row.method, path, b"a=b", headers={"content-type": "text/plain"}), 415)


WRONG: list[Any] = [[[{}]], "\0", -1.5, True]


def wrong_for(hint: Any) -> Any:
    """A value that an attribute does not take; None when it takes anything."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return next((value for value in WRONG if not any(takes(part, value) for part in parts)), None)


def takes(part: Any, value: Any) -> bool:
    try:
        msgspec.convert(value, part)
    except msgspec.ValidationError:
        return False
    return True


@rows(lambda row: row.body is not None)
def test_every_wrong_attribute_is_named(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    assert row.body is not None
    tried = {name: wrong_for(hint) for name, (hint, _) in fields_of(row.body).items()}
    wrong: dict[str, Any] = {name: value for name, value in tried.items() if value is not None}
    body = [{"id": world.make(row.path, world.us), **wrong}] if row.bulk else wrong
    answer = world.send(row, world.us, path, body)
    assert_error(answer, 400)
    named = {re.sub(r"^\[0\]\.|(?<=\w)[\[.].*$", "", str(each)) for each in answer.fields}
    assert named >= set(wrong)


@rows(lambda row: row.body is not None and row.path not in LENIENT)
def test_an_unknown_attribute_is_named(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    body: Any = world.body(row, world.us) if row.method != "DELETE" else {"password": "x"}
    whole: Any = [{**body[0], "nonsense": 1}] if row.bulk else {**body, "nonsense": 1}
    answer = world.send(row, world.us, path, whole)
    assert_error(answer, 400)
    assert any("nonsense" in str(each) for each in answer.fields)


@rows(lambda row: row.body is not None)
@pytest.mark.parametrize("value", ["a\0b", "x" * 1_000_000, "\ud800", 10**400, 2**63, -(2**63) - 1, 1e308, [], {}, ""])
def test_no_value_breaks_anything(world: World, row: Endpoint, value: Any) -> None:
    path = world.path(row, world.us)
    assert row.body is not None
    body: dict[str, Any] = dict.fromkeys(fields_of(row.body), value)
    answer = world.send(row, world.us, path, [{"id": 1, **body}] if row.bulk else body)
    assert answer.status < 500
    if answer.status >= 400:
        assert_error(answer, answer.status)


BAD_FILTERS = [
    "nonsense",
    "{}",
    "[1]",
    '[{"property": "no such", "operator": "eq", "value": 1}]',
    '[{"property": "id", "operator": "between", "value": 1}]',
    '[{"property": "id", "operator": "eq"}]',
    '[{"property": "id", "operator": "eq", "value": {"a": 1}}]',
    '[{"property": ["id"], "value": 1}]',
    "[" * 100_000,
    '[{"property": "id; DROP TABLE users", "operator": "eq", "value": 1}]',
]


@rows(lambda row: is_list(row) or isinstance(row, WipeEndpoint) or row.path.endswith(".csv"))
def test_a_filter_that_cannot_be_understood_is_refused(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    for text in BAD_FILTERS:
        answer = world.us.call(row.method, path, params={"filter": text})
        assert_error(answer, 400)
        assert answer.json["message"].startswith("Filtration error"), text


@rows(is_list)
@pytest.mark.parametrize(
    "params",
    [
        {"page": "0"},
        {"page": "-1"},
        {"page": "x"},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "10001"},
        {"start": "-1"},
        {"sort": "no_such"},
        {"sort": "id", "dir": "SIDEWAYS"},
        {"sort": "[1]"},
        {"include": "no_such"},
    ],
    ids=str,
)
def test_a_page_that_cannot_be_is_refused(world: World, row: Endpoint, params: dict[str, str]) -> None:
    answer = world.us.get(world.path(row, world.us), **params)
    assert_error(answer, 400)
    assert answer.json["message"].startswith("Filtration error")


@rows(is_list)
def test_every_attribute_can_be_filtered_and_sorted_by(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    assert row.resource is not None
    for name, attribute in row.resource.listing.attributes().items():
        if attribute.filterable:
            for operator in OPERATORS:
                answer = world.us.get(path, filter=filter_text((name, operator, "1")))
                assert answer.status in (200, 400), answer.body
                assert answer.status == 400 or answer.json["total"] == len(answer.data)
            assert world.us.get(path, filter=filter_text((name, "eq", None))).status == 200
            assert world.us.get(path, sort=name, dir="DESC").status == 200


@rows(lambda row: isinstance(row, WipeEndpoint))
def test_a_wipe_takes_no_other_parameter_and_nobody_elses_records(world: World, row: Endpoint) -> None:
    assert_error(world.us.delete(row.path, filters="[]"), 400)
    assert_error(world.us.delete(row.path, filter=filter_text(("id", "gte", 1)), page=1), 400)
    before = world.make(row.path, world.us), world.make(row.path, world.them)
    assert world.us.delete(row.path, filter=filter_text(("id", "eq", before[1]))).status == row.status
    assert world.us.delete(row.path, filter=filter_text(("id", "eq", before[0]))).status == row.status
    world.api.run_jobs()
    assert world.us.delete(f"{row.path}/{before[0]}").status in (404, 405)
    assert world.them.delete(row.path, filter=filter_text(("id", "eq", before[1]))).status == row.status


# -- what comes out ---------------------------------------------------------------------------------------------------


REFUSED = {
    "POST /login": 400,
    "POST /login2fa": 400,
    "POST /password/forgot": 400,
    "POST /password/reset": 400,
    "POST /me/twofactor/confirm": 400,
    "DELETE /me/twofactor": 400,
    "POST /calls": 412,
    "POST /webcalls": 412,
    "DELETE /calls/{id}": 412,
    "PUT /users/{id}/audio": 400,
    "GET /users/{id}/audio.mp3": 404,
    "GET /monitors/{id}/link.mp3": 403,
    "GET /cdrs/{id}.trace": 404,
    "GET /cdrs/{id}.pcap": 404,
    "GET /msdrs/{id}.trace": 404,
    "GET /msdrs/{id}.pcap": 404,
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
