"""Exports of CDRs, imported again: nothing is lost, nothing comes twice, and nobody sees what is not theirs."""

import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ringback import app as composition
from ringback.errors import UsageError
from ringback.opening import open_services
from ringback.settings import Settings
from ringback.store import cdrs, rows, schema
from ringback.store.database import Db
from tests.api import Api, Client
from tests.child import importing
from tests.clock import TestClock
from tests.conftest import POSTGRES
from tests.importers.master_csv import run
from tests.test_cdrs import call

AT = 1_700_000_000
TEXTS = [
    *(
        "plain",
        "=1+1",
        "+44 20 7946 0000",
        "-5",
        "@cmd",
        "'quoted",
        "''=x",
        "\ttab",
        "\rreturn",
        '"',
        '""',
        ",",
        '",\r\n"',
    ),
    *(
        "two\nlines",
        "two\r\nlines",
        "lone\rreturn",
        " padded ",
        "Zoë",
        "日本語 😀",
        "\u2028\u0085",
        "null",
        "NULL",
        "[]",
        "\\",
    ),
    *("0", "007", "1e5", "true", "x" * 255, "\ufeffbom", "a\x1bb"),
]
LABELS = ['a,"b', "=1", "'", "two\nlines", " x ", "Zoë"]


@pytest.fixture
def second(template: str, tmp_path: Path, clock: TestClock) -> Iterator[Api]:
    """Another server, with the same users."""
    with ExitStack() as stack:
        folder = tmp_path / "second"
        folder.mkdir()
        url = _copied(template, folder, stack)
        services = open_services(Settings(data_dir=str(folder), database=url), clock)
        stack.callback(services.database.close)
        yield Api(composition.build(services))


def _copied(template: str, folder: Path, stack: ExitStack) -> str:
    if POSTGRES:
        from tests import postgres

        return stack.enter_context(postgres.copy_of(template))
    path = folder / "ringback.db"
    path.write_bytes(Path(template).read_bytes())
    return str(path)


def fill(api: Api) -> list[int]:
    """A call for each hostile text, some in trees, with everything that a CDR can have."""

    def work(db: Db) -> list[int]:
        contact = rows.insert(db, schema.contacts, api.acme, [{"created_at": AT, "global": 1, "internal": 0}])[0]
        made = []
        for n, text in enumerate(TEXTS):
            user = (api.ann.user_id, api.bob.user_id, None)[n % 3]
            made.append(
                call(
                    AT + n * 977,
                    **dict.fromkeys(("clid", "src_name", "src_ua", "dst_name", "dst_codec", "t_cause", "info"), text),
                    context=text,
                    src=text,
                    dst=text * 2,
                    src_id=str(user) if user else "0",
                    dst_id=(f"contact:{contact}", "Queue7", None, text)[n % 4],
                    user_id=user,
                    type="OIM"[n % 3],
                    metadata=text * 200,
                    labels=json.dumps(LABELS[: n % 7], ensure_ascii=False, separators=(",", ":")),
                    nb_notes=n % 4,
                    rate=(None, 0, 1, 123_456_789, -5)[n % 5],
                    charge=(0, None, 2**53 + 1, 10**15, 7)[n % 5],
                    server_id=n or None,
                    uniqueid=None if n % 2 else f"1.{n}",
                    source_key=f"asterisk:{n}" if n % 3 else f"live:{n + 1}",
                    parent_live_id=1 if 0 < n < 5 else None,
                    root_live_id=1 if 0 < n < 5 else None,
                )
            )
        return cdrs.insert(db, api.acme, made)

    found: list[int] = api.write(work)
    return found


def exported(api: Api, client: Client, form: str, path: Path) -> Path:
    if form == "csv":
        path.write_bytes(client.get("/cdrs.csv").body)
        return path
    export_id = client.post("/exports", {"resource": "cdrs", "format": form}).data["id"]
    api.run_jobs()
    url = client.get(f"/exports/{export_id}").data["url"]
    path.write_bytes(api.nobody.get(url.removeprefix("/v1.1/voipstudio")).body)
    return path


def wiped(api: Api) -> None:
    api.write(lambda db: cdrs.delete(db, api.acme, [row[0] for row in db.all("SELECT id FROM cdrs", {})]))


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_an_export_imports_again_without_a_difference(api: Api, second: Api, tmp_path: Path, form: str) -> None:
    fill(api)
    second.write(
        lambda db: rows.insert(db, schema.contacts, second.acme, [{"created_at": AT, "global": 1, "internal": 0}])
    )
    file = exported(api, api.admin, form, tmp_path / "first")
    summary = run(second, "cdrs", file)
    assert (summary.read, summary.new, summary.known) == (len(TEXTS), len(TEXTS), 0)
    assert (summary.refused, summary.warnings) == ([], [])
    again = exported(second, second.admin, form, tmp_path / "second.out")
    assert again.read_bytes() == file.read_bytes()
    assert run(second, "cdrs", file).known == len(TEXTS)
    for client, other in ((api.ann, second.ann), (api.bob, second.bob)):
        assert client.listed("/cdrs") == other.listed("/cdrs")
    new = second.write(lambda db: cdrs.insert(db, second.acme, [call(AT)]))[0]
    assert new > max(each["id"] for each in api.admin.listed("/cdrs"))


def test_ndjson_tells_null_from_empty_and_csv_takes_empty_for_null(api: Api, second: Api, tmp_path: Path) -> None:
    api.write(lambda db: cdrs.insert(db, api.acme, [call(AT, info="", context="", clid=None)]))
    for form, found in (("ndjson", ""), ("csv", None)):
        wiped(second)
        run(second, "cdrs", exported(api, api.admin, form, tmp_path / form))
        (cdr,) = second.admin.listed("/cdrs")
        assert (cdr["info"], cdr["context"], cdr["clid"]) == (found, "", None)


def test_an_export_of_what_is_here_is_known(api: Api, tmp_path: Path) -> None:
    fill(api)
    before = api.admin.get("/cdrs.csv").body
    for form in ("csv", "ndjson"):
        summary = run(api, "cdrs", exported(api, api.admin, form, tmp_path / form))
        assert (summary.new, summary.known, summary.refused) == (0, len(TEXTS), [])
    assert api.admin.get("/cdrs.csv").body == before


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_what_was_deleted_comes_back_as_it_was(api: Api, tmp_path: Path, form: str) -> None:
    ids = fill(api)
    file = exported(api, api.admin, form, tmp_path / "export")
    api.write(lambda db: cdrs.delete(db, api.acme, ids[::2]))
    summary = run(api, "cdrs", file)
    assert (summary.new, summary.known) == (len(ids[::2]), len(ids[1::2]))
    assert exported(api, api.admin, form, tmp_path / "again").read_bytes() == file.read_bytes()


# -- beside other calls -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_calls_of_another_server_move_beside_those_that_are_here(
    api: Api, second: Api, tmp_path: Path, form: str
) -> None:
    fill(api)
    theirs = second.write(lambda db: cdrs.insert(db, second.acme, [call(AT - n) for n in range(1, 5)]))
    before = second.admin.listed("/cdrs", ("id", "in", theirs))
    file = exported(api, api.admin, form, tmp_path / "export")
    summary = run(second, "cdrs", file)
    assert summary.new == len(TEXTS)
    assert "4 × its id is taken: a new one given" in summary.warnings
    assert second.admin.listed("/cdrs", ("id", "in", theirs)) == before
    moved = second.admin.listed("/cdrs", ("calldate", "gte", "2023-11-14 22:13:20"))
    own = {"id", "live_id", "call_id", "parent_live_id", "root_live_id", "dst_id"}
    assert without(moved, own) == without(api.admin.listed("/cdrs"), own)
    (root, *_) = [each for each in moved if each["src"] == TEXTS[0]]
    tree = second.admin.listed("/cdrs", ("root_live_id", "eq", root["live_id"]))
    assert sorted(each["src"] for each in tree) == sorted(TEXTS[:5])
    assert {each["parent_live_id"] for each in tree} == {None, root["live_id"]}
    assert run(second, "cdrs", file).known == len(TEXTS)


def without(records: list[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    return [{name: each[name] for name in each if name not in names} for each in records]


def test_a_part_of_an_export_that_came_before_keeps_the_tree_together(api: Api, second: Api, tmp_path: Path) -> None:
    """The live ids have moved once; the rest of the calls moves as far."""
    fill(api)
    second.write(lambda db: cdrs.insert(db, second.acme, [call(AT - n) for n in range(1, 5)]))
    lines = exported(api, api.admin, "ndjson", tmp_path / "export").read_bytes().splitlines(keepends=True)
    (tmp_path / "part").write_bytes(b"".join(lines[-3:]))
    assert run(second, "cdrs", tmp_path / "part").new == 3
    assert run(second, "cdrs", tmp_path / "export").new == len(TEXTS) - 3
    (root,) = second.admin.listed("/cdrs", ("src", "eq", TEXTS[0]))
    assert len(second.admin.listed("/cdrs", ("root_live_id", "eq", root["live_id"]))) == 5


def test_another_customer_of_the_server_gets_new_ids_and_nobody_elses_users(api: Api, tmp_path: Path) -> None:
    fill(api)
    before = api.admin.get("/cdrs.csv").body
    summary = run(api, "cdrs", exported(api, api.admin, "ndjson", tmp_path / "export"), customer=api.other)
    assert summary.new == len(TEXTS)
    warnings = set(summary.warnings)
    assert f"{len(TEXTS)} × its id is taken: a new one given" in warnings
    assert "21 × its user is not here: the call is nobody's" in warnings
    assert any("names a contact that is not here" in text for text in warnings)
    assert api.admin.get("/cdrs.csv").body == before
    theirs = api.stranger.listed("/cdrs")
    assert {each["user_id"] for each in theirs} == {None}
    users = {str(each.user_id) for each in (api.ann, api.bob)}
    assert not users & {each[side] for each in theirs for side in ("src_id", "dst_id")}
    assert [each["live_id"] for each in theirs] == [each["live_id"] for each in api.admin.listed("/cdrs")]


def test_a_key_that_another_call_has_here_does_not_hide_the_call(api: Api, second: Api, tmp_path: Path) -> None:
    """Calls without a source are known by their live ids, which are the same on every new server."""
    api.write(lambda db: cdrs.insert(db, api.acme, [call(AT)]))
    second.write(lambda db: cdrs.insert(db, second.acme, [call(AT + 5)]))
    assert run(second, "cdrs", exported(api, api.admin, "ndjson", tmp_path / "export")).new == 1
    assert len(second.admin.listed("/cdrs")) == 2
    assert run(second, "cdrs", tmp_path / "export").known == 1


# -- bad input --------------------------------------------------------------------------------------------------------


def lines_of(api: Api, tmp_path: Path, form: str, n: int = 5) -> list[bytes]:
    api.write(lambda db: cdrs.insert(db, api.acme, [call(AT - i) for i in range(n)]))
    lines = exported(api, api.admin, form, tmp_path / "good").read_bytes().splitlines(keepends=True)
    wiped(api)
    return lines


def test_faulty_lines_of_ndjson_are_named_and_the_rest_goes_in(api: Api, tmp_path: Path) -> None:
    good = lines_of(api, tmp_path, "ndjson")
    record = json.loads(good[0])

    def changed(**changes: Any) -> bytes:
        return json.dumps({**record, **changes}).encode() + b"\n"

    bad = {
        b"nonsense\n": "not JSON",
        b"[1]\n": "no JSON object",
        b'{"id": 1\n': "not JSON",
        b'{"src": "\xff"}\n': "not JSON",
        b"{}\n": "id is missing; duration is missing",
        changed(calldate="2023-02-30 00:00:00"): "calldate is no possible date",
        changed(src="a\0b", type="X", charge="much"): "type is none of O, I, M; src is longer",
        changed(id=2**60, live_id=-1): "id is not from 1 to",
        changed(labels=[1]): "labels is no list of texts",
        changed(duration=True): "duration is no whole number",
        b'{"a":' * 100_000 + b"\n": "not JSON",
        b'{"info": "' + b"x" * (3 << 20) + b'"}\n': "longer than 2048 KiB",
    }
    file = tmp_path / "mixed"
    file.write_bytes(
        b"".join([good[0], b"\n", *bad, changed(id=99, live_id=99, source_key="99", duration=-5), *good[1:]])
    )
    summary = run(api, "cdrs", file)
    assert (summary.new, summary.refused_in_all) == (len(good) + 1, len(bad))
    for number, (refusal, reason) in enumerate(zip(summary.refused, bad.values(), strict=True), start=3):
        assert refusal.where == f"line {number}"
        assert reason in refusal.reason
    assert summary.warnings == ["1 × negative duration taken as 0"]


def test_faulty_lines_of_csv_are_named_and_the_rest_goes_in(api: Api, tmp_path: Path) -> None:
    header, *good = lines_of(api, tmp_path, "csv")
    bad = {
        b"1,2,3\r\n": "3 columns instead of 34",
        good[0].replace(b"CONNECTED", b"CONN\xff"): "not UTF-8",
        good[0].replace(b"CONNECTED", b"CONN\0"): "holds a NUL byte",
        good[0].replace(b"CONNECTED", b"ASLEEP"): "disposition is none of",
        good[0].replace(b"CONNECTED", b'"CONNECTED'): "a quote is not closed",
    }
    file = tmp_path / "mixed"
    file.write_bytes(b"".join([header, good[0], *bad, *good[1:]]))
    summary = run(api, "cdrs", file)
    assert (summary.new, summary.refused_in_all) == (len(good), len(bad))
    assert all(reason in each.reason for each, reason in zip(summary.refused, bad.values(), strict=True))


PARQUET = b"PAR1\x15\x04\x15\x10"


def test_a_file_that_is_no_export_is_not_begun(api: Api, tmp_path: Path) -> None:
    for content, reason in (
        (b"", "is empty"),
        (b"a,b\n1,2\n", "no export of CDRs"),
        (b"\xff\xfe\0", "no export"),
        (PARQUET, "exported as ndjson"),
    ):
        file = tmp_path / "file"
        file.write_bytes(content)
        with pytest.raises(UsageError, match=reason):
            run(api, "cdrs", file)
    with pytest.raises(UsageError, match="cannot be read"):
        run(api, "cdrs", tmp_path / "nowhere")


# -- killed -----------------------------------------------------------------------------------------------------------


def test_a_run_that_is_killed_goes_on_where_it_stopped(
    api: Api, second: Api, tmp_path: Path, start: Callable[..., Api]
) -> None:
    """Killed at random points, with calls in the way, it leaves what one undisturbed run leaves."""
    api.write(
        lambda db: cdrs.insert(
            db,
            api.acme,
            [
                call(AT - n, parent_live_id=n // 5 * 5 + 1 if n % 5 else None, root_live_id=n // 5 * 5 + 1)
                for n in range(1_000)
            ],
        )
    )
    file = exported(api, api.admin, "ndjson", tmp_path / "export")
    second.write(lambda db: cdrs.insert(db, second.acme, [call(AT + n) for n in range(1, 30)]))
    settings = second.services.settings
    small = "from ringback.importers import cdrs\ncdrs.BATCH = 20"
    command = importing(settings.database, settings.data_dir, second.acme, "cdrs", file, before=small)
    chance = random.Random(7)
    for _ in range(6):
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.25))
        child.kill()
        child.wait()
        child.stdout.close()
    run(second, "cdrs", file)
    moved = second.admin.listed("/cdrs", ("calldate", "lte", "2023-11-14 22:13:20"), limit=2_000)
    ids = {"id", "live_id", "call_id", "parent_live_id", "root_live_id"}
    listed = api.admin.listed("/cdrs", limit=2_000)
    assert without(moved, ids) == without(listed, ids)
    shifts = {there["live_id"] - here["live_id"] for there, here in zip(moved, listed, strict=True)}
    assert len(shifts) == 1
    assert {there["root_live_id"] - here["root_live_id"] for there, here in zip(moved, listed, strict=True)} == shifts
