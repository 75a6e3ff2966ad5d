"""What a collector does when a customer goes, or a file has been damaged."""

from contextlib import suppress
from functools import partial

import pytest
from structlog.testing import capture_logs

from ringback.collect import writer
from ringback.collect.intake import Counts, Entry, Queue
from ringback.collect.writer import Writer
from ringback.errors import Unavailable
from ringback.jobs import delete_customer
from ringback.sip.capture.hep import read
from ringback.store import signalling
from ringback.store.database import Db
from ringback.store.engines import sqlite_path
from ringback.store.slices.sqlite import folder_of
from tests.api import Api
from tests.collecting import KEY, collecting, hep, send_tcp, settled
from tests.sip.sip_flows import flow
from tests.test_captures import talk
from tests.test_collect import REGISTER
from tests.test_erasures import asked

BOTH = f"customer={{acme}} key={KEY}\ncustomer={{other}} key=theirs"


def test_nothing_of_a_customer_that_was_deleted_comes_in_again(api: Api) -> None:
    other = api.stranger.customer_id
    with collecting(api, BOTH) as collector:
        send_tcp(collector, [hep(each, key="theirs") for each in talk("before@pbx")])
        settled(collector, 6)
        api.write(lambda db: delete_customer.begin(db, other, api.services.clock()))
        api.run_jobs()
        late = [*talk("after@pbx"), *flow(REGISTER)]
        send_tcp(collector, [hep(each, key="theirs") for each in late])
        settled(collector, 6 + len(late))
        send_tcp(collector, [hep(each) for each in talk()])
        settled(collector, 12 + len(late))
        assert (collector.counts.stored, collector.counts.failed) == (12, len(late))
    assert [each.customer_id for each in api.services.database.slices.listed()] == [api.acme]
    for table in ("mediasessions", "msdrs", "leg_keys", "registrations"):
        rows = api.write(lambda db, table=table: db.all(f"SELECT DISTINCT customer_id FROM {table}"))
        assert rows in ([], [(api.acme,)])


def test_a_customer_that_is_gone_is_told_of_once_a_minute(api: Api) -> None:
    with collecting(api, BOTH) as collector, capture_logs() as logs:
        api.write(lambda db: delete_customer.begin(db, api.stranger.customer_id, api.services.clock()))
        for n, each in enumerate(talk(), 1):
            send_tcp(collector, [hep(each, key="theirs")])
            settled(collector, n)
        assert collector.counts.failed == 6
    told = [each for each in logs if each["log_level"] == "error"]
    assert [each["customer"] for each in told] == [api.stranger.customer_id]


def test_a_slice_that_cannot_be_read_keeps_no_other_from_being_written(api: Api) -> None:
    """As a power cut or a full disk may leave one: with nothing in it."""
    if api.services.database.engine == "sqlite":
        damaged = folder_of(sqlite_path(api.services.settings.database)) / str(api.acme) / "20261101.0a1b2c3d.db"
        damaged.parent.mkdir(parents=True)
        damaged.touch()
    else:
        api.write(lambda db: db.run(f"CREATE TABLE sip_{api.acme}_20261101 (id BIGINT)"))
    with collecting(api) as collector:
        send_tcp(collector, [hep(each) for each in talk()])
        settled(collector, 6)
        assert collector.counts.stored == 6


def test_a_slice_that_is_dropped_just_now_has_no_packets(api: Api) -> None:
    with api.services.database.slices.packets(api.acme, 20261101, 10) as lots:
        assert list(lots) == []


def test_who_reads_a_slice_for_long_stops_nobody(api: Api) -> None:
    """As a dump does, or an erasure that deletes what it finds: PostgreSQL drops no table that is being read."""
    database = api.services.database
    with collecting(api) as collector:
        send_tcp(collector, [hep(each) for each in talk("one@pbx")])
        settled(collector, 6)
        ((_, day, _),) = database.slices.listed(api.acme)
        with database.slices.packets(api.acme, day, 1) as lots:
            assert next(lots)
            with suppress(Unavailable):
                dropped(api, day)
            send_tcp(collector, [hep(each) for each in talk("two@pbx")])
            settled(collector, 12)
    dropped(api, day)
    assert database.slices.listed(api.acme) == []


def dropped(api: Api, day: int) -> None:
    def work(db: Db) -> None:
        db.slices.begin(api.acme)
        db.slices.drop(api.acme, day)

    api.services.database.write(work)


def test_what_comes_of_a_call_after_its_erasure_is_a_session_of_its_own(api: Api) -> None:
    first, ringing, *rest = talk("one@pbx", dst="442079460001")
    with collecting(api) as collector:
        send_tcp(collector, [hep(first), hep(ringing)])
        settled(collector, 2)
        assert asked(api, number="+442079460001")["certificate"]["removed"] == {"mediasessions": 1}
        send_tcp(collector, [hep(each) for each in rest])
        settled(collector, 6)
    (session,), (msdr,) = api.admin.listed("/mediasessions"), api.admin.listed("/msdrs")
    assert msdr["media_session_id"] == session["id"]
    assert api.admin.get(f"/msdrs/{msdr['id']}.trace").status == 200


def test_who_stops_while_the_database_is_away_is_soon_done(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try waits for it: what is given up is given up as a whole, and not message by message."""
    tried: list[int] = []

    def away(_: object, __: object, work: partial[object]) -> None:
        tried.append(len(work.keywords.get("messages", ())))
        raise Unavailable

    monkeypatch.setattr(signalling, "written", away)
    monkeypatch.setattr(writer, "LAST_TRIES_S", 0.0)
    queue, counts = Queue(), Counts()
    for each in talk():
        queue.put(Entry(api.acme, read(hep(each), 0)))
    stopped = Writer(api.services, queue, counts, [], [api.acme])
    stopped.start()
    stopped.stop()
    assert set(tried) - {0} == {6}
    assert counts.failed == 6
