"""FreeSWITCH's files into CDRs: legs of one call hang together in whatever order they come, and nothing twice or lost."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import UsageError
from ringback.importers.call_rows import BATCH
from ringback.importers.freeswitch_json import LIMIT_BYTES
from tests.api import Api
from tests.child import importing, killed_and_repeated
from tests.importers import freeswitch
from tests.importers.freeswitch import A, B, C, document, saved, second, template_line
from tests.importers.master_csv import run, shape, stored, written

KILLS = 3
CALLS = BATCH


def imported(api: Api, path: Path, **options: Any) -> list[dict[str, Any]]:
    """The CDRs that the files become, oldest first."""
    summary = run(api, "freeswitch-cdr", path, **options)
    assert summary.refused == []
    return api.admin.listed("/cdrs", sort="id", dir="ASC")


def test_an_outbound_call_belongs_to_its_caller(api: Api, tmp_path: Path) -> None:
    (cdr,) = imported(api, saved(tmp_path, document(user_name="101", bridge_uuid=B)))
    assert (cdr["type"], cdr["destination"], cdr["context"]) == ("O", "out", "PSTN_CALL")
    assert (cdr["calldate"], cdr["duration"], cdr["billsec"]) == ("2026-11-22 10:00:00", 60, 55)
    assert (cdr["src"], cdr["src_id"], cdr["src_name"]) == ("101", str(api.admin.user_id), "Admin Tester")
    assert (cdr["dst"], cdr["dst_id"], cdr["user_id"]) == ("442079460000", "0", api.admin.user_id)
    assert (cdr["src_ua"], cdr["src_codec"], cdr["dst_codec"]) == ("Twinkle/1.10.2", "PCMA", None)
    assert (cdr["t_cause"], cdr["disposition"], cdr["is_root"]) == ("Normal Clearing", "CONNECTED", True)


def test_both_legs_of_a_call_between_colleagues(api: Api, tmp_path: Path) -> None:
    first = document(called="103", user_name="101", bridge_uuid=B)
    root, hop = imported(api, written_lines(tmp_path, first, second(called="103", dialed_user="103")))
    assert (root["type"], root["context"], root["dst_id"]) == ("O", "USER_LOCAL", str(api.ann.user_id))
    assert (hop["type"], hop["destination"], hop["user_id"]) == ("I", "in", api.ann.user_id)
    assert (hop["src_id"], hop["dst_ua"]) == (str(api.admin.user_id), "Twinkle/1.10.2")
    assert (hop["parent_live_id"], hop["root_live_id"]) == (root["live_id"], root["live_id"])


def test_an_inbound_call_that_rang_two_phones(api: Api, tmp_path: Path) -> None:
    caller, rang = "02079461111", {"answer_epoch": "0", "billsec": "0", "hangup_cause": "LOSE_RACE"}
    first = document(caller=caller, called="600", bridge_uuid=B, bridge_channel="sofia/internal/103@10.0.0.2")
    legs = (second(caller=caller, called="103"), second(C, caller=caller, called="104", **rang))
    root, ann, bob = imported(api, written_lines(tmp_path, first, *legs))
    assert (root["type"], root["src"], root["dst"], root["dst_id"]) == (
        "I",
        "442079461111",
        "600",
        str(api.ann.user_id),
    )
    assert (ann["type"], ann["user_id"], bob["type"], bob["user_id"]) == ("I", api.ann.user_id, "M", api.bob.user_id)
    assert bob["t_cause"] == "Answered elsewhere"
    assert {row["root_live_id"] for row in (root, ann, bob)} == {root["live_id"]}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_legs_find_each_other_in_any_order_over_several_imports(
    api: Api, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """C was originated for B, and B for A."""
    legs = [document(A), second(B, A), second(C, B)]
    for each in order:
        run(api, "freeswitch-cdr", written_lines(tmp_path, legs[each]))
    cdrs = {row["src_codec"] or row["dst_codec"]: row for row in api.admin.listed("/cdrs")}
    assert cdrs
    rows = stored(api, "uniqueid, live_id, parent_live_id, root_live_id, is_root")
    root = next(live_id for uniqueid, live_id, *_ in rows if uniqueid == A)
    assert [(row[0], *row[2:]) for row in sorted(rows)] == [(A, None, root, 1), (B, root, root, 0), (C, root, root, 0)]
    assert api.admin.get("/cdrs", limit=1, filter='[{"property":"is_root","value":true}]').json["total"] == 1


def test_the_far_leg_of_a_call_is_not_charged_again(api: Api, tmp_path: Path) -> None:
    deck = tmp_path / "rates.csv"
    deck.write_text("prefix,destination,price,minimum,increment\n44,United Kingdom,0.06,0,1\n")
    run(api, "rates", deck)
    far, mobile = second(), second(C, called="07700900123", dialled="02079460000")
    root, hop, forward = imported(api, written_lines(tmp_path, document(user_name="101"), far, mobile))
    assert (root["charge"], hop["charge"], forward["charge"]) == (0.055, 0, 0.055)
    api.admin.post("/rates/rerate", {"from": "2026-11-22", "to": "2026-11-23"})
    api.run_jobs()
    assert api.admin.get(f"/cdrs/{hop['id']}").data["charge"] == 0


def test_numbers_with_an_outside_prefix(api: Api, tmp_path: Path) -> None:
    shop = {"company": "Shop", "tel": "+44 20 7946 0000", "global": True}
    contact_id = api.admin.post("/contacts", shop).data["id"]
    (cdr,) = imported(api, saved(tmp_path, document(called="902079460000")), outside_prefix="9")
    assert (cdr["dst"], cdr["dst_id"], cdr["dst_name"]) == ("442079460000", f"contact:{contact_id}", "Shop")


def test_a_csv_of_the_stock_template(api: Api, tmp_path: Path) -> None:
    path = written(
        tmp_path, template_line(), template_line(uuid=C, answer_stamp="", billsec="0", hangup_cause="NO_ANSWER")
    )
    talked, rang = imported(api, path)
    assert (talked["calldate"], talked["dst"], talked["type"]) == ("2026-11-22 10:00:00", "442079460000", "O")
    assert (talked["src_codec"], talked["disposition"], rang["disposition"]) == ("PCMA", "CONNECTED", "RINGING")
    assert rang["t_cause"] == "No answer"


def test_the_same_leg_out_of_json_and_csv_is_known(api: Api, tmp_path: Path) -> None:
    assert run(api, "freeswitch-cdr", saved(tmp_path, document())).new == 1
    summary = run(api, "freeswitch-cdr", written(tmp_path, template_line()))
    assert (summary.new, summary.known) == (0, 1)


SNOM = (
    '"Ann ""x"" Lee","101","020","default","2026-11-22 10:00:00","","2026-11-22 10:01:00","60","0","NO_ANSWER",'
    f'"{A}","", "acct","PCMA","PCMA","snom300/8","","","",""\n'
)
OPENCDRRATE = (
    f'"{B}","{A}","outbound","101","02079460000","2026-11-22 10:00:05","2026-11-22 10:01:00","55","","note","10.0.0.1",'
    '"true","carrier"\n'
)
ASTERISK = (
    '"","101","02079460000","default","""Ann"" <101>","sofia/internal/101@pbx","sofia/gateway/carrier/02079460000",'
    f'"bridge","x","2026-11-22 10:00:00","2026-11-22 10:00:05","2026-11-22 10:01:00","60","55","NORMAL_CLEARING","","{C}",""\n'
)
CUSTOM = f"{A},1795341600,1795341660,101,020\n"


@pytest.mark.parametrize(
    ("columns", "line", "expected"),
    [
        ("snom", SNOM, {"src_ua": "snom300/8", "src_name": "Admin Tester", "duration": 60}),
        ("opencdrrate", OPENCDRRATE, {"info": "note", "duration": 55, "billsec": 55, "dst": "442079460000"}),
        ("asterisk", ASTERISK, {"clid": '"Ann" <101>', "dst_id": "0", "billsec": 55}),
        ("uuid,start_epoch,${end_epoch},caller_id_number,destination_number", CUSTOM, {"src": "101", "duration": 60}),
    ],
)
def test_other_templates(api: Api, tmp_path: Path, columns: str, line: str, expected: dict[str, Any]) -> None:
    (cdr,) = imported(api, written(tmp_path, line), columns=tuple(columns.split(",")))
    assert {name: cdr[name] for name in expected} == expected


def test_a_name_with_quotes_breaks_no_line(api: Api, tmp_path: Path) -> None:
    (cdr,) = imported(
        api, written(tmp_path, template_line(caller_id_name='Ann "the x" Lee', caller_id_number="02079461111"))
    )
    assert cdr["src_name"] == 'Ann "the x" Lee'


def test_columns_must_make_a_call(api: Api, tmp_path: Path) -> None:
    for columns in ("cisco", "uuid,destination_number", "uuid,start_stamp"):
        with pytest.raises(UsageError, match="This cannot be read so"):
            run(api, "freeswitch-cdr", tmp_path, columns=tuple(columns.split(",")))


def test_what_cannot_be_used_is_told_by_its_file_or_line(api: Api, tmp_path: Path) -> None:
    folder = saved(tmp_path, document(), document(B, start_epoch="-1"))
    (folder / "long.cdr.json").write_bytes(b'{"variables":{"uuid":"' + b"x" * LIMIT_BYTES + b'"}}')
    (folder / "bomb.cdr.json").write_bytes(b"[" * 100_000)
    (folder / "bytes.cdr.json").write_bytes(b"\x00\xff\xfe")
    (folder / "empty.cdr.json").write_bytes(b"")
    (folder / "notes.txt").write_text("no record")
    (folder / "Master.csv").write_text('"three","columns","only"\n' + template_line(uuid=C))
    (tmp_path / "outside.json").write_text(json.dumps(document("outside")))
    (folder / "link.cdr.json").symlink_to(tmp_path / "outside.json")
    os.mkfifo(folder / "pipe.cdr.json")
    summary = run(api, "freeswitch-cdr", folder)
    assert (summary.new, summary.refused_in_all) == (2, 8)
    reasons = {Path(refusal.where).name: refusal.reason.partition(":")[0] for refusal in summary.refused}
    assert reasons == {
        f"{B}.cdr.json, line 1": "start is no possible time",
        "long.cdr.json, line 1": "longer than 1 MiB",
        "bomb.cdr.json, line 1": "nested too deeply",
        "bytes.cdr.json, line 1": "no JSON",
        "empty.cdr.json": "no JSON",
        "Master.csv, line 1": "3 columns instead of 15",
        "link.cdr.json": "a symbolic link",
        "pipe.cdr.json": "no regular file",
    }


def test_one_document_a_line_in_flat_memory(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson"
    with path.open("wb") as file:
        file.write(json.dumps(document()).encode() + b"\n\nnonsense\n")
        file.write(b"x" * (8 * LIMIT_BYTES) + b"\n")
        file.write(json.dumps(document(B), ensure_ascii=False).replace("Caller", "Zo\u00eb").encode("latin-1") + b"\n")
    summary = run(api, "freeswitch-cdr", path)
    assert (summary.new, [refusal.where for refusal in summary.refused]) == (2, [f"{path}, line 3", f"{path}, line 4"])
    assert summary.warnings == ["1 × not UTF-8: unreadable bytes replaced"]


def test_an_empty_folder_is_most_likely_the_wrong_one(api: Api, tmp_path: Path) -> None:
    summary = run(api, "freeswitch-cdr", tmp_path)
    assert [refusal.reason for refusal in summary.refused] == ["there is no call record in it"]


def test_killed_again_and_again_it_leaves_what_an_undisturbed_run_leaves(
    api: Api, tmp_path: Path, database_url: str
) -> None:
    """Second legs come long before their first legs, in another transaction."""
    firsts = [document(f"a-{n}", start_epoch=str(freeswitch.START + n)) for n in range(CALLS)]
    seconds = [second(f"b-{n}", f"a-{n}", start_epoch=str(freeswitch.START + n)) for n in range(CALLS)]
    path = written_lines(tmp_path, *seconds, *firsts)
    command = importing(database_url, tmp_path, api.acme, "freeswitch-cdr", path)
    killed_and_repeated(command, random.sample(range(2 * CALLS), KILLS), lambda: len(shape(api, api.acme)))
    run(api, "freeswitch-cdr", path, customer=api.other)
    assert shape(api, api.acme) == shape(api, api.other)
    assert api.admin.get("/cdrs", limit=1).json["total"] == 2 * CALLS


def written_lines(folder: Path, *documents: dict[str, Any]) -> Path:
    return written(folder, *(json.dumps(each) + "\n" for each in documents), name="calls.ndjson")
