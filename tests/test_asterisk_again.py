"""Calls of an Asterisk that are told again: completely, by another way, or by another Asterisk that has the same ids."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from ringback.calls.rating import Rate
from ringback.connectors.asterisk import marks
from ringback.connectors.settings import connectors
from ringback.errors import UsageError
from ringback.importers import Options, Summary, cel_records
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from ringback.store import rates
from tests import postgres
from tests.ami_server import AmiServer
from tests.api import Api
from tests.conftest import POSTGRES
from tests.connected import UNTIL_TALK, Connected, cdrs, connected, server, transcript, until
from tests.importers.master_csv import line, run, written
from tests.importers.test_asterisk_tables import url_of
from tests.test_asterisk_cel import SCENES, at, file, raw

__all__ = ["connected", "server"]

HALF = {"answered_internal": 7, "answered_outbound": 7}


def _cut_off(api: Api, folder: Path, scene: str) -> None:
    """Imported the day after, until somebody talks."""
    lines = raw(scene).splitlines(keepends=True)
    with at(api, 1_795_500_000):
        run(api, "asterisk-cel", file(folder, b"".join(lines[: HALF[scene]])))


@pytest.mark.parametrize("scene", HALF)
def test_a_call_that_was_cut_off_is_put_right_by_the_whole_one(api: Api, tmp_path: Path, scene: str) -> None:
    _cut_off(api, tmp_path, scene)
    before = cdrs(api.admin)
    assert "incomplete: " in before[0]["info"]
    first = before[0]["id"]
    api.admin.patch("/cdrs", [{"id": first, "labels": ["mine"], "metadata": {"a": 1}}])
    api.admin.post(f"/cdrs/{first}/notes", {"text": "kept"})
    found = run(api, "asterisk-cel", file(tmp_path, raw(scene)))
    assert found.changed == len(before)
    after = cdrs(api.admin)
    kept = next(cdr for cdr in after if cdr["id"] == first)
    assert (kept["labels"], kept["nb_notes"], kept["live_id"]) == (["mine"], 1, before[0]["live_id"])
    assert not any("incomplete" in (cdr["info"] or "") for cdr in after)
    again = run(api, "asterisk-cel", file(tmp_path, raw(scene)))
    assert (again.new, again.changed, cdrs(api.admin)) == (0, 0, after)
    assert _told(after) == _alone(api, tmp_path, scene)


def _told(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = (
        "calldate",
        "type",
        "disposition",
        "src",
        "dst",
        "billsec",
        "duration",
        "t_cause",
        "info",
        "charge",
    )
    return sorted(tuple(str(cdr[name]) for name in names) for cdr in found)


def _alone(api: Api, folder: Path, scene: str) -> list[tuple[Any, ...]]:
    """What the whole call becomes where nothing was known of it."""
    run(api, "asterisk-cel", file(folder, raw(scene)), customer=api.other)
    return _told(cdrs(api.stranger))


def test_what_an_incomplete_call_cost_is_corrected_on_the_account(api: Api, tmp_path: Path) -> None:
    for customer in (api.acme, api.other):
        api.write(lambda db, customer=customer: rates.put(db, customer, [Rate("4477", "UK mobile", 60_000_000, 0, 1)]))
    _cut_off(api, tmp_path, "answered_outbound")
    run(api, "asterisk-cel", file(tmp_path, raw("answered_outbound")))
    assert _told(cdrs(api.admin)) == _alone(api, tmp_path, "answered_outbound")
    lines = api.admin.listed("/statements")
    assert sum(line["amount"] for line in lines) == -sum(cdr["charge"] or 0 for cdr in cdrs(api.admin))


def test_what_a_user_wrote_over_the_mark_is_the_users(api: Api, tmp_path: Path) -> None:
    _cut_off(api, tmp_path, "answered_internal")
    (cdr,) = cdrs(api.admin)
    api.admin.patch("/cdrs", [{"id": cdr["id"], "info": "I know"}])
    assert run(api, "asterisk-cel", file(tmp_path, raw("answered_internal"))).changed == 0
    assert cdrs(api.admin)[0]["info"] == "I know"


# -- several PBXs


def tables(*names: str, **more: Any) -> dict[str, Any]:
    common = {"kind": "asterisk", "user": "u", "secret": "s", "customer": 1, **more}
    return dict.fromkeys(names, common)


def test_each_further_pbx_of_a_customer_marks_its_ids() -> None:
    found = connectors(tables("north", "south") | {"other": {**tables("x")["x"], "customer": 2}}, "a file")
    assert [(each.name, each.mark) for each in found] == [("north", ""), ("south", "south"), ("other", "")]
    with pytest.raises(UsageError, match="unknown setting mark"):
        connectors(tables("north", mark="x"), "a file")


def test_ids_are_marked_wherever_they_stand() -> None:
    told = {"Event": "AttendedTransfer", "Channel": "PJSIP/1-0000000a", "Uniqueid": "", "OrigBridgeUniqueid": "4"}
    told |= {"OrigTransfererUniqueid": "1.2", "OrigTransfererLinkedid": "1.1", "TransfereeUniqueid": "ringback-1.4"}
    marked = {"OrigTransfererUniqueid": "south-1.2", "OrigTransfererLinkedid": "south-1.1"}
    assert marks.message("south", told) == told | marked
    assert marks.message("", told) is told
    extra = '{"channel2_uniqueid":"1.3","bridge_id":"4","transferee_channel_uniqueid":"ringback-1.4"}'
    assert marks.in_extra("south", extra) == extra.replace("1.3", "south-1.3")


def test_both_halves_of_a_pair_are_marked() -> None:
    told = {"LocalOneUniqueid": "1.5", "LocalTwoUniqueid": "1.6", "LocalOneLinkedid": "ringback-1.1"}
    marked = {"LocalOneUniqueid": "south-1.5", "LocalTwoUniqueid": "south-1.6", "LocalOneLinkedid": "ringback-1.1"}
    assert marks.message("south", told) == marked


def test_two_pbxs_with_the_same_ids_have_two_calls_and_each_import_knows_its_own(
    api: Api, server: AmiServer, connected: Connected, tmp_path: Path
) -> None:
    connected(name="north")
    server.tell(transcript())
    until(lambda: cdrs(api.admin))
    connected(name="south", mark="south")
    server.tell(transcript(0, UNTIL_TALK))
    until(lambda: api.admin.listed("/calls"))
    server.tell(transcript(UNTIL_TALK))
    found = until(lambda: [all_ for all_ in [cdrs(api.admin)] if len(all_) == 2])[0]
    assert len({cdr["root_live_id"] for cdr in found}) == 2
    assert not api.admin.listed("/calls")


@pytest.mark.parametrize("scene", SCENES)
def test_a_marked_file_becomes_the_same_calls(api: Api, tmp_path: Path, scene: str) -> None:
    plain = run(api, "asterisk-cel", file(tmp_path, raw(scene)))
    marked = run(api, "asterisk-cel", file(tmp_path, raw(scene)), mark="south")
    assert (marked.new, marked.known) == (plain.new, 0)
    assert run(api, "asterisk-cel", file(tmp_path, raw(scene)), mark="south").new == 0
    _, found = cdrs(api.admin), cdrs(api.admin)
    assert _told(found[: plain.new]) == _told(found[plain.new :])


# -- files that are not what they are said to be, folders, and tables


def test_a_file_of_the_other_log_is_refused_in_one_line(api: Api, tmp_path: Path) -> None:
    events, records = file(tmp_path, raw("answered_internal"), "cel.csv"), written(tmp_path, line(), name="cdr.csv")
    with pytest.raises(
        UsageError, match=r"cdr\.csv holds call records \(CDR\), not channel events: import it as asterisk-cdr"
    ):
        run(api, "asterisk-cel", records)
    with pytest.raises(
        UsageError, match=r"cel\.csv holds channel events \(CEL\), not call records: import it as asterisk-cel"
    ):
        run(api, "asterisk-cdr", events)
    assert cdrs(api.admin) == []


def test_a_folder_is_one_log_however_its_files_are_called(api: Api, tmp_path: Path) -> None:
    """A call that began before the log was moved away is whole."""
    lines = raw("answered_internal").splitlines(keepends=True)
    file(tmp_path, b"".join(lines[:7]), "Master.csv.2")
    file(tmp_path, b"nonsense\n" + b"".join(lines[7:]), "Master.csv")
    found = run(api, "asterisk-cel", tmp_path)
    assert [each.where for each in found.refused] == ["Master.csv line 1"]
    (cdr,) = cdrs(api.admin)
    assert (cdr["billsec"], cdr["info"]) == (2, None)
    file(tmp_path, b"\x1f\x8b", "Master.csv.3.gz")
    with pytest.raises(UsageError, match=r"Master\.csv\.3\.gz is compressed"):
        run(api, "asterisk-cel", tmp_path)


@contextmanager
def cel_table(server: str, told: bytes) -> Iterator[str]:
    """As FreePBX has it: the wall clock's time in Warsaw."""
    lines = list(csv.reader(told.decode().splitlines()))
    for each in lines:
        at_s = datetime.fromtimestamp(float(each[1]), ZoneInfo("Europe/Warsaw"))
        each[1] = at_s.replace(tzinfo=None).isoformat(" ")
    with postgres.copy_of(server) as conninfo:
        with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
            columns = ", ".join(f"{name} text" for name in cel_records.SAMPLE if name != "eventtime")
            cursor.execute(f"CREATE TABLE cel (id bigserial, eventtime timestamp(6), {columns})")
            names, marks = ", ".join(cel_records.SAMPLE), ", ".join(["%s"] * len(cel_records.SAMPLE))
            cursor.executemany(f"INSERT INTO cel ({names}) VALUES ({marks})", lines)
        yield url_of(conninfo)


def fetched(api: Api, url: str) -> Summary:
    run_url = IMPORTERS["asterisk-cel"].from_url
    assert run_url is not None
    return run_url(api.services, api.acme, url, Options(country="GB", time_zone="Europe/Warsaw"), Unwatched())


def test_a_cel_table_becomes_the_same_calls(api: Api, template: str, tmp_path: Path) -> None:
    server = template if POSTGRES else postgres.template()
    with cel_table(server, raw("blind_to_mobile")) as url:
        found = fetched(api, url)
        assert fetched(api, url).new == 0
        with pytest.raises(UsageError, match="The table users is no cel table: it has no column eventtype"):
            fetched(api, f"{url}&table=users")
    assert (found.refused, found.new) == ([], len(cdrs(api.admin)))
    again = run(api, "asterisk-cel", file(tmp_path, raw("blind_to_mobile")))
    assert (again.new, again.known) == (0, found.new)
