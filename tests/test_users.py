"""Users: the directory, their making, changing and leaving; `/me`."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ringback.identity import tokens
from ringback.identity.passwords import verify
from ringback.store import cdrs, rows, schema
from ringback.store.database import value
from tests.api import Api, Client

CARL = {"email": "carl@acme.example", "first_name": "Carl", "last_name": "Jung", "ext": "150"}
UNUSABLE = "This value cannot be used."


def restrict(api: Api, client: Client, *policies: str) -> None:
    """Puts a user under a team policy."""
    team = api.admin.post("/usergroups", {"name": f"t{client.user_id}", "users": [client.user_id]}).data["id"]
    body = {"name": f"p{client.user_id}", "usergroups": [team], "policies": list(policies)}
    assert api.admin.post("/usergrouppolicies", body).status == 201


def password_hash(api: Api, user_id: int) -> str | None:
    found: str | None = api.services.database.read(
        lambda db: value(db, "SELECT password_hash FROM users WHERE id = :id", {"id": user_id})
    )
    return found


def test_a_user_has_the_pages_attributes_and_ours(api: Api) -> None:
    user = api.admin.get(f"/users/{api.ann.user_id}").data
    assert list(user) == [
        "id",
        "active",
        "created_at",
        "customer",
        "email",
        "first_name",
        "is_initial",
        "is_root",
        "last_name",
        "roles",
        "two_factor_auth",
        "visited_apps",
        "ext",
        "cli",
        "dnd",
        "nb_sip_locations",
        "presence",
    ]
    assert user["customer"] == api.acme
    assert user["roles"] == ["user"]
    assert user["is_initial"] is user["is_root"] is False


def test_everybody_lists_colleagues_without_their_private_attributes(api: Api) -> None:
    found = {row["first_name"]: row for row in api.ann.listed("/users")}
    assert set(found) == {"Admin", "Reception", "Ann", "Bob"}
    assert found["Ann"]["email"] == "ann@customer1.example"
    assert found["Bob"]["email"] is found["Bob"]["roles"] is found["Bob"]["two_factor_auth"] is None
    assert api.ann.listed("/users", ("email", "like", "bob")) == []
    assert len(api.admin.listed("/users", ("email", "like", "BOB"))) == 1


def test_another_users_record_is_closed_to_plain_users_only(api: Api) -> None:
    path = f"/users/{api.bob.user_id}"
    assert api.ann.get(path).status == 403
    assert api.bob.get(path).data["email"] == "bob@customer1.example"
    assert api.reception.get(path).data["first_name"] == "Bob"
    assert api.stranger.get(path).status == 404
    assert api.admin.get("/users/1").status == 404


def test_presence_of_others_is_hidden_by_policy(api: Api) -> None:
    for each in (api.ann, api.bob):
        api.write(lambda db, each=each: rows.update(db, schema.users, api.acme, each.user_id, {"presence": "away"}))
    restrict(api, api.ann, "presence_disabled")
    seen = {row["first_name"]: row["presence"] for row in api.ann.listed("/users")}
    assert seen["Ann"] == "away"
    assert seen["Bob"] is None
    assert len(api.ann.listed("/users", ("presence", "eq", "away"))) == 1
    assert len(api.bob.listed("/users", ("presence", "eq", "away"))) == 2


def test_an_administrator_creates_a_user(api: Api) -> None:
    answer = api.admin.post("/users", {**CARL, "cli": "+44 20 7946 0001", "password": "correct horse 9"})
    assert answer.status == 201
    assert answer.data["email"] == "carl@acme.example"
    assert answer.data["cli"] == "442079460001"
    assert answer.data["roles"] == ["user"]
    assert answer.data["active"] is True
    assert "password" not in answer.data
    assert verify(password_hash(api, answer.data["id"]), "correct horse 9")
    assert api.admin.get(f"/users/{answer.data['id']}").data == answer.data
    assert api.ann.post("/users", CARL).status == 403


def test_everything_wrong_with_a_new_user_is_said_at_once(api: Api) -> None:
    assert api.admin.post("/users", {}).fields == ["email", "first_name", "last_name", "ext"]
    body = {**CARL, "ext": "a b", "roles": ["user", "king"], "dnd": "yes", "height": 180}
    assert sorted(filter(None, api.admin.post("/users", body).fields)) == ["dnd", "ext", "height", "roles[1]"]
    assert api.admin.post("/users", {**CARL, "password": "short"}).fields == ["password"]
    assert api.admin.post("/users", {**CARL, "email": "ann@customer1.example", "ext": "103"}).fields == ["email", "ext"]


@pytest.mark.parametrize(
    "email", ["STRANGER@customer2.example", "ann@customer1.example", "nobody", "a b@c", "a@b.c\n", 5, None]
)
def test_an_email_is_refused_in_the_same_words_whatever_the_reason(api: Api, email: Any) -> None:
    for answer in (
        api.admin.post("/users", {**CARL, "email": email}),
        api.admin.patch(f"/users/{api.bob.user_id}", {"email": email}),
    ):
        assert answer.status == 400
        assert answer.json == {
            "message": "Validation error",
            "errors": [{"field": "email", "message": UNUSABLE, "code": "SF0010"}],
        }


def test_an_administrator_changes_a_user(api: Api) -> None:
    path = f"/users/{api.bob.user_id}"
    changed = api.admin.patch(path, {"email": "Robert@acme.example", "cli": None, "dnd": True, "roles": ["reception"]})
    assert changed.status == 200
    assert (changed.data["email"], changed.data["dnd"]) == ("Robert@acme.example", True)
    assert api.bob.get("/me").data["email"] == "Robert@acme.example"
    assert api.admin.patch(path, {}).data == changed.data
    assert api.admin.patch(path, changed.data).data == changed.data
    assert api.bob.patch(path, {"dnd": False}).status == 403
    assert api.stranger.patch(path, {"dnd": False}).status == 404
    assert api.admin.patch("/users/1", {"email": 5}).status == 404


def test_a_deactivated_user_is_out_at_once(api: Api) -> None:
    assert api.admin.patch(f"/users/{api.bob.user_id}", {"active": False}).status == 200
    assert api.bob.get("/me").status == 401


def test_the_root_user_can_always_administer(api: Api) -> None:
    path = f"/users/{api.admin.user_id}"
    assert api.admin.patch(path, {"roles": ["user"], "active": False}).fields == ["roles", "active"]
    assert api.admin.patch(path, {"roles": ["administrator", "user"]}).status == 200


def test_another_administrator_does_not_take_the_root_user_over(api: Api) -> None:
    api.admin.patch(f"/users/{api.ann.user_id}", {"roles": ["administrator"]})
    path = f"/users/{api.admin.user_id}"
    assert api.ann.patch(path, {"password": "correct horse 9"}).status == 403
    assert api.ann.patch(path, {"email": "ann@elsewhere.example"}).status == 403
    assert api.ann.patch(path, {**api.ann.get(path).data, "dnd": True}).data["dnd"] is True


def test_a_new_password_ends_the_users_other_sessions(api: Api) -> None:
    api_token, _ = api.write(
        lambda db: tokens.add(
            db, api.acme, api.bob.user_id, kind=tokens.API, expiry_s=None, now=api.services.clock(), name="cli"
        )
    )
    assert api.admin.patch(f"/users/{api.bob.user_id}", {"password": "correct horse 9"}).status == 200
    assert api.bob.get("/me").status == 401
    assert Client(api.app, api_token).get("/me").status == 200


def test_a_deleted_user_leaves_everything_but_history(api: Api) -> None:
    bob = api.bob.user_id
    team = api.admin.post("/usergroups", {"name": "Sales", "users": [bob]}).data["id"]
    queue = api.admin.post("/queues", {"name": "Support", "users": [bob]}).data["id"]
    api.bob.post("/contacts", {"first_name": "Mum"})
    call = {"calldate": 1_000_000_000, "duration": 1, "billsec": 1, "type": "O", "user_id": bob, "src_id": str(bob)}
    kinds = {"disposition": "CONNECTED", "destination": "out", "context": "PSTN_CALL"}
    api.write(lambda db: cdrs.insert(db, api.acme, [{**call, **kinds}]))
    assert api.admin.delete(f"/users/{bob}").status == 204
    assert api.bob.get("/me").status == 401
    assert api.admin.delete(f"/users/{bob}").status == 404
    assert api.admin.get(f"/usergroups/{team}").data["users"] == []
    assert api.admin.get(f"/queues/{queue}").data["users"] == []
    assert api.admin.listed("/contacts") == []
    assert [row["user_id"] for row in api.admin.listed("/cdrs")] == [bob]
    assert api.admin.post("/users", {**CARL, "email": "bob@customer1.example", "ext": "104"}).status == 201


def test_neither_oneself_nor_the_root_user_can_be_deleted(api: Api) -> None:
    assert api.admin.delete(f"/users/{api.admin.user_id}").status == 403
    api.admin.patch(f"/users/{api.ann.user_id}", {"roles": ["administrator"]})
    assert api.ann.delete(f"/users/{api.ann.user_id}").status == 403
    assert api.ann.delete(f"/users/{api.admin.user_id}").status == 403
    assert api.bob.delete(f"/users/{api.ann.user_id}").status == 403
    assert api.admin.delete(f"/users/{api.stranger.user_id}").status == 404


def test_me_is_one_object(api: Api) -> None:
    me = api.ann.get("/me")
    assert me.status == 200
    assert me.json["links"] == {}
    assert me.data == {
        "id": api.ann.user_id,
        "balance": None,
        "cc": "GB",
        "cli": None,
        "currency_iso": "GBP",
        "is_root": False,
        "language": "en",
        "email": "ann@customer1.example",
        "first_name": "Ann",
        "last_name": "Tester",
        "customer_id": api.acme,
        "sip_password": None,
        "sip_domain": None,
    }
    assert api.admin.get("/me").data["is_root"] is True
    assert api.nobody.get("/me").status == 401


def test_the_balance_is_a_number_unless_billing_is_closed(api: Api) -> None:
    api.write(lambda db: db.run("UPDATE customers SET balance = 51400 WHERE id = :id", {"id": api.acme}))
    restrict(api, api.bob, "billing_disabled")
    assert api.ann.get("/me").data["balance"] == 5.14
    assert api.bob.get("/me").data["balance"] is None


def test_what_is_missing_is_told_from_what_is_wrong(api: Api) -> None:
    answer = api.admin.post("/users", {"first_name": 5, "last_name": "Jung", "ext": "150"})
    assert answer.json["errors"] == [
        {"field": "first_name", "message": "This value is not valid.", "code": "SF0010"},
        {"field": "email", "message": "This value is required.", "code": "SF0010"},
    ]
    assert answer.json["message"].endswith("; email: This value is required")


def test_everybody_changes_the_own_account(api: Api) -> None:
    body = {"first_name": "Anna", "language": "de", "cli": "+44 (20) 7946-0002", "dnd": True}
    changed = api.ann.patch("/me", body).data
    assert (changed["first_name"], changed["language"], changed["cli"]) == ("Anna", "de", "442079460002")
    assert api.ann.get(f"/users/{api.ann.user_id}").data["dnd"] is True
    assert api.ann.patch("/me", {}).data == changed
    assert api.ann.patch("/me", {"language": None}).data["language"] == "en"
    assert api.ann.patch("/me", {**changed, "email": "x@y.example"}).data["email"] == "ann@customer1.example"
    assert api.ann.patch("/me", {"language": "German", "nonsense": 1}).fields == ["language", "nonsense"]


def test_a_password_is_changed_with_the_old_one(api: Api) -> None:
    api.admin.patch(f"/users/{api.admin.user_id}", {"password": "correct horse 9"})
    assert api.admin.patch("/me", {"password": "battery staple 7"}).fields == ["old_password"]
    wrong = api.admin.patch("/me", {"password": "battery staple 7", "old_password": "x"})
    assert (wrong.status, wrong.fields) == (400, ["old_password"])
    assert api.admin.patch("/me", {"password": "short"}).fields == ["password", "old_password"]
    right = {"password": "battery staple 7", "old_password": "correct horse 9", "dnd": True}
    assert api.admin.patch("/me", right).status == 200, "and the session that asked goes on"
    assert verify(password_hash(api, api.admin.user_id), "battery staple 7")


def test_locked_settings_close_the_own_account_for_changes(api: Api) -> None:
    api.admin.patch(f"/users/{api.ann.user_id}", {"roles": ["administrator"]})
    restrict(api, api.ann, "settings_locked")
    assert api.ann.get("/me").status == 200
    assert api.ann.patch("/me", {"dnd": True}).status == 403
    assert api.ann.patch(f"/users/{api.ann.user_id}", {"dnd": True}).status == 403
    assert api.ann.patch(f"/users/{api.bob.user_id}", {"dnd": True}).status == 200


def test_changes_of_users_are_in_the_audit_log_without_secrets(api: Api) -> None:
    api.admin.patch(f"/users/{api.bob.user_id}", {"password": "correct horse 9", "dnd": True})
    found = api.services.database.read(
        lambda db: value(db, "SELECT details FROM auditlog WHERE object_id = :id", {"id": api.bob.user_id})
    )
    assert json.loads(found) == {"attributes": ["dnd", "password"]}


def test_of_many_who_race_for_one_email_one_gets_it(api: Api) -> None:
    with ThreadPoolExecutor(8) as threads:
        bodies = [{**CARL, "ext": str(200 + n)} for n in range(8)]
        answers = list(threads.map(lambda body: api.admin.post("/users", body), bodies))
    assert sorted(answer.status for answer in answers) == [201] + [400] * 7
    refused = [answer.json["errors"] for answer in answers if answer.status == 400]
    assert refused == [[{"field": "email", "message": UNUSABLE, "code": "SF0010"}]] * 7
