"""Requests that nobody sends by mistake: each is refused like any other wrong one, and costs no more than that."""

import asyncio
import json
from contextlib import ExitStack

import pytest

from ringback.query import Query
from ringback.resources.history.cdrs import CDRS
from ringback.rest.asgi import MAX_UNPROVEN_BODY
from ringback.rest.bodies import MAX_FAULTS
from ringback.store.lists import STREAM_ROWS, STREAMS_AT_ONCE
from tests.api import BASE, Api, Client, filter_text
from tests.test_cdrs import add, call


@pytest.mark.parametrize("amount", ["1e999999", "-1e999999", "9e999999999999", "NaN", "sNaN", "Infinity"])
def test_an_amount_that_no_number_can_hold_is_refused(api: Api, amount: str) -> None:
    assert api.admin.get("/cdrs", filter=filter_text(("rate", "gt", amount))).fields == ["filter[0]"]
    body = {"name": "Site", "ddi_e164": "442079460000", "max_call_rate": amount}
    assert "max_call_rate" in api.admin.post("/callmeback/settings", body).fields


@pytest.mark.parametrize("credentials", ["\xff\xfe", "YQ==\xe9", "7aCAOjE=", "%%%", ""])
def test_basic_credentials_that_are_no_text_are_refused(api: Api, credentials: str) -> None:
    answer = api.nobody.call("GET", "/me", headers={"authorization": f"Basic {credentials}"})
    assert (answer.status, answer.json["message"]) == (400, "Failed to parse Authorization header credentials")


def test_the_character_that_no_database_takes_is_refused_anywhere(api: Api) -> None:
    for name in ("\0", "a\0", "\0a", " \0 "):
        assert api.admin.post("/usergroups", {"name": name}).fields == ["name"]
    assert api.admin.delete("/apitokens/\0").status == 404
    assert api.admin.delete("/sessions/a\0").status == 404


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


def test_without_a_token_much_is_neither_taken_nor_read(api: Api) -> None:
    text = json.dumps({"email": "ann@customer1.example", "password": "x", "more": "y" * MAX_UNPROVEN_BODY}).encode()
    assert api.nobody.call("POST", "/login", text).status == 413
    assert api.nobody.call("POST", "/login", text[: MAX_UNPROVEN_BODY - 10]).status == 400
    assert api.ann.call("POST", "/contacts", text).fields == ["password", "more"]
    for length in ({"content-length": str(len(text))}, {"transfer-encoding": "chunked"}):
        assert asyncio.run(read_of(api.nobody, length)) == (401, 0)


async def read_of(client: Client, headers: dict[str, str]) -> tuple[int, int]:
    """The status of a POST with these headers, and how many pieces of its body were read."""
    read, statuses = 0, []

    async def receive() -> dict[str, object]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b" " * 65_536, "more_body": read < 20}

    async def send(message: dict[str, object]) -> None:
        statuses.append(message.get("status"))

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    path = f"{BASE}/contacts"
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": pairs}
    await client.app.application(scope, receive, send)  # type: ignore[arg-type]
    return int(str(statuses[0])), read


def test_an_export_ends_when_its_reader_goes(api: Api) -> None:
    add(api, *(call(1_700_000_000 + n) for n in range(4 * STREAM_ROWS)))
    assert asyncio.run(pieces_sent(api.admin, "/cdrs.csv", gone_after=1)) == 1


def test_a_customer_has_a_few_exports_at_a_time(api: Api) -> None:
    add(api, call(1_700_000_000))
    query = Query(conditions=(), order=())
    services, bound = api.services, {"customer": api.acme}
    with ExitStack() as open_:
        for _ in range(STREAMS_AT_ONCE):
            open_.enter_context(services.lists.stream(services.database, CDRS.listing, bound, query))
        assert api.admin.get("/cdrs.csv").status == 503
        assert api.stranger.get("/cdrs.csv").status == 200
    for _ in range(2 * STREAMS_AT_ONCE):
        assert api.admin.get("/cdrs.csv").status == 200
        assert api.admin.call("HEAD", "/cdrs.csv").status == 200


async def pieces_sent(client: Client, path: str, gone_after: int) -> int:
    """How many pieces of an answer are made when the client goes after so many of them."""
    gone, pieces = asyncio.Event(), 0
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, object]:
        for first in asked:
            return first
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        nonlocal pieces
        pieces += bool(message.get("body"))
        if pieces == gone_after:
            gone.set()
            await asyncio.sleep(0)

    token = [(b"x-auth-token", str(client.token).encode())]
    scope = {"type": "http", "method": "GET", "path": BASE + path, "query_string": b"", "headers": token}
    await client.app.application(scope, receive, send)  # type: ignore[arg-type]
    return pieces
