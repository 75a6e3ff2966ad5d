"""Retention: what is too old, or too much, goes by itself, oldest first, unless it is held."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ringback import doctor
from ringback.jobs import queue, retain, thinning
from ringback.settings import Settings
from ringback.store import callbacks, cdrs, holds, messages, postgres_space, rows, schema
from ringback.store.database import value
from tests.api import Api
from tests.clock import TestClock
from tests.process import ringback
from tests.test_cdrs import call

AT = 1_700_000_000
DAY = 86_400
KINDS = ("cdrs", "monitors", "voicemessages", "msdrs", "sip", "chats", "sms", "auditlog")


def rules(api: Api, **limits: int) -> None:
    answer = api.admin.patch(f"/customers/{api.acme}", {"retention": limits})
    assert answer.status == 200, answer.body


def retained(api: Api, customer: int | None = None) -> dict[str, int]:
    """What went, by sort of rows."""
    services = api.services
    job = api.write(lambda db: retain.claim(db, customer or api.acme, services.clock()))
    return retain.thin(services, job, lambda _: None).gone


def days_ago(api: Api, days: float) -> int:
    return int(api.services.clock() - days * DAY)


def inserted(api: Api, table: str, **columns: Any) -> int:
    (row_id,) = api.write(lambda db: rows.insert(db, schema.metadata.tables[table], api.acme, [columns]))
    assert isinstance(row_id, int)
    return row_id


def recording(api: Api, days: float, size: int = 100, **columns: Any) -> int:
    (row_id,) = api.write(lambda db: db.new_ids("monitors", 1))
    key = f"{api.acme}/monitors/{row_id}.mp3"
    api.services.blobs.put(key, b"x" * size)
    at = {"timestamp": days_ago(api, days)}
    return inserted(api, "monitors", id=row_id, duration=1, size=size, blob_key=key, source_key=key, **at, **columns)


def session(api: Api, days: float, packets: int = 3, **columns: Any) -> tuple[int, int]:
    """A captured dialog: the media session and its MSDR."""
    at = days_ago(api, days)
    call_id = f"{random.random()}@pbx"
    common = {"call_id": call_id, "created_at": at, "duration": 1}
    mediasession = inserted(api, "mediasessions", **common, updated_at=at, status="ENDED")
    msdr = inserted(api, "msdrs", **common, media_session_id=mediasession, **columns)
    packet = {"src_ip": "::1", "src_port": 1, "dst_ip": "::1", "dst_port": 1, "transport": "UDP", "payload": "INVITE"}
    for n in range(packets):
        inserted(api, "sip_messages", call_id=call_id, captured_at_us=at * 10**6 + n, digest=str(n), **packet)
    return mediasession, msdr


def ids(api: Api, table: str) -> list[int]:
    sql = f"SELECT id FROM {table} WHERE customer_id = :customer ORDER BY id"
    return [row[0] for row in api.services.database.read(lambda db: db.all(sql, {"customer": api.acme}))]


def right_totals(api: Api) -> bool:
    return all(each.level is doctor.Level.OK for each in doctor.of_counters(api.services))


def test_calls_go_after_their_days(api: Api) -> None:
    days = (400, 366, 364, 1)
    old, older, young, new = api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, n)) for n in days]))
    api.admin.post(f"/cdrs/{old}/notes", {"text": "Gone with the call"})
    linked = recording(api, 400, cdr_id=old)
    (statement,) = api.write(
        lambda db: messages.add_statements(
            db,
            api.acme,
            [{"created_at": 1, "description": "Call", "amount": 1, "balance": 1, "cdr_id": older}],
        )
    )
    (visitor,) = api.write(
        lambda db: callbacks.add_visitors(db, api.acme, [{"setting_id": 1, "created_at": 1, "cdr_id": old}])
    )
    rules(api, cdrs=365)
    assert retained(api) == {"cdrs": 2}
    assert ids(api, "cdrs") == [young, new]
    assert ids(api, "cdr_notes") == []
    for table, row_id in (("monitors", linked), ("statements", statement), ("callmeback_visitors", visitor)):
        sql = f"SELECT id, cdr_id FROM {table} WHERE customer_id = :customer"
        assert api.write(lambda db, sql=sql: db.all(sql, {"customer": api.acme})) == [(row_id, None)]
    assert api.admin.get("/cdrs").json["total"] == 2
    assert api.admin.get("/cdrs", filter='[{"property":"src","operator":"like","value":"460001"}]').json["total"] == 2
    assert right_totals(api)


def test_without_a_rule_everything_stays(api: Api) -> None:
    api.write(lambda db: cdrs.insert(db, api.acme, [call(0)]))
    recording(api, 9_000)
    rules(api, sms=1)
    assert retained(api) == {}
    assert (len(ids(api, "cdrs")), len(ids(api, "monitors"))) == (1, 1)


def test_another_customer_keeps_its_own(api: Api) -> None:
    api.write(lambda db: cdrs.insert(db, api.other, [call(0)]))
    api.write(lambda db: cdrs.insert(db, api.acme, [call(0)]))
    rules(api, cdrs=1)
    assert retained(api, api.other) == {}
    assert retained(api) == {"cdrs": 1}
    assert len(api.stranger.listed("/cdrs")) == 1


def test_audio_goes_with_its_files(api: Api) -> None:
    recording(api, 31)
    kept = recording(api, 29)
    key = f"{api.acme}/voicemessages/1.mp3"
    api.services.blobs.put(key, b"abc")
    voice = {"duration": 1, "size": 3, "folder": "INBOX", "is_new": 1, "blob_key": key}
    inserted(api, "voicemessages", **voice, source_key="v", origtime=days_ago(api, 31))
    rules(api, monitors=30, voicemessages=30)
    assert retained(api) == {"monitors": 1, "voicemessages": 1}
    api.run_jobs()
    assert [stored.key for stored in api.services.blobs.list()] == [f"{api.acme}/monitors/{kept}.mp3"]
    assert right_totals(api)


def test_of_too_much_audio_the_oldest_goes(api: Api) -> None:
    made = [recording(api, n, size=1_000) for n in (4, 3, 2, 1)]
    rules(api, monitors_bytes=2_500)
    assert retained(api) == {"monitors": 2}
    assert ids(api, "monitors") == made[2:]
    assert retained(api) == {}


def test_held_audio_counts_and_stays(api: Api) -> None:
    oldest, *_, newest = (recording(api, n, size=1_000) for n in (4, 3, 2, 1))
    assert api.admin.post("/holds", {"resource": "monitors", "ids": [oldest], "reason": "case"}).status == 201
    rules(api, monitors_bytes=2_000)
    assert retained(api) == {"monitors": 2}
    assert ids(api, "monitors") == [oldest, newest]


def test_captures_go_and_their_msdrs_stay(api: Api) -> None:
    old, young = session(api, 31, packets=30), session(api, 29)
    rules(api, sip=30)
    assert retained(api) == {"sip": 1}
    assert ids(api, "mediasessions") == [old[0], young[0]]
    assert ids(api, "msdrs") == [old[1], young[1]]
    assert len(ids(api, "sip_messages")) == 3
    assert api.admin.get(f"/msdrs/{old[1]}.trace").status == 404


def test_messages_that_belong_to_no_call_go_as_captures_do(api: Api) -> None:
    called, _ = session(api, 31, packets=0)
    packet = {"src_ip": "::1", "src_port": 1, "dst_ip": "::1", "dst_port": 1, "transport": "UDP", "payload": "REGISTER"}
    call_id = api.write(lambda db: value(db, "SELECT call_id FROM mediasessions WHERE id = :id", {"id": called}))
    for name, days in (("old", 31), ("young", 29), (call_id, 31)):
        at = days_ago(api, days)
        inserted(api, "sip_messages", call_id=name, captured_at_us=at * 10**6, loose_at=at, digest=name, **packet)
    rules(api, sip=30)
    assert retained(api) == {"other_sip": 1, "sip": 1}
    assert len(ids(api, "sip_messages")) == 1


def test_msdrs_go_with_their_sessions_and_messages(api: Api) -> None:
    session(api, 31, packets=30)
    kept = session(api, 29)
    lonely = {"call_id": "no session", "created_at": days_ago(api, 50), "duration": 0}
    inserted(api, "msdrs", **lonely)
    rules(api, msdrs=30)
    assert retained(api) == {"mediasessions": 1, "msdrs": 1}
    assert (ids(api, "mediasessions"), ids(api, "msdrs")) == ([kept[0]], [kept[1]])
    assert len(ids(api, "sip_messages")) == 3
    assert right_totals(api)


def test_chats_go_with_their_messages(api: Api) -> None:
    old, young = api.write(
        lambda db: messages.add_chats(db, api.acme, [{"created_at": days_ago(api, n)} for n in (31, 1)])
    )
    line = {"from_id": "0", "to_id": "1", "message": "Hi"}
    said = [
        {**line, "created_at": days_ago(api, 29), "chat_id": old},
        {**line, "created_at": days_ago(api, 31), "chat_id": young},
        {**line, "created_at": days_ago(api, 31)},
        {**line, "created_at": days_ago(api, 29)},
    ]
    made = api.write(lambda db: messages.add_chatmsgs(db, api.acme, said))
    rules(api, chats=30)
    assert retained(api) == {"chats": 1, "chatmsgs": 1}
    assert ids(api, "chats") == [young]
    assert ids(api, "chatmsgs") == [made[1], made[3]]
    assert right_totals(api)


def test_a_chat_with_a_held_message_stays_with_it(api: Api) -> None:
    (chat,) = api.write(lambda db: messages.add_chats(db, api.acme, [{"created_at": days_ago(api, 31)}]))
    line = {"created_at": days_ago(api, 31), "from_id": "0", "to_id": "1", "message": "Hi", "chat_id": chat}
    kept, _ = api.write(lambda db: messages.add_chatmsgs(db, api.acme, [line, line]))
    api.admin.post("/holds", {"resource": "chatmsgs", "ids": [kept], "reason": "case"})
    rules(api, chats=30)
    retained(api)
    assert (ids(api, "chats"), ids(api, "chatmsgs")) == ([chat], [kept])


def test_sms_and_the_audit_log_go_too(api: Api) -> None:
    sms = {"from": "1", "message": "Hi", "type": "O"}
    api.write(lambda db: messages.add_sms(db, api.acme, [{**sms, "created_at": days_ago(api, n)} for n in (31, 1)]))
    for days in (31, 29):
        inserted(api, "auditlog", created_at=days_ago(api, days), action="login")
    rules(api, sms=30, auditlog=30)
    assert retained(api) == {"sms": 1, "auditlog": 1}
    entries = [(each["action"], each["details"]) for each in api.admin.listed("/auditlog")]
    assert entries[0] == ("retain", {"sms": 1, "auditlog": 1})
    assert [action for action, _ in entries] == ["retain", "change", "login"]


def test_what_is_held_stays_with_what_hangs_on_it(api: Api) -> None:
    held, free = api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, 400), src=n) for n in "12"]))
    kept, _ = recording(api, 400, cdr_id=held), recording(api, 400, cdr_id=free)
    kept_session, _ = session(api, 400, cdr_id=held), session(api, 400, cdr_id=free)
    entry = {"property": "src", "operator": "eq", "value": "1"}
    hold = api.admin.post("/holds", {"resource": "cdrs", "filter": [entry], "reason": "case"}).data["id"]
    rules(api, **dict.fromkeys(KINDS, 30))
    assert retained(api) == {"monitors": 1, "sip": 1, "mediasessions": 1, "cdrs": 1}
    assert (ids(api, "cdrs"), ids(api, "monitors")) == ([held], [kept])
    assert (ids(api, "mediasessions"), ids(api, "msdrs")) == ([kept_session[0]], [kept_session[1]])
    assert len(ids(api, "sip_messages")) == 3
    api.admin.delete(f"/holds/{hold}")
    assert retained(api) == {"monitors": 1, "sip": 1, "mediasessions": 1, "cdrs": 1}
    assert right_totals(api)


def test_many_held_records_stop_nobody(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are passed over once, however many steps it takes."""
    monkeypatch.setattr(thinning, "FIRST_LOT", 20)
    monkeypatch.setattr(thinning, "LARGEST_LOT", 20)
    calls = [call(days_ago(api, 400) + n, src="1" if n % 3 else "2") for n in range(300)]
    api.write(lambda db: cdrs.insert(db, api.acme, calls))
    entry = {"property": "src", "operator": "eq", "value": "1"}
    api.admin.post("/holds", {"resource": "cdrs", "filter": [entry], "reason": "case"})
    rules(api, cdrs=365)
    assert retained(api) == {"cdrs": 100}
    assert {each["src"] for each in api.admin.listed("/cdrs")} == {"1"}
    assert right_totals(api)


# -- when it runs -----------------------------------------------------------------------------------------------------


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
from ringback import app
from ringback.jobs import retain, thinning
from ringback.settings import Settings
thinning.FIRST_LOT = thinning.LARGEST_LOT = 7
services = app.open_services(Settings(database=sys.argv[1], data_dir=sys.argv[2]), lambda: int(sys.argv[4]))
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


# -- the disk ---------------------------------------------------------------------------------------------------------


def on_disk(api: Api, database_url: str) -> int:
    """Bytes of the database's files; of PostgreSQL those of the tables and indexes that are ours."""
    if api.services.database.engine == "sqlite":
        return sum(path.stat().st_size for path in Path(database_url).parent.glob(Path(database_url).name + "*"))
    sql = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relname IN ('cdrs', 'cdr_parties')"
    return int(api.services.database.read(lambda db: db.all(sql))[0][0])


def test_after_80_per_cent_went_the_files_are_a_third_at_most(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_space, "SMALL", 50)
    for lot in range(20):
        at = [days_ago(api, 100) + (lot * 1_000 + n) * 430 for n in range(1_000)]
        many = [call(each, src=f"44207946{n:04}", dst=f"1202555{each % 7919:04}") for n, each in enumerate(at)]
        api.write(lambda db, many=many: cdrs.insert(db, api.acme, [{**row, "user_id": 7} for row in many]))
    rules(api, cdrs=20)
    api.services.database.settle()
    list(api.services.database.giving_back(thorough=False))
    before = on_disk(api, database_url)
    now = api.services.clock()
    api.write(lambda db: queue.enqueue(db, api.acme, retain.KIND, {}, now=now, key=retain.KIND))
    api.run_jobs()
    left = api.admin.get("/cdrs").json["total"]
    assert 3_900 < left < 4_100
    assert on_disk(api, database_url) < before / 3
    assert right_totals(api)
    part = '[{"property":"dst","operator":"like","value":"2025551"}]'
    found = api.admin.listed("/cdrs?limit=10000", ("dst", "like", "2025551"))
    assert len(found) == api.admin.get("/cdrs", filter=part, limit=1).json["total"]
    assert {each["dst"][:8] for each in found} == {"12025551"}


def test_giving_back_disturbs_nobody(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two of its steps others read and write."""
    monkeypatch.setattr(postgres_space, "SMALL", 1)
    monkeypatch.setattr(postgres_space, "CHUNK", 2)
    made = api.write(lambda db: cdrs.insert(db, api.acme, [call(AT + n) for n in range(2_000)]))
    api.write(lambda db: cdrs.delete(db, api.acme, made[:1_900]))
    left = made[1_900:]
    for n, _ in enumerate(api.services.database.giving_back(thorough=True)):
        each = left[n % len(left)]
        assert api.admin.patch("/cdrs", [{"id": each, "info": str(n)}]).data[0]["info"] == str(n)
    assert ids(api, "cdrs") == left
    assert right_totals(api)


def test_empty_folders_of_audio_go(api: Api, tmp_path: Any) -> None:
    recording(api, 31)
    rules(api, monitors=30)
    retained(api)
    api.run_jobs()
    assert not list((tmp_path / "blobs").glob(f"{api.acme}*"))
    recording(api, 1)
    assert len(list(api.services.blobs.list())) == 1


# -- what doctor says -------------------------------------------------------------------------------------------------


def told(api: Api) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"ok": [], "warning": [], "fault": []}
    for level, text in doctor.of_kept(api.services):
        found[level].append(text)
    return found


def test_doctor_tells_what_is_kept_and_what_goes_next(api: Api) -> None:
    api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, n)) for n in (31, 29.9, 5)]))
    recording(api, 400, size=2_048)
    rules(api, cdrs=30, monitors_bytes=1_024)
    text = told(api)
    assert text["warning"] == []
    whole = "\n".join(text["ok"])
    assert "the database takes " in whole
    assert (
        f"customer {api.acme}, cdrs: 3 rows, the oldest of 2026-10-21; kept for 30 days, 2 of them go on 2026-11-22"
        in whole
    )
    assert f"customer {api.acme}, monitors: 1 row, 2.0 KiB of audio, the oldest of 2025-10-17; kept for ever" in whole
    assert "up to 1.0 KiB are kept, 1.0 KiB too many go on 2026-11-22" in whole


def test_doctor_warns_of_what_should_be_gone(api: Api) -> None:
    kept, _ = api.write(lambda db: cdrs.insert(db, api.acme, [call(days_ago(api, n)) for n in (50, 40)]))
    rules(api, cdrs=30)
    (warning,) = told(api)["warning"]
    assert "some of 2026-10-02 that should have gone" in warning
    api.admin.post("/holds", {"resource": "cdrs", "ids": [kept], "reason": "case"})
    assert "some of 2026-10-12" in told(api)["warning"][0]
    retained(api)
    assert told(api)["warning"] == []


def test_the_command_deletes_now_and_tells_how_many(api: Api, settings: Settings) -> None:
    api.write(lambda db: cdrs.insert(db, api.acme, [call(0), call(1)]))
    rules(api, cdrs=30)
    result = ringback(settings, "retain", "--compact")
    assert (result.returncode, result.stdout) == (0, f"customer {api.acme}: 2 cdrs deleted\ndone\n"), result.stderr
    assert ids(api, "cdrs") == []
    assert ringback(settings, "retain", "--customer", str(api.other)).stdout == (
        f"customer {api.other}: nothing was too old\ndone\n"
    )
    api.write(lambda db: retain.claim(db, api.acme, int(time.time())))
    assert "running already" in ringback(settings, "retain").stderr
