"""What callers see while the disk is full, the database locked, lost or slow, the object store away: 503, then recovery."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from ringback.settings import Settings
from ringback.store import sqlite
from tests.api import Answer, Api, filter_text
from tests.conftest import POSTGRES
from tests.test_cdrs import add, call


def is_retry_later(answer: Answer) -> bool:
    return answer.status == 503 and int(answer.headers["retry-after"]) > 0 and answer.json["errors"] == []


if not POSTGRES:

    def test_a_locked_database_is_503_until_the_lock_goes(
        api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
        other = sqlite3.connect(settings.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        api.services.database.close()  # connections made from here on wait the short time
        assert is_retry_later(api.admin.post("/usergroups", {"name": "Sales"}))
        assert api.admin.get("/usergroups").status == 200  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        assert api.admin.post("/usergroups", {"name": "Sales"}).status == 201

    def test_a_full_disk_is_503_and_nothing_is_half_done(api: Api, settings: Settings) -> None:
        add(api, call(1_000_000_000))
        limit = api.write(lambda db: db.all("PRAGMA page_count")[0][0])
        api.write(lambda db: db.all(f"PRAGMA max_page_count = {limit}"))
        text = "x" * 10_000
        refused = [api.admin.post("/usergroups", {"name": f"{n}{text}"[:250]}) for n in range(60)]
        full = [answer for answer in refused if answer.status != 201]
        assert full
        assert all(is_retry_later(answer) for answer in full)
        stored = api.admin.get("/usergroups").json["total"]
        assert stored == 60 - len(full)
        api.write(lambda db: db.all("PRAGMA max_page_count = 1000000"))
        assert api.admin.post("/usergroups", {"name": "Room again"}).status == 201

else:

    def test_lost_connections_are_made_anew(api: Api, settings: Settings) -> None:
        assert api.admin.get("/usergroups").status == 200
        with psycopg.connect(settings.database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert api.admin.get("/usergroups").status == 200
        assert api.admin.post("/usergroups", {"name": "Sales"}).status == 201


def test_a_query_that_no_index_serves_ends_with_a_hint(start: Callable[..., Api]) -> None:
    api = start(query_timeout_s=0.001)
    for lot in range(10):
        add(api, *(call(1_000_000_000 + lot * 1_000 + n, info="nothing to find here") for n in range(1_000)))
    answer = api.admin.get("/cdrs", filter=filter_text(("info", "like", "needle"), ("t_cause", "ne", "x")))
    assert is_retry_later(answer)
    assert "Narrow the dates" in answer.json["message"]


def test_a_wipe_by_what_no_index_serves_is_slow_but_done(start: Callable[..., Api]) -> None:
    api = start(query_timeout_s=0.05)
    for lot in range(10):
        add(api, *(call(1_000_000_000 + lot * 1_000 + n, info="hay") for n in range(1_000)))
    every = filter_text(*(("info", "notlike", f"needle {n}") for n in range(80)))
    assert is_retry_later(api.admin.get("/cdrs", filter=every))
    assert api.admin.delete("/cdrs", filter=every).status == 204
    assert api.admin.get("/cdrs").json["total"] == 0
    assert [entry["details"]["count"] for entry in api.admin.listed("/auditlog", ("action", "eq", "wipe"))] == [None]


def test_an_object_store_that_is_away_is_503_and_the_rest_goes_on(api: Api, settings: Settings) -> None:
    folder = Path(settings.blobs_url())
    assert api.nobody.get("//readyz").status == 200
    away = folder.rename(folder.with_name("away"))  # as a disk that is not mounted
    assert is_retry_later(api.nobody.get("//readyz"))
    assert api.admin.get("/cdrs").status == 200
    away.rename(folder)
    assert api.nobody.get("//readyz").status == 200
