"""Sessions and API tokens: forms of credentials, idle expiry, lists, revoking."""

import base64
from typing import Any

import pytest

from ringback.identity import tokens
from ringback.identity.sweep import sweep
from tests.api import Api, Client
from tests.clock import TestClock
from tests.people import visitor

UNKNOWN = "0" * 40


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def status(api: Api, headers: dict[str, str]) -> int:
    answer = Client(api.app).call("GET", "/apitokens", headers=headers)
    assert "www-authenticate" not in answer.headers
    return answer.status


def test_ping_needs_no_token(api: Api) -> None:
    answer = visitor(api).get("/ping")
    assert (answer.status, answer.json) == (200, {"data": {"response": "Pong"}})


# -- credentials ------------------------------------------------------------------------------------------------------


def test_every_form_of_credentials_works(api: Api) -> None:
    token, user_id = api.ann.token or "", api.ann.user_id
    for headers in (
        {"x-auth-token": token},
        basic(f"{user_id}:{token}"),
        basic(f"ann@customer1.example:{token}"),
        basic(f"ANN@customer1.example:{token}"),
        basic(f":{token}"),
        {"authorization": basic(f":{token}")["authorization"].replace("Basic", "basic")},
        {"x-auth-token": token, "authorization": "Bearer other"},
    ):
        assert status(api, headers) == 200, headers


def test_anything_else_is_unauthorized(api: Api) -> None:
    token = api.ann.token or ""
    for headers in (
        {},
        {"x-auth-token": ""},
        {"x-auth-token": UNKNOWN},
        {"x-auth-token": token.upper()},
        {"authorization": f"Bearer {token}"},
        basic(f"{api.bob.user_id}:{token}"),
        basic(f"bob@customer1.example:{token}"),
        basic(f":{UNKNOWN}"),
        basic(f"{token}:"),
    ):
        assert status(api, headers) == 401, headers


@pytest.mark.parametrize(
    "value", ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"no colon").decode(), "Basic /w=="]
)
def test_a_basic_value_that_does_not_split_in_two_is_told_so(api: Api, value: str) -> None:
    answer = Client(api.app).call("GET", "/apitokens", headers={"authorization": value})
    assert answer.status == 400
    assert answer.json["message"] == "Failed to parse Authorization header credentials"


def test_the_401_has_a_message_and_no_challenge(api: Api) -> None:
    answer = visitor(api, UNKNOWN).get("/apitokens")
    assert answer.status == 401
    assert answer.json["message"]
    assert answer.json["errors"] == []
    assert "www-authenticate" not in answer.headers
    assert answer.headers["access-control-allow-origin"] == "*"


# -- idle expiry ------------------------------------------------------------------------------------------------------


def test_a_session_ends_after_half_an_hour_without_a_request(api: Api, clock: TestClock) -> None:
    for _ in range(3):
        clock.advance(1_800)
        assert api.ann.get("/apitokens").status == 200
    clock.advance(1_801)
    assert api.ann.get("/apitokens").status == 401
    assert api.ann.get("/apitokens").status == 401


def test_the_idle_timer_survives_a_restart(api: Api, clock: TestClock) -> None:
    clock.advance(1_700)
    assert api.ann.get("/apitokens").status == 200
    api.services.idle.flush(api.services.database)
    assert api.services.idle._used == {}
    clock.advance(1_700)
    assert api.ann.get("/apitokens").status == 200


def test_an_api_token_lives_as_long_as_its_expiry_says(api: Api, clock: TestClock) -> None:
    made = {n: create(api.ann, f"t{n}", **more) for n, more in enumerate(({"expiry": 60}, {"expiry": 0}, {}))}
    short, never, unset = (visitor(api, made[n]["token"]) for n in range(3))
    assert [made[n]["expiry"] for n in range(3)] == [60, None, None]
    for _ in range(2):
        clock.advance(60)
        assert short.get("/apitokens").status == 200
    clock.advance(61)
    assert short.get("/apitokens").status == 401
    clock.advance(10 * 365 * 86_400)
    sweep(api.services.database, clock())
    assert never.get("/apitokens").status == 200
    assert [row["name"] for row in unset.listed("/apitokens")] == ["t2", "t1"]


# -- API tokens -------------------------------------------------------------------------------------------------------


def create(client: Client, name: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/apitokens", {"name": name, **more})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.data
    return made


def test_the_command_line_tool_replaces_its_token_by_name(api: Api) -> None:
    """It lists by name, deletes `data[].token`, and makes a new one."""
    first = create(api.ann, "cli")
    create(api.ann, "other")
    listed = api.ann.listed("/apitokens", ("name", "eq", "cli"), sort="id", dir="DESC")
    assert [row["name"] for row in listed] == ["cli"]
    assert api.ann.delete(f"/apitokens/{listed[0]['token']}").status == 204
    assert visitor(api, first["token"]).get("/apitokens").status == 401
    second = create(api.ann, "cli")
    assert visitor(api, second["token"]).get("/apitokens").status == 200


def test_the_name_of_a_dead_token_is_free(api: Api, clock: TestClock) -> None:
    """The command-line tool finds no dead token in its list, so it cannot delete one."""
    create(api.ann, "cli", expiry=60)
    clock.advance(60)
    assert api.ann.post("/apitokens", {"name": "cli"}).status == 400
    clock.advance(1)
    assert api.ann.listed("/apitokens", ("name", "eq", "cli")) == []
    again = create(api.ann, "cli", expiry=60)
    clock.advance(60)
    assert visitor(api, again["token"]).get("/apitokens").status == 200
    clock.advance(60)  # the use is in memory and not yet written
    assert api.ann.post("/apitokens", {"name": "cli"}).status == 400


def test_a_token_is_shown_once_and_its_handle_opens_nothing(api: Api) -> None:
    made = create(api.ann, "crm", expiry=3_600)
    (row,) = api.ann.listed("/apitokens")
    assert list(made) == ["id", "name", "token", "user_id", "expiry", "created_at", "last_used_at", "ingest"]
    assert row == {**made, "token": row["token"]}
    assert row["token"] != made["token"]
    assert len(row["token"]) == len(made["token"]) == 40
    assert visitor(api, row["token"]).get("/apitokens").status == 401
    kept = api.write(lambda db: db.all("SELECT * FROM tokens WHERE name = 'crm'"))
    assert made["token"] not in str(kept)


def test_the_token_itself_can_be_deleted_too(api: Api) -> None:
    made = create(api.ann, "crm")
    assert visitor(api, made["token"]).delete(f"/apitokens/{made['token']}").status == 204
    assert api.ann.listed("/apitokens") == []
    assert api.ann.delete(f"/apitokens/{made['token']}").status == 404


def test_a_name_is_used_once_by_each_user(api: Api) -> None:
    create(api.ann, "crm")
    again = api.ann.post("/apitokens", {"name": "crm"})
    assert (again.status, again.fields) == (400, ["name"])
    create(api.bob, "crm")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name"]),
        ({"name": " ", "expiry": -1}, ["name", "expiry"]),
        ({"name": "x" * 256, "expiry": "60"}, ["name", "expiry"]),
        ({"name": "x", "expires": 60}, ["expires"]),
        ({"name": "x", "expiry": 2**63}, ["expiry"]),
    ],
)
def test_bad_tokens_are_refused_with_all_faults(api: Api, body: dict[str, Any], fields: list[str]) -> None:
    answer = api.ann.post("/apitokens", body)
    assert (answer.status, answer.fields) == (400, fields)


def test_a_very_long_expiry_is_no_overflow(api: Api) -> None:
    made = create(api.ann, "crm", expiry=2**63 - 1)
    assert visitor(api, made["token"]).listed("/apitokens")[0]["expiry"] == 2**63 - 1
    sweep(api.services.database, api.services.clock())


def test_everybody_lists_own_tokens_and_administrators_those_of_a_user_they_name(api: Api) -> None:
    """An administrator's program deletes what it finds under its name: it must not find those of others."""
    for client in (api.admin, api.ann, api.stranger):
        create(client, "cli")
    assert [row["user_id"] for row in api.admin.listed("/apitokens", ("name", "eq", "cli"))] == [api.admin.user_id]
    anns = api.admin.listed("/apitokens", ("user_id", "eq", api.ann.user_id))
    assert [row["user_id"] for row in anns] == [api.ann.user_id]
    assert api.bob.listed("/apitokens", ("user_id", "eq", api.ann.user_id)) == []
    assert api.admin.listed("/apitokens", ("user_id", "eq", api.stranger.user_id)) == []


def test_who_may_end_a_token(api: Api) -> None:
    handles = []
    for n in range(2):
        create(api.ann, f"crm{n}")
        handles.append(api.ann.listed("/apitokens", ("name", "eq", f"crm{n}"))[0]["token"])
    assert api.bob.delete(f"/apitokens/{handles[0]}").status == 403
    assert api.stranger.delete(f"/apitokens/{handles[0]}").status == 404
    assert api.nobody.delete(f"/apitokens/{handles[0]}").status == 401
    assert api.admin.delete(f"/apitokens/{handles[0]}").status == 204
    assert api.ann.delete(f"/apitokens/{handles[1]}").status == 204
    assert api.ann.delete(f"/apitokens/{UNKNOWN}").status == 404
    entries = [entry for entry in api.admin.listed("/auditlog") if entry["action"] == "revoke"]
    assert [entry["user_id"] for entry in entries] == [api.ann.user_id, api.admin.user_id]
    assert entries[1]["details"] == {"user_id": api.ann.user_id, "name": "crm0"}


def test_tokens_can_be_filtered_sorted_and_paged(api: Api) -> None:
    for n in range(5):
        create(api.ann, f"t{n}", expiry=60 * n)
    names = [row["name"] for row in api.ann.listed("/apitokens", sort="name", dir="ASC", limit=2, page=2)]
    assert names == ["t2", "t3"]
    assert [row["name"] for row in api.ann.listed("/apitokens", ("expiry", "gte", 180))] == ["t4", "t3"]
    assert api.ann.get("/apitokens", filter='[{"property":"hash","operator":"eq","value":"x"}]').status == 400


# -- tokens of programs that bring calls in ---------------------------------------------------------------------------


def test_a_program_that_brings_calls_in_can_do_nothing_else(api: Api) -> None:
    made = create(api.admin, "pbx", ingest=True)
    program = visitor(api, made["token"])
    assert made["ingest"] is True
    for method, path in (("GET", "/cdrs"), ("GET", "/apitokens"), ("POST", "/logout"), ("DELETE", "/cdrs")):
        answer = program.call(method, path)
        assert answer.status == 403
        assert answer.json["message"].startswith("This token brings calls in and opens /ingest only.")
    assert program.get("/nowhere").status == 404


def test_only_administrators_make_such_tokens_and_end_them_as_any_other(api: Api) -> None:
    for client in (api.ann, api.reception):
        assert client.post("/apitokens", {"name": "pbx", "ingest": True}).status == 403
        assert create(client, "crm", ingest=False)["ingest"] is False
    create(api.admin, "pbx", ingest=True)
    (row,) = api.admin.listed("/apitokens", ("ingest", "eq", True))
    assert (row["name"], row["ingest"]) == ("pbx", True)
    assert api.stranger.delete(f"/apitokens/{row['token']}").status == 404
    assert api.admin.delete(f"/apitokens/{row['token']}").status == 204
    assert api.admin.post("/apitokens", {"name": "x", "ingest": "yes"}).fields == ["ingest"]


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_sessions_are_listed_and_ended(api: Api) -> None:
    (mine,) = api.ann.listed("/sessions")
    assert mine["current"] is True
    assert mine["user_id"] == api.ann.user_id
    assert visitor(api, mine["token"]).get("/sessions").status == 401
    assert {row["user_id"] for row in api.admin.listed("/sessions")} == {
        each.user_id for each in (api.admin, api.reception, api.ann, api.bob)
    }
    assert len(api.admin.listed("/sessions", ("user_id", "eq", api.ann.user_id))) == 1
    assert api.bob.delete(f"/sessions/{mine['token']}").status == 403
    assert api.stranger.delete(f"/sessions/{mine['token']}").status == 404
    assert api.admin.delete(f"/sessions/{mine['token']}").status == 204
    assert api.ann.get("/sessions").status == 401
    assert api.admin.delete(f"/sessions/{mine['token']}").status == 404


def test_sessions_and_api_tokens_are_not_mixed_up(api: Api) -> None:
    create(api.ann, "crm")
    handle = api.ann.listed("/apitokens")[0]["token"]
    assert api.ann.delete(f"/sessions/{handle}").status == 404
    assert api.ann.delete(f"/apitokens/{api.ann.listed('/sessions')[0]['token']}").status == 404
    assert [row["token"] for row in api.ann.listed("/sessions")] != [handle]


def test_sessions_that_are_over_are_not_listed(api: Api, clock: TestClock) -> None:
    clock.advance(1_700)
    assert api.admin.get("/sessions").status == 200
    api.services.idle.flush(api.services.database)
    clock.advance(200)
    assert [row["user_id"] for row in api.admin.listed("/sessions")] == [api.admin.user_id]


def test_logging_out_with_an_api_token_ends_that_token(api: Api) -> None:
    made = create(api.ann, "crm")
    assert visitor(api, made["token"]).post("/logout").status == 200
    assert api.ann.listed("/apitokens") == []
    assert api.ann.get("/sessions").status == 200


def test_a_hash_is_no_token(api: Api) -> None:
    assert visitor(api, tokens.hash_of(api.ann.token or "")).get("/sessions").status == 401
