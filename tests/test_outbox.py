"""The outbox: one order a customer, whoever writes and commits when, and nothing missed without a word."""

import threading

from ringback.services import Services
from ringback.store import live_calls, outbox
from ringback.store.outbox import Change
from tests.api import Api
from tests.clock import TestClock

SOON_S = 10.0


def numbered(api: Api) -> None:
    api.write(lambda db: outbox.number(db, api.services.clock()))


def after(api: Api, seen: int, customer: int | None = None, n: int = 1_000) -> list[Change] | None:
    return api.services.database.read(lambda db: outbox.since(db, customer or api.acme, seen, n))


def last(api: Api, customer: int) -> int:
    return api.services.database.read(lambda db: outbox.lasts(db, [customer])).get(customer, 0)


def told(api: Api, *ids: int, customer: int | None = None) -> None:
    api.write(lambda db: outbox.changed(db, customer or api.acme, "cdr.created", ids))


def test_changes_are_numbered_in_order_and_by_customer(api: Api) -> None:
    told(api, 1, 2)
    told(api, 7, customer=api.other)
    told(api, 3)
    numbered(api)
    begin = api.services.clock() * 1_000_000
    assert after(api, begin) == [Change(begin + 1, "cdr.created", 2), Change(begin + 2, "cdr.created", 3)]
    assert (last(api, api.acme), last(api, api.other)) == (begin + 2, begin)
    told(api, 4)
    numbered(api)
    assert after(api, begin + 2) == [Change(begin + 3, "cdr.created", 4)]
    assert after(api, begin + 3) == []


def test_who_saw_nothing_of_what_was_or_something_that_never_was_is_told_so(api: Api) -> None:
    told(api, 1)
    numbered(api)
    seen = last(api, api.acme)
    assert after(api, seen - 1) is None
    assert after(api, seen + 1) is None
    assert after(api, seen, api.other) is None


def test_what_a_later_transaction_committed_first_is_seen_first_and_the_other_is_not_lost(services: Services) -> None:
    """On PostgreSQL two write at once: the ids were given in one order, and are seen in the other."""
    if services.database.engine != "postgres":
        return
    written, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        def work(db: object) -> None:
            outbox.changed(db, 1, "cdr.created", [1])  # type: ignore[arg-type]
            written.set()
            assert go_on.wait(SOON_S)

        services.database.write(work)

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(SOON_S)
    services.database.write(lambda db: outbox.changed(db, 1, "cdr.created", [2]))
    services.database.write(lambda db: outbox.number(db, 5))
    go_on.set()
    thread.join()
    services.database.write(lambda db: outbox.number(db, 5))
    found = services.database.read(lambda db: outbox.since(db, 1, 5_000_000, 10))
    assert found == [Change(5_000_001, "cdr.created", 1)]


def test_it_forgets_what_is_old_and_what_is_much_but_never_the_number(api: Api, clock: TestClock) -> None:
    told(api, 1)
    outbox.prune(api.services.database, clock.now)
    first = last(api, api.acme)
    clock.advance(outbox.KEPT_S + 1)
    told(api, 2)
    outbox.prune(api.services.database, clock.now)
    assert after(api, first) == [Change(last(api, api.acme), "cdr.created", 2)]
    told(api, 3)
    clock.advance(outbox.KEPT_S + 1)
    outbox.prune(api.services.database, clock.now)
    assert after(api, first) is None
    assert after(api, last(api, api.acme)) == []
    for n in range(0, outbox.MOST_KEPT + 2_000, 1_000):
        told(api, *range(n, n + 1_000))
    outbox.prune(api.services.database, clock.now)
    newest = last(api, api.acme)
    kept = after(api, newest - outbox.MOST_KEPT + 1, n=20_000)
    assert kept is not None
    assert len(kept) == outbox.MOST_KEPT - 1
    assert after(api, newest - outbox.MOST_KEPT) is None


def test_more_than_anybody_wants_one_by_one_is_one_change(api: Api) -> None:
    told(api, 0)
    numbered(api)
    seen = last(api, api.acme)
    told(api, *range(outbox.MANY + 1))
    numbered(api)
    assert after(api, seen) == [Change(seen + 1, outbox.SOMETHING, outbox.NOTHING)]


def test_who_listens_hears_of_a_commit(api: Api) -> None:
    heard = threading.Event()
    with api.services.database.listen(heard.set):
        for _ in range(3):
            heard.clear()
            told(api, 1)
            assert heard.wait(SOON_S)


def test_what_a_call_was_at_its_end_stays_ten_minutes(api: Api, clock: TestClock) -> None:
    up = {"start_time": clock.now, "state": "RINGING", "src": "101"}

    def count() -> int:
        return int(api.services.database.read(lambda db: db.all("SELECT count(*) FROM ended_calls"))[0][0])

    for state in ("RINGING", "CONNECTED"):  # the same one comes back when a PBX is connected again
        api.write(lambda db, state=state: live_calls.put(db, api.acme, {5: {**up, "state": state}}, 0))
        api.write(lambda db: live_calls.clear(db, api.acme, clock.now))
    assert api.services.database.read(lambda db: db.all("SELECT state FROM ended_calls")) == [("CONNECTED",)]
    outbox.prune(api.services.database, clock.now)
    assert count() == 1
    clock.advance(outbox.KEPT_S + 1)
    outbox.prune(api.services.database, clock.now)
    assert count() == 0
