"""The vendor's command-line tool: it logs in, replaces its own API token, lists with `sort=id&dir=DESC`, and logs out."""

import re

import pytest

from tests.api import Api, Client, filter_text
from tests.people import PASSWORD, give_password, login, visitor
from tests.test_cdrs import add, call

NAME = "cli on workstation"
HEX40 = re.compile(r"[0-9a-f]{40}")


def logged_in(api: Api) -> Client:
    give_password(api, api.admin)
    answer = visitor(api).post(
        "/login", {"email": "admin@customer1.example", "password": PASSWORD, "remember_me": True, "code": ""}
    )
    assert answer.status == 200
    assert set(answer.json) == {"message", "user_token", "user_id"}
    assert answer.json["message"] == "Login success"
    assert answer.json["user_id"] == api.admin.user_id
    assert HEX40.fullmatch(answer.json["user_token"])
    return visitor(api, answer.json["user_token"])


def test_command_line_tool_replaces_its_token_by_name(api: Api) -> None:
    session = logged_in(api)
    assert session.listed("/apitokens", ("name", "eq", NAME)) == []
    first = session.post("/apitokens", {"name": NAME, "expiry": 3600})
    assert first.status == 201
    assert first.data["name"] == NAME
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first.data["created_at"])

    for old in session.listed("/apitokens", ("name", "eq", NAME)):
        assert HEX40.fullmatch(old["token"])
        assert visitor(api, old["token"]).get("/me").status == 401
        assert session.delete(f"/apitokens/{old['token']}").status == 204
    second = session.post("/apitokens", {"name": NAME, "expiry": 3600})
    assert second.status == 201
    assert visitor(api, second.data["token"]).get("/me").status == 200
    assert visitor(api, first.data["token"]).get("/me").status == 401


def test_command_line_tool_is_told_when_the_token_name_is_taken(api: Api) -> None:
    session = logged_in(api)
    assert session.post("/apitokens", {"name": NAME, "expiry": 0}).status == 201
    assert session.post("/apitokens", {"name": NAME, "expiry": 0}).status == 400


def test_command_line_tool_lists_newest_id_first(api: Api) -> None:
    ids = add(api, *(call(1_000_000_000 - n) for n in range(25)))
    session = logged_in(api)
    for path in ("/users", "/cdrs", "/contacts", "/queues", "/ddis", "/sms", "/monitors", "/voicemessages", "/chats"):
        answer = session.get(path, sort="id", dir="DESC", page=1, limit=10)
        assert answer.status == 200, path
        assert isinstance(answer.json["total"], int)
        assert answer.headers["content-length"] == str(len(answer.body))
    pages = [session.get("/cdrs", sort="id", dir="DESC", page=n, limit=10).data for n in (1, 2, 3, 4)]
    assert [row["id"] for page in pages for row in page] == sorted(ids, reverse=True)
    assert pages[3] == []


def test_command_line_tool_shows_why_a_filter_is_wrong(api: Api) -> None:
    answer = logged_in(api).get("/cdrs", filter=filter_text(("calldate", "between", "2001-01-01")))
    assert answer.status == 400
    assert answer.json["message"].startswith("Filtration error")


def test_command_line_tool_reads_a_failed_login(api: Api) -> None:
    give_password(api, api.admin)
    answer = login(api, "admin", "wrong")
    assert answer.status == 400
    assert answer.json["message"]
    assert answer.json["errors"][0]["field"] == "email"
    assert answer.json["errors"][0]["code"] == "AU1003"


def test_command_line_tool_logs_out_and_its_session_is_over(api: Api) -> None:
    session = logged_in(api)
    assert session.call("POST", "/logout", b"").status == 200
    assert session.get("/me").status == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_command_line_tool_sends_a_json_content_type_without_a_body(api: Api, method: str) -> None:
    path = {"GET": "/ping", "POST": "/logout"}[method]
    assert logged_in(api).call(method, path, b"", headers={"content-type": "application/json"}).status == 200


def test_command_line_tool_makes_a_call_and_is_told_that_no_phone_is_online(api: Api) -> None:
    session = logged_in(api)
    answer = session.post("/calls", {"to": "442079460999", "from": api.ann.user_id, "caller_id": "anonymous"})
    assert answer.status == 412
    assert answer.json["message"] == "Unable to make a call with no VoIP clients registered"
    wrong = session.post("/calls", {"to": "442079460999", "from": 1})
    assert wrong.status == 400
    assert wrong.json["errors"][0]["code"] == "SF0010"
