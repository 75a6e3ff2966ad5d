"""Live chat without a server: what visitors and operators do, who may, and what comes of chats that nobody takes."""

import itertools
import json
from typing import Any

import pytest

from ringback.callback import rules, visitors
from ringback.callback.whereabouts import Place as Somewhere
from ringback.chat import frames, sockets, talk, watch
from ringback.chat.reader import LOT, ChatReader
from ringback.chat.sockets import BURST, Socket
from ringback.resources.callmeback import chat as chat_door
from ringback.resources.callmeback.widget import Widgets
from ringback.rest.endpoint import Call
from ringback.store import callback_requests, chats
from ringback.store.database import Db
from tests.api import Api, Client
from tests.callbacks import Page, easy, staffed, widget
from tests.clock import TestClock
from tests.smtp import Mailbox

_ids = itertools.count(1)


class Talk:
    """A visitor's page and its socket."""

    def __init__(self, place: "Place", ip: str = "203.0.113.7") -> None:
        self.place = place
        self.page = Page(place.api, place.key, ip=ip)
        self.page.opened()
        self.socket: Socket | None = None
        self.heard: list[dict[str, Any]] = []

    def open(self, **hello: Any) -> "Talk":
        self.socket = self.place.socket(self.page.client)
        return self.send("hello", visitor=self.page.visitor, **hello)

    def send(self, do: str, **frame: Any) -> "Talk":
        assert self.socket is not None
        self.socket.hear(json.dumps({"do": do, **frame}))
        return self

    def say(self, text: str = "Hello", **more: Any) -> str:
        client_id = more.pop("id", f"message-{next(_ids)}")
        self.send("say", id=client_id, text=text, **{**self.page.solved(), **more})
        return str(client_id)

    def told(self) -> list[dict[str, Any]]:
        assert self.socket is not None
        self.place.reader.step()
        return [json.loads(each) for each in self.socket.waiting()]

    def texts(self) -> list[str]:
        return [each["text"] for each in self.told() if each["is"] == "message"]

    def state(self) -> Any:
        return [each for each in self.told() if each["is"] == "chat"][-1]


class Place:
    """A company with a widget that has a chat, whose number leads to Ann."""

    def __init__(self, api: Api, **setting: Any) -> None:
        staffed(api)
        self.api = api
        self.setting = widget(api, chat_enabled=True, **setting)
        self.key = self.setting["public_key"]
        self.reader = ChatReader(api.services)
        self.widgets = Widgets()
        (self.endpoint,) = chat_door.endpoints(self.widgets)

    def socket(self, client: Client) -> Socket:
        services = self.api.services
        call = Call(
            self.endpoint, services, "GET", {"key": self.key}, [], client.headers, b"", client.ip, services.clock()
        )
        outlet = self.endpoint.handler(call).outlet
        assert isinstance(outlet, Socket)
        return outlet

    def online(self, client: Client, *, is_online: bool = True) -> None:
        assert client.post("/chats/presence", {"is_online": is_online}).status == 200

    def chats(self, client: Client | None = None) -> list[dict[str, Any]]:
        return sorted((client or self.api.admin).listed("/chats"), key=lambda row: row["id"])

    def work(self) -> None:
        """Jobs that are due."""
        self.api.run_jobs()


@pytest.fixture
def place(api: Api, monkeypatch: pytest.MonkeyPatch) -> Place:
    easy(monkeypatch)
    return Place(api)


@pytest.fixture
def chatting(place: Place) -> tuple[Talk, int]:
    return taken(place)


def taken(place: Place) -> tuple[Talk, int]:
    """A chat that Ann has taken."""
    place.online(place.api.ann)
    one = Talk(place).open()
    one.say()
    (chat,) = place.chats(place.api.ann)
    assert place.api.ann.post(f"/chats/{chat['id']}/take").status == 200
    one.told()
    return one, chat["id"]


def test_a_chat_from_the_first_word_to_the_end(place: Place, clock: TestClock) -> None:
    ann = place.api.ann
    place.online(ann)
    visitor = Talk(place, ip="81.2.69.142").open()
    assert visitor.state() == {"is": "chat", "id": 0, "state": None, "online": True}
    visitor.say("Is it open?", name="Ada")
    said, state = visitor.told()
    assert (said["number"], said["from"], said["text"], state["state"]) == (1, "visitor", "Is it open?", "WAITING")
    (chat,) = place.chats(ann)
    assert (chat["visitor_name"], chat["visitor_country"], chat["website_id"]) == ("Ada", "GB", place.setting["id"])
    assert (chat["visitor_page"], chat["visitor_ua"]) == ("https://shop.example/bikes", "Firefox")
    taken = ann.post(f"/chats/{chat['id']}/take").data
    assert (taken["state"], taken["operator_id"]) == ("ACTIVE", ann.user_id)
    clock.advance(30)
    answer = ann.post("/chatmsgs", {"chat_id": chat["id"], "message": "Until six."})
    assert (answer.status, answer.data["user_id"], answer.data["to_name"]) == (201, ann.user_id, "Ada")
    said, state = visitor.told()
    assert (said["from"], said["text"], said["name"], state["state"]) == (
        "operator",
        "Until six.",
        answer.data["from_name"],
        "ACTIVE",
    )
    assert ann.post(f"/chats/{chat['id']}/end").data["duration"] == 30
    assert visitor.state()["state"] == "ENDED"
    assert [
        each["message"]
        for each in ann.listed(
            f"/chats/{chat['id']}/chatmsgs",
        )
    ][::-1] == ["Is it open?", "Until six."]


def test_messages_come_once_and_after_a_break_from_the_last_number_on(chatting: tuple[Talk, int], place: Place) -> None:
    visitor, chat_id = chatting
    first = visitor.say("one")
    visitor.say("one", id=first)
    assert visitor.texts() == ["one"]
    again = Talk.__new__(Talk)
    again.place, again.page, again.socket = place, visitor.page, None
    body = {"chat_id": chat_id, "message": "two", "key": "operator-1"}
    ids = [place.api.ann.post("/chatmsgs", body).data["id"] for _ in range(2)]
    assert ids[0] == ids[1]
    assert again.open(chat=chat_id, seen=2).texts() == ["two"]
    assert Talk.open(again, chat=0).texts() == ["Hello", "one", "two"]
    assert Talk.open(again, chat=chat_id + 1, seen=99).texts() == ["Hello", "one", "two"]


def test_a_long_chat_comes_in_lots_to_a_page_that_begins_anew(chatting: tuple[Talk, int], place: Place) -> None:
    """So a page that asks for all of it and does not read takes little memory, and one that reads gets all."""
    one, chat_id = chatting

    def write(db: Db) -> None:
        for n in range(1_050):
            row = {"from_id": str(place.api.ann.user_id), "message": f"{n}", "created_at": 1}
            chats.add_message(db, place.api.acme, chat_id, row)

    place.api.write(write)
    again = Talk(place)
    again.page = one.page
    again.open()
    place.reader.step()
    place.reader.step()
    assert again.socket is not None
    waiting = again.socket.waiting()
    assert len(waiting) == LOT + 1
    texts = [json.loads(each).get("text") for each in waiting[:-1]]
    while found := again.texts():
        texts += found
    assert texts == ["Hello", *map(str, range(1_050))]
    assert again.socket.ending is None


def test_who_writes_all_the_time_writes_a_row_now_and_then(chatting: tuple[Talk, int], place: Place) -> None:
    one, chat_id = chatting
    count = "SELECT revision FROM chats WHERE id = :id"
    before = place.api.services.database.read(lambda db: db.all(count, {"id": chat_id}))[0][0]
    for _ in range(20):
        one.send("typing")
        place.api.ann.post(f"/chats/{chat_id}/typing")
    assert place.api.services.database.read(lambda db: db.all(count, {"id": chat_id}))[0][0] == before + 2


def test_a_message_that_is_sent_again_after_the_end_begins_no_chat(chatting: tuple[Talk, int], place: Place) -> None:
    visitor, chat_id = chatting
    sent = visitor.say("last words")
    place.api.ann.post(f"/chats/{chat_id}/end")
    visitor.say("last words", id=sent)
    assert len(place.chats()) == 1
    visitor.say("and something new")
    assert [each["state"] for each in place.chats()] == ["ENDED", "WAITING"]


def test_typing_delivered_and_read_are_shown_to_the_other_side(chatting: tuple[Talk, int], place: Place) -> None:
    visitor, chat_id = chatting
    ann = place.api.ann
    assert ann.post(f"/chats/{chat_id}/typing").status == 204
    assert visitor.state()["typing"] is True
    visitor.send("typing")
    assert ann.get(f"/chats/{chat_id}").data["visitor_typing_at"] is not None
    (hello,) = ann.listed(f"/chats/{chat_id}/chatmsgs")
    assert ann.post(f"/chats/{chat_id}/marks", {"delivered_id": hello["id"]}).status == 204
    state = visitor.state()
    assert (state["delivered"], state["read"]) == (1, 0)
    ann.post(f"/chats/{chat_id}/marks", {"read_id": hello["id"]})
    assert visitor.state()["read"] == 1
    sent = ann.post("/chatmsgs", {"chat_id": chat_id, "message": "Hi"}).data
    assert visitor.state()["typing"] is False
    visitor.send("mark", delivered=2)
    found = ann.listed(f"/chats/{chat_id}/chatmsgs", ("id", "eq", sent["id"]))[0]
    assert (found["delivered_at"] is not None, found["read_at"]) == (True, None)
    visitor.send("mark", read=2)
    assert ann.listed(f"/chats/{chat_id}/chatmsgs", ("id", "eq", sent["id"]))[0]["read_at"] is not None


def test_nobody_there_means_a_message_with_an_address(place: Place) -> None:
    visitor = Talk(place).open()
    assert visitor.state()["online"] is False
    visitor.say("Call me")
    assert visitor.told() == [{"is": "error", "code": "email", "id": f"message-{next(_ids) - 1}"}]
    visitor.say("Write to me", email="ada@example.com")
    assert visitor.state()["state"] == "OFFLINE"
    (chat,) = place.chats()
    assert (chat["state"], chat["visitor_email"]) == ("OFFLINE", "ada@example.com")


def test_an_operator_who_is_not_heard_of_is_not_there(place: Place, clock: TestClock) -> None:
    place.online(place.api.ann)
    clock.advance(31)
    assert Talk(place).open().state()["online"] is False
    place.online(place.api.admin)
    assert Talk(place, ip="203.0.113.8").open().state()["online"] is True
    place.online(place.api.admin, is_online=False)
    place.online(place.api.bob)  # to whom the number does not lead
    assert Talk(place, ip="203.0.113.9").open().state()["online"] is False


@pytest.mark.parametrize("is_online", [False, True])
def test_the_widget_says_whether_somebody_is_there_for_a_chat(place: Place, is_online: bool) -> None:
    place.online(place.api.ann, is_online=is_online)
    assert Page(place.api, place.key).ask("GET").json["has_operator"] is is_online


def test_what_nobody_takes_within_a_minute_is_missed(place: Place, clock: TestClock) -> None:
    place.online(place.api.ann)
    visitor = Talk(place).open()
    visitor.say()
    clock.advance(59)
    place.work()
    assert visitor.state()["state"] == "WAITING"
    clock.advance(2)
    place.work()
    assert visitor.state()["state"] == "MISSED"
    visitor.send("contact", email="no address")
    assert visitor.told() == [{"is": "error", "code": "email", "id": None}]
    visitor.send("contact", email="ada@example.com")
    assert visitor.state()["has_email"] is True
    assert place.chats()[0]["visitor_email"] == "ada@example.com"
    assert place.api.ann.get(f"/chats/{place.chats()[0]['id']}").status == 403, "it is nobody's now"


def test_a_visitor_who_has_gone_ends_the_chat(chatting: tuple[Talk, int], place: Place, clock: TestClock) -> None:
    _, chat_id = chatting
    for _ in range(12):
        clock.advance(watch.LOOK_S)
        place.online(place.api.ann)
        place.work()
    chat = place.api.ann.get(f"/chats/{chat_id}").data
    assert (chat["state"], chat["duration"]) == ("ENDED", 0)


def test_a_chat_whose_operator_has_gone_waits_for_another(
    chatting: tuple[Talk, int], place: Place, clock: TestClock
) -> None:
    visitor, chat_id = chatting
    clock.advance(watch.LOOK_S)
    place.work()
    assert place.chats()[0]["state"] == "ACTIVE"
    clock.advance(watch.LOOK_S)
    place.work()
    assert visitor.state()["state"] == "WAITING"
    visitor.say("Are you there?")
    place.online(place.api.admin)
    taken = place.api.admin.post(f"/chats/{chat_id}/take").data
    assert (taken["state"], taken["operator_id"]) == ("ACTIVE", place.api.admin.user_id)
    clock.advance(3 * watch.LOOK_S)
    place.work()
    assert visitor.state()["state"] == "WAITING"
    clock.advance(watch.LOOK_S)
    place.work()
    assert visitor.state()["state"] == "MISSED"


@pytest.mark.parametrize("how", ["writes", "said no"])
def test_an_operator_without_presence_keeps_the_chat(
    chatting: tuple[Talk, int], place: Place, clock: TestClock, how: str
) -> None:
    """A program may take no more chats, and go on with those it has."""
    _, chat_id = chatting
    if how == "said no":
        place.online(place.api.ann, is_online=False)
    for _ in range(4):
        clock.advance(watch.LOOK_S)
        if how == "writes":
            place.api.ann.post("/chatmsgs", {"chat_id": chat_id, "message": "One moment"})
        place.work()
    assert place.chats()[0]["state"] == "ACTIVE"


def test_a_chat_of_a_deleted_operator_waits_for_another(
    chatting: tuple[Talk, int], place: Place, clock: TestClock
) -> None:
    visitor, _ = chatting
    assert place.api.admin.delete(f"/users/{place.api.ann.user_id}").status == 204
    clock.advance(watch.LOOK_S)
    place.work()
    assert visitor.state()["state"] == "WAITING"


def test_a_transcript_goes_to_an_address_a_few_times_and_only_of_a_chat_that_was_taken(
    mailing: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    easy(monkeypatch)
    place = Place(mailing)
    visitor, _ = taken(place)
    for given in ("nonsense", "a@b.example\nBcc: c@d.example", "a@b.example"):
        visitor.send("transcript", email=given)
    errors = [each["code"] for each in visitor.told() if each["is"] == "error"]
    assert errors == ["email", "email"]
    for _ in range(2):
        visitor.send("transcript", email="a@b.example")
    assert [each["code"] for each in visitor.told() if each["is"] == "error"] == ["later"]
    jobs = place.api.services.database.read(lambda db: db.all("SELECT args FROM jobs WHERE kind = 'chat_transcript'"))
    assert [json.loads(args)["to"] for (args,) in jobs] == ["a@b.example"] * talk.MOST_TRANSCRIPTS
    fresh = Talk(place, ip="203.0.113.99").open()
    fresh.say()
    fresh.send("transcript", email="a@b.example")
    assert [each["code"] for each in fresh.told() if each["is"] == "error"] == ["refused"]


def test_a_server_without_mail_offers_no_transcript(chatting: tuple[Talk, int], place: Place) -> None:
    visitor, chat_id = chatting
    place.api.ann.post(f"/chats/{chat_id}/end")
    assert visitor.state()["can_mail"] is False
    visitor.send("transcript", email="a@b.example")
    assert [each["code"] for each in visitor.told() if each["is"] == "error"] == ["refused"]


# -- who may


def test_the_address_of_an_operator_without_a_name_is_not_told(place: Place) -> None:
    bound = {"user": place.api.ann.user_id}
    sql = "UPDATE users SET first_name = NULL, last_name = NULL WHERE id = :user"
    place.api.services.database.write(lambda db: db.run(sql, bound))
    place.online(place.api.ann)
    visitor = Talk(place).open()
    visitor.say()
    (chat,) = place.chats()
    assert place.api.ann.post(f"/chats/{chat['id']}/take").status == 200
    assert place.api.ann.post("/chatmsgs", {"chat_id": chat["id"], "message": "Hello"}).data["from_name"] is None
    assert [each["name"] for each in visitor.told() if each["is"] == "message" and each["from"] == "operator"] == [None]


def test_others_may_neither_take_nor_read_nor_write(chatting: tuple[Talk, int], place: Place) -> None:
    _, chat_id = chatting
    api = place.api
    for path, body in (
        (f"/chats/{chat_id}/take", None),
        (f"/chats/{chat_id}/end", None),
        (f"/chats/{chat_id}/typing", None),
    ):
        assert api.bob.post(path, body).status == 403
        assert api.stranger.post(path, body).status == 404
        assert api.admin.post(path, body).status == 403, "somebody else has it"
    assert api.bob.post("/chatmsgs", {"chat_id": chat_id, "message": "x"}).status == 403
    assert api.stranger.post("/chatmsgs", {"chat_id": chat_id, "message": "x"}).status == 400
    assert api.bob.get(f"/chats/{chat_id}/chatmsgs").status == 403
    assert place.chats(api.bob) == []


def test_one_that_waits_is_seen_by_those_who_may_take_it(place: Place) -> None:
    place.online(place.api.ann)
    Talk(place).open().say()
    (chat,) = place.chats(place.api.ann)
    assert place.chats(place.api.bob) == []
    assert place.api.bob.post(f"/chats/{chat['id']}/take").status == 403
    assert place.api.admin.post(f"/chats/{chat['id']}/take").status == 200
    assert place.api.ann.post(f"/chats/{chat['id']}/take").status == 403
    assert place.chats(place.api.ann) == []


def test_who_is_no_visitor_of_the_widget_gets_nothing(place: Place) -> None:
    for token in ("", "x" * 32, "0", "' OR 1=1"):
        socket = place.socket(Page(place.api, place.key).client)
        socket.hear(json.dumps({"do": "hello", "visitor": token}))
        assert socket.ending is not None
        assert socket.ending.code == 4404
    other = widget(place.api, name="Other", chat_enabled=True)
    page = Page(place.api, other["public_key"])
    page.opened()
    socket = place.socket(page.client)
    socket.hear(json.dumps({"do": "hello", "visitor": page.visitor}))
    assert socket.ending is not None, "a token of another widget"


def test_who_comes_from_where_too_many_come_is_told_to_wait(place: Place) -> None:
    for _ in range(rules.VISITORS.n):
        Page(place.api, place.key).opened()
    one = Talk(place).open()
    assert one.socket is not None
    assert one.socket.ending == sockets.CROWDED


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_another_page_gets_no_socket(place: Place, origin: str) -> None:
    client = Client(
        place.api.app,
        headers={"origin": origin, "sec-fetch-site": "same-origin"} if origin == "" else {"origin": origin},
    )
    assert client.get(f"//callme/{place.key}/chat").status in (403, 426)
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever the refusal is)
        place.socket(client)


def test_without_chat_there_is_no_socket(place: Place) -> None:
    place.api.admin.patch(f"/callmeback/settings/{place.setting['id']}", {"chat_enabled": False})
    assert Page(place.api, place.key).ask("GET").json["has_chat"] is False
    with pytest.raises(Exception):  # noqa: B017, PT011
        place.socket(Page(place.api, place.key).client)


# -- hostile


@pytest.mark.parametrize(
    "email",
    [
        "a\0b@example.com",
        "a\u2028b@example.com",  # a line's end to who writes mails
        "a\x85b@example.com",
        "=?utf-8?q?eve=40example.org=2C_b?=@example.com",  # two addresses, to who reads the mail
    ],
)
def test_an_address_is_one_and_holds_no_control_character(place: Place, email: str) -> None:
    visitor = Talk(place).open()
    visitor.say(email=email)
    assert [each["code"] for each in visitor.told() if each["is"] == "error"] == ["email"]
    assert place.chats() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"do": "fly"}',
        '{"do": "say"}',
        '{"do": "hello"}',
        "\ud800",
        "9" * 20_000,
        "[" * 9_000,
        '{"do": "hello", "visitor": "\\u0000"}',
    ],
)
def test_nonsense_ends_the_socket(place: Place, text: str) -> None:
    socket = place.socket(Page(place.api, place.key).client)
    socket.hear(text)
    assert socket.ending is not None
    assert place.chats() == []


@pytest.mark.parametrize("number", [2**63, 10**30, -1])
def test_a_number_that_no_database_can_hold_stops_nobody(chatting: tuple[Talk, int], place: Place, number: int) -> None:
    visitor, chat_id = chatting
    again = Talk(place)
    again.page = visitor.page
    again.open(chat=chat_id, seen=number)
    assert again.socket is not None
    assert again.socket.ending is not None
    place.reader.step()
    visitor.send("mark", delivered=number)
    assert visitor.socket is not None
    assert visitor.socket.ending is not None


def test_a_page_that_says_too_much_at_a_time_is_ended(
    chatting: tuple[Talk, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, _ = chatting
    monkeypatch.setattr(sockets, "FRAMES_S", 0.0)  # however long it takes to say it all
    assert visitor.socket is not None
    for _ in range(int(BURST) + 1):
        visitor.send("typing")
    assert visitor.socket.ending is not None
    assert visitor.socket.ending.code == 4429


def test_metrics_tell_who_is_here_and_what_was_refused(chatting: tuple[Talk, int], place: Place) -> None:
    def told() -> dict[str, float]:
        body = Client(place.api.app, headers={"authorization": "Bearer metrics-secret"}).get("//metrics").body.decode()
        lines = (line.rsplit(" ", 1) for line in body.splitlines() if line.startswith("ringback_chat_"))
        return {name.removeprefix("ringback_chat_"): float(n) for name, n in lines}

    looking = Talk(place, ip="198.51.100.1").open()
    looking.told()
    assert told() == {'sockets{state="ACTIVE"}': 1, 'sockets{state="NONE"}': 1}
    chatting[0].say("")
    looking.send("nonsense")
    assert looking.socket is not None
    looking.socket.closed()
    refused = {'refusals_total{reason="text"}': 1, 'refusals_total{reason="nonsense"}': 1}
    assert told() == {'sockets{state="ACTIVE"}': 1, **refused}


def test_texts_stay_texts(chatting: tuple[Talk, int], place: Place) -> None:
    visitor, chat_id = chatting
    visitor.say("<script>alert(1)</script>\x00\x1b[31m\u202e")
    assert visitor.texts() == ["<script>alert(1)</script>[31m\u202e"]
    visitor.say("x" * (frames.MOST_TEXT + 1))
    assert [each["code"] for each in visitor.told()] == ["text"]
    assert place.api.ann.post("/chatmsgs", {"chat_id": chat_id, "message": " \n "}).status == 400


def test_work_is_done_before_a_chat_and_each_time_anew(place: Place) -> None:
    place.online(place.api.ann)
    visitor = Talk(place).open()
    visitor.told()
    visitor.say(salt="", nonce="")
    assert visitor.told()[0]["code"] == "challenge"
    work = visitor.page.solved()
    visitor.say(**work)
    visitor.send("end")
    visitor.say(**work)
    assert [each["code"] for each in visitor.told() if each["is"] == "error"] == ["challenge"]


def test_an_address_begins_a_few_chats_an_hour(place: Place) -> None:
    place.online(place.api.ann)
    found = []
    for n in range(7):
        visitor = Talk(place, ip=f"2001:db8::{n + 1}").open()
        visitor.say()
        found += [each["code"] for each in visitor.told() if each["is"] == "error"]
    assert found == ["later"] * 2
    assert len(place.chats()) == 5


def test_a_visitor_has_one_open_chat_and_says_so_much_in_it(chatting: tuple[Talk, int], place: Place) -> None:
    visitor, _ = chatting
    twin = Talk.__new__(Talk)
    twin.place, twin.page = place, visitor.page
    twin.open().say("from another tab")
    assert len(place.chats()) == 1
    widget_ = place.api.services.database.read(lambda db: callback_requests.widget(db, place.key))
    assert widget_ is not None
    person = talk.Visitor(visitor.page.visitor, "203.0.113.7", "203.0.113.7", Somewhere(), None)

    def say(n: int) -> Any:
        said = frames.Say(id=f"another-{n}", text="x")
        return place.api.write(lambda db: talk.say(db, widget_, b"", person, said, place.api.services.clock()))

    assert [say(n) for n in range(talk.PER_MINUTE)][-2:] == ["later", "later"]


def test_a_chat_goes_with_the_person(place: Place) -> None:
    visitor = Talk(place).open()
    visitor.say("I am ada@example.com", email="ada@example.com")
    assert place.api.admin.post("/erasures", {"email": "ada@example.com"}).status in (201, 202)
    place.work()
    assert place.chats() == []


def test_an_address_is_shortened_after_a_while(place: Place, clock: TestClock) -> None:
    Talk(place).open().say(email="ada@example.com")
    visitors.shorten(place.api.services.database, 30, clock() + 29 * 86_400)
    assert place.chats()[0]["visitor_ip"] == "203.0.113.7"
    visitors.shorten(place.api.services.database, 30, clock() + 31 * 86_400)
    assert place.chats()[0]["visitor_ip"] == "203.0.113.0/24"


def test_mails_tell_of_what_was_missed_and_send_what_was_said(
    mailing: Api, mails: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    easy(monkeypatch)
    place = Place(mailing, missed_mail="boss@acme.example")
    visitor = Talk(place).open()
    visitor.say("Hello?\r\nBcc: x@y.example", email="ada@example.com")
    place.work()
    assert mails.mails[-1]["To"] == "boss@acme.example"
    for each in ("Hello?", "ada@example.com", "https://shop.example/bikes"):
        assert each in mails.text()
    place.online(place.api.ann)
    visitor.say("And now?")
    chat = place.chats()[-1]["id"]
    place.api.ann.post(f"/chats/{chat}/take")
    place.api.ann.post("/chatmsgs", {"chat_id": chat, "message": "Now I am here."})
    visitor.send("transcript", email="ada@example.com")
    place.work()
    assert mails.mails[-1]["To"] == "ada@example.com"
    assert mails.text().index("And now?") < mails.text().index("Now I am here.")
    assert len(mails.mails) == 2
