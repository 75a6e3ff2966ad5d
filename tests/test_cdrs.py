"""CDRs: listed, filtered, counted, exported, changed, wiped."""

import csv
import io
from typing import Any

import pytest

from ringback.store import cdrs
from tests.api import Api, filter_text
from tests.policies import team

DAY = 86_400


def call(at: int, **changes: Any) -> dict[str, Any]:
    """A plain answered outbound call."""
    row = {
        "calldate": at,
        "duration": 65,
        "billsec": 60,
        "type": "O",
        "disposition": "CONNECTED",
        "destination": "out",
        "context": "PSTN_CALL",
        "src": "442079460001",
        "dst": "12025550123",
        "src_name": "Ann",
        "dst_id": "0",
        "rate": 150,
        "charge": 150,
    }
    return {**row, **changes}


def add(api: Api, *rows: dict[str, Any], customer: int | None = None) -> list[int]:
    ids: list[int] = api.write(lambda db: cdrs.insert(db, customer or api.acme, rows))
    return ids


def test_a_call_comes_out_with_every_attribute_newest_first(api: Api) -> None:
    add(api, call(1_000_000_000), call(1_000_000_100, user_id=api.ann.user_id, labels='["vip"]'))
    answer = api.admin.get("/cdrs")
    assert answer.status == 200
    assert answer.json["total"] == 2
    newest = answer.data[0]
    assert newest["calldate"] == "2001-09-09 01:48:20"
    assert newest["labels"] == ["vip"]
    assert newest["charge"] == 0.015
    assert newest["is_root"] is True
    assert newest["call_id"] == newest["live_id"]
    assert len(newest) == 34
    assert api.admin.get(f"/cdrs/{newest['id']}").data == newest


def test_another_customers_call_is_not_there(api: Api) -> None:
    (theirs,) = add(api, call(1_000_000_000), customer=api.other)
    assert api.admin.get("/cdrs").json == {"data": [], "total": 0}
    assert api.admin.get(f"/cdrs/{theirs}").status == 404
    assert api.stranger.get(f"/cdrs/{theirs}").status == 200


def test_a_plain_user_sees_own_calls_only(api: Api) -> None:
    mine, other = add(
        api, call(1_000_000_000, dst_id=str(api.ann.user_id)), call(1_000_000_001, user_id=api.bob.user_id)
    )
    assert [row["id"] for row in api.ann.listed("/cdrs")] == [mine]
    assert api.ann.get("/cdrs").json["total"] == 1
    assert api.ann.get(f"/cdrs/{other}").status == 403


def test_filters_and_totals_agree_with_the_rows(api: Api) -> None:
    types = ("O", "I", "M")
    add(api, *(call(1_000_000_000 + n * 7_000, type=types[n % 3], src=f"4420794600{n:02}") for n in range(60)))
    for conditions in (
        [("type", "eq", "o")],
        [("calldate", "gte", "2001-09-10"), ("calldate", "lt", "2001-09-12")],
        [("calldate", "gt", "2001-09-10 10:00:00"), ("calldate", "lte", "2001-09-10 20:00:00")],
        [("type", "eq", "M"), ("calldate", "gte", "2001-09-10 06:00:00")],
        [("src", "like", "46003")],
        [("type", "in", ["I", "M"])],
        [("type", "ne", "I"), ("duration", "gte", "65")],
    ):
        answer = api.admin.get("/cdrs", filter=filter_text(*conditions), limit=1000)
        assert answer.json["total"] == len(answer.data), conditions
        assert 0 < len(answer.data) < 60, conditions


def test_pages_together_are_the_whole_in_order(api: Api) -> None:
    add(api, *(call(1_000_000_000 + n * 900) for n in range(2_500)))
    whole = [row["id"] for row in api.admin.listed("/cdrs", limit=10_000)]
    assert len(whole) == 2_500
    for params in ({}, {"sort": "calldate"}, {"sort": "duration", "dir": "DESC"}, {"sort": "id", "dir": "DESC"}):
        pages = [row["id"] for n in range(1, 14) for row in api.admin.listed("/cdrs", page=n, limit=200, **params)]
        assert sorted(pages) == sorted(whole), params
    assert [row["id"] for row in api.admin.listed("/cdrs", start=2_490, limit=100)] == whole[2_490:]


def test_bulk_patch_changes_all_or_nothing(api: Api) -> None:
    first, second = add(api, call(1_000_000_000), call(1_000_000_001))
    answer = api.admin.patch(
        "/cdrs", [[], {"id": second, "labels": ["a"]}, {"id": first, "info": "x", "metadata": {"k": 1}}]
    )
    assert answer.status == 200
    assert [row["id"] for row in answer.data] == [second, first]
    assert answer.data[1]["metadata"] == '{"k":1}'
    wrong = api.admin.patch("/cdrs", [{"id": first, "labels": "b", "nonsense": 1}, {"id": first}])
    assert wrong.status == 400
    assert wrong.fields == ["[0].labels", "[0].nonsense", "[1].id"]
    assert api.admin.patch("/cdrs", [{"id": first, "info": "y"}, {"id": 999_999, "info": "y"}]).status == 404
    assert api.admin.get(f"/cdrs/{first}").data["info"] == "x"


def test_a_wipe_takes_what_the_filter_matches_and_refuses_a_misspelt_one(api: Api) -> None:
    add(api, call(1_000_000_000), call(1_000_000_001, type="I"), call(1_000_000_002, type="I"))
    assert api.admin.delete("/cdrs", filters="[]").status == 400
    assert api.ann.delete("/cdrs").status == 403
    assert api.admin.delete("/cdrs", filter=filter_text(("type", "eq", "I"))).status == 204
    assert [row["type"] for row in api.admin.listed("/cdrs")] == ["O"]
    assert api.admin.delete("/cdrs").status == 204
    assert api.admin.get("/cdrs").json == {"data": [], "total": 0}
    assert api.admin.delete("/cdrs").status == 204


def test_null_clears(api: Api) -> None:
    (cdr_id,) = add(api, call(1_000_000_000, labels='["a"]', info="x", metadata="{}"))
    (changed,) = api.admin.patch("/cdrs", [{"id": cdr_id, "labels": None, "info": None, "metadata": None}]).data
    assert (changed["labels"], changed["info"], changed["metadata"]) == ([], None, None)


def test_a_wipe_cannot_ask_for_what_the_caller_may_not_see(api: Api) -> None:
    add(api, call(1_000_000_000))
    assert api.admin.patch(f"/users/{api.ann.user_id}", {"roles": ["administrator"]}).status == 200
    team(api, "No prices", api.ann, policies=("billing_disabled",))
    assert api.ann.delete("/cdrs", filter=filter_text(("rate", "gt", 0))).status == 400
    assert api.ann.delete("/cdrs", filter=filter_text(("duration", "gt", 0))).status == 204


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("eq", "CALL back", [1, 2]),
        ("eq", "call", []),
        ("ne", "call back", [3, 4]),
        ("like", "Ż", [2]),
        ("like", ",", [3]),
        ("like", '"', []),
        ("notlike", "a", [4]),
        ("in", ["żaba", "a, b"], [2, 3]),
        ("in", [], []),
        ("ne", None, [1, 2, 3, 4]),
    ],
)
def test_calls_are_found_by_their_labels(api: Api, operator: str, value: Any, expected: list[int]) -> None:
    labels = ['["call back"]', '["Call Back","żaba"]', '["a, b"]', "[]"]
    ids = add(api, *(call(1_000_000_000 + n, labels=text) for n, text in enumerate(labels)))
    found = api.admin.get("/cdrs", filter=filter_text(("labels", operator, value)), sort="calldate")
    assert [ids.index(row["id"]) + 1 for row in found.data] == expected
    assert found.json["total"] == len(expected)


def test_lists_of_labels_are_not_greater_or_less(api: Api) -> None:
    assert api.admin.get("/cdrs", filter=filter_text(("labels", "gt", "a"))).status == 400


def test_labels_read_back_from_csv(api: Api) -> None:
    labels = ["plain", "a,b", 'say "x"', "two\nlines", "'"]
    (cdr_id,) = add(api, call(1_000_000_000))
    assert api.admin.patch("/cdrs", [{"id": cdr_id, "labels": labels}]).status == 200
    (row,) = csv.DictReader(io.StringIO(api.admin.get("/cdrs.csv").body.decode(), newline=""))
    assert row["labels"].startswith("plain,")
    assert next(csv.reader(io.StringIO(row["labels"], newline=""))) == labels


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_begins_as_a_formula(api: Api, sign: str) -> None:
    add(api, call(1_000_000_000, info=f"{sign}1+1"))
    (row,) = csv.DictReader(io.StringIO(api.admin.get("/cdrs.csv").body.decode(), newline=""))
    assert row["info"] == f"'{sign}1+1"


def test_csv_has_every_match_and_neutral_cells(api: Api) -> None:
    add(api, call(1_000_000_000, src_name="=cmd()"), call(1_000_000_001, src_name='a "b", c'))
    answer = api.admin.get("/cdrs.csv", limit=1)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = answer.body.decode().split("\r\n")
    assert lines[0].startswith("id,duration,live_id,parent_live_id")
    assert len(lines) == 4
    assert "'=cmd()" in lines[2]
    assert '"a ""b"", c"' in lines[1]
    assert api.admin.get("/cdrs.csv", filter="nonsense").status == 400
