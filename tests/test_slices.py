"""Captured packets in slices: of one customer and one day, dropped whole; what a crash leaves; what holds keep."""

import random
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ringback import doctor
from ringback.errors import Unavailable
from ringback.sip.message import scan
from ringback.store import signalling, slices
from ringback.store.captured_calls import Calls, Message, message
from ringback.store.captures import Seen
from ringback.store.database import Db, Taken
from ringback.store.slices.sqlite import folder_of
from tests.api import Api
from tests.keeping import days_ago, retained, rules, session
from tests.packets import of_call, packet, put, stored_packets
from tests.test_captures import START, talk

DAY = 20261122


def heard(call_id: str = "one@pbx", agent: int = 1, late_us: int = 0, now: int = START) -> list[Message]:
    """A call as one agent reports it."""
    packets = [each._replace(at_us=each.at_us + late_us) for each in talk(call_id)]
    span = slices.span(now, None)
    return [message(call_id, Seen(each, agent), "", scan(each.payload), span) for each in packets]


def store(api: Api, messages: list[Message], calls: Calls | None = None) -> signalling.Stored:
    found: signalling.Stored = api.write(lambda db: signalling.store(db, api.acme, messages, {}, calls))
    return found


def sizes(api: Api) -> int:
    return sum(each.size for each in api.services.database.slices.listed(api.acme))


def msdrs(api: Api) -> list[tuple[Any, ...]]:
    return [(each["call_id"], each["duration"], each["t_cause"]) for each in api.admin.listed("/msdrs")]


# -- slices -----------------------------------------------------------------------------------------------------------


def test_a_slice_has_each_packet_once_by_call(api: Api) -> None:
    one, other = (slices.call_hash(name) for name in ("one", "other"))
    put(api, "one", DAY, packet(2, b"\0\xff"), packet(1), packet(2, b"\0\xff"))
    put(api, "other", DAY, packet(1))
    put(api, "one", DAY + 1, packet(1))

    def look(db: Db) -> None:
        seen = db.slices
        assert seen.counts(api.acme, DAY, [one, other, 5]) == {one: 2, other: 1}
        assert [row.payload for row in seen.read(api.acme, DAY, [one], 10)] == [b"INVITE", b"\0\xff"]
        assert [row.payload for row in seen.read(api.acme, DAY, [one], 1)] == [b"\0\xff"]  # which came first
        assert seen.read(api.other, DAY, [one], 10) == seen.read(api.acme, 20200101, [one], 10) == []
        assert [each.day for each in seen.listed(api.acme)] == [DAY, DAY + 1]
        assert seen.listed(api.other) == []

    api.write(look)
    api.services.database.read(look)
    assert api.write(lambda db: db.slices.remove(api.acme, DAY, [one], 1)) == 1
    assert api.write(lambda db: db.slices.remove(api.acme, DAY, [one], 10)) == 1
    api.write(lambda db: db.slices.drop(api.acme, DAY + 1))
    assert [row.call for _, row in stored_packets(api)] == [other]


def test_a_slice_that_is_dropped_may_come_again(api: Api) -> None:
    for n in range(3):
        put(api, "one", DAY, packet(n))
        assert len(of_call(api, "one")) == 1
        api.write(lambda db: db.slices.drop(api.acme, DAY))
        assert stored_packets(api) == []


# -- sessions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_however_messages_come_the_session_is_the_same(api: Api, seed: int) -> None:
    """From two agents, shuffled, in batches of any size, with calls in memory or not, some of them twice."""
    chance = random.Random(seed)
    messages = [*heard(), *heard(agent=2, late_us=1_300)]
    messages += chance.sample(messages, 4)
    chance.shuffle(messages)
    calls = Calls()
    while messages:
        n = chance.randint(1, 5)
        try:
            store(api, messages[:n], calls if chance.random() < 0.7 else None)
        except Taken:  # who has a call in memory cannot know that another made its session: the writer tries again
            calls.clear()
            store(api, messages[:n], calls)
        messages = messages[n:]
    assert msdrs(api) == [("one@pbx", 7, "Normal Clearing")]
    assert len(of_call(api, "one@pbx")) == 12


def test_memory_is_bounded_and_what_it_forgot_is_read_again(api: Api) -> None:
    calls = Calls(5_000)
    for place in range(6):
        store(api, [heard(f"{n}@pbx")[place] for n in range(10)], calls)
        assert len(calls._calls) < 5
    assert sorted(msdrs(api)) == [(f"{n}@pbx", 7, "Normal Clearing") for n in range(10)]


def test_a_call_over_midnight_stays_in_one_slice(api: Api) -> None:
    until_midnight = 86_400 - START % 86_400
    messages = heard(late_us=(until_midnight - 5) * 10**6, now=START + until_midnight)
    for each in messages:
        store(api, [each])
    assert {day for day, _ in stored_packets(api)} == {DAY}
    assert {each.day for each in messages} == {DAY, DAY + 1}
    assert msdrs(api) == [("one@pbx", 7, "Normal Clearing")]


def test_what_a_crash_leaves_half_done_is_healed_at_the_next_start(api: Api) -> None:
    """On SQLite packets are committed before their sessions; on PostgreSQL both at once."""
    *before, bye, answer = heard()

    def crash(db: Db) -> None:
        signalling.store(db, api.acme, before, {})
        raise Unavailable("power cut")

    with suppress(Unavailable):
        api.write(crash)
    assert api.admin.listed("/mediasessions") == []
    is_left = api.services.database.engine == "sqlite"
    assert len(of_call(api, "one@pbx")) == (4 if is_left else 0)
    assert api.write(lambda db: signalling.heal(db, api.acme, {})) == is_left
    assert [each["status"] for each in api.admin.listed("/mediasessions")] == (["CONNECTED"] if is_left else [])
    store(api, [*before, bye, answer])
    assert api.write(lambda db: signalling.heal(db, api.acme, {})) == 0
    assert msdrs(api) == [("one@pbx", 7, "Normal Clearing")]


def test_a_slice_that_a_crash_left_unfinished_goes_at_the_next_start(api: Api) -> None:
    put(api, "one", DAY, packet(1))
    if api.services.database.engine == "postgres":
        return
    folder = folder_of(Path(api.services.settings.database)) / str(api.acme)
    for ending in (".new", ".new-wal"):
        (folder / f"20261121.0a1b2c3d{ending}").touch()
    api.write(lambda db: signalling.heal(db, api.acme, {}))
    assert [path.suffix for path in folder.iterdir() if ".new" in path.name] == []
    assert len(of_call(api, "one")) == 1


# -- retention --------------------------------------------------------------------------------------------------------


def filled(api: Api, days: float, kib: int) -> None:
    """A slice with so much in it."""
    at = days_ago(api, days)
    content = random.Random(days).randbytes(1_024)
    put(api, f"{days}", slices.day_of(at), *(packet(at * 10**6 + n, content) for n in range(kib)))


def test_the_disk_comes_back(api: Api) -> None:
    for days in (3, 2, 1, 0):
        filled(api, days, 2_000)
    before = sizes(api)
    rules(api, sip=1)
    assert retained(api) == {"sip": 2}
    assert before > 8_000 * 1_024
    assert sizes(api) < before * 0.55


def test_of_too_many_bytes_the_oldest_slices_go(api: Api) -> None:
    for days in (3, 2, 1, 0):
        filled(api, days, 500)
    size = sizes(api) // 4
    rules(api, sip_bytes=int(2.5 * size))
    assert retained(api) == {"sip": 2}
    assert [each.day for each in api.services.database.slices.listed(api.acme)] == [
        slices.day_of(days_ago(api, days)) for days in (1, 0)
    ]
    rules(api, sip_bytes=1)
    assert retained(api) == {"sip": 1}  # today's stays


def test_what_a_hold_keeps_leaves_its_slice_before_that_goes(api: Api) -> None:
    old_us = 33 * 86_400 * 10**6
    for name in ("held", "gone"):
        store(api, heard(name, late_us=-old_us, now=START - 33 * 86_400))
    held, msdr = (api.admin.listed(path, ("call_id", "eq", "held"))[0]["id"] for path in ("/mediasessions", "/msdrs"))
    (gone,) = (each["id"] for each in api.admin.listed("/msdrs", ("call_id", "eq", "gone")))
    hold = api.admin.post("/holds", {"resource": "mediasessions", "ids": [held], "reason": "case"}).data["id"]
    rules(api, sip=30)
    assert retained(api) == {"sip": 1}
    assert {day for day, _ in stored_packets(api)} == {slices.KEPT}
    assert api.admin.get(f"/msdrs/{msdr}.trace").status == 200
    assert api.admin.get(f"/msdrs/{gone}.trace").status == 404
    assert retained(api) == {}
    api.admin.delete(f"/holds/{hold}")
    assert retained(api) == {"kept_sip": 1}
    assert stored_packets(api) == []


def test_a_customer_that_goes_takes_its_packets_along(api: Api) -> None:
    session(api, 1)
    api.admin.delete(f"/customers/{api.acme}")
    api.run_jobs()
    assert api.services.database.slices.listed() == []


def test_erased_packets_leave_nothing_on_the_disk(api: Api) -> None:
    put(api, "one", DAY, packet(1, b"REGISTER sip:442079460011@h"), packet(2, b"REGISTER sip:442079460012@h"))
    made = api.admin.post("/erasures", {"number": "+44 20 7946 0011"}).data["id"]
    api.run_jobs()
    assert api.admin.get(f"/erasures/{made}").data["certificate"]["removed"] == {"packets": 1}
    assert [row.payload for _, row in stored_packets(api)] == [b"REGISTER sip:442079460012@h"]
    if api.services.database.engine == "sqlite":
        folder = folder_of(Path(api.services.settings.database))
        assert all(b"442079460011" not in path.read_bytes() for path in folder.glob("*/*"))


def test_doctor_tells_how_many_days_there_are(api: Api) -> None:
    filled(api, 3, 100)
    filled(api, 1, 100)
    rules(api, sip=1)
    (said,) = [text for _, text in doctor.of_kept(api.services) if ", sip: " in text]
    assert re.search(r"sip: 2 days, \d+\.\d KiB, the oldest of 2026-11-1\d; kept for 1 day, \d of them go", said), said
