"""Requests become calls, once each, and end: with a PBX that only writes down what it is told."""

import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringback.callback import asking, leftover, placing, rules, runner, visitors
from ringback.callback.asking import Asked
from ringback.callback.rules import Refusal
from ringback.callback.runner import Runner
from ringback.connectors.orders import Away, News, NotDone, Offline, Unsure
from ringback.jobs import queue
from ringback.store import callback_requests as store
from ringback.store import cdrs, rows, schema
from tests.api import Api
from tests.callbacks import DDI, VISITOR, FakePbx, Page, columns, easy, requests, staffed, widget
from tests.clock import TestClock
from tests.smtp import Mailbox
from tests.test_cdrs import call


class Place:
    """A widget, a page with it, and the part of the server that places calls, turned by hand."""

    def __init__(self, api: Api) -> None:
        self.api, self.pbx = api, staffed(api)
        self.setting = widget(api)
        self.page = Page(api, self.setting["public_key"])
        self.page.opened()
        self.runner = Runner(api.services)

    def ask(self, number: str = VISITOR, **more: Any) -> str:
        answer = self.page.request(number, **more)
        assert answer.status == 201, answer.body
        token: str = answer.json["request"]
        return token

    def until(self, happened: Callable[[], Any]) -> Any:
        """Turns until it has, or for 40 times without news."""
        for _ in range(40):
            self.runner.turn()
            if found := happened():
                return found
        raise AssertionError(f"it does not happen: {requests(self.api)}")

    def placed(self, n: int = 1) -> Any:
        self.until(lambda: len(self.pbx.placed) == n)
        self.until(lambda: self.stages()[-1] != "checked")
        return self.pbx.placed[-1]

    def tell(self, *events: str) -> None:
        for event in events:
            self.api.services.desk.news.put(News(self.pbx.placed[-1].channel_id, event))
            self.runner.turn()

    def stages(self) -> list[str]:
        return [stage for (stage,) in columns(self.api, "stage")]

    def told(self, token: str) -> tuple[str, str | None, str | None]:
        state = self.page.state(token)
        return state["state"], state["side"], state["reason"]

    def restart(self) -> None:
        """As after kill -9: what was in memory is gone."""
        self.runner = Runner(self.api.services)

    def live(self, **changes: Any) -> int:
        """The call is shown."""
        live_id: int = self.pbx.asked[-1].live_id
        row = {"id": live_id, "start_time": self.api.services.clock(), "state": "RINGING", **changes}
        self.api.write(lambda db: rows.insert(db, schema.calls, self.api.acme, [row]))
        return live_id

    def over(self, **changes: Any) -> int:
        """Its CDR has come, and it is no live call any more."""
        live_id: int = self.pbx.placed[-1].live_id
        row = call(self.api.services.clock(), live_id=live_id, destination="callmeback", **changes)

        def work(db: Any) -> int:
            db.run("DELETE FROM calls WHERE id = :id", {"id": live_id})
            return int(cdrs.insert(db, self.api.acme, [row])[0])

        found: int = self.api.write(work)
        return found


@pytest.fixture
def place(api: Api, monkeypatch: pytest.MonkeyPatch) -> Place:
    easy(monkeypatch)
    monkeypatch.setattr(runner, "TICK_S", 0.05)
    return Place(api)


def test_the_agent_is_rung_first(place: Place) -> None:
    token = place.ask()
    order = place.placed()
    assert (order.first, order.is_phone, order.number, order.outside) == ("103", True, "07400123456", "number")
    assert (order.caller_id, order.ring_s, order.most_s) == (DDI, 30, 3_600 + placing.BELT_S)
    assert order.channel_id == f"ringback-callback-{place.api.acme}-{place.api.services.clock()}.{order.live_id}"
    assert place.told(token) == ("CALLING", "agent", None)
    place.tell("answer")
    assert place.told(token) == ("CALLING", "visitor", None)
    place.tell("talk")
    assert place.told(token) == ("CONNECTED", None, None)
    place.until(lambda: place.pbx.limits == [(order.channel_id, 3_600)])
    place.tell("hang_up")
    assert place.told(token) == ("ENDED", None, None)
    cdr_id = place.over()
    place.until(lambda: requests(place.api)[0]["cdr_id"] == cdr_id)
    (visitor,) = place.api.admin.listed("/callmeback/visitors")
    assert (visitor["state"], visitor["cdr_id"]) == ("ENDED", cdr_id)
    assert [row["id"] for row in place.api.admin.get("/callmeback/cdrs").data] == [cdr_id]
    assert (len(place.pbx.placed), place.pbx.cuts) == (1, [])


def test_the_visitor_is_rung_first_where_the_setting_says_so(place: Place) -> None:
    place.api.admin.patch(f"/callmeback/settings/{place.setting['id']}", {"dial_first": "visitor", "max_duration": 60})
    place.page = Page(place.api, widget(place.api, dial_first="visitor", max_duration=60)["public_key"])
    token = place.ask()
    order = place.placed()
    assert (order.first, order.is_phone, order.number, order.outside) == ("07400123456", False, "103", "first")
    assert order.most_s == 60 + placing.BELT_S
    assert place.told(token) == ("CALLING", "visitor", None)
    place.tell("no_answer")
    assert place.told(token) == ("FAILED", "visitor", "no_answer")


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (["busy"], ("FAILED", "agent", "busy")),
        (["no_answer"], ("FAILED", "agent", "no_answer")),
        (["fail"], ("FAILED", "agent", "failed")),
        (["answer", "busy"], ("FAILED", "visitor", "busy")),
        (["answer", "no_answer"], ("FAILED", "visitor", "no_answer")),
        (["answer", "hang_up"], ("FAILED", "agent", "cancelled")),
        (["answer", "talk", "hang_up", "hang_up"], ("ENDED", None, None)),
    ],
)
def test_each_side_may_not_answer(place: Place, events: list[str], told: tuple[str, str | None, str | None]) -> None:
    token = place.ask()
    place.placed()
    place.tell(*events)
    assert place.told(token) == told
    assert place.page.request().status == (429 if "answer" in events else 201)


def test_a_phone_that_is_gone_fails_at_once(place: Place) -> None:
    place.pbx.trouble = Offline()
    token = place.ask()
    place.until(lambda: place.told(token) == ("FAILED", "agent", "failed"))
    assert place.runner.outcomes == {"agent: failed": 1}
    assert requests(place.api)[0]["reason"] == "agent: failed: no phone is registered there"


def test_why_the_pbx_does_not_place_a_call_stands_with_the_request(place: Place) -> None:
    """The visitor is told that it did not work; metrics know one word."""
    place.pbx.trouble = NotDone("The PBX does not do it: Extension does not exist.")
    token = place.ask()
    place.until(lambda: place.told(token) == ("FAILED", "agent", "failed"))
    reason = "agent: failed: The PBX does not do it: Extension does not exist."
    assert requests(place.api)[0]["reason"] == reason
    assert place.runner.outcomes == {"agent: failed": 1}


def test_why_a_call_ended_stands_with_the_request(place: Place) -> None:
    token = place.ask()
    order = place.placed()
    place.tell("answer")
    news = News(order.channel_id, "fail", "Unallocated (unassigned) number")
    place.api.services.desk.news.put(news)
    place.until(lambda: place.told(token) == ("FAILED", "visitor", "failed"))
    assert requests(place.api)[0]["reason"] == "visitor: failed: Unallocated (unassigned) number"


def test_an_order_that_never_went_out_waits_for_the_pbx(place: Place, clock: TestClock) -> None:
    """The connection broke between the claim and the order: nobody was rung."""
    place.page = Page(place.api, widget(place.api, dial_first="visitor")["public_key"])
    place.pbx.trouble = Away("The PBX is not connected.")
    token = place.ask()
    place.until(lambda: place.told(token)[0] == "OFFLINE")
    place.pbx.trouble = None
    clock.advance(placing.LOOK_S + 1)
    place.restart()
    assert place.placed().first == "07400123456"


def test_an_order_that_maybe_went_out_is_looked_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection broke before the PBX had answered: the call may be up, and goes on as such."""
    monkeypatch.setattr(runner, "SEARCHED_S", 0.0)
    monkeypatch.setattr(runner, "LOOK_S", 0.0)
    place.pbx.trouble = Unsure("The connection was lost.")
    token = place.ask()
    place.until(lambda: len(place.pbx.asked) == 1)
    for _ in range(5):
        place.runner.turn()
    assert place.told(token) == ("CALLING", "agent", None)
    place.live(connected_at=place.api.services.clock(), dst=VISITOR)
    place.until(lambda: place.told(token)[0] == "CONNECTED")
    assert len(place.pbx.asked) == 1


def test_a_visitor_who_gives_up_is_hung_up(place: Place) -> None:
    token = place.ask()
    order = place.placed()
    place.tell("answer")
    assert place.page.ask("DELETE", f"/requests/{token}").status == 204
    assert place.told(token) == ("FAILED", "visitor", "cancelled")
    place.until(lambda: place.pbx.cuts == [order.channel_id])
    place.tell("hang_up")
    assert place.told(token) == ("FAILED", "visitor", "cancelled")


def test_a_call_that_outlives_its_request_is_ended(place: Place) -> None:
    """The server was killed between the visitor's giving up and the hanging up."""
    token = place.ask()
    order = place.placed()
    place.page.ask("DELETE", f"/requests/{token}")
    place.live()
    place.restart()
    place.until(lambda: order.channel_id in place.pbx.cuts)


def test_a_deleted_setting_ends_what_is_being_rung(place: Place) -> None:
    place.ask()
    order = place.placed()
    assert place.api.admin.delete(f"/callmeback/settings/{place.setting['id']}").status == 204
    place.until(lambda: place.pbx.cuts == [order.channel_id])
    assert requests(place.api)[0]["state"] == "REFUSED"


# -- restarts


def test_a_claimed_request_is_never_placed_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the claim, before the order: nobody knows whether it went out, so it does not go out again."""
    place.ask()
    (request,) = requests(place.api)
    place.api.write(lambda db: placing.claim(db, place.api.acme, request["id"], place.api.services.clock()))
    place.restart()
    monkeypatch.setattr(runner, "SEARCHED_S", 0.0)
    monkeypatch.setattr(runner, "LOST_S", 0.0)
    monkeypatch.setattr(runner, "LOOK_S", 0.0)
    place.until(lambda: requests(place.api)[0]["state"] == "FAILED")
    assert (place.pbx.placed, requests(place.api)[0]["reason"]) == ([], "agent: failed")


@pytest.mark.parametrize("stage", ["first", "second", "connected"])
def test_a_call_that_is_up_is_found_again_after_a_kill(
    place: Place, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = place.ask()
    place.placed()
    place.tell(*{"first": [], "second": ["answer"], "connected": ["answer", "talk"]}[stage])
    place.live(connected_at=place.api.services.clock(), dst=VISITOR)
    place.restart()
    monkeypatch.setattr(runner, "SEARCHED_S", 0.0)
    monkeypatch.setattr(runner, "LOOK_S", 0.0)
    place.until(lambda: place.told(token)[0] == "CONNECTED")
    place.tell("hang_up")
    assert place.told(token)[0] == "ENDED"
    assert len(place.pbx.placed) == 1


def test_an_agent_who_is_up_alone_after_a_kill_talks_to_nobody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The visitor was busy meanwhile, and the agent hears that."""
    token = place.ask()
    place.placed()
    place.live(connected_at=place.api.services.clock())
    place.restart()
    monkeypatch.setattr(runner, "SEARCHED_S", 0.0)
    monkeypatch.setattr(runner, "LOOK_S", 0.0)
    place.tell("answer")
    for _ in range(5):
        place.runner.turn()
    assert place.told(token) == ("CALLING", "visitor", None)
    place.tell("fail")
    assert place.told(token) == ("FAILED", "visitor", "failed")


@pytest.mark.parametrize(
    ("cdr", "told"),
    [
        ({"disposition": "CONNECTED"}, ("ENDED", None, None)),
        ({"disposition": "RINGING", "t_cause": "User busy"}, ("FAILED", "agent", "busy")),
        ({"disposition": "RINGING", "t_cause": "No answer"}, ("FAILED", "agent", "no_answer")),
    ],
)
def test_a_call_that_ended_unseen_is_found_by_its_cdr(
    place: Place, cdr: dict[str, Any], told: tuple[str, str | None, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = place.ask()
    place.placed()
    cdr_id = place.over(**cdr)
    place.restart()
    monkeypatch.setattr(runner, "SEARCHED_S", 0.0)
    monkeypatch.setattr(runner, "LOOK_S", 0.0)
    place.until(lambda: place.told(token) == told)
    place.until(lambda: requests(place.api)[0]["cdr_id"] == cdr_id)


@pytest.mark.parametrize("cdr", [None, {"disposition": "RINGING", "t_cause": "User busy"}])
def test_who_was_maybe_rung_unseen_is_not_rung_again_at_once(
    place: Place, cdr: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent may have answered, and the visitor been rung, while nobody listened."""
    token = place.ask()
    place.placed()
    if cdr is not None:
        place.over(**cdr)
    place.restart()
    for name in ("SEARCHED_S", "LOST_S", "LOOK_S"):
        monkeypatch.setattr(runner, name, 0.0)
    place.until(lambda: place.told(token)[0] == "FAILED")
    assert place.page.request().json == {"error": "later"}


def test_who_is_rung_though_he_gave_up_is_not_rung_again_at_once(place: Place) -> None:
    """He did in the moment in which the agent answered."""
    token = place.ask()
    channel = place.placed().channel_id
    place.page.ask("DELETE", f"/requests/{token}")
    place.until(lambda: place.pbx.cuts == [channel])
    place.tell("answer")
    assert place.told(token)[0] == "FAILED"
    assert place.page.request().json == {"error": "later"}


def test_while_the_pbx_is_away_nobody_says_how_a_call_goes(
    place: Place, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on, but not for ever: the PBX itself ends it."""
    token = place.ask()
    place.placed()
    place.tell("answer")
    place.pbx.is_connected = False
    monkeypatch.setattr(runner, "LOOK_S", 0.0)
    clock.advance(runner.SECOND_S + 1)
    place.runner.turn()
    assert (place.told(token)[0], place.pbx.cuts) == ("CALLING", [])
    clock.advance(rules.LONGEST_S + placing.BELT_S)
    place.until(lambda: place.told(token) == ("FAILED", "visitor", "failed"))


def test_two_processes_place_one_call(place: Place) -> None:
    place.ask()
    (request,) = requests(place.api)
    now, database = place.api.services.clock(), place.api.services.database
    found: list[Any] = []
    start = threading.Barrier(8)

    def claim() -> None:
        start.wait()
        found.append(database.write(lambda db: placing.claim(db, place.api.acme, request["id"], now)))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(each is not None for each in found) == 1


# -- kept for later


def test_a_request_is_kept_until_somebody_is_there(place: Place, clock: TestClock) -> None:
    place.api.write(
        lambda db: rows.update(db, schema.users, place.api.acme, place.api.ann.user_id, {"presence": "busy"})
    )
    place.page = Page(place.api, widget(place.api)["public_key"])
    token = place.ask()
    for _ in range(3):
        place.runner.turn()
    assert place.told(token)[0] == "OFFLINE"
    place.api.write(
        lambda db: rows.update(db, schema.users, place.api.acme, place.api.ann.user_id, {"presence": "available"})
    )
    clock.advance(placing.LOOK_S + 1)
    place.restart()
    assert place.placed().number == "07400123456"
    place.tell("no_answer")
    assert place.told(token)[0] == "OFFLINE"
    for n in (2, 3):
        clock.advance(placing.AGAIN_S + 1)
        place.restart()
        place.placed(n)
        place.tell("no_answer")
    assert place.told(token) == ("FAILED", "agent", "no_answer")
    assert len({each.live_id for each in place.pbx.placed}) == 3


def test_who_waits_is_called_within_the_hours(place: Place, clock: TestClock) -> None:
    made = widget(place.api, hours={"mon": [["09:00", "17:00"]]}, time_zone="UTC")
    place.page = Page(place.api, made["public_key"])
    token = place.ask(preferred_at=1_795_428_000)  # Monday 10:00
    clock.advance(1_795_427_900 - clock())
    place.restart()
    place.runner.turn()
    assert place.told(token)[0] == "OFFLINE"
    clock.advance(101)
    place.restart()
    place.placed()


def test_who_waits_for_a_week_is_given_up(place: Place, clock: TestClock) -> None:
    place.pbx.is_connected = False
    token = place.ask()
    assert place.told(token)[0] == "OFFLINE"
    clock.advance(8 * 86_400)
    place.restart()
    place.until(lambda: place.told(token) == ("FAILED", "visitor", "no_answer"))


def test_who_gives_up_while_it_is_looked_at_has_given_up(place: Place, clock: TestClock) -> None:
    """The look began before, and comes to its end after."""
    place.pbx.is_connected = False
    token = place.ask()
    database, desk = place.api.services.database, place.api.services.desk
    (kept,) = database.read(lambda db: store.open_requests(db, place.api.acme))
    place.page.ask("DELETE", f"/requests/{token}")
    assert not database.write(lambda db: placing.look(db, desk, place.api.acme, kept, clock()))
    assert requests(place.api)[0]["state"] == "FAILED"


def test_what_goes_wrong_with_one_customer_stops_no_other(place: Place, clock: TestClock) -> None:
    """Such as a time zone that this machine does not know, after a restore."""
    other, database = place.api.stranger.customer_id, place.api.services.database
    place.pbx.is_connected = False
    place.ask()
    database.write(lambda db: db.run("UPDATE callmeback_settings SET time_zone = 'Mars/Olympus'"))
    kept = {"setting_id": 999, "number": VISITOR, "open_number": VISITOR, "state": "OFFLINE", "stage": "offline"}
    more = {"created_at": clock(), "changed_at": clock(), "dial_first": "agent", "tries": 0, "due_at": clock()}
    found = {"price_micro": 0, "most_s": 60}
    database.write(lambda db: rows.insert(db, schema.callmeback_requests, other, [{**kept, **more, **found}]))
    place.api.services.desk.callers.append(FakePbx(other))
    clock.advance(placing.LOOK_S + 1)
    place.restart()
    with capture_logs() as logs:
        place.until(lambda: "refused" in place.stages())
    assert [each["customer"] for each in logs if each["log_level"] == "error"][:1] == [place.api.acme]


def test_without_any_pbx_nobody_waits_for_ever(place: Place, clock: TestClock) -> None:
    """As with a PBX that places no callbacks: what was kept is for the team, and leaves room for others after a week."""
    place.api.services.desk.callers.clear()
    token = place.ask()
    assert place.told(token)[0] == "OFFLINE"
    clock.advance(placing.WAITS_S)
    leftover.end(place.api.services.database, clock())
    assert place.told(token)[0] == "OFFLINE"
    clock.advance(1)
    leftover.end(place.api.services.database, clock())
    assert place.told(token) == ("FAILED", "visitor", "no_answer")
    assert list(columns(place.api, "open_number")) == [(None,)]


def test_a_call_whose_pbx_was_taken_away_is_over_some_time(place: Place, clock: TestClock) -> None:
    token = place.ask()
    place.placed()
    place.tell("ring", "answer", "talk")
    place.api.services.desk.callers.clear()
    (most_s,) = next(columns(place.api, "most_s"))
    clock.advance(most_s + placing.BELT_S)
    leftover.end(place.api.services.database, clock())
    assert place.told(token)[0] == "CONNECTED"
    clock.advance(leftover.MORE_S + 1)
    leftover.end(place.api.services.database, clock())
    assert place.told(token)[0] == "ENDED"


def test_a_request_whose_pbx_was_taken_away_is_kept_for_later(place: Place, clock: TestClock) -> None:
    token = place.ask()
    place.api.services.desk.callers.clear()
    clock.advance(leftover.MORE_S + 1)
    leftover.end(place.api.services.database, clock())
    assert place.told(token)[0] == "OFFLINE"


def test_rules_hold_for_who_was_kept_too(place: Place, clock: TestClock) -> None:
    token = place.ask(preferred_at=clock() + 3_600)
    place.api.admin.post("/callmeback/donotcall", {"number": VISITOR})
    clock.advance(3_601)
    place.until(lambda: place.told(token) == ("REFUSED", None, None))
    assert list(columns(place.api, "reason")) == [("donotcall",)]
    assert place.pbx.placed == []


def test_without_the_pbx_a_request_waits(place: Place, clock: TestClock) -> None:
    """A while for a PBX that comes back, as after a restart of ours; then for later."""
    token = place.ask()
    place.pbx.is_connected = False
    place.runner.turn()
    assert place.told(token)[0] == "REQUESTED"
    clock.advance(runner.PATIENCE_S + 1)
    place.restart()
    place.until(lambda: place.told(token)[0] == "OFFLINE")
    assert place.pbx.placed == []


# -- told by mail


@pytest.fixture
def mailed(mailing: Api, monkeypatch: pytest.MonkeyPatch) -> Place:
    easy(monkeypatch)
    monkeypatch.setattr(runner, "TICK_S", 0.05)
    return Place(mailing)


def test_missed_callbacks_are_told_by_mail(mailed: Place, mails: Mailbox) -> None:
    made = widget(mailed.api, missed_mail="boss@acme.example", name="Spring shop")
    mailed.page = Page(mailed.api, made["public_key"])
    mailed.ask()
    mailed.placed()
    mailed.tell("no_answer")
    mailed.api.run_jobs()
    (mail,) = mails.mails
    assert mail["To"] == "boss@acme.example"
    assert "+447400123456" in mail.get_content()
    assert "agent: no_answer" in mail.get_content()


def test_who_waited_in_vain_was_missed(mailed: Place, mails: Mailbox, clock: TestClock) -> None:
    mailed.page = Page(mailed.api, widget(mailed.api, missed_mail="boss@acme.example")["public_key"])
    mailed.pbx.is_connected = False
    token = mailed.ask()
    clock.advance(placing.WAITS_S + 1)
    mailed.until(lambda: mailed.told(token)[0] == "FAILED")
    mailed.api.run_jobs()
    (mail,) = mails.mails
    assert "+447400123456" in mail.get_content()


def test_who_gave_up_is_not_missed(mailed: Place) -> None:
    token = mailed.ask()
    mailed.placed()
    mailed.page.ask("DELETE", f"/requests/{token}")
    mailed.until(lambda: mailed.pbx.cuts)
    assert mailed.api.services.database.read(lambda db: queue.due(db, mailed.api.services.clock())) == 0


# -- addresses


def test_addresses_are_shortened_after_a_while(place: Place, clock: TestClock) -> None:
    place.ask()
    clock.advance(31 * 86_400)
    Page(place.api, place.page.key).opened()
    visitors.shorten(place.api.services.database, 30, clock())
    found = place.api.services.database.read(lambda db: db.all("SELECT ip FROM callmeback_visitors ORDER BY id"))
    assert found == [("203.0.113.0/24",), ("203.0.113.7",)]
    assert list(columns(place.api, "network")) == [(None,)]


# -- attacks


def test_fifty_requests_for_one_number_at_once_ring_it_once(place: Place) -> None:
    start = threading.Barrier(50)
    codes: list[int] = []
    pages = [Page(place.api, place.page.key, ip=f"198.51.100.{n}") for n in range(50)]
    solved = [each.solved() for each in pages]

    def ask(page: Page, solution: dict[str, Any]) -> None:
        start.wait()
        codes.append(page.request(**solution).status)

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(pages, solved, strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(codes) == [201] + [429] * 49
    place.placed()
    for _ in range(5):
        place.runner.turn()
    assert len(place.pbx.placed) == 1


def test_an_address_is_counted_over_all_widgets_at_once(place: Place) -> None:
    """Two ask at two widgets at the same moment, and there is room for one."""
    api, now = place.api, place.api.services.clock()
    keys = [place.page.key, widget(api)["public_key"]]
    widgets = [api.services.database.read(partial(store.widget, key=key)) for key in keys]
    for n in range(4):
        place.ask(f"0740012340{n}")
    other_has_asked, found = threading.Event(), list[Any]()

    def ask(db: Any, n: int) -> Any:
        made = widgets[n]
        assert made is not None
        asked = Asked(f"44740012341{n}", None, "", "203.0.113.7", f"{now + 600}.1.{n:016x}.{'0' * 32}", None)
        verdict = asking.ask(db, made, asked, now, is_available=True)
        if n == 0:
            other.start()
            other_has_asked.wait(1.0)
        return verdict

    def ask_too() -> None:
        found.append(api.services.database.write(partial(ask, n=1)))
        other_has_asked.set()

    other = threading.Thread(target=ask_too)
    assert not isinstance(api.write(partial(ask, n=0)), Refusal)
    other.join()
    assert found == [Refusal("later", "address_hour")]


def test_the_money_of_a_day_holds_over_calls(place: Place) -> None:
    """0.10 a day at 0.02 a minute: five minutes, however many calls."""
    made = widget(place.api, daily_spend=0.1, max_duration=120)
    place.page = Page(place.api, made["public_key"])
    for number, most_s in (("07400123401", 120), ("07400123402", 120), ("07400123403", 60)):
        place.ask(number)
        assert place.placed(len(place.pbx.placed) + 1).most_s == most_s + placing.BELT_S
    assert place.page.request("07400123404").json == {"error": "refused"}
    assert requests(place.api)[-1]["reason"] == "spend"


def test_ten_thousand_hostile_requests(place: Place) -> None:
    """Whatever numbers, from wherever, however fast: none that is not allowed is rung, and none twice in its window."""
    api, key = place.api, widget(place.api, dial_first="visitor")["public_key"]
    dice, orders = random.Random(7), list[tuple[int, str]]()
    bad = ["112", "449098790000", "8816123456", "12025550123", "4870012345", DDI, "447012345678", "33892700000", None]
    good = [f"4474001234{n:02}" for n in range(40)]
    found = api.services.database.read(lambda db: store.widget(db, key))
    assert found is not None
    start = api.services.clock()

    def burst(db: Any, first: int) -> None:
        for n in range(first, first + 500):
            at, number = start + n // 4, dice.choice(bad if n % 2 else good)
            salt = f"{at + 600}.1.{n:016x}.{'0' * 32}"
            asked = Asked(number, "<script>", "", f"2001:db8:{dice.randrange(4_000):x}::/64", salt, None)
            if isinstance(asking.ask(db, found, asked, at, is_available=True), Refusal) or number is None:
                continue
            (request,) = [each for each in store.open_requests(db, api.acme) if each.number == number]
            order = placing.claim(db, api.acme, request.id, at)
            if order is not None:
                orders.append((at, order.first))
            placing.went_on(db, api.acme, request.id, "busy", at, is_found=False)

    for first in range(0, 10_000, 500):
        api.write(lambda db, first=first: burst(db, first))
    assert {number for _, number in orders} <= {f"0{each[2:]}" for each in good}
    assert len(orders) > 60
    last: dict[str, int] = {}
    for at, number in orders:
        assert at - last.get(number, 0) >= rules.WINDOW_S
        last[number] = at


def test_who_was_kept_waits_for_the_money_of_the_next_day(place: Place, clock: TestClock) -> None:
    """By the clock of the setting: there it is Sunday, an hour before midnight."""
    made = widget(place.api, daily_spend=0.04, max_duration=120, time_zone="Europe/Warsaw")
    place.page = Page(place.api, made["public_key"])
    sunday, midnight = 1_795_384_800, 1_795_388_400
    clock.advance(sunday - clock())
    token = place.ask(preferred_at=sunday + 60)
    place.ask("07400123401")
    place.placed()
    clock.advance(61)
    for _ in range(5):
        place.restart()
        place.runner.turn()
    assert place.told(token)[0] == "OFFLINE"
    assert next(columns(place.api, "due_at", "reason")) == (midnight, None)
    clock.advance(midnight - clock())
    place.tell("no_answer")
    place.restart()
    assert place.placed(2).number == "07400123456"


def test_a_server_that_stops_places_nothing_any_more(place: Place) -> None:
    place.runner.turn()
    place.ask()
    place.runner.stop()
    place.runner.turn()
    assert (place.stages(), place.pbx.asked) == (["requested"], [])


def test_an_order_that_nobody_expected_to_fail_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_channel_id: str, _most_s: int) -> None:
        raise ValueError("what is this")

    monkeypatch.setattr(place.pbx, "limit", failing)
    place.ask()
    place.placed()
    with capture_logs() as logs:
        place.tell("ring", "answer", "talk")
        place.runner.stop()
    assert [(each["event"], each["log_level"]) for each in logs] == [
        ("an order to a callback was not carried out", "error")
    ]
