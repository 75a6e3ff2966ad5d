"""Scripts in use: the vendor's queue script, a Singer tap, and Python scripts with HTTP Basic."""

import base64
import json
from typing import Any

import pytest

from tests.api import Api, Client, filter_text
from tests.recordings import add_monitor, add_voicemessage
from tests.test_cdrs import add, call
from tests.test_messages import add_chat, add_sms


def basic(client: Client, user: str) -> Client:
    credentials = base64.b64encode(f"{user}:{client.token}".encode()).decode()
    return Client(client.app, None, client.customer_id, client.user_id, {"authorization": f"Basic {credentials}"})


# -- the queue script -------------------------------------------------------------------------------------------------

MEMBERS = {"include": "users", "fields[users]": "id,first_name,last_name,status,no_such_attribute"}


def test_queue_script_pauses_and_resumes_a_member(api: Api) -> None:
    members = [api.ann.user_id, api.bob.user_id]
    queue = api.admin.post("/queues", {"name": "Sales", "users": members}).data["id"]
    assert "Sales" in [each["name"] for each in api.admin.get("/queues").data]

    shown = api.admin.get(f"/queues/{queue}", **MEMBERS).data["users"]
    assert [set(each) for each in shown] == [{"id", "first_name", "last_name", "status"}] * 2
    assert [each["status"] for each in shown] == [True, True]

    wanted = [{"id": each["id"], "status": each["id"] != api.ann.user_id} for each in shown]
    answer = api.admin.patch(f"/queues/{queue}", {"users": wanted}, **MEMBERS)
    assert answer.status == 200
    assert {each["id"]: each["status"] for each in answer.data["users"]} == {
        api.ann.user_id: False,
        api.bob.user_id: True,
    }
    assert sorted(api.admin.get(f"/queues/{queue}").data["users"]) == sorted(members)

    api.admin.patch(f"/queues/{queue}", {"users": [{"id": each, "status": True} for each in members]})
    assert all(each["status"] for each in api.admin.get(f"/queues/{queue}", **MEMBERS).data["users"])


def test_queue_script_sends_back_what_it_read(api: Api) -> None:
    queue = api.admin.post("/queues", {"name": "Sales", "users": [api.ann.user_id]}).data["id"]
    api.admin.patch(f"/queues/{queue}", {"users": [{"id": api.ann.user_id, "status": False}]})
    whole = api.admin.get(f"/queues/{queue}", include="users").data
    assert api.admin.patch(f"/queues/{queue}", {"users": [api.ann.user_id]}).status == 200
    shown = api.admin.get(f"/queues/{queue}", **MEMBERS).data["users"]
    assert [each["status"] for each in shown] == [False]
    assert api.admin.patch(f"/queues/{queue}", {**whole, "users": [api.ann.user_id]}).status == 200


# -- the Singer tap ---------------------------------------------------------------------------------------------------


def test_singer_tap_reads_on_from_its_bookmark(api: Api) -> None:
    add(api, *(call(1_000_000_000 + n * 60) for n in range(250)))
    rows = tap(api.admin, "/cdrs", "calldate", "2001-09-09")
    assert len(rows) == 250
    assert rows == sorted(rows, key=lambda row: row["calldate"])
    bookmark = rows[-1]["calldate"]
    add(api, call(1_000_000_000 + 250 * 60))
    fresh = tap(api.admin, "/cdrs", "calldate", bookmark)
    assert [row["calldate"] >= bookmark for row in fresh] == [True, True]
    assert fresh[-1]["id"] not in {row["id"] for row in rows}


def tap(client: Client, path: str, key: str, since: str) -> list[dict[str, Any]]:
    """Ascending by the replication key, in pages of 100 until an empty one."""
    found: list[dict[str, Any]] = []
    for page in range(1, 1_000):
        params = {"page": page, "limit": 100, "sort": json.dumps([{"property": key, "direction": "ASC"}])}
        answer = client.get(path, filter=filter_text((key, "gte", since)), **params)
        assert answer.status == 200
        if not answer.data:
            return found
        found += answer.data
    raise AssertionError("no page was empty")


@pytest.mark.parametrize("stream", ["users", "contacts", "queues", "ddis", "sms", "conversations", "chats", "cdrs"])
def test_singer_tap_reads_every_stream_with_keys_in_each_record(api: Api, stream: str) -> None:
    one_of_each(api)
    api.admin.post("/contacts", {"first_name": "Zoë"})
    api.admin.post("/queues", {"name": "Sales"})
    api.admin.post("/ddis", {"e164": "442079460000"})
    add_chat(api)
    answer = api.admin.get(f"/{stream}", page=1, limit=100)
    assert answer.status == 200
    assert answer.json["total"] == len(answer.data) > 0
    assert all(row["id"] is not None for row in answer.data)
    assert api.admin.get(f"/{stream}", page=1_000, limit=100).data == []


FILTERS = {
    "cdrs": "calldate src dst disposition type user_id duration",
    "monitors": "timestamp caller called type duration cx_score",
    "voicemessages": "origtime caller dialled folder duration is_new",
    "sms": "created_at from to type",
    "conversations": "created_at src dst channel type duration",
    "apitokens": "name",
}


def one_of_each(api: Api) -> None:
    add(api, call(1_000_000_000, user_id=api.admin.user_id))
    add_monitor(api, b"x", cx_score=7)
    add_voicemessage(api, b"x", caller="442079460001", dialled="102")
    add_sms(api)
    api.admin.post("/apitokens", {"name": "script"})


@pytest.mark.parametrize(("resource", "names"), FILTERS.items())
def test_filters_that_scripts_use_pick_records_in_any_key_order(api: Api, resource: str, names: str) -> None:
    one_of_each(api)
    found = api.admin.get(f"/{resource}").data
    record = next(row for row in found if all(row[name] is not None for name in names.split()))
    for name in names.split():
        for operator, there in (("eq", True), ("ne", False)):
            entry = {"value": record[name], "operator": operator, "property": name}
            answer = api.admin.get(f"/{resource}", filter=json.dumps([entry]))
            assert answer.status == 200, (name, answer.body)
            assert (record["id"] in [row["id"] for row in answer.data]) is there, (name, operator)


# -- Python scripts ---------------------------------------------------------------------------------------------------


def test_python_scripts_log_in_with_any_form_of_basic(api: Api) -> None:
    for user in (str(api.admin.user_id), "admin@customer1.example", ""):
        assert basic(api.admin, user).get("/me").data["id"] == api.admin.user_id
    for credentials in ("nonsense", base64.b64encode(b"no colon").decode()):
        answer = Client(api.app, headers={"authorization": f"Basic {credentials}"}).get("/me")
        assert answer.status == 400
        assert answer.json["message"] == "Failed to parse Authorization header credentials"
    dead = Client(api.app, headers={"authorization": f"Basic {base64.b64encode(b':0000').decode()}"}).get("/me")
    assert dead.status == 401
    assert dead.json["message"]


def test_python_script_asks_for_10000_and_reads_the_first_page_only(api: Api) -> None:
    add(api, *(call(1_000_000_000 + n) for n in range(1_500)))
    script = basic(api.admin, str(api.admin.user_id))
    answer = script.get("/cdrs", limit=10_000, page=1)
    assert len(answer.data) == answer.json["total"] == 1_500
    assert len(script.get("/cdrs").data) == 1_000
    assert script.get("/cdrs", limit=10_001).status == 400


def test_python_script_downloads_recordings_whose_size_is_the_records(api: Api) -> None:
    audio = b"\xff\xfb\x90\x64" + bytes(5_000)
    monitor, message = add_monitor(api, audio), add_voicemessage(api, audio)
    script = basic(api.admin, "admin@customer1.example")
    for path in (f"/monitors/{monitor}", f"/voicemessages/{message}"):
        mp3 = script.get(f"{path}.mp3")
        assert mp3.status == 200
        assert mp3.headers["content-type"] == "audio/mpeg"
        assert mp3.headers["content-length"] == str(len(mp3.body))
        assert len(mp3.body) == script.get(path).data["size"]


def test_python_script_asks_whether_the_server_is_there(api: Api) -> None:
    assert basic(api.admin, "").get("/ping").data["response"] == "Pong"


@pytest.mark.parametrize("base", ["/v1.1/voipstudio", "/v1.2/voipstudio", "/v1/voipstudio"])
def test_scripts_of_any_version_find_the_same(api: Api, base: str) -> None:
    assert basic(api.admin, "").get(f"/{base}/users").json == api.admin.get("/users").json
