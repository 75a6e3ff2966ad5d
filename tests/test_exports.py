"""Exports in the background: what is in the files, who may have them, and how long they stay."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ringback.jobs import exports, queue
from ringback.resources.history.zips import ZipWriter
from ringback.rest.access import Policy
from ringback.settings import BASE_PATHS, Settings
from ringback.store import cdrs, rows, schema
from tests.api import Answer, Api, Client, filter_text
from tests.clock import TestClock
from tests.policies import team
from tests.test_cdrs import call

AT = 1_795_341_600  # 2026-11-22 10:00:00
HOSTILE = ["=1+1", "'", '"quoted", and\r\nnew lines', "Zoë 日本 😀", "+44", "-1", "@x", "\tx", " ", "a\\b"]


def add_calls(api: Api, n: int = 4, **changes: Any) -> list[int]:
    """One call a minute; the first half are Ann's."""

    def work(db: Any) -> list[int]:
        made = [
            call(
                AT + 60 * i,
                **{"user_id": api.ann.user_id if i < n // 2 else api.bob.user_id, "src_id": None, **changes},
            )
            for i in range(n)
        ]
        return cdrs.insert(db, api.acme, made)

    found: list[int] = api.write(work)
    return found


def ask(client: Client, resource: str = "cdrs", form: str = "csv", **more: Any) -> Answer:
    return client.post("/exports", {"resource": resource, "format": form, **more})


def made(api: Api, client: Client, *wanted: str, **more: Any) -> dict[str, Any]:
    """An export that is over."""
    answer = ask(client, *wanted, **more)
    assert answer.status == 202, answer.body
    api.run_jobs()
    data: dict[str, Any] = client.get(f"/exports/{answer.data['id']}").data
    return data


def fetch(api: Api, export: dict[str, Any], method: str = "GET", **headers: str) -> Answer:
    """By its URL alone."""
    return api.nobody.call(method, export["url"].removeprefix(BASE_PATHS[0]), headers=headers)


# -- what is in the files ---------------------------------------------------------------------------------------------


def test_csv_is_byte_for_byte_what_the_collection_answers(api: Api) -> None:
    add_calls(api, 20, info=HOSTILE[0], labels=json.dumps(HOSTILE))
    conditions = [("calldate", "gte", "2026-11-22 10:05:00"), ("user_id", "eq", api.bob.user_id)]
    wanted = [{"property": name, "operator": operator, "value": value} for name, operator, value in conditions]
    export = made(api, api.admin, filter=wanted, sort="calldate")
    assert (export["state"], export["progress"], export["rows"], export["error"]) == ("done", 100, 10, None)
    assert (export["filter"], export["sort"]) == (wanted, "calldate")
    file = fetch(api, export)
    assert file.body == api.admin.get("/cdrs.csv", filter=filter_text(*conditions), sort="calldate").body
    assert len(file.body) == export["size"]
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"] == f'attachment; filename="cdrs-{export["id"]}.csv"'


def test_a_sort_may_be_a_list_as_in_a_url(api: Api) -> None:
    add_calls(api)
    order = [{"property": "src", "direction": "ASC"}, {"property": "id", "direction": "DESC"}]
    body = fetch(api, made(api, api.admin, sort=order)).body
    assert body == api.admin.get("/cdrs.csv", sort=json.dumps(order)).body


def test_nothing_that_matches_is_a_file_too(api: Api) -> None:
    none = [{"property": "id", "value": 0}]
    assert fetch(api, made(api, api.admin, filter=none)).body == api.admin.get("/cdrs.csv").body
    for form in ("ndjson", "parquet"):
        export = made(api, api.admin, "cdrs", form, filter=none)
        assert (export["state"], export["rows"]) == ("done", 0)
    with zipped(api, made(api, api.admin, "monitors", "zip")) as archive:
        assert archive.namelist() == ["index.csv"]


def test_ndjson_has_each_record_as_the_api_writes_it_and_its_names_at_the_source(api: Api) -> None:
    add_calls(api, info=HOSTILE[2], labels='["a",  "b"]', metadata="", uniqueid="1.2")
    lines = fetch(api, made(api, api.admin, "cdrs", "ndjson")).body.splitlines()
    records = [json.loads(line) for line in lines]
    own = [{name: each.pop(name) for name in ("uniqueid", "linkedid", "source_key")} for each in records]
    assert records == api.admin.listed("/cdrs")
    assert {each["uniqueid"] for each in own} == {"1.2"}
    assert b'"labels":["a","b"]' in lines[0]


def test_parquet_has_typed_columns(api: Api) -> None:
    add_calls(api, charge=12_345, rate=-1, labels=json.dumps(HOSTILE), src_name=HOSTILE[3])
    export = made(api, api.admin, "cdrs", "parquet")
    table = parquet(fetch(api, export).body)
    types = {field.name: str(field.type) for field in table.schema}
    listed = api.admin.listed("/cdrs")
    assert list(types) == list(listed[0])
    assert "Int64" in types["id"]
    assert 'Timestamp(ms, "UTC")' in types["calldate"]
    assert "Decimal128(19, 4)" in types["charge"]
    assert "Boolean" in types["is_root"]
    assert "List" in types["labels"]
    columns = {name: table[name].to_pylist() for name in types}
    assert columns["id"] == [each["id"] for each in listed]
    assert columns["charge"] == [Decimal("1.2345")] * 4
    assert columns["rate"] == [Decimal("-0.0001")] * 4
    assert columns["labels"] == [HOSTILE] * 4
    assert [str(each)[:19] for each in columns["calldate"]] == [each["calldate"] for each in listed]
    for name in ("src_name", "src", "user_id", "is_root", "parent_live_id"):
        assert columns[name] == [each[name] for each in listed], name


def parquet(content: bytes) -> Any:
    from arro3.io import read_parquet

    return read_parquet(io.BytesIO(content)).read_all()


def add_recordings(api: Api, n: int = 3) -> list[int]:
    def work(db: Any) -> list[int]:
        own = {"type": "O", "context": "PSTN_CALL", "duration": 2, "size": 4}
        made = [
            {
                **own,
                "timestamp": AT + i,
                "caller": f"10{i}",
                "called": "../../etc/passwd",
                "user_id": api.ann.user_id if i == 0 else api.bob.user_id,
                "summary": "=1+1",
                "blob_key": f"{api.acme}/monitors/{i}.mp3",
                "source_key": f"test:{i}",
            }
            for i in range(n)
        ]
        return rows.insert(db, schema.monitors, api.acme, made)

    for i in range(n):
        api.services.blobs.put(f"{api.acme}/monitors/{i}.mp3", b"mp3%d" % i)
    found: list[int] = api.write(work)
    return found


def zipped(api: Api, export: dict[str, Any]) -> zipfile.ZipFile:
    assert export["state"] == "done", export
    return zipfile.ZipFile(io.BytesIO(fetch(api, export).body))


def test_recordings_are_a_zip_with_readable_names_and_an_index(api: Api) -> None:
    ids = add_recordings(api)
    export = made(api, api.admin, "monitors", "zip", sort="id")
    assert export["rows"] == 3
    with zipped(api, export) as archive:
        assert archive.testzip() is None
        names = [f"2026-11-22_10-00-0{i}_10{i}_-etc-passwd_{ids[i]}.mp3" for i in range(3)]
        assert archive.namelist() == [*names, "index.csv"]
        assert {archive.getinfo(name).compress_type for name in names} == {zipfile.ZIP_STORED}
        assert [archive.read(name) for name in names] == [b"mp30", b"mp31", b"mp32"]
        assert archive.getinfo(names[0]).date_time == (2026, 11, 22, 10, 0, 0)
        index = list(csv.DictReader(io.StringIO(archive.read("index.csv").decode(), newline="")))
    monitors = api.admin.listed("/monitors", sort="id", dir="ASC")
    assert [each["file"] for each in index] == names
    assert list(index[0])[1:] == list(monitors[0])
    assert [each["summary"] for each in index] == ["'=1+1"] * 3
    assert [int(each["id"]) for each in index] == ids


def test_a_recording_whose_audio_is_gone_is_in_the_index_without_a_file(api: Api) -> None:
    add_recordings(api, 2)
    api.services.blobs.delete(f"{api.acme}/monitors/0.mp3")
    with zipped(api, made(api, api.admin, "monitors", "zip", sort="id")) as archive:
        index = list(csv.DictReader(io.StringIO(archive.read("index.csv").decode(), newline="")))
        assert [bool(each["file"]) for each in index] == [False, True]
        assert len(archive.namelist()) == 2


def test_a_zip_may_have_many_entries_and_begin_beyond_four_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.seek(5 << 30)  # a hole
        with ZipWriter(file, str(tmp_path)) as archive:
            for i in range(70_000):
                archive.add(f"{i}.mp3", AT, 1, [b"x"])
            archive.add("index.csv", AT, 5 << 30, [b"much ", b"of it"])
            archive.close()
    with zipfile.ZipFile(path) as read:
        assert len(read.namelist()) == 70_001
        assert read.read("69999.mp3") == b"x"
        assert read.read("index.csv") == b"much of it"


# -- who may ask, and for what ----------------------------------------------------------------------------------------


def test_a_plain_user_gets_the_own_calls_and_recordings(api: Api) -> None:
    add_calls(api)
    (own, *_) = add_recordings(api)
    body = fetch(api, made(api, api.ann)).body
    assert body == api.ann.get("/cdrs.csv").body
    assert len(body.splitlines()) == 3
    with zipped(api, made(api, api.ann, "monitors", "zip")) as archive:
        assert len(archive.namelist()) == 2
        assert archive.namelist()[0].endswith(f"_{own}.mp3")


def test_another_customers_exports_are_unknown_and_its_rows_are_nowhere(api: Api) -> None:
    add_calls(api)
    export = made(api, api.admin)
    assert api.stranger.get(f"/exports/{export['id']}").status == 404
    assert api.stranger.delete(f"/exports/{export['id']}").status == 404
    assert len(fetch(api, made(api, api.stranger)).body.splitlines()) == 1
    other = export["url"].replace(f"customer={api.acme}", f"customer={api.other}")
    assert fetch(api, {"url": other}).status == 403


def test_everybody_sees_the_own_exports_only(api: Api) -> None:
    mine = made(api, api.ann)
    for client in (api.bob, api.admin):
        assert client.listed("/exports") == []
        assert client.get(f"/exports/{mine['id']}").status == 403
        assert client.delete(f"/exports/{mine['id']}").status == 403
    (listed,) = api.ann.listed("/exports", ("state", "eq", "done"))
    assert fetch(api, listed).status == 200


def test_export_disabled_closes_all_of_it_for_administrators_too(api: Api) -> None:
    export = made(api, api.reception)
    waiting = ask(api.reception).data["id"]
    team(api, "bound", api.reception, policies=(Policy.EXPORT_DISABLED,))
    assert ask(api.reception).status == 403
    assert api.reception.get("/exports").status == 403
    assert api.reception.get(f"/exports/{export['id']}").status == 403
    assert fetch(api, export).status == 403
    api.run_jobs()
    assert state_of(api, waiting) == ("failed", "A team policy forbids this export to the user who asked for it.")


def state_of(api: Api, export_id: int) -> tuple[str, str | None]:
    row = api.services.database.read(lambda db: exports.found(db, api.acme, export_id))
    assert row is not None
    return row["state"], row["error"]


def test_recordings_disabled_closes_recordings(api: Api) -> None:
    add_recordings(api)
    export = made(api, api.ann, "monitors", "zip")
    calls = made(api, api.ann)
    team(api, "bound", api.ann, policies=(Policy.RECORDINGS_DISABLED,))
    assert ask(api.ann, "monitors", "zip").status == 403
    assert fetch(api, export).status == 403
    assert fetch(api, calls).status == 200


def test_billing_disabled_hides_charges_as_in_the_list(api: Api) -> None:
    add_calls(api, charge=12_345)
    seen = made(api, api.ann)
    later = ask(api.ann, filter=[{"property": "charge", "operator": "gt", "value": 0}]).data["id"]
    team(api, "bound", api.ann, policies=(Policy.BILLING_DISABLED,))
    assert fetch(api, seen).status == 403
    assert ask(api.ann, filter=[{"property": "charge", "operator": "gt", "value": 0}]).status == 400
    api.run_jobs()
    state, error = state_of(api, later)
    assert state == "failed"
    assert "charge" in (error or "")
    body = fetch(api, made(api, api.ann)).body
    assert body == api.ann.get("/cdrs.csv").body
    assert b"1.2345" not in body


def test_who_sees_less_than_before_cannot_fetch_what_was_written_before(api: Api) -> None:
    add_calls(api)
    export = made(api, api.reception)
    admin = made(api, api.admin)
    api.write(lambda db: db.run("UPDATE users SET roles = '[\"user\"]' WHERE first_name = 'Admin'", {}))
    assert fetch(api, admin).status == 403
    assert fetch(api, export).status == 200
    api.write(lambda db: db.run("UPDATE users SET active = 0 WHERE first_name = 'Reception'", {}))
    assert fetch(api, export).status == 403


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["resource", "format"]),
        (
            {"resource": "users", "format": "xls", "filter": "x", "nonsense": 1},
            ["resource", "format", "filter", "nonsense"],
        ),
        ({"resource": "cdrs", "format": "zip"}, ["format"]),
        ({"resource": "monitors", "format": "csv"}, ["format"]),
        ({"resource": "cdrs", "format": "csv", "filter": [{"property": "no such", "value": 1}]}, ["filter[0]"]),
        ({"resource": "cdrs", "format": "csv", "sort": "no such"}, ["sort"]),
    ],
)
def test_what_cannot_be_made_is_refused_with_all_faults(api: Api, body: dict[str, Any], fields: list[str]) -> None:
    answer = api.admin.post("/exports", body)
    assert (answer.status, sorted(map(str, answer.fields))) == (400, sorted(fields))
    assert api.admin.listed("/exports") == []


def test_a_user_has_three_at_a_time(api: Api) -> None:
    for _ in range(3):
        assert ask(api.ann).status == 202
    refused = ask(api.ann)
    assert refused.status == 400
    assert "At most 3 exports" in refused.json["message"]
    assert ask(api.bob).status == 202
    api.run_jobs()
    assert ask(api.ann).status == 202


# -- fetching ---------------------------------------------------------------------------------------------------------


def test_a_broken_download_goes_on_where_it_stopped(api: Api) -> None:
    add_calls(api)
    export = made(api, api.admin)
    whole = fetch(api, export)
    etag = whole.headers["etag"]
    rest = fetch(api, export, range="bytes=100-", **{"if-range": etag})
    assert (rest.status, rest.body) == (206, whole.body[100:])
    assert rest.headers["content-range"] == f"bytes 100-{len(whole.body) - 1}/{len(whole.body)}"
    assert fetch(api, export, range="bytes=100-", **{"if-range": '"other"'}).body == whole.body
    assert fetch(api, export, range=f"bytes={len(whole.body)}-").status == 416
    assert fetch(api, export, "HEAD").headers["content-length"] == str(len(whole.body))


def test_a_url_ends_and_another_is_given(api: Api, clock: TestClock) -> None:
    export = made(api, api.admin)
    clock.advance(86_400)
    assert fetch(api, export).status == 403
    fresh = api.admin.get(f"/exports/{export['id']}")
    assert fresh.status == 401  # the session has ended meanwhile, too
    assert api.nobody.get(f"/exports/{export['id']}/file").status == 403


def test_an_export_is_removed_after_a_week_with_its_file(api: Api, clock: TestClock) -> None:
    export = made(api, api.admin)
    assert export["expires_at"] == "2026-11-28 22:26:40"
    clock.advance(exports.KEPT_S - 1)
    exports.sweep(api.services.database, clock())
    assert exports_kept(api) == 1
    clock.advance(1)
    exports.sweep(api.services.database, clock())
    api.run_jobs()
    assert exports_kept(api) == 0
    assert list(api.services.blobs.list()) == []


def exports_kept(api: Api) -> int:
    count: int = api.services.database.read(lambda db: db.all("SELECT count(*) FROM exports"))[0][0]
    return count


def test_one_that_is_deleted_is_gone_whatever_its_state(api: Api) -> None:
    export, waiting = made(api, api.ann), ask(api.ann).data["id"]
    assert api.ann.delete(f"/exports/{export['id']},{waiting}").status == 204
    api.run_jobs()
    assert api.ann.listed("/exports") == []
    assert fetch(api, export).status == 404
    assert list(api.services.blobs.list()) == []


def test_all_of_a_customer_can_be_removed(api: Api) -> None:
    for client in (api.ann, api.admin, api.stranger):
        made(api, client)
    assert api.write(lambda db: exports.remove_all(db, api.acme)) == 2
    api.run_jobs()
    assert exports_kept(api) == 1
    assert [each.key.split("/")[0] for each in api.services.blobs.list()] == [str(api.other)]


def test_the_audit_log_has_who_asked_fetched_and_deleted(api: Api) -> None:
    export = made(api, api.ann)
    fetch(api, export)
    fetch(api, export, range="bytes=5-")
    api.ann.delete(f"/exports/{export['id']}")
    entries = api.admin.listed("/auditlog", ("object_class", "eq", "Export"), sort="id", dir="ASC")
    assert [(each["action"], each["user_id"]) for each in entries] == [
        (action, api.ann.user_id) for action in ("create", "download", "delete")
    ]


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_a_failed_one_says_why(api: Api, monkeypatch: pytest.MonkeyPatch, clock: TestClock) -> None:
    from ringback.blobs import BlobsUnavailable, FolderBlobs

    def refuse(*_: object) -> int:
        raise BlobsUnavailable("/var/secret/path cannot be used")

    monkeypatch.setattr(FolderBlobs, "put_file", refuse)
    export_id = ask(api.admin).data["id"]
    for _ in range(queue.ATTEMPTS):
        api.run_jobs()
        clock.advance(120)
    export = api.admin.get(f"/exports/{export_id}").data
    assert (export["state"], export["error"], export["url"]) == ("failed", "The file could not be stored.", None)


def test_no_room_on_the_disk_is_said_before_it_is_filled(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1 << 30})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    add_calls(api)
    export = made(api, api.admin)
    assert export["state"] == "failed"
    assert "no room" in export["error"]


KILLED = """
import os, sys
from ringback import app
from ringback.blobs import FolderBlobs
from ringback.opening import open_services
from ringback.resources.history import export_files
from ringback.settings import Settings
def die(*arguments):
    when(*arguments)
    os.kill(os.getpid(), 9)
if sys.argv[3] == "stored":
    when = FolderBlobs.put_file
    FolderBlobs.put_file = die
else:
    when = lambda *arguments: None
    export_files.csv.cells = die
services = open_services(Settings(database=sys.argv[1], data_dir=sys.argv[2]))
app.build(services).workers.run_one()
"""


@pytest.mark.parametrize("moment", ["writing", "stored"])
def test_one_whose_process_is_killed_is_made_anew_and_never_half_offered(
    api: Api, settings: Settings, clock: TestClock, moment: str
) -> None:
    add_calls(api, 50)
    export_id = ask(api.admin).data["id"]
    command = [sys.executable, "-c", KILLED, settings.database, settings.data_dir, moment]
    assert subprocess.run(command, check=False).returncode == -9
    half = api.admin.get(f"/exports/{export_id}").data
    assert (half["state"], half["url"]) == ("running", None)
    api.write(lambda db: db.run("UPDATE jobs SET lease_until = 0 WHERE kind = 'export'", {}))
    api.run_jobs()
    export = api.admin.get(f"/exports/{export_id}").data
    assert fetch(api, export).body == api.admin.get("/cdrs.csv").body
    left = {each.name for each in Path(settings.data_dir).iterdir()} - {"blobs"}
    assert all(name.startswith("ringback.db") for name in left), left


def test_one_at_a_time_so_that_other_jobs_go_on(api: Api) -> None:
    from ringback.resources.history.export_job import Exporting

    exporting = Exporting()
    export_id = ask(api.admin).data["id"]
    job = queue.Job(1, api.acme, exports.KIND, {"export": export_id, "format": "csv"}, 1)
    with exporting._lock, pytest.raises(queue.Unfinished):
        exporting.run(api.services, job)
    exporting.run(api.services, job)
    assert state_of(api, export_id) == ("done", None)


def test_one_that_finds_the_customers_streams_busy_waits_for_them(api: Api, clock: TestClock) -> None:
    from contextlib import ExitStack

    from ringback.query import Query
    from ringback.resources.history.cdrs import ALL
    from ringback.store.lists import STREAMS_AT_ONCE

    export_id = ask(api.admin).data["id"]
    services, bound = api.services, {"customer": api.acme}
    with ExitStack() as streams:
        for _ in range(STREAMS_AT_ONCE):
            streams.enter_context(services.lists.stream(services.database, ALL, bound, Query()))
        for _ in range(2 * queue.ATTEMPTS):
            api.run_jobs()
            assert state_of(api, export_id) == ("waiting", None)
            clock.advance(10)
        clock.advance(86_400)
        api.run_jobs()
        assert state_of(api, export_id) == ("failed", "The server was too busy for it.")


def test_the_server_that_stops_puts_it_back(api: Api) -> None:
    from ringback.resources.history.export_job import Exporting

    add_calls(api)
    export_id = ask(api.admin).data["id"]
    api.services.stopping.set()
    with pytest.raises(queue.Unfinished):
        Exporting().run(api.services, queue.Job(1, api.acme, exports.KIND, {"export": export_id, "format": "csv"}, 1))
    assert state_of(api, export_id)[0] == "running"
    api.services.stopping.clear()
    api.run_jobs()
    assert state_of(api, export_id)[0] == "done"


def test_a_public_url_is_part_of_the_link(start: Callable[..., Api]) -> None:
    api = start(public_url="https://calls.example")
    export = made(api, api.admin)
    assert export["url"].startswith(f"https://calls.example{BASE_PATHS[0]}/exports/{export['id']}/file?")
    relative = replace(api.nobody, token=None)
    assert relative.get(export["url"].removeprefix(f"https://calls.example{BASE_PATHS[0]}")).status == 200
