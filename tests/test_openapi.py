"""The OpenAPI document says what the rows say, and is valid."""

import re
from functools import lru_cache
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from ringback.resources import ENDPOINTS
from ringback.rest.endpoint import Endpoint, Shape
from ringback.rest.openapi import document
from ringback.rest.wipes import WipeEndpoint
from ringback.settings import BASE_PATHS, Settings
from tests.api import Api

POSTED = ("/exports", "/holds", "/erasures", "/rates/rerate", "/users", "/login")


@lru_cache(maxsize=1)
def spec() -> dict[str, Any]:
    return document(ENDPOINTS, Settings())


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = spec()["paths"][path][method.lower()]
    return found


def names_of(row: Endpoint) -> set[str]:
    return {each["name"] for each in operation(row.method, row.path)["parameters"] if each["in"] == "query"}


def schema_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = spec()["components"]["schemas"][name]
    return found


def test_the_document_is_valid_openapi_with_valid_schemas() -> None:
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(spec())
    for schema in spec()["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> Any:
        if isinstance(part, dict):
            yield from ([part["$ref"]] if "$ref" in part else [])
            part = list(part.values())
        for each in part if isinstance(part, list) else []:
            yield from references(each)

    for reference in set(references(spec())):
        at = spec()
        for name in reference.split("/")[1:]:
            at = at[name]


def test_every_row_is_an_operation_with_a_name_of_its_own() -> None:
    ids = [each["operationId"] for methods in spec()["paths"].values() for each in methods.values()]
    assert len(ids) == len(set(ids)) == len(ENDPOINTS)
    assert all(re.fullmatch(r"[a-z]+[A-Za-z0-9]*", each) for each in ids)
    assert operation("GET", "/cdrs")["operationId"] == "listCdrs"
    assert operation("DELETE", "/cdrs")["operationId"] == "clearCdrs"


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: f"{row.method} {row.path}")
def test_a_row_tells_its_security_status_and_parameters(row: Endpoint) -> None:
    told = operation(row.method, row.path)
    ways = ["token", "basic", "ticket"] if row.ticketed else ["token", "basic"]
    assert told["security"] == [{way: []} for way in ways if not row.open]
    assert str(row.status) in told["responses"]
    assert told["summary"] == row.summary
    assert {each["name"] for each in told["parameters"] if each["in"] == "path"} == set(
        re.findall(r"\{(\w+)\}", row.path)
    )
    if isinstance(row, WipeEndpoint):
        assert names_of(row) == {"filter"}
    elif row.method == "GET" and row.shape is Shape.COLLECTION and row.resource is not None:
        assert names_of(row) >= {"filter", "sort", "dir", "page", "limit", "start"}
        assert ("include" in names_of(row)) == bool(row.resource.relations)


def test_money_is_a_number_and_unknown_is_null() -> None:
    cdr = schema_of("Cdr")
    assert cdr["properties"]["rate"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert cdr["properties"]["type"] == {"type": "string", "enum": ["I", "M", "O"]}
    assert set(cdr["required"]) == set(cdr["properties"])


def test_a_bulk_body_is_a_list_of_elements_that_need_their_id_alone() -> None:
    body = operation("PATCH", "/cdrs")["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert body["required"]
    assert schema["type"] == "array"
    assert schema_of(schema["items"]["$ref"].rpartition("/")[2])["required"] == ["id"]


def test_a_body_is_required_where_an_empty_one_cannot_do() -> None:
    needed = {path: operation("POST", path)["requestBody"]["required"] for path in POSTED}
    assert needed == dict.fromkeys(POSTED, True)
    assert schema_of("ErasurePatch")["minProperties"] == 1
    assert not operation("POST", "/cdrs/{id}/share")["requestBody"]["required"]  # clients send none
    assert not operation("PATCH", "/users/{id}")["requestBody"]["required"]


@pytest.mark.parametrize("path", ["/exports/{id}/file", "/monitors/{id}/link.mp3"])
def test_a_signed_url_tells_its_query(path: str) -> None:
    told = [each for each in operation("GET", path)["parameters"] if each["in"] == "query"]
    assert {each["name"] for each in told if each["required"]} == {"customer", "expires", "signature"}


def test_the_filter_lists_the_attributes_that_can_be_filtered() -> None:
    (told,) = (each for each in operation("GET", "/msdrs")["parameters"] if each["name"] == "filter")
    assert "created_at" in told["description"]
    assert "quality" not in told["description"]


def test_a_login_may_ask_for_a_second_factor() -> None:
    assert {"200", "202", "400"} <= set(operation("POST", "/login")["responses"])


def test_the_document_opens_with_what_a_newcomer_needs() -> None:
    text = spec()["info"]["description"]
    for told in (*BASE_PATHS, "POST /login", "POST /apitokens", "X-Auth-Token", "`gte`", '"errors"'):
        assert told in text


def test_attributes_say_their_unit_where_the_name_does_not() -> None:
    assert "seconds" in str(schema_of("ApiTokenBody")["properties"]["expiry"])
    assert "10 characters" in str(schema_of("UserPatch")["properties"]["password"])
    assert "days" in str(schema_of("CustomerPatchChange")["properties"]["retention"])


def test_families_are_sorted_by_module() -> None:
    modules = {tag["name"]: tag["x-module"] for tag in spec()["tags"]}
    assert modules["cdrs"] == "history"
    assert modules["users"] == modules["sessions"] == "customer"
    assert modules["twofactor"] == "customer"
    assert modules["callmeback/cdrs"] == modules["callmeback/settings"] == "callmeback"


def test_servers_are_the_base_paths_below_the_public_url() -> None:
    urls = [each["url"] for each in document(ENDPOINTS, Settings(public_url="https://pbx.example/"))["servers"]]
    assert urls == [f"https://pbx.example{base}" for base in BASE_PATHS]


def test_the_document_is_served_to_everybody(api: Api) -> None:
    answer = api.nobody.get("//openapi.json")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("//docs", "text/html"), ("//docs/app.js", "text/javascript"), ("//docs/style.css", "text/css")],
)
def test_the_page_is_served_with_a_policy_that_lets_nothing_foreign_in(api: Api, path: str, kind: str) -> None:
    answer = api.nobody.get(path)
    assert answer.status == 200
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert "http:" not in policy


def test_the_root_leads_to_the_page(api: Api) -> None:
    answer = api.nobody.get("//")
    assert (answer.status, answer.headers["location"]) == (302, "/docs")


@pytest.mark.parametrize("path", ["//docs/nothing.js", "//docs/..%2fhealth.py", "//docs/__init__.py"])
def test_nothing_but_the_page_is_served(api: Api, path: str) -> None:
    assert api.nobody.get(path).status == 404
