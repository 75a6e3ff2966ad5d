"""Every row: who gets in, and whose records can be had.

Made from `ENDPOINTS`, so that a new row is checked without a new test. Rows that name records need a maker in `world.py`.
"""

import re
from typing import Any, get_args, get_origin

import pytest

from ringback.record import Ids
from ringback.rest.access import Policy, Role
from ringback.rest.bodies import fields_of
from ringback.rest.endpoint import Endpoint, Shape
from tests.api import Answer, Client, filter_text
from tests.contract.rows import ROWS, assert_error, closed_by, has_maker, is_list, names_record, rows
from tests.contract.world import REFERENCES, UNKNOWN, World

# -- who gets in ---------------------------------------------------------------------------------------------------------


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


@rows(lambda row: not row.open)
def test_tokens_that_bring_calls_in_open_what_is_for_them_and_others_open_the_rest(world: World, row: Endpoint) -> None:
    path = re.sub(r"\{\w+\}", "1", row.path)
    assert_error((world.us if row.ingest else world.program(world.us)).call(row.method, path), 403)


PRIVATE = {
    Policy.BILLING_DISABLED: {"rate", "charge", "balance", "amount", "src_rate", "dst_rate", "min_charge"},
    Policy.RECORDINGS_DISABLED: {"monitor_id", "cx_score"},
}


def private(row: Endpoint, policy: Policy) -> set[str]:
    if row.shape not in (Shape.ITEM, Shape.COLLECTION) or row.method != "GET" or policy in closed_by(row):
        return set()
    return PRIVATE[policy] & set(row.answer.__struct_encode_fields__)


@rows(lambda row: any(private(row, policy) for policy in PRIVATE))
def test_what_a_policy_hides_is_null_and_cannot_be_asked_for(world: World, row: Endpoint) -> None:
    for policy in PRIVATE:
        names = private(row, policy)
        if names:
            path = of_us(world, row)
            bound = world.member(Role.ADMINISTRATOR, policy)
            assert attributes_of(world.us.get(path), names) - {None}, "nothing here that could be hidden"
            assert attributes_of(bound.get(path), names) == {None}
            for name in names if row.shape is Shape.COLLECTION else ():
                assert_error(bound.get(path, filter=filter_text((name, "gt", 0))), 400)
                assert_error(bound.get(path, sort=name), 400)


def of_us(world: World, row: Endpoint) -> str:
    """The row's path; where it is about a user, about the one who has calls."""
    if row.path.startswith("/users/{id}/"):
        return row.path.replace("{id}", str(world.us.user_id))
    return world.path(row, world.us)


def attributes_of(answer: Answer, names: set[str]) -> set[Any]:
    assert answer.status == 200, answer.body
    records = answer.data if isinstance(answer.data, list) else [answer.data]
    return {record[name] for record in records for name in names}


# -- whose records -------------------------------------------------------------------------------------------------------


def theirs_and_unknown(world: World, row: Endpoint) -> tuple[str, str]:
    unknown = re.sub(r"\{(id|ids|\w+_id)\}", str(UNKNOWN), row.path)
    return world.path(row, world.them), re.sub(r"\{\w+\}", "f" * 40, unknown)


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
    if "{" not in row.path:
        assert answer.data, "an empty list shows nothing"
        others = {each["id"] for each in world.them.listed(path, limit=10_000)}
        assert others.isdisjoint(each["id"] for each in answer.data)


@rows(lambda row: is_list(row) and row.resource and row.resource.relations)
def test_include_brings_objects_of_the_own_customer_only(world: World, row: Endpoint) -> None:
    assert row.resource is not None
    world.path(row, world.us)
    for name in row.resource.relations:
        answer = world.us.get(world.path(row, world.us), include=name, **{f"fields[{name}]": "id,nonsense"})
        assert answer.status == 200
        found = (record[name] for record in answer.data)
        ids = {each["id"] for related in found for each in (related if isinstance(related, list) else [related])}
        assert ids
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


@rows(lambda row: row.body is not None and {"ddi_e164", "numbers"} & set(fields_of(row.body)))
def test_a_body_cannot_name_numbers_of_another_customer(world: World, row: Endpoint) -> None:
    path = world.path(row, world.us)
    theirs = world.them.get(f"/ddis/{world.make('/ddis', world.them)}").data["e164"]
    body = world.body(row, world.us)
    name, value = ("numbers", [theirs]) if "calltracking" in row.path else ("ddi_e164", theirs)
    answer = world.send(row, world.us, path, {**body, name: value})
    assert_error(answer, 400)
    assert answer.fields[0] in (name, f"{name}[0]")


@rows(lambda row: row.bulk)
def test_a_bulk_change_with_another_customers_record_changes_nothing(world: World, row: Endpoint) -> None:
    ours, theirs = world.make(row.path, world.us), world.make(row.path, world.them)
    for other in (theirs, UNKNOWN):
        assert_error(world.us.patch(row.path, [{"id": ours}, {"id": other}]), 404)
    no_id: list[Any] = [[{}, {"labels": []}], [{"id": "x"}], [1], {"id": ours}, [{"id": True}]]
    for wrong in ([{"id": ours}, {"id": ours}], *no_id):
        assert_error(world.us.patch(row.path, wrong), 400)
    assert world.us.patch(row.path, [[], {}]).json == {"data": [], "total": 0}
