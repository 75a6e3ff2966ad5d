"""The rows that the generated tests go over, by kind."""

from collections.abc import Callable
from typing import Any

import pytest

from ringback.resources import ENDPOINTS
from ringback.rest.access import Policy
from ringback.rest.endpoint import Endpoint, Shape
from tests.api import Answer
from tests.contract.pages import table
from tests.contract.world import MAKERS

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
    """What is under `/ingest` names what comes, not what is there."""
    return "{" in row.path and not row.open and not row.ingest


def has_maker(row: Endpoint) -> bool:
    """Whether it lists records that `MAKERS` makes, named by their ids."""
    return is_list(row) and row.path in MAKERS and row.path not in ("/sessions", "/apitokens")


def closed_by(row: Endpoint) -> frozenset[Policy]:
    return row.closed_by | (row.resource.closed_by if row.resource is not None else frozenset())


def assert_error(answer: Answer, *statuses: int) -> None:
    assert answer.status in statuses, answer.body[:500]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    content = answer.json
    assert set(content) == {"message", "errors"}
    assert content["message"]
    assert all(set(fault) == {"field", "message", "code"} for fault in content["errors"])
