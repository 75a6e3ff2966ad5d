"""`POST /ingest/cdrs`: what a program tells of calls, once each, in trees, and what it is told of faulty lines."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.api import Answer, Api, Client
from tests.clock import TestClock

NDJSON = {"content-type": "application/x-ndjson"}
CALL = {
    "key": "k1",
    "calldate": "2026-11-20 10:00:00",
    "src": "101",
    "dst": "02079460000",
    "duration": 60,
    "billsec": 55,
}


@pytest.fixture
def pbx(api: Api) -> Client:
    return program(api.admin)


def program(client: Client) -> Client:
    made = client.post("/apitokens", {"name": "pbx", "ingest": True})
    return replace(client, token=made.data["token"], headers=NDJSON)


def told(client: Client, *calls: Any) -> dict[str, Any]:
    answer = sent(client, *calls)
    assert answer.status == 200, answer.body
    data: dict[str, Any] = answer.data
    return data


def sent(client: Client, *calls: Any) -> Answer:
    lines = (each if isinstance(each, bytes) else json.dumps(each).encode() for each in calls)
    return client.post("/ingest/cdrs", b"\n".join(lines))


def stored(api: Api) -> list[Any]:
    return api.admin.listed("/cdrs", sort="id", dir="ASC")


def test_a_line_becomes_a_cdr_with_names_and_normal_numbers(api: Api, pbx: Client) -> None:
    contact = api.admin.post("/contacts", {"first_name": "Zoë", "tel": "020 7946 0000", "global": True}).data["id"]
    assert told(pbx, CALL) == {"new": 1, "known": 0, "refused": []}
    (cdr,) = stored(api)
    assert (cdr["calldate"], cdr["duration"], cdr["billsec"]) == ("2026-11-20 10:00:00", 60, 55)
    assert (cdr["type"], cdr["destination"], cdr["disposition"], cdr["context"]) == (
        "O",
        "out",
        "CONNECTED",
        "PSTN_CALL",
    )
    admin = api.admin.user_id
    assert (cdr["src"], cdr["src_id"], cdr["src_name"], cdr["user_id"]) == ("101", str(admin), "Admin Tester", admin)
    assert (cdr["dst"], cdr["dst_id"], cdr["dst_name"]) == ("442079460000", f"contact:{contact}", "Zoë")
    assert cdr["is_root"] is True


@pytest.mark.parametrize(
    ("changes", "kind", "user", "disposition"),
    [
        ({"src": "+48 22 123 45 67", "dst": "103"}, "I", "ann", "CONNECTED"),
        ({"src": "+48 22 123 45 67", "dst": "103", "billsec": 0}, "M", "ann", "RINGING"),
        ({"src": None, "dst": "02079460001", "ext": "104"}, "I", "bob", "CONNECTED"),
        ({"src": "103", "dst": "104"}, "O", "ann", "CONNECTED"),
        ({"src": "02079461111", "dst": "02079460001", "ext": "104", "type": "O"}, "O", "bob", "CONNECTED"),
    ],
)
def test_what_is_not_told_follows_from_the_numbers(
    api: Api, pbx: Client, changes: dict[str, Any], kind: str, user: str, disposition: str
) -> None:
    told(pbx, {**CALL, **changes})
    (cdr,) = stored(api)
    assert (cdr["type"], cdr["user_id"], cdr["disposition"]) == (kind, getattr(api, user).user_id, disposition)
    assert cdr["destination"] == ("out" if kind == "O" else "in")
    assert [each["id"] for each in getattr(api, user).listed("/cdrs")] == [cdr["id"]]


def test_what_is_told_stays_as_told(api: Api, pbx: Client) -> None:
    more = {
        "calldate": 1_795_341_600,
        "type": "M",
        "disposition": "VM",
        "context": "VOICEMAIL",
        "user_id": api.ann.user_id,
        "clid": '"Zoë" <+48 22>',
        "src_name": "Zoë",
        "src_codec": "opus",
        "server_id": 7,
        "rate": 0.01,
        "charge": 0.0125,
        "t_cause": "Normal Clearing",
        "info": "=1+1",
        "labels": ["a", "b,c"],
        "metadata": {"crm": 5},
    }
    told(pbx, {**CALL, **more})
    (cdr,) = stored(api)
    assert cdr["calldate"] == "2026-11-22 10:00:00"
    assert cdr["metadata"] == '{"crm":5}'
    same = more.keys() - {"calldate", "metadata"}
    assert {name: cdr[name] for name in same} == {name: more[name] for name in same}


def test_a_fetched_cdr_can_be_told_as_it_is(api: Api, pbx: Client) -> None:
    told(pbx, CALL)
    (cdr,) = stored(api)
    assert told(pbx, {**cdr, "key": "copy"})["new"] == 1
    first, second = stored(api)
    own = {"id", "live_id", "call_id", "root_live_id"}
    assert {name: second[name] for name in cdr.keys() - own} == {name: first[name] for name in cdr.keys() - own}


def test_a_key_is_stored_once(api: Api, pbx: Client) -> None:
    assert told(pbx, CALL, {**CALL, "key": "k2"}, CALL) == {"new": 2, "known": 1, "refused": []}
    assert told(pbx, {**CALL, "duration": 1}, {**CALL, "key": "k3"}) == {"new": 1, "known": 1, "refused": []}
    assert [each["duration"] for each in stored(api)] == [60, 60, 60]


def test_a_key_is_each_customers_own(api: Api, pbx: Client) -> None:
    told(pbx, CALL)
    assert told(program(api.stranger), CALL)["new"] == 1
    assert len(stored(api)) == 1
    assert len(api.stranger.listed("/cdrs")) == 1


def test_many_senders_at_once_store_each_key_once_and_one_tree(api: Api, pbx: Client) -> None:
    calls = [{**CALL, "key": f"k{n}", "uniqueid": f"1.{n}", "linkedid": "1.0"} for n in range(20)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: told(pbx, *calls[n % 5 :: 5]), range(20)))
    assert sum(each["new"] for each in answers) == 20
    assert sum(each["known"] for each in answers) == 60
    assert len({each["root_live_id"] for each in stored(api)}) == 1
    assert sum(each["is_root"] for each in stored(api)) == 1


# -- trees ------------------------------------------------------------------------------------------------------------


def test_hops_of_one_linkedid_make_a_tree(api: Api, pbx: Client) -> None:
    hops = [{**CALL, "key": f"k{n}", "uniqueid": f"1.{n}", "linkedid": "1.1"} for n in range(3)]
    told(pbx, *hops[:2])
    told(pbx, hops[2], {**CALL, "key": "other"})
    first, root, last, other = stored(api)
    assert (root["is_root"], root["parent_live_id"], root["root_live_id"]) == (True, None, root["live_id"])
    for hop in (first, last):
        assert (hop["is_root"], hop["parent_live_id"], hop["root_live_id"]) == (False, root["live_id"], root["live_id"])
    assert other["root_live_id"] == other["live_id"]


def test_a_linkedid_of_another_customer_is_another_call(api: Api, pbx: Client) -> None:
    hop = {**CALL, "uniqueid": "1.2", "linkedid": "1.1"}
    told(program(api.stranger), hop)
    told(pbx, hop)
    assert stored(api)[0]["is_root"] is True


# -- what cannot be stored --------------------------------------------------------------------------------------------


def test_faulty_lines_are_named_with_all_faults_and_the_rest_is_stored(api: Api, pbx: Client) -> None:
    lines = [
        CALL,
        b"",
        b"nonsense",
        {"key": "k2", "src": "1", "duration": -1, "colour": "red", "calldate": "2026-02-30 10:00:00"},
        b"[1]",
        b'{"key": "\xff"}',
        {**CALL, "key": "x" * 201},
        {**CALL, "key": "a\0b"},
        {**CALL, "key": 5},
        {**CALL, "key": "k9", "ext": "999", "user_id": 1},
        {**CALL, "key": "k10", "src_id": str(api.stranger.user_id), "dst_id": "contact:x", "charge": 1e300},
        {**CALL, "key": "k11", "calldate": -1},
        b'{"a":' * 10_000,
        {**CALL, "key": "k14"},
    ]
    data = told(pbx, *lines)
    assert (data["new"], data["known"]) == (2, 0)
    assert len(stored(api)) == 2
    refused = {each["line"]: (each["key"], [fault["field"] for fault in each["errors"]]) for each in data["refused"]}
    assert refused == {
        3: (None, [None]),
        4: ("k2", ["duration", "colour", "calldate", "dst"]),
        5: (None, [None]),
        6: (None, [None]),
        7: ("x" * 200, ["key"]),
        8: ("a\0b", ["key"]),
        9: (None, ["key"]),
        10: ("k9", ["ext", "user_id"]),
        11: ("k10", ["src_id", "dst_id", "charge"]),
        12: ("k11", ["calldate"]),
        13: (None, [None]),
    }
    messages = {each["line"]: each["message"] for each in data["refused"]}
    assert messages[4].startswith("Validation error: duration: Expected `int` >= 0; colour: Unknown attribute")
    assert "calldate: Expected UTC, YYYY-MM-DD HH:MM:SS or UTC seconds since 1970" in messages[12]
    assert messages[10] == "ext: No user has this extension.; user_id: There is no such user."
    assert all(set(fault) == {"field", "message", "code"} for each in data["refused"] for fault in each["errors"])


def test_a_word_that_is_none_of_those_allowed_is_told_them(pbx: Client) -> None:
    refused = told(pbx, {**CALL, "type": "Q", "disposition": 3, "labels": ["a", 3]})["refused"][0]
    assert refused["message"] == (
        "Validation error: type: Expected one of O, I, M"
        "; disposition: Expected one of INITIAL, RINGING, CONNECTED, ON_HOLD, VM; labels[1]: Expected `str`, got `int`"
    )


@pytest.mark.parametrize("body", [b"", b"\n\n", b"nonsense", b"1\n2\n", b"\xff\xfe\n"])
def test_a_body_of_which_nothing_can_be_read_is_refused(pbx: Client, body: bytes) -> None:
    answer = sent(pbx, body)
    assert answer.status == 400
    assert answer.json["message"].startswith("Nothing here can be read")


def test_too_much_at_once_is_refused_whole(api: Api, pbx: Client) -> None:
    line = json.dumps({**CALL, "info": "x" * 60_000}).encode()
    assert sent(pbx, *[line] * 200).status == 413
    many = [json.dumps({**CALL, "key": str(n)}).encode() for n in range(10_001)]
    assert sent(pbx, *many).status == 413
    assert stored(api) == []
    assert told(pbx, *many[:-1])["new"] == 10_000


def test_a_body_of_tiny_lines_is_refused_before_they_are_read(pbx: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.resources.ingest.cdrs._parsed", pytest.fail)
    assert sent(pbx, b"x\n" * 1_000_000).status == 413


def test_the_answer_to_much_nonsense_is_not_many_times_its_size(pbx: Client) -> None:
    line = json.dumps({f"a{n}": 1 for n in range(100)}).encode()
    data = told(pbx, *[line] * 2_000)
    assert len(data["refused"][0]["errors"]) > 100
    assert [each["line"] for each in data["refused"]] == [*range(1, 2_001)]
    assert len(json.dumps(data)) < 2_000 * len(line)


@pytest.mark.parametrize("date", ["0001-01-01 00:00:00", "9999-12-31 23:59:59"])
def test_the_first_and_the_last_date_come_back_as_they_were(api: Api, pbx: Client, date: str) -> None:
    told(pbx, {**CALL, "calldate": date})
    assert [each["calldate"] for each in stored(api)] == [date]
    assert date.encode() in api.admin.get("/cdrs.csv").body


def test_json_is_taken_as_well(api: Api, pbx: Client) -> None:
    as_json = replace(pbx, headers={"content-type": "application/json"})
    assert as_json.post("/ingest/cdrs", CALL).data["new"] == 1
    answer = as_json.post("/ingest/cdrs", [CALL, {**CALL, "key": "k2"}, 5]).data
    assert (answer["new"], answer["known"], answer["refused"][0]["line"]) == (1, 1, 3)
    assert as_json.post("/ingest/cdrs", b"{").status == 400


def test_no_other_media_type_and_no_other_token(api: Api, pbx: Client) -> None:
    body = json.dumps(CALL).encode()
    refused = pbx.call("POST", "/ingest/cdrs", body, headers={"content-type": "text/csv"})
    assert refused.status == 415
    assert refused.json["message"] == "Send the body as application/x-ndjson or application/json."
    for client in (api.admin, api.ann):
        answer = client.post("/ingest/cdrs", CALL)
        assert answer.status == 403
        assert "ringback token create --ingest" in answer.json["message"]
    assert api.nobody.post("/ingest/cdrs", CALL).status == 401
    assert api.admin.call("POST", "/cdrs", body, headers=NDJSON).status in (405, 415)


def test_an_expired_or_ended_token_brings_nothing_in(api: Api, clock: TestClock) -> None:
    made = api.admin.post("/apitokens", {"name": "short", "ingest": True, "expiry": 60}).data["token"]
    short = replace(api.admin, token=made, headers=NDJSON)
    told(short, CALL)
    clock.advance(61)
    assert sent(short, CALL).status == 401
