"""Every operation of the reference pages is here as the page has it, or `docs/deviations.md` says how it differs and why."""

import pytest

from ringback.rest.openapi import document
from ringback.settings import Settings
from tests.api import Api
from tests.contract.pages import OPERATIONS, Operation, differences, table, type_differences

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


def listed() -> set[tuple[str, str]]:
    return {(operation, what) for operation, what, _, _ in table("Operations")}


@each_operation
def test_it_is_as_on_the_page_or_the_deviation_is_listed(operation: Operation) -> None:
    documented = {what for name, what in listed() if name == str(operation)}
    assert differences(operation) == documented


def test_no_deviation_is_listed_of_something_that_is_no_operation() -> None:
    assert {name for name, _ in listed()} <= {str(each) for each in OPERATIONS}


@each_operation
def test_the_statuses_of_the_page_are_among_ours(operation: Operation) -> None:
    assert operation.row is not None
    told = document([operation.row], Settings())["paths"][operation.path][operation.method.lower()]["responses"]
    assert {str(status) for status in operation.statuses if status >= 400} <= set(told)


@each_operation
def test_its_path_has_the_parameters_of_the_page(operation: Operation) -> None:
    assert operation.row is not None
    assert all(f"{{{name}}}" in operation.row.path for name in operation.path_params)


def test_there_are_74_operations_in_three_modules() -> None:
    assert len(OPERATIONS) == 74
    assert {each.module for each in OPERATIONS} == {"History", "Customer", "Call Me Back"}


def test_each_type_that_is_not_that_of_a_sample_is_listed() -> None:
    documented = {(record, attribute) for record, attribute, _, _, _ in table("Attributes")}
    assert set(type_differences()) == documented


def test_every_deviation_has_a_reason() -> None:
    for heading in ("Operations", "Attributes", "Called by clients, not here"):
        assert table(heading), heading
        assert all(len(cells[-1]) > 10 for cells in table(heading)), heading


@pytest.mark.parametrize(("operation", "here"), [cells[:2] for cells in table("Called by clients, not here")])
def test_what_is_not_here_answers_as_documented(api: Api, operation: str, here: str) -> None:
    method, path = operation.split()
    answer = api.admin.call(method, path.replace("{id}", "1"), {} if method == "POST" else None)
    if here == "404":
        assert answer.status == 404
        assert set(answer.json) == {"message", "errors"}
    else:
        assert answer.status == 200
        assert answer.json == {"data": [], "total": 0}
