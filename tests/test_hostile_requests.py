"""Requests that nobody sends by mistake: each is refused like any other wrong one, and costs no more than that."""

import json

import pytest

from ringback.rest.bodies import MAX_FAULTS
from tests.api import Api, filter_text


@pytest.mark.parametrize("amount", ["1e999999", "-1e999999", "9e999999999999", "NaN", "sNaN", "Infinity"])
def test_an_amount_that_no_number_can_hold_is_refused(api: Api, amount: str) -> None:
    assert api.admin.get("/cdrs", filter=filter_text(("rate", "gt", amount))).fields == ["filter[0]"]
    body = {"name": "Site", "ddi_e164": "442079460000", "max_call_rate": amount}
    assert "max_call_rate" in api.admin.post("/callmeback/settings", body).fields


@pytest.mark.parametrize("credentials", ["\xff\xfe", "YQ==\xe9", "7aCAOjE=", "%%%", ""])
def test_basic_credentials_that_are_no_text_are_refused(api: Api, credentials: str) -> None:
    answer = api.nobody.call("GET", "/me", headers={"authorization": f"Basic {credentials}"})
    assert (answer.status, answer.json["message"]) == (400, "Failed to parse Authorization header credentials")


def test_an_answer_names_a_thousand_faults_at_most(api: Api) -> None:
    unknown = {f"a{number}": 1 for number in range(50_000)}
    for answer in (
        api.nobody.post("/password/reset", unknown),
        api.ann.post("/contacts", unknown),
        api.ann.call("PATCH", "/contacts", json.dumps([{"id": n, **unknown} for n in range(1, 4)]).encode()),
    ):
        assert (answer.status, len(answer.fields)) == (400, MAX_FAULTS)


def test_a_list_that_is_too_long_is_one_fault(api: Api) -> None:
    assert api.ann.post("/contacts", {"labels": [1] * 50_000}).fields == ["labels"]
    assert api.admin.post("/usergroups", {"name": "Sales", "users": ["x"] * 50_000}).fields == ["users"]
