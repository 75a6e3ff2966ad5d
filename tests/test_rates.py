"""The rate deck over the API, and what a call would cost."""

from typing import Any

import pytest

from tests.api import Answer, Api, filter_text
from tests.policies import team


def rate(prefix: str = "447", price: Any = 0.0125, **more: Any) -> dict[str, Any]:
    return {"prefix": prefix, "destination": f"Place {prefix}", "price": price, **more}


def added(api: Api, *prefixes: str) -> list[int]:
    return [api.admin.post("/rates", rate(prefix)).data["id"] for prefix in prefixes]


def lookup(api: Api, number: str) -> Answer:
    return api.ann.get("/rates/lookup", number=number)


def test_a_rate_comes_back_as_it_was_given(api: Api) -> None:
    answer = api.admin.post("/rates", rate("+447", 0.012345, minimum_s=30, increment_s=6))
    assert answer.status == 201
    given = {"prefix": "447", "destination": "Place +447", "price": 0.012345, "minimum_s": 30, "increment_s": 6}
    assert answer.data == {"id": answer.data["id"], **given}
    assert api.admin.get(f"/rates/{answer.data['id']}").data == answer.data
    assert b'"price":0.012345,' in answer.body


@pytest.mark.parametrize("price", [0, 0.000001, 0.1, 1.005, 999_999.999999, 1_000_000])
def test_prices_are_exact_to_six_decimals(api: Api, price: float) -> None:
    answer = api.admin.post("/rates", rate(price=price))
    assert answer.data["price"] == price
    assert [each["price"] for each in api.admin.listed("/rates", ("price", "eq", price))] == [price]


@pytest.mark.parametrize("price", [-0.01, 0.0000001, 1.0000001, 1_000_000.01, 1e300, "0.1", None, True])
def test_other_prices_are_refused(api: Api, price: Any) -> None:
    answer = api.admin.post("/rates", rate(price=price))
    assert answer.status == 400
    assert answer.fields == ["price"]


@pytest.mark.parametrize("prefix", ["", "0", "044", "44x", "4" * 16, "44\n", "٤٤", 44, None])
def test_what_is_no_prefix_is_refused(api: Api, prefix: Any) -> None:
    answer = api.admin.post("/rates", rate() | {"prefix": prefix})
    assert (answer.status, answer.fields) == (400, ["prefix"])


def test_every_fault_is_told_at_once(api: Api) -> None:
    answer = api.admin.post("/rates", {"prefix": "0", "price": -1, "minimum_s": -1, "increment_s": 0})
    assert sorted(map(str, answer.fields)) == ["destination", "increment_s", "minimum_s", "prefix", "price"]


def test_a_prefix_stands_once(api: Api) -> None:
    first, second = added(api, "44", "45")
    assert api.admin.post("/rates", rate("44")).fields == ["prefix"]
    assert api.admin.patch(f"/rates/{second}", {"prefix": "44"}).fields == ["prefix"]
    assert api.admin.patch(f"/rates/{first}", {"prefix": "44", "price": 2}).data["price"] == 2
    assert api.stranger.post("/rates", rate("44")).status == 201


def test_rates_are_found_changed_and_deleted(api: Api) -> None:
    first, second, third = added(api, "44", "447", "45")
    assert [row["id"] for row in api.admin.listed("/rates", ("prefix", "like", "44"), sort="prefix")] == [first, second]
    changed = api.admin.patch(f"/rates/{second}", {"price": 0.5, "increment_s": 60}).data
    assert (changed["price"], changed["increment_s"], changed["prefix"]) == (0.5, 60, "447")
    assert api.admin.delete(f"/rates/{first}").status == 204
    assert api.admin.delete("/rates", filter=filter_text(("prefix", "eq", "447"))).status == 204
    assert [row["id"] for row in api.admin.listed("/rates")] == [third]
    assert api.admin.delete("/rates").status == 204
    assert api.admin.get("/rates").json == {"data": [], "total": 0}


def test_only_administrators_see_and_change_the_deck(api: Api) -> None:
    (rate_id,) = added(api, "44")
    for client in (api.ann, api.reception):
        assert client.get("/rates").status == 403
        assert client.get(f"/rates/{rate_id}").status == 403
        assert client.post("/rates", rate("45")).status == 403
        assert client.patch(f"/rates/{rate_id}", {"price": 0}).status == 403
        assert client.delete(f"/rates/{rate_id}").status == 403
        assert client.delete("/rates").status == 403


def test_a_customer_sees_and_wipes_its_own_deck_only(api: Api) -> None:
    (rate_id,) = added(api, "44")
    assert api.stranger.get("/rates").json["total"] == 0
    for answer in (
        api.stranger.get(f"/rates/{rate_id}"),
        api.stranger.patch(f"/rates/{rate_id}", {"price": 0}),
        api.stranger.delete(f"/rates/{rate_id}"),
        api.stranger.get("/rates/lookup", number="442079460000"),
    ):
        assert answer.status == 404
    assert api.stranger.delete("/rates").status == 204
    assert api.admin.get("/rates").json["total"] == 1


def test_everybody_may_ask_what_a_call_costs(api: Api) -> None:
    added(api, "44", "4420", "4479")
    for number in ("442079460000", "+44 20 7946 0000", "02079460000", "00442079460000"):
        answer = lookup(api, number)
        assert answer.status == 200
        assert answer.data == {"number": "442079460000", **rate("4420"), "minimum_s": 0, "increment_s": 1}
    assert lookup(api, "+12025550123").status == 404
    assert lookup(api, "101").fields == ["number"]
    assert api.ann.get("/rates/lookup").fields == ["number"]


def test_where_billing_is_disabled_nobody_asks(api: Api) -> None:
    (rate_id,) = added(api, "44")
    assert api.admin.patch(f"/users/{api.ann.user_id}", {"roles": ["administrator"]}).status == 200
    team(api, "No prices", api.ann, policies=("billing_disabled",))
    for path in ("/rates", f"/rates/{rate_id}", "/rates/lookup?number=442079460000"):
        assert api.ann.get(path).status == 403
    assert api.ann.delete("/rates").status == 403


def test_with_the_first_rate_there_is_a_balance_that_outlives_the_deck(api: Api) -> None:
    assert api.admin.get("/me").data["balance"] is None
    added(api, "44")
    assert api.admin.get("/me").data["balance"] == 0
    api.admin.delete("/rates")
    assert api.admin.get("/me").data["balance"] == 0


def test_changes_of_the_deck_are_in_the_audit_log(api: Api) -> None:
    (rate_id,) = added(api, "44")
    api.admin.patch(f"/rates/{rate_id}", {"price": 1})
    api.admin.delete(f"/rates/{rate_id}")
    told = api.admin.listed("/auditlog", ("object_class", "eq", "Rate"), sort="id")
    assert [each["action"] for each in told] == ["create", "change", "delete"]
