"""Every row: what is refused, and that every fault is named."""

import re
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest

from ringback.query import OPERATORS
from ringback.rest.bodies import fields_of
from ringback.rest.endpoint import Endpoint
from ringback.rest.wipes import WipeEndpoint
from tests.api import filter_text
from tests.contract.rows import LENIENT, assert_error, is_list, rows
from tests.contract.world import World

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


def nullable(row: Endpoint) -> list[str]:
    """The texts of the body that null clears."""
    fields = fields_of(row.body).items() if row.body is not None else ()
    parts = {name: get_args(hint) for name, (hint, _) in fields}
    return [name for name, hints in parts.items() if NoneType in hints and any(takes(hint, "") for hint in hints)]


@rows(lambda row: row.method in ("POST", "PATCH") and nullable(row) and not row.path.startswith("/calls"))
def test_an_empty_text_is_null(world: World, row: Endpoint) -> None:
    empty: dict[str, Any] = dict.fromkeys(nullable(row), "")
    body = world.body(row, world.us)
    answer = world.send(
        row, world.us, world.path(row, world.us), [{**body[0], **empty}] if row.bulk else {**body, **empty}
    )
    assert answer.status == row.status, answer.body
    record = answer.data[0] if row.bulk else answer.data
    assert "" not in record.values()


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
