"""Who opens a stream of live changes: a header, or a ticket in a browser."""

from ringback.identity import tickets
from ringback.record import time_text
from tests.api import Api
from tests.clock import TestClock


def test_a_header_opens_a_stream(api: Api) -> None:
    answer = api.ann.get("/events")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert (answer.headers["x-accel-buffering"], answer.headers["cache-control"]) == ("no", "no-store")
    assert answer.body == b"retry: 2000\n\n"
    assert "Last-Event-ID" in answer.headers["access-control-allow-headers"]
    assert api.nobody.get("/events").status == 401
    assert api.ann.call("HEAD", "/events").body == b""
    assert api.services.streams.all() == []


def test_a_ticket_opens_one_stream_once(api: Api) -> None:
    issued = api.ann.post("/events/tickets")
    assert issued.status == 201
    ticket = issued.data["ticket"]
    assert api.nobody.get("/events", ticket=ticket).status == 200
    assert api.nobody.get("/events", ticket=ticket).status == 401
    assert api.nobody.get("/cdrs", ticket=api.ann.post("/events/tickets").data["ticket"]).status == 401


def test_a_ticket_is_good_for_half_a_minute(api: Api, clock: TestClock) -> None:
    issued = [api.ann.post("/events/tickets").data for _ in range(2)]
    assert issued[0]["expires_at"] == time_text(clock.now + 30)
    clock.advance(tickets.LIFE_S - 1)
    assert api.nobody.get("/events", ticket=issued[0]["ticket"]).status == 200
    clock.advance(1)
    assert api.nobody.get("/events", ticket=issued[1]["ticket"]).status == 401


def test_a_ticket_dies_with_its_token(api: Api) -> None:
    ticket = api.ann.post("/events/tickets").data["ticket"]
    assert api.ann.post("/logout").status == 200
    assert api.nobody.get("/events", ticket=ticket).status == 401


def test_a_token_never_stands_in_a_url(api: Api) -> None:
    token = api.ann.token
    assert api.nobody.get("/events", ticket=token).status == 401
    for name in ("token", "user_token", "X-Auth-Token", "access_token"):
        assert api.nobody.get("/events", **{name: token}).status == 401
        refused = api.ann.get("/events", **{name: token})
        assert (refused.status, refused.fields) == (400, [name])
    assert api.ann.get("/events", nonsense=1).fields == ["nonsense"]


def test_a_browser_may_give_the_last_id_in_the_url(api: Api) -> None:
    ticket = api.ann.post("/events/tickets").data["ticket"]
    assert api.nobody.get("/events", ticket=ticket, last_event_id="1-00000000").status == 200
