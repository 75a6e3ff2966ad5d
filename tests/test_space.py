"""The disk gets the space back; doctor tells what is kept; the command does both now."""

import time
from pathlib import Path
from typing import Any

import pytest

from ringback import doctor
from ringback.jobs import queue, retain
from ringback.settings import Settings
from ringback.store import cdrs, postgres_space
from tests.api import Api
from tests.keeping import days_ago, ids, recording, retained, right_totals, rules
from tests.process import ringback
from tests.test_cdrs import call

AT = 1_700_000_000


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


TOO_MANY = "up to 1.0 KiB are kept, 1.0 KiB too many go on 2026-11-22"


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
    assert f"customer {api.acme}, monitors: 1 row, 2.0 KiB of audio, the oldest of 2025-10-17; {TOO_MANY}" in whole
    rules(api, monitors=500, monitors_bytes=1_024)
    (line,) = (each for each in told(api)["ok"] if f"customer {api.acme}, monitors: " in each)
    assert line.endswith(f"; kept for 500 days, none of them go on 2026-11-22; {TOO_MANY}")
    rules(api)
    (line,) = (each for each in told(api)["ok"] if f"customer {api.acme}, monitors: " in each)
    assert line.endswith("; kept for ever")


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
        f"customer {api.other}: nothing was too old or too much\ndone\n"
    )
    api.write(lambda db: retain.claim(db, api.acme, int(time.time())))
    assert "running already" in ringback(settings, "retain").stderr
