"""Logging in with a password, logging out, throttling, the client's address."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.identity import passwords
from ringback.identity.sweep import sweep
from ringback.identity.throttle import Rule
from ringback.store.database import value
from tests.api import Api
from tests.clock import TestClock
from tests.people import PASSWORD, give_password, login, visitor


@pytest.fixture
def acme(api: Api) -> Api:
    """Acme's people with passwords."""
    give_password(api, api.admin, api.ann, api.bob)
    return api


def actions(api: Api) -> list[str]:
    return [entry["action"] for entry in api.admin.listed("/auditlog")]


def test_a_login_gives_a_token_that_works_until_logout(acme: Api) -> None:
    answer = login(acme, "ann", remember_me=True, code="", anything={"x": 1})
    assert answer.status == 200
    assert answer.json.keys() == {"message", "user_token", "user_id"}
    assert answer.json["message"] == "Login success"
    assert answer.json["user_id"] == acme.ann.user_id
    token = answer.json["user_token"]
    assert len(token) == 40
    assert set(token) <= set("0123456789abcdef")
    ann = visitor(acme, token)
    assert ann.get("/sessions").status == 200
    assert ann.post("/logout").status == 200
    assert ann.get("/sessions").status == 401
    assert ann.post("/logout").status == 401
    assert actions(acme) == ["logout", "login"]


def test_letters_of_the_address_may_differ_in_case(acme: Api) -> None:
    assert visitor(acme).post("/login", {"email": " ANN@Customer1.Example", "password": PASSWORD}).status == 200


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_wrong_credentials_look_alike_for_known_and_unknown_accounts(acme: Api, name: str) -> None:
    answer = login(acme, name, "wrong password")
    assert answer.status == 400
    assert answer.json == {
        "message": "Invalid email or password.",
        "errors": [{"field": "email", "message": "Invalid email or password.", "code": "AU1003"}],
    }
    assert "www-authenticate" not in answer.headers
    assert actions(acme) == (["login_failed"] if name == "ann" else [])


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE users SET active = 0 WHERE id = :user",
        "UPDATE users SET password_hash = NULL WHERE id = :user",
        "UPDATE customers SET deleted_at = 1 WHERE id = (SELECT customer_id FROM users WHERE id = :user)",
    ],
)
def test_who_is_no_longer_there_cannot_log_in(acme: Api, sql: str) -> None:
    acme.write(lambda db: db.run(sql, {"user": acme.ann.user_id}))
    answer = login(acme, "ann")
    assert (answer.status, answer.json["errors"][0]["code"]) == (400, "AU1003")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (None, ["email", "password"]),
        ({"email": "a@b.example"}, ["password"]),
        ({"email": 5, "password": ["x"], "more": 1}, ["email", "password"]),
        (b"{", [None]),
        (b"[]", [None]),
    ],
)
def test_a_login_without_email_or_password_names_them(api: Api, body: object, fields: list[str | None]) -> None:
    answer = visitor(api).post("/login", body)
    assert (answer.status, answer.fields) == (400, fields)


def test_passwords_are_kept_as_argon2id(acme: Api) -> None:
    kept = acme.write(lambda db: value(db, "SELECT password_hash FROM users WHERE id = :id", {"id": acme.ann.user_id}))
    assert kept.startswith("$argon2id$")
    assert passwords.verify(kept, PASSWORD)
    assert not passwords.verify(kept, PASSWORD + "x")
    assert not passwords.verify(None, PASSWORD)
    assert not passwords.verify("no hash", PASSWORD)
    assert not passwords.verify(kept, "x" * 1_001)


def test_a_new_password_is_long_and_not_personal() -> None:
    assert passwords.check_strength("123456789") is not None
    assert passwords.check_strength("x" * 1_001) is not None
    assert passwords.check_strength("Ann@Customer1.example ", "ann@customer1.example", None) is not None
    assert passwords.check_strength("0123456789", "ann@customer1.example") is None


# -- throttling -------------------------------------------------------------------------------------------------------


def test_after_five_wrong_tries_the_right_password_has_to_wait(acme: Api, clock: TestClock) -> None:
    for _ in range(5):
        assert "retry-after" not in login(acme, "ann", "wrong password").headers
    answer = login(acme, "ann")
    assert answer.status == 400
    assert answer.json["errors"][0]["code"] == "AU1003"
    assert answer.headers["retry-after"] == "30"
    clock.advance(30)
    assert login(acme, "ann").status == 200
    assert login(acme, "ann", "wrong password").headers.get("retry-after") is None  # the count began anew


def test_blocks_double_up_to_a_limit(acme: Api, clock: TestClock) -> None:
    waits = []
    for _ in range(5):
        login(acme, "ann", "wrong password")
    for _ in range(7):
        wait = int(login(acme, "ann", "wrong password").headers["retry-after"])
        waits.append(wait)
        clock.advance(wait)
        login(acme, "ann", "wrong password")
    assert waits == [30, 60, 120, 240, 480, 900, 900]
    assert Rule(limit=5).block_s(10_000) == 900


def test_an_attacker_elsewhere_does_not_lock_the_owner_out(acme: Api) -> None:
    for _ in range(6):
        answer = login(acme, "ann", "wrong password", ip="203.0.113.9")
    assert "retry-after" in answer.headers
    assert login(acme, "ann").status == 200


def test_one_network_of_ipv6_is_one_address(acme: Api) -> None:
    for n in range(6):
        answer = login(acme, "ann", "wrong password", ip=f"2001:db8::{n + 1}")
    assert "retry-after" in answer.headers


def test_an_address_that_tries_many_accounts_is_blocked_and_a_success_does_not_help_it(acme: Api) -> None:
    for n in range(49):
        login(acme, f"person{n}", "wrong password", ip="203.0.113.9")
    assert login(acme, "bob", ip="203.0.113.9").status == 200
    assert "retry-after" not in login(acme, "person50", "wrong password", ip="203.0.113.9").headers
    assert "retry-after" in login(acme, "bob", ip="203.0.113.9").headers
    assert login(acme, "bob").status == 200


def test_an_account_tried_from_everywhere_is_blocked_at_last(acme: Api) -> None:
    tries = [login(acme, "ann", "wrong password", ip=f"203.0.113.{n}") for n in range(101)]
    assert [n for n, answer in enumerate(tries) if "retry-after" in answer.headers] == [100]


def test_tries_at_the_same_moment_all_count(acme: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: login(acme, "ann", "wrong password"), range(20)))
    assert sum("retry-after" not in answer.headers for answer in answers) == 5


def test_the_throttle_holds_across_processes(acme: Api, start: Callable[..., Api]) -> None:
    for _ in range(5):
        login(acme, "ann", "wrong password")
    assert "retry-after" in login(start(), "ann").headers


def test_what_is_over_is_swept(acme: Api, clock: TestClock) -> None:
    login(acme, "ann")
    login(acme, "bob", "wrong password")
    clock.advance(86_400 * 2)
    live = login(acme, "ann").json["user_token"]
    sweep(acme.services.database, clock())
    counts = acme.write(lambda db: db.all("SELECT (SELECT count(*) FROM tokens), (SELECT count(*) FROM throttles)"))
    assert counts == [(1, 1)]  # the session of just now, and its address
    assert visitor(acme, live).get("/sessions").status == 200


# -- the client's address ---------------------------------------------------------------------------------------------


def address_of_login(api: Api, forwarded: str | None, ip: str = "10.0.0.1") -> str:
    give_password(api, api.ann)
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    body = {"email": "ann@customer1.example", "password": PASSWORD}
    token = visitor(api, ip=ip).call("POST", "/login", body, headers=headers).json["user_token"]
    address: str = next(row["ip"] for row in visitor(api, token).listed("/sessions") if row["current"])
    return address


def test_nobody_is_believed_about_addresses_unless_trusted(api: Api) -> None:
    assert address_of_login(api, "198.51.100.7") == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (None, "10.0.0.1"),
        ("198.51.100.7", "198.51.100.7"),
        ("1.2.3.4, 198.51.100.7", "198.51.100.7"),  # the client wrote the first one itself
        ("1.2.3.4, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("198.51.100.7:50123", "198.51.100.7"),  # as some proxies write it; each connection has another port
        ("[2001:db8::7]:50123, 10.0.0.2:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7:50123", "2001:db8::7:50123"),
        ("garbage", "garbage"),
        (" , ", "10.0.0.1"),
    ],
)
def test_trusted_proxies_tell_the_address(start: Callable[..., Api], forwarded: str | None, address: str) -> None:
    assert address_of_login(start(trusted_proxies="10.0.0.0/8"), forwarded) == address


def test_only_the_proxys_own_line_of_two_is_believed(start: Callable[..., Api]) -> None:
    api = start(trusted_proxies="10.0.0.0/8")
    raw = [(b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-for", b"198.51.100.7")]
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": raw, "client": ("10.0.0.1", 1)}
    assert api.app.application._request(scope).ip == "198.51.100.7"


def test_an_untrusted_peer_behind_the_list_is_taken_as_it_is(start: Callable[..., Api]) -> None:
    assert address_of_login(start(trusted_proxies="192.0.2.1"), "198.51.100.7") == "10.0.0.1"


# -- the audit log ----------------------------------------------------------------------------------------------------


def test_the_audit_log_is_for_administrators_and_only_grows(acme: Api) -> None:
    login(acme, "bob", "wrong password", ip="203.0.113.9")
    login(acme, "bob")
    acme.bob.post("/apitokens", {"name": "crm"})
    entries = acme.admin.listed("/auditlog")
    assert [entry["action"] for entry in entries] == ["create", "login", "login_failed"]
    assert entries[0]["details"] == {"name": "crm"}
    assert entries[2]["user_id"] == acme.bob.user_id
    assert entries[2]["user_name"] == "Bob Tester"
    assert entries[2]["ip"] == "203.0.113.9"
    assert [entry["id"] for entry in acme.admin.listed("/auditlog", ("action", "like", "failed"))] == [entries[2]["id"]]
    assert acme.ann.get("/auditlog").status == 403
    assert acme.reception.get("/auditlog").status == 403
    assert visitor(acme).get("/auditlog").status == 401
    assert acme.stranger.listed("/auditlog") == []
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert acme.admin.call(method, "/auditlog").status == 405
        assert acme.admin.call(method, f"/auditlog/{entries[0]['id']}").status == 404


def test_nothing_of_a_password_is_kept(acme: Api) -> None:
    login(acme, "ann", "a secret guess")
    assert "secret guess" not in json.dumps(acme.admin.listed("/auditlog"))
