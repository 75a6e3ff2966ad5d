"""Master.csv into CDRs: who is who, which hop hangs on which, and nothing twice or lost."""

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import UsageError
from ringback.importers import Summary
from ringback.importers.call_rows import BATCH
from ringback.store.database import value
from tests.api import Api
from tests.child import importing, killed_and_repeated
from tests.importers.master_csv import inbound, line, many, run, shape, stored, written

KILLS = 3


def imported(api: Api, folder: Path, *lines: str) -> list[dict[str, Any]]:
    """The CDRs that the lines become, oldest first."""
    summary = run(api, "asterisk-cdr", written(folder, *lines))
    assert (summary.new, summary.refused) == (len(lines), [])
    return api.admin.listed("/cdrs", sort="id", dir="ASC")


def count(api: Api, customer: int) -> int:
    sql = "SELECT count(*) FROM cdrs WHERE customer_id = :customer"
    return int(api.services.database.read(lambda db: value(db, sql, {"customer": customer})))


def test_an_outbound_call_belongs_to_its_caller(api: Api, tmp_path: Path) -> None:
    (cdr,) = imported(api, tmp_path, line(userfield="order 7"))
    assert cdr["type"] == "O"
    assert cdr["destination"] == "out"
    assert cdr["calldate"] == "2026-11-20 10:00:00"
    assert (cdr["duration"], cdr["billsec"], cdr["disposition"]) == (60, 55, "CONNECTED")
    assert (cdr["src"], cdr["src_id"], cdr["src_name"]) == ("101", str(api.admin.user_id), "Admin Tester")
    assert (cdr["dst"], cdr["dst_id"], cdr["dst_name"]) == ("442079460000", "0", None)
    assert (cdr["user_id"], cdr["t_cause"], cdr["info"]) == (api.admin.user_id, "Normal Clearing", "order 7")
    assert cdr["is_root"] is True


def test_an_inbound_call_belongs_to_whom_it_reached(api: Api, tmp_path: Path) -> None:
    answered, missed = imported(
        api,
        tmp_path,
        inbound(),
        inbound(uniqueid="1795341700.1", disposition="NO ANSWER", answer="", billsec="0", clid='""Jo"" <442079461111>'),
    )
    assert (answered["type"], missed["type"]) == ("I", "M")
    assert answered["dst_id"] == str(api.ann.user_id)
    assert (answered["src_id"], answered["src_name"], missed["src_name"]) == ("0", None, "Jo")
    assert [row["id"] for row in api.ann.listed("/cdrs")] == [missed["id"], answered["id"]]


def test_colleagues_call_each_other(api: Api, tmp_path: Path) -> None:
    (cdr,) = imported(api, tmp_path, line(dst="103", dstchannel="PJSIP/103-00000002"))
    assert (cdr["type"], cdr["context"], cdr["destination"]) == ("O", "USER_LOCAL", "out")
    assert cdr["dst_id"] == str(api.ann.user_id)


def test_contacts_of_everybody_name_their_numbers(api: Api, tmp_path: Path) -> None:
    shop = {"company": "Shop", "tel": "+44 20 7946 0000", "global": True}
    contact_id = api.admin.post("/contacts", shop).data["id"]
    api.ann.post("/contacts", {"first_name": "Mum", "tel": "442079461111"})
    outbound, call_in = imported(api, tmp_path, line(), inbound(uniqueid="1795341700.1"))
    assert (outbound["dst_id"], outbound["dst_name"]) == (f"contact:{contact_id}", "Shop")
    assert (call_in["src_id"], call_in["src_name"]) == ("0", None)  # whom Ann knows is not everybody's business


def test_a_queue_that_nobody_answered_is_named(api: Api, tmp_path: Path) -> None:
    queue_id = api.admin.post("/queues", {"name": "Sales", "number": "600"}).data["id"]
    (cdr,) = imported(api, tmp_path, inbound(dst="600", dstchannel="", lastapp="Queue"))
    assert (cdr["context"], cdr["type"], cdr["dst_id"], cdr["dst_name"]) == ("QUEUE", "M", f"Queue{queue_id}", "Sales")


def test_hops_of_one_call_hang_on_its_first(api: Api, tmp_path: Path) -> None:
    first, second, other = imported(
        api, tmp_path, inbound(), inbound(dstchannel="PJSIP/104-00000003"), inbound(uniqueid="1795341700.1")
    )
    assert first["is_root"] is True
    assert (second["parent_live_id"], second["root_live_id"]) == (first["live_id"], first["live_id"])
    assert other["is_root"] is True


def test_linkedid_names_the_first_channel_of_the_call_wherever_it_stands(api: Api, tmp_path: Path) -> None:
    consultation = inbound(uniqueid="1795341650.2").rstrip() + ',"","1795341600.26","1"\n'
    whole = inbound().rstrip() + ',"","1795341600.26","2"\n'
    hop, root = imported(api, tmp_path, consultation, whole)
    assert root["is_root"] is True
    assert (hop["parent_live_id"], hop["root_live_id"]) == (root["live_id"], root["live_id"])


def test_a_hop_that_comes_with_a_later_import_finds_its_root(api: Api, tmp_path: Path) -> None:
    (root,) = imported(api, tmp_path, inbound())
    second = run(api, "asterisk-cdr", written(tmp_path, inbound(), inbound(dstchannel="PJSIP/104-00000003")))
    assert (second.new, second.known) == (1, 1)
    assert api.admin.listed("/cdrs", ("parent_live_id", "eq", root["live_id"]))[0]["dst_id"] == str(api.bob.user_id)


def test_a_hop_that_comes_long_before_its_root_finds_it(api: Api, tmp_path: Path) -> None:
    """In another transaction, and another import."""
    hops = [line("", "1795341600.26", "1", uniqueid=f"1795341650.{n}") for n in (2, 3)]
    between = [line(uniqueid=f"1795349999.{n}") for n in range(BATCH)]
    run(api, "asterisk-cdr", written(tmp_path, hops[0], *between, hops[1]))
    first, second = (row for row in stored(api, "is_root, live_id, root_live_id, uniqueid") if "1795341650" in row[3])
    assert (first[0], second[0], second[2]) == (1, 0, first[1])
    run(api, "asterisk-cdr", written(tmp_path, line("", "1795341600.26", "2")))
    *_, root = stored(api, "is_root, live_id, root_live_id, uniqueid")
    hung = stored(api, "is_root, parent_live_id, root_live_id, uniqueid")
    assert [row[:3] for row in hung if "1795341650" in row[3]] == [(0, root[1], root[1])] * 2
    assert api.admin.get("/cdrs", limit=1, filter='[{"property":"is_root","value":true}]').json["total"] == BATCH + 1


def test_what_cannot_be_used_is_told_by_its_line(api: Api, tmp_path: Path) -> None:
    summary = run(
        api, "asterisk-cdr", written(tmp_path, line(), "nonsense\n", line(start="never"), inbound(disposition="ODD"))
    )
    assert (summary.read, summary.new, summary.refused_in_all) == (4, 2, 2)
    assert [refusal.where for refusal in summary.refused] == ["line 2", "line 3"]
    assert summary.warnings == ["1 × unknown disposition"]
    with pytest.raises(UsageError, match="Mars/Olympus"):
        run(api, "asterisk-cdr", written(tmp_path, line()), time_zone="Mars/Olympus")


def test_the_other_customer_sees_nothing_and_may_import_the_same_file(api: Api, tmp_path: Path) -> None:
    path = written(tmp_path, line())
    run(api, "asterisk-cdr", path)
    assert api.stranger.get("/cdrs").json["total"] == 0
    assert run(api, "asterisk-cdr", path, customer=api.other).new == 1


def test_a_second_run_adds_nothing(api: Api, tmp_path: Path) -> None:
    path = written(tmp_path, many(BATCH + 500))
    assert run(api, "asterisk-cdr", path).new == BATCH + 500
    again = run(api, "asterisk-cdr", path)
    assert (again.new, again.known) == (0, BATCH + 500)
    assert api.admin.get("/cdrs", limit=1).json["total"] == BATCH + 500


def test_two_at_once_store_each_call_once(api: Api, tmp_path: Path) -> None:
    path = written(tmp_path, many(2 * BATCH))
    summaries: list[Summary] = []
    threads = [threading.Thread(target=lambda: summaries.append(run(api, "asterisk-cdr", path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [summary.read for summary in summaries] == [2 * BATCH] * 2
    assert sum(summary.new for summary in summaries) == count(api, api.acme) == 2 * BATCH
    assert api.admin.get("/cdrs", limit=1).json["total"] == 2 * BATCH


def test_killed_again_and_again_it_leaves_what_an_undisturbed_run_leaves(
    api: Api, tmp_path: Path, database_url: str
) -> None:
    path = written(tmp_path, many(4 * BATCH))
    command = importing(database_url, tmp_path, api.acme, "asterisk-cdr", path)
    killed_and_repeated(command, random.sample(range(4 * BATCH), KILLS), lambda: count(api, api.acme))
    run(api, "asterisk-cdr", path, customer=api.other)
    assert shape(api, api.acme) == shape(api, api.other)
    assert api.admin.get("/cdrs", limit=1).json["total"] == 4 * BATCH
