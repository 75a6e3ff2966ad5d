"""Streams of live changes: who is told what, how one goes on where it broke, and when one ends. Without a server; for one see
`test_events_server.py`."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ringback.identity import tokens
from ringback.resources.events import SUBJECTS
from ringback.rest.access import Role
from ringback.store import cdrs, live_calls, outbox, phones, rows, schema
from ringback.streams.reader import CHECK_S, MOST_SENT, Reader
from ringback.streams.subscriptions import PER_USER, REVOKED, Event, Subscription
from tests.api import BASE, Api, Client
from tests.clock import TestClock
from tests.policies import team
from tests.streaming import Told
from tests.test_cdrs import call

pytestmark = pytest.mark.usefixtures("reader")
RESET = "reset"


@pytest.fixture
def reader(api: Api) -> Iterator[Reader]:
    made = Reader(api.services, SUBJECTS)
    yield made
    for each in api.services.streams.all():
        each.closed()


def _form(event: Event) -> str:
    return json.dumps([event.name, event.id, json.loads(event.data)])


def listening(api: Api, client: Client, seen: str = "") -> Subscription:
    assert client.token is not None
    hashed = tokens.hash_of(client.token)
    found = api.services.database.read(lambda db: tokens.callers(db, [hashed], api.services.idle, api.services.clock()))
    return api.services.streams.open(found[hashed], seen, _form)


def told(reader: Reader, one: Subscription) -> list[Told]:
    reader.step()
    return [Told(*json.loads(text)) for text in one.waiting()]


def names(reader: Reader, one: Subscription) -> list[tuple[str, int]]:
    return [(each.name, each.data["id"]) for each in told(reader, one)]


def begun(api: Api, reader: Reader, *clients: Client) -> list[Subscription]:
    """Subscriptions that have been told to list what there is."""
    found = [listening(api, client) for client in clients]
    assert [[each.name for each in told(reader, one)] for one in found] == [[RESET]] * len(found)
    return found


def up(api: Api, live_id: int, user: Client | None = None, peer: Client | None = None, **changes: Any) -> None:
    row = {
        "start_time": api.services.clock() - 30,
        "connected_at": api.services.clock() - 20,
        "state": "CONNECTED",
        "src": "442079460001",
        "dst": "12025550123",
        "src_rate": 150,
        "user_id": user.user_id if user else None,
        "peer_user_id": peer.user_id if peer else None,
        **changes,
    }
    api.write(lambda db: live_calls.put(db, (user or api.admin).customer_id, {live_id: row}, api.services.clock()))


def over(api: Api, *ids: int) -> None:
    api.write(lambda db: live_calls.drop(db, api.acme, ids, api.services.clock()))


def stored(api: Api, **columns: Any) -> int:
    def work(db: Any) -> int:
        (cdr_id,) = cdrs.insert(db, api.acme, [call(api.services.clock(), **columns)])
        outbox.changed(db, api.acme, "cdr.created", [cdr_id])
        return cdr_id

    made: int = api.write(work)
    return made


# -- what is told --------------------------------------------------------------------------------------------------------


def test_a_call_is_told_of_as_its_get_shows_it_from_begin_to_end(api: Api, reader: Reader, clock: TestClock) -> None:
    (one,) = begun(api, reader, api.admin)
    up(api, 5, api.ann, state="RINGING", connected_at=None)
    assert [(each.name, each.data) for each in told(reader, one)] == [("call.created", api.admin.get("/calls/5").data)]
    up(api, 5, api.ann)
    clock.advance(3)
    (changed,) = told(reader, one)
    assert (changed.name, changed.data) == ("call.updated", api.admin.get("/calls/5").data)
    assert changed.data["duration"] == 23
    over(api, 5)
    (ended,) = told(reader, one)
    assert (ended.name, ended.data) == ("call.ended", changed.data)
    assert told(reader, one) == []


def test_what_cannot_be_told_to_one_customer_keeps_nothing_from_another(
    api: Api, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = begun(api, reader, api.admin, api.stranger)
    serve = reader._serve

    def failing(db: Any, customer_id: int, **given: Any) -> None:
        assert customer_id != api.acme, "a record that nobody can read"
        serve(db, customer_id, **given)

    monkeypatch.setattr(reader, "_serve", failing)
    up(api, 5, api.ann)
    up(api, 6, api.stranger)
    assert (names(reader, one), names(reader, other)) == ([], [("call.created", 6)])


def test_a_link_that_a_user_puts_to_a_call_is_told(api: Api, reader: Reader) -> None:
    up(api, 5, api.ann)
    (one,) = begun(api, reader, api.bob, api.ann)[1:]
    assert api.ann.patch("/calls/5", {"action_url": "https://crm.example/1"}).status == 200
    assert [each.data["action_url"] for each in told(reader, one)] == ["https://crm.example/1"]


def test_a_new_cdr_is_told_of_to_those_whose_it_is(api: Api, reader: Reader) -> None:
    subscriptions = begun(api, reader, api.admin, api.ann, api.bob, api.stranger)
    made = stored(api, user_id=api.ann.user_id)
    found = [told(reader, one) for one in subscriptions]
    assert [[(each.name, each.data["id"]) for each in line] for line in found] == [[("cdr.created", made)]] * 2 + [
        [],
        [],
    ]
    assert found[0][0].data == api.admin.get(f"/cdrs/{made}").data


def test_what_the_api_takes_in_is_told(api: Api, reader: Reader) -> None:
    (one,) = begun(api, reader, api.admin)
    token = api.admin.post("/apitokens", {"name": "pbx", "ingest": True}).data["token"]
    line = b'{"key": "1", "calldate": 1700000000, "src": "101", "dst": "102"}'
    for _ in range(2):
        sent = Client(api.app, token).call(
            "POST", "/ingest/cdrs", line, headers={"content-type": "application/x-ndjson"}
        )
        assert sent.status == 200, sent.body
    assert [each.name for each in told(reader, one)] == ["cdr.created"]


def test_records_of_other_sorts_fit_in(api: Api, reader: Reader) -> None:
    admin, ann, bob = begun(api, reader, api.admin, api.ann, api.bob)
    audio = {"blob_key": "k", "duration": 2, "size": 3}
    message = {
        **audio,
        "source_key": "1",
        "origtime": 1,
        "extension_id": api.ann.user_id,
        "folder": "INBOX",
        "is_new": 1,
    }
    recording = {**audio, "source_key": "2", "timestamp": 1, "type": "O", "context": "PSTN_CALL"}

    def work(db: Any) -> list[int]:
        made = rows.insert(db, schema.voicemessages, api.acme, [message])
        made += rows.insert(db, schema.monitors, api.acme, [{**recording, "user_id": api.ann.user_id}])
        outbox.changed(db, api.acme, "voicemessage.created", made[:1])
        outbox.changed(db, api.acme, "monitor.created", made[1:])
        rows.update(db, schema.users, api.acme, api.ann.user_id, {"presence": "BUSY"})
        outbox.changed(db, api.acme, "user.presence", [api.ann.user_id])
        return made

    message_id, recording_id = api.write(work)
    own = [("voicemessage.created", message_id), ("monitor.created", recording_id)]
    presence = [("user.presence", api.ann.user_id)]
    assert names(reader, admin) == own + presence
    assert [(each.name, each.data["id"]) for each in told(reader, ann)] == own + presence
    (seen,) = told(reader, bob)
    assert seen.data == {"id": api.ann.user_id, "presence": "BUSY", "nb_sip_locations": 0}


def test_a_voice_message_that_moves_and_a_phone_that_goes_are_told(api: Api, reader: Reader) -> None:
    message = {
        "blob_key": "k",
        "duration": 2,
        "size": 3,
        "source_key": "1",
        "origtime": 1,
        "folder": "INBOX",
        "is_new": 1,
    }
    owned = {**message, "extension_id": api.ann.user_id}
    (made,) = api.write(lambda db: rows.insert(db, schema.voicemessages, api.acme, [owned]))
    (one,) = begun(api, reader, api.ann)
    assert api.ann.patch("/voicemessages", [{"id": made, "folder": "Work"}]).status == 200
    assert [(each.name, each.data["folder"]) for each in told(reader, one)] == [("voicemessage.updated", "Work")]
    api.write(lambda db: rows.update(db, schema.users, api.acme, api.bob.user_id, {"presence": "BUSY", "ext": "777"}))
    api.write(lambda db: phones.put(db, api.acme, {"777": ("ONLINE", 1)}))
    assert [each.data for each in told(reader, one)] == [
        {"id": api.bob.user_id, "presence": "ONLINE", "nb_sip_locations": 1}
    ]


def test_a_kind_that_nobody_knows_is_passed_over(api: Api, reader: Reader) -> None:
    (one,) = begun(api, reader, api.admin)
    api.write(lambda db: outbox.changed(db, api.acme, "weather.changed", [1]))
    assert told(reader, one) == []


# -- to whom -------------------------------------------------------------------------------------------------------------


def test_a_plain_user_is_told_of_own_calls_and_reception_of_all(api: Api, reader: Reader) -> None:
    subscriptions = begun(api, reader, api.admin, api.reception, api.ann, api.bob, api.stranger)
    up(api, 5, api.ann)
    up(api, 6, api.bob, api.ann)
    found = [[each[1] for each in names(reader, one)] for one in subscriptions]
    assert found == [[5, 6], [5, 6], [5, 6], [6], []]
    over(api, 5, 6)
    found = [[each[1] for each in names(reader, one)] for one in subscriptions]
    assert found == [[5, 6], [5, 6], [5, 6], [6], []]


def test_policies_hold_as_in_lists(api: Api, reader: Reader) -> None:
    team(api, "Desk", api.reception, policies=("presence_numbers_hidden", "billing_disabled"))
    admin, masked = begun(api, reader, api.admin, api.reception)
    up(api, 5, api.bob)
    assert [each.data["src"] for each in told(reader, admin)] == ["442079460001"]
    (seen,) = told(reader, masked)
    assert seen.data == api.reception.get("/calls/5").data
    assert (seen.data["src"], seen.data["src_rate"]) == ("***", None)
    over(api, 5)
    (seen,) = told(reader, masked)
    assert (seen.name, seen.data["dst"], seen.data["src_rate"]) == ("call.ended", "***", None)


def test_without_presence_others_calls_and_presence_are_not_told(api: Api, reader: Reader) -> None:
    team(api, "Desk", api.reception, policies=("presence_disabled", "recordings_disabled"))
    (one,) = begun(api, reader, api.reception)
    up(api, 5, api.bob)
    up(api, 6, api.reception)
    api.write(lambda db: outbox.changed(db, api.acme, "user.presence", [api.ann.user_id, api.reception.user_id]))
    api.write(lambda db: outbox.changed(db, api.acme, "monitor.created", [1]))
    assert names(reader, one) == [("call.created", 6), ("user.presence", api.reception.user_id)]


def test_a_call_that_goes_to_somebody_else_has_ended_for_who_had_it(api: Api, reader: Reader) -> None:
    up(api, 5, api.ann)
    admin, ann, bob = begun(api, reader, api.admin, api.ann, api.bob)
    up(api, 5, api.bob)
    assert names(reader, admin) == [("call.updated", 5)]
    assert names(reader, bob) == [("call.updated", 5)]
    assert names(reader, ann) == [("call.ended", 5)]
    over(api, 5)
    assert names(reader, ann) == []
    assert names(reader, bob) == [("call.ended", 5)]


# -- going on where it broke ---------------------------------------------------------------------------------------------


def test_who_comes_back_with_the_last_id_misses_nothing_and_hears_nothing_twice(api: Api, reader: Reader) -> None:
    (one,) = begun(api, reader, api.admin)
    ids = [stored(api) for _ in range(3)]
    first = told(reader, one)
    ids += [stored(api) for _ in range(3)]
    for broken_at in range(3):
        again = listening(api, api.admin, first[broken_at].id)
        assert [each.data["id"] for each in told(reader, again)] == ids[broken_at + 1 :]
    assert told(reader, listening(api, api.admin, told(reader, one)[-1].id)) == []


def test_what_was_and_has_gone_meanwhile_is_told_as_it_is_now(api: Api, reader: Reader) -> None:
    (one,) = begun(api, reader, api.admin)
    up(api, 4)
    (last,) = told(reader, one)
    up(api, 5)
    up(api, 5, state="ON_HOLD")
    up(api, 6)
    over(api, 6)
    over(api, 4)
    again = listening(api, api.admin, last.id)
    assert names(reader, again) == [("call.created", 5), ("call.ended", 6), ("call.ended", 4)]


@pytest.mark.parametrize(
    "seen",
    ["", "1", "x", "-1-00000000", "99999999999999999999-00000000", "1\n2", "٥-00000000", "0-ffffffff", "a" * 60_000],
)
def test_an_id_that_means_nothing_begins_anew(api: Api, reader: Reader, seen: str) -> None:
    stored(api)
    assert [each.name for each in told(reader, listening(api, api.admin, seen))] == [RESET]


def test_an_id_of_another_user_or_of_other_rights_begins_anew(api: Api, reader: Reader) -> None:
    (one,) = begun(api, reader, api.reception)
    stored(api, user_id=api.reception.user_id)
    (last,) = told(reader, one)
    for client in (api.admin, api.stranger):
        assert [each.name for each in told(reader, listening(api, client, last.id))] == [RESET]
    number, _, view = last.id.partition("-")
    assert [each.name for each in told(reader, listening(api, api.reception, f"{int(number) + 1}-{view}"))] == [RESET]
    team(api, "Desk", api.reception, policies=("billing_disabled",))
    assert [each.name for each in told(reader, listening(api, api.reception, last.id))] == [RESET]


def test_what_is_forgotten_must_be_listed_anew(api: Api, reader: Reader, clock: TestClock) -> None:
    (one,) = begun(api, reader, api.admin)
    stored(api)
    (last,) = told(reader, one)
    clock.advance(outbox.KEPT_S + 1)
    outbox.prune(api.services.database, clock.now)
    assert told(reader, listening(api, api.admin, last.id)) == []  # nothing came after it
    made = stored(api)
    outbox.prune(api.services.database, clock.now)
    assert names(reader, one) == [("cdr.created", made)]
    clock.advance(outbox.SETTLED_S)
    outbox.prune(api.services.database, clock.now)
    (reset,) = told(reader, listening(api, api.admin, last.id))
    assert reset.name == RESET
    assert told(reader, listening(api, api.admin, reset.id)) == []


def test_too_much_at_once_is_told_as_that(api: Api, reader: Reader) -> None:
    one, other = begun(api, reader, api.admin, api.stranger)
    for n in range(0, MOST_SENT + 500, 500):
        api.write(lambda db, n=n: outbox.changed(db, api.acme, "cdr.created", range(n, n + 500)))
    assert [each.name for each in told(reader, one)] == [RESET]
    api.write(lambda db: outbox.changed(db, api.acme, "cdr.created", range(outbox.MANY + 1)))
    assert [each.name for each in told(reader, one)] == [RESET]
    assert told(reader, other) == []


def test_a_heartbeat_moves_the_id_on(api: Api, reader: Reader, clock: TestClock) -> None:
    (one,) = begun(api, reader, api.ann)
    stored(api)
    assert told(reader, one) == []
    beat = Told(*json.loads(one.beat()))
    assert (beat.name, beat.data) == ("heartbeat", {})
    made = stored(api, user_id=api.ann.user_id)
    assert names(reader, listening(api, api.ann, beat.id)) == [("cdr.created", made)]


# -- when it ends --------------------------------------------------------------------------------------------------------


@pytest.fixture
def checking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.streams.reader.CHECK_S", 0.0)
    assert CHECK_S <= 2


@pytest.mark.usefixtures("checking")
def test_it_ends_with_its_token(api: Api, reader: Reader) -> None:
    admin, ann = begun(api, reader, api.admin, api.ann)
    assert api.ann.post("/logout").status == 200
    reader.step()
    assert (admin.ending, ann.ending) == (None, REVOKED)


@pytest.mark.usefixtures("checking")
def test_it_ends_when_the_user_goes_or_may_see_something_else(api: Api, reader: Reader) -> None:
    admin, reception, ann, bob = begun(api, reader, api.admin, api.reception, api.ann, api.bob)
    assert api.admin.delete(f"/users/{api.ann.user_id}").status == 204
    assert api.admin.patch(f"/users/{api.bob.user_id}", {"roles": [Role.RECEPTION]}).status == 200
    team(api, "Desk", api.reception, policies=("billing_disabled",))
    reader.step()
    assert [each.ending for each in (admin, reception, ann, bob)] == [None, REVOKED, REVOKED, REVOKED]


@pytest.mark.usefixtures("checking")
def test_it_ends_when_a_session_is_not_used_and_does_not_keep_it_alive(
    api: Api, reader: Reader, clock: TestClock
) -> None:
    (one,) = begun(api, reader, api.ann)
    clock.advance(tokens.SESSION_IDLE_S)
    reader.step()
    assert one.ending is None
    clock.advance(1)
    reader.step()
    assert one.ending is REVOKED


def test_one_whose_client_does_not_read_is_cut(api: Api, reader: Reader) -> None:
    slow, quick = begun(api, reader, api.admin, api.admin)
    cut: list[str] = []
    slow.opened(lambda: None, lambda: cut.append("slow"))
    quick.opened(lambda: None, lambda: cut.append("quick"))
    for n in range(Subscription.most_waiting // 500 + 1):
        api.write(lambda db, n=n: _many(db, api, n))
        assert len(told(reader, quick)) == 500
    assert cut == ["slow"]
    assert slow.waiting() == []


def _many(db: Any, api: Api, n: int) -> None:
    ids = range(1 + n * 500, 501 + n * 500)
    live_calls.put(db, api.acme, {each: {"start_time": 1, "state": "RINGING"} for each in ids}, 1)


def test_a_user_has_a_few_at_a_time(api: Api) -> None:
    made = [listening(api, api.ann) for _ in range(PER_USER)]
    answer = api.ann.get("/events")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert api.bob.get("/events").status == 200
    made[0].closed()
    made[0].closed()
    assert api.ann.get("/events").status == 200
    assert api.ann.get("/events").status == 200
    assert len(api.services.streams.all()) == PER_USER - 1


@pytest.mark.parametrize(("path", "kind"), [("/events", "http"), ("/events/socket", "websocket")])
def test_who_has_gone_before_the_first_word_is_not_counted(api: Api, path: str, kind: str) -> None:
    """As a browser does that leaves a page at once."""

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect", "body": b""}

    async def send(_: object) -> None:
        raise ConnectionResetError

    headers = [(b"x-auth-token", str(api.ann.token).encode())]
    scope = {"type": kind, "method": "GET", "path": BASE + path, "query_string": b"", "headers": headers}
    for _ in range(PER_USER):
        with pytest.raises(ConnectionResetError):
            asyncio.run(api.app.application(scope, receive, send))
    assert api.services.streams.all() == []
    assert api.ann.get("/events").status == 200
