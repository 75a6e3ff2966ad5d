"""When retention runs, beside whom, and what a crash or a wrong clock does to it."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ringback.errors import Unavailable
from ringback.jobs import queue, retain, thinning
from ringback.store import cdrs, holds
from tests.api import Api
from tests.clock import TestClock
from tests.keeping import days_ago, ids, recording, retained, right_totals, rules
from tests.test_cdrs import call

DAY = 86_400


def jobs(api: Api) -> list[tuple[Any, ...]]:
    sql = "SELECT customer_id, state, run_at FROM jobs WHERE kind = 'retain' ORDER BY customer_id"
    return api.services.database.read(lambda db: db.all(sql))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("now", "zone", "night"),
    [
        ("2026-11-22 09:30:00", None, "2026-11-23 02:07:00"),
        ("2026-11-22 01:00:00", "UTC", "2026-11-22 02:07:00"),
        ("2026-11-22 02:07:00", "UTC", "2026-11-23 02:07:00"),
        ("2026-11-22 09:30:00", "Asia/Tokyo", "2026-11-22 17:07:00"),
        ("2026-11-22 09:30:00", "America/Los_Angeles", "2026-11-22 10:07:00"),
        ("2026-03-28 12:00:00", "Europe/Warsaw", "2026-03-29 01:07:00"),  # there is no two o'clock in that night
        ("2026-10-24 12:00:00", "Europe/Warsaw", "2026-10-25 00:07:00"),  # and in this one there are two
    ],
)
def test_it_runs_at_night(now: str, zone: str | None, night: str) -> None:
    assert retain.next_night(at(now), zone, 7) == at(night)


def test_each_customer_with_rules_has_one_job_a_night(api: Api, clock: TestClock) -> None:
    database = api.services.database
    retain.plan(database, clock())
    assert jobs(api) == []
    rules(api, cdrs=30)
    api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 31))]))
    retain.plan(database, clock())
    retain.plan(database, clock())
    ((customer_id, state, run_at),) = jobs(api)
    assert (customer_id, state) == (api.acme, "waiting")
    assert run_at == retain.next_night(clock(), "UTC", api.acme)
    api.run_jobs()
    assert len(ids(api, "cdrs")) == 1
    clock.now = run_at
    api.run_jobs()
    assert ids(api, "cdrs") == []
    assert jobs(api) == []
    retain.plan(database, clock())
    assert jobs(api)[0][2] > run_at + DAY / 2


def test_two_processes_plan_one_job(api: Api, start: Callable[..., Api]) -> None:
    rules(api, cdrs=30)
    for process in (api, start()):
        retain.plan(process.services.database, process.services.clock())
    assert len(jobs(api)) == 1


def test_a_job_that_was_given_up_runs_again_the_next_night(api: Api, clock: TestClock) -> None:
    rules(api, cdrs=30)
    retain.plan(api.services.database, clock())
    api.write(lambda db: db.run("UPDATE jobs SET state = 'dead', attempts = 5"))
    retain.plan(api.services.database, clock())
    assert jobs(api) == [(api.acme, "waiting", retain.next_night(clock(), "UTC", api.acme))]


def test_a_long_run_lets_other_jobs_go_first_and_goes_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retain, "SLICE_S", 0)
    monkeypatch.setattr(thinning, "FIRST_LOT", 10)
    monkeypatch.setattr(thinning, "LARGEST_LOT", 10)
    many = [call(days_ago(api, 400) + n) for n in range(100)]
    api.write(lambda db: cdrs.insert(db, api.acme, many))
    rules(api, cdrs=365)
    now = api.services.clock()
    api.write(lambda db: queue.enqueue(db, api.acme, retain.KIND, {}, now=now, key=retain.KIND))
    seen = []
    while api.app.workers.run_one():
        seen.append(len(ids(api, "cdrs")))
    assert sorted(set(seen), reverse=True) == list(range(100, -1, -10))
    assert api.admin.listed("/auditlog", ("action", "eq", "retain"))[0]["details"] == {"cdrs": 100}


def test_what_somebody_reads_goes_when_he_has_read_it(
    api: Api, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 400))]))
    rules(api, cdrs=365)
    api.write(lambda db: queue.enqueue(db, api.acme, retain.KIND, {}, now=clock(), key=retain.KIND))
    with monkeypatch.context() as patched:
        patched.setattr(thinning.Thinning, "step", busy)
        for _ in range(queue.ATTEMPTS + 2):
            assert api.app.workers.run_one()
            assert jobs(api) == [(api.acme, "waiting", clock() + retain.AGAIN_S)]
            clock.now += retain.AGAIN_S
    api.run_jobs()
    assert ids(api, "cdrs") == []


def busy(_: thinning.Thinning) -> bool:
    raise Unavailable


def test_one_customer_at_a_time(api: Api, clock: TestClock) -> None:
    first = api.write(lambda db: retain.claim(db, api.other, clock()))
    api.write(lambda db: queue.enqueue(db, api.acme, retain.KIND, {}, now=clock(), key=retain.KIND))
    assert api.app.workers.run_one()
    assert jobs(api)[0] == (api.acme, "waiting", clock() + retain.AGAIN_S)
    retain.thin(api.services, first, lambda _: None)
    clock.now += retain.AGAIN_S
    api.run_jobs()
    assert jobs(api) == []


def test_a_run_of_the_same_customer_is_not_begun_twice(api: Api, clock: TestClock) -> None:
    assert api.write(lambda db: retain.claim(db, api.acme, clock())) is not None
    assert api.write(lambda db: retain.claim(db, api.acme, clock())) is None
    clock.now += queue.LEASE_S + 1
    assert api.write(lambda db: retain.claim(db, api.acme, clock())) is not None


def test_who_has_lost_the_job_deletes_nothing_more(api: Api, clock: TestClock) -> None:
    """A process that was stopped for longer than its lease: another has begun, and knows best what still has to go."""
    for n in range(10):
        recording(api, n + 1, size=1_000)
    rules(api, monitors_bytes=5_000)
    slow = thinning.Thinning(api.services, api.write(lambda db: retain.claim(db, api.acme, clock())))
    slow.lot = 3
    assert [slow.step() for _ in range(3)] == [True, True, True]
    assert len(ids(api, "monitors")) == 7
    clock.now += queue.LEASE_S + 1
    assert retained(api) == {"monitors": 2}
    with pytest.raises(queue.Lost):
        slow.step()
    assert len(ids(api, "monitors")) == 5


def test_a_clock_that_leaps_deletes_nothing_for_a_day(api: Api, clock: TestClock) -> None:
    """A server that comes up with a wrong date must not delete what is not old."""
    rules(api, cdrs=365)
    api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 1))]))
    retain.plan(api.services.database, clock())
    right = clock.now
    clock.now += 3_000 * DAY
    api.run_jobs()
    assert len(ids(api, "cdrs")) == 1
    clock.now = right
    api.run_jobs()
    assert len(ids(api, "cdrs")) == 1
    retain.plan(api.services.database, clock())
    assert jobs(api)[0][2] == retain.next_night(right, "UTC", api.acme)


def test_after_a_long_standstill_it_runs_a_day_later(api: Api, clock: TestClock) -> None:
    rules(api, cdrs=365)
    api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 1))]))
    retain.plan(api.services.database, clock())
    clock.now += 3_000 * DAY
    api.run_jobs()
    clock.now += DAY
    api.run_jobs()
    assert ids(api, "cdrs") == []


def test_a_clock_that_goes_back_deletes_nothing_early(api: Api, clock: TestClock) -> None:
    rules(api, cdrs=30)
    api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 31))]))
    clock.now -= 5 * DAY
    assert retained(api) == {}


# -- crashes ----------------------------------------------------------------------------------------------------------

KILLED = """
import sys
from ringback import resources
from ringback.jobs import retain, thinning
from ringback.opening import open_services
from ringback.settings import Settings
thinning.FIRST_LOT = thinning.LARGEST_LOT = 7
services = open_services(Settings(database=sys.argv[1], data_dir=sys.argv[2]), lambda: int(sys.argv[4]))
job = services.database.write(lambda db: retain.claim(db, int(sys.argv[3]), int(sys.argv[4])))
print("begun", flush=True)
retain.thin(services, job, lambda _: None)
"""


def test_a_killed_run_is_taken_up_where_it_was(api: Api, database_url: str, tmp_path: Any, clock: TestClock) -> None:
    """As much as the rule says goes, not more, at whatever point the process dies."""
    kept = [recording(api, n, size=10) for n in range(400, 0, -1)][-100:]
    api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, n)) for n in range(400)]))
    rules(api, monitors_bytes=1_000, cdrs=100)
    chance = random.Random(5)
    for _ in range(3):
        arguments = [database_url, str(tmp_path), str(api.acme), str(clock())]
        with subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.random() * 0.15)
            os.kill(process.pid, signal.SIGKILL)
        assert right_totals(api)
        assert len(ids(api, "monitors")) >= 100
        clock.now += queue.LEASE_S + 1
    api.run_jobs()
    retained(api)
    api.run_jobs()
    assert ids(api, "monitors") == kept
    assert len(api.admin.listed("/cdrs")) == 100
    assert len(list(api.services.blobs.list(f"{api.acme}/monitors"))) == 100
    assert right_totals(api)


def test_a_hold_placed_while_it_runs_is_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "FIRST_LOT", 10)
    monkeypatch.setattr(thinning, "LARGEST_LOT", 10)
    made = api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 400) + n) for n in range(100)]))
    rules(api, cdrs=365)
    job = api.write(lambda db: retain.claim(db, api.acme, api.services.clock()))

    def place(gone: Any) -> None:
        if gone.get("cdrs") == 50:
            assert api.admin.post("/holds", {"resource": "cdrs", "ids": made[60:65], "reason": "now"}).status == 201

    retain.thin(api.services, job, place)
    assert ids(api, "cdrs") == made[60:65]
    assert api.write(lambda db: holds.held(db, api.acme, "cdrs", made)) == set(made[60:65])


def test_others_list_and_change_meanwhile(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each list is exact: its total is that of the rows at that moment."""
    monkeypatch.setattr(thinning, "FIRST_LOT", 20)
    monkeypatch.setattr(thinning, "LARGEST_LOT", 20)
    api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 400) + n) for n in range(2_000)]))
    (kept,) = api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 1))]))
    rules(api, cdrs=365)
    thread = threading.Thread(target=lambda: retained(api))
    thread.start()
    totals = []
    while thread.is_alive():
        answer = api.admin.get("/cdrs", limit=10_000)
        assert len(answer.data) == answer.json["total"]
        totals.append(answer.json["total"])
        info = str(len(totals))
        assert api.admin.patch("/cdrs", [{"id": kept, "info": info}]).data[0]["info"] == info
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) > 2
    assert ids(api, "cdrs") == [kept]
    assert right_totals(api)
