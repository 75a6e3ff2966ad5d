"""Asterisk's channel event log into CDRs: whole calls with all their hops, nothing twice, nothing lost."""

import csv
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.calls import events, ordered
from ringback.calls.events import Event
from ringback.calls.ledger import Ledger
from ringback.connectors.asterisk.cel import TYPES, Record
from ringback.connectors.dialling import Share
from ringback.connectors.settings import Connector, Rule
from ringback.errors import UsageError
from ringback.importers import cel_records, ledger_rows
from ringback.importers.asterisk_cel import STILL_UP_S
from ringback.importers.importer import Options
from tests.api import Api
from tests.importers.master_csv import line, run, shape, written

RECORDED = Path(__file__).parent / "ledger/cel"
"""What a real Asterisk 22 wrote of calls between 101 to 104, the world outside (`trunk`, `provider`) and its own services."""
SCENES = sorted(file.stem for file in RECORDED.glob("*.csv"))
NUL_LINE = b'"CHAN_START","1795345836.1","","","","","","","","PJSIP/1-\0","","","3","","1795345836.9","","","","",""\n'


def raw(*scenes: str) -> bytes:
    return b"".join((RECORDED / f"{scene}.csv").read_bytes() for scene in scenes)


def file(folder: Path, data: bytes, name: str = "Master.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def imported(api: Api, folder: Path, *scenes: str) -> list[dict[str, Any]]:
    """The CDRs that the calls become, each after the one that it came from."""
    summary = run(api, "asterisk-cel", file(folder, raw(*scenes)))
    assert (summary.refused, summary.known) == ([], 0)
    return api.admin.listed("/cdrs", sort="live_id", dir="ASC")


def tree(cdrs: Iterable[dict[str, Any]]) -> list[str]:
    """`type context disposition src>dst billsec`, below the hop that each came from."""
    depths: dict[int | None, int] = {None: -1}
    lines = []
    for cdr in cdrs:
        depth = depths[cdr["live_id"]] = depths[cdr["parent_live_id"]] + 1
        words = f"{cdr['type']} {cdr['context']} {cdr['disposition']} {cdr['src']}>{cdr['dst']} {cdr['billsec']}"
        lines.append("  " * depth + words)
    return lines


@contextmanager
def at(api: Api, now: int) -> Iterator[None]:
    """The importer's clock."""
    usual = api.services.clock
    object.__setattr__(api.services, "clock", lambda: now)
    try:
        yield
    finally:
        object.__setattr__(api.services, "clock", usual)


# -- of a PBX of several customers


@pytest.mark.parametrize("rule", [{"endpoint": "10"}, {"context": "internal"}, {"account": "a7"}])
def test_of_a_shared_pbx_each_customer_gets_its_own_calls_alone(api: Api, tmp_path: Path, rule: dict[str, str]) -> None:
    """By the same rules as while a call is up: whoever imports the log of all has no call of another one's."""
    data = raw("answered_internal").replace(b'"3","","', b'"3","a7","')
    pbx = Connector("office", "asterisk", "u", "s", customer=api.acme, rules=(Rule(api.other, **rule),))
    mine = run(api, "asterisk-cel", file(tmp_path, data), share=Share(pbx, api.acme))
    assert (mine.read, mine.warnings) == (0, ["1 × call of another customer of this PBX, left out"])
    assert api.admin.listed("/cdrs") == []
    theirs = run(api, "asterisk-cel", file(tmp_path, data), customer=api.other, share=Share(pbx, api.other))
    assert (theirs.new, theirs.warnings) == (1, [])


def test_of_a_shared_pbx_a_call_is_of_who_ordered_it(api: Api, tmp_path: Path) -> None:
    """It may go through no channel that a rule knows: a callback rings a visitor first, by the line of all."""
    log = raw("answered_internal")
    first = ordered.channel(api.other, 1_795_346_244, 7).encode()
    data = log.replace(b"1795345825.0", first)
    pbx = Connector("office", "asterisk", "u", "s", customer=api.acme, rules=(Rule(api.other, endpoint="acme-"),))
    mine = run(api, "asterisk-cel", file(tmp_path, data), share=Share(pbx, api.acme))
    theirs = run(api, "asterisk-cel", file(tmp_path, data), customer=api.other, share=Share(pbx, api.other))
    assert (mine.read, theirs.new) == (0, 1)
    records = written(tmp_path, line(uniqueid=first.decode()))
    assert run(api, "asterisk-cdr", records, share=Share(pbx, api.acme)).read == 0


def test_so_does_a_file_of_call_records_where_endpoints_say_whose_they_are(api: Api, tmp_path: Path) -> None:
    lines = [line(), line(channel="PJSIP/acme-101-0000001c", uniqueid="1795341600.28")]
    pbx = Connector("office", "asterisk", "u", "s", customer=api.acme, rules=(Rule(api.other, endpoint="acme-"),))
    for customer in (api.acme, api.other):
        summary = run(api, "asterisk-cdr", written(tmp_path, *lines), customer=customer, share=Share(pbx, customer))
        assert (summary.new, summary.warnings) == (1, ["1 × call of another customer of this PBX, left out"])
    by_context = replace(pbx, rules=(Rule(api.other, context="acme"),))
    with pytest.raises(UsageError, match="import asterisk-cel"):
        run(api, "asterisk-cdr", written(tmp_path, *lines), share=Share(by_context, api.acme))


# -- what calls become


def test_a_call_between_colleagues(api: Api, tmp_path: Path) -> None:
    (cdr,) = imported(api, tmp_path, "answered_internal")
    assert (cdr["type"], cdr["destination"], cdr["disposition"]) == ("O", "out", "CONNECTED")
    assert (cdr["src"], cdr["src_id"], cdr["dst"]) == ("101", str(api.admin.user_id), "102")
    assert (cdr["calldate"], cdr["duration"], cdr["billsec"]) == ("2026-11-22 11:10:25", 2, 2)
    assert (cdr["clid"], cdr["t_cause"], cdr["is_root"]) == ('"Ann" <101>', "Normal Clearing", True)


def test_outside_numbers_are_read_where_they_are_dialled(api: Api, tmp_path: Path) -> None:
    (cdr,) = imported(api, tmp_path, "answered_outbound")
    assert (cdr["type"], cdr["dst"], cdr["dst_id"], cdr["user_id"]) == ("O", "447700900456", "0", api.admin.user_id)


def test_a_cancelled_call_is_missed(api: Api, tmp_path: Path) -> None:
    (cdr,) = imported(api, tmp_path, "cancelled")
    assert (cdr["type"], cdr["disposition"], cdr["billsec"]) == ("M", "RINGING", 0)
    assert (cdr["src"], cdr["src_name"], cdr["dst"]) == ("447700900123", "Outside", "442079460101")
    assert (cdr["user_id"], cdr["dst_id"]) == (api.admin.user_id, str(api.admin.user_id))


def test_the_members_of_a_ring_group(api: Api, tmp_path: Path) -> None:
    """One answered; the others have missed nothing."""
    cdrs = imported(api, tmp_path, "ring_group")
    assert tree(cdrs) == [
        "I RG-300 CONNECTED 447700900123>442079460300 1",
        "  I PSTN_CALL RINGING 447700900123>101 0",
        "  I PSTN_CALL CONNECTED 447700900123>102 1",
        "  I PSTN_CALL RINGING 447700900123>103 0",
    ]
    assert [cdr["t_cause"] for cdr in cdrs[1:]] == ["Answered elsewhere", "Normal Clearing", "Answered elsewhere"]
    assert [cdr["user_id"] for cdr in cdrs[1:]] == [api.admin.user_id, api.reception.user_id, api.ann.user_id]
    assert len({cdr["root_live_id"] for cdr in cdrs}) == 1


def test_a_menu_and_whom_it_led_to(api: Api, tmp_path: Path) -> None:
    assert tree(imported(api, tmp_path, "menu_to_phone")) == [
        "I IVR CONNECTED 447700900123>442079460500 6",
        "  I PSTN_CALL CONNECTED 447700900123>101 1",
    ]


def test_a_queue_its_members_and_how_long_one_waited(api: Api, tmp_path: Path) -> None:
    queue_id = api.admin.post("/queues", {"name": "Support", "number": "400"}).data["id"]
    cdrs = imported(api, tmp_path, "queue_retries")
    assert tree(cdrs) == [
        "O QUEUE CONNECTED 101>400 1",
        "  I USER_LOCAL CONNECTED 101>102 1",
        "  M USER_LOCAL RINGING 101>103 0",
    ]
    assert (cdrs[0]["dst_id"], cdrs[0]["info"], cdrs[1]["info"]) == (f"Queue{queue_id}", "waited 6 s", "rang 2 times")


def test_a_mailbox(api: Api, tmp_path: Path) -> None:
    assert tree(imported(api, tmp_path, "voicemail_after_no_answer")) == [
        "M PSTN_CALL RINGING 447700900123>442079460201 0",
        "  M VOICEMAIL VM 447700900123>201 4",
    ]


def test_a_call_sent_on_to_a_mobile_goes_on_the_account_of_whoever_sent_it(api: Api, tmp_path: Path) -> None:
    cdrs = imported(api, tmp_path, "blind_to_mobile")
    assert tree(cdrs) == ["O USER_LOCAL CONNECTED 104>101 1", "  O PSTN_CALL CONNECTED 104>447700900456 2"]
    assert (cdrs[1]["user_id"], cdrs[1]["src_id"]) == (api.admin.user_id, str(api.bob.user_id))
    assert cdrs[1]["info"] == "transferred by 101"


def test_an_attended_transfer(api: Api, tmp_path: Path) -> None:
    """The call, the question, and those two who talk at the end."""
    assert tree(imported(api, tmp_path, "attended_by_callee")) == [
        "I PSTN_CALL CONNECTED 447700900123>442079460101 3",
        "  O USER_LOCAL CONNECTED 101>102 1",
        "  I PSTN_CALL CONNECTED 447700900123>102 2",
    ]


def test_the_agent_who_talks_at_the_end(api: Api, tmp_path: Path) -> None:
    assert tree(imported(api, tmp_path, "queue_agent_transfers_attended")) == [
        "I QUEUE CONNECTED 447700900123>442079460400 2",
        "  I PSTN_CALL CONNECTED 447700900123>102 2",
        "    O USER_LOCAL CONNECTED 102>104 1",
        "    I PSTN_CALL CONNECTED 447700900123>104 2",
    ]


def test_a_forwarded_call(api: Api, tmp_path: Path) -> None:
    assert tree(imported(api, tmp_path, "forward_by_phone_to_mobile")) == [
        "I PSTN_CALL INITIAL 447700900123>442079460110 0",
        "  I FOLLOW_ME CONNECTED 447700900123>447700900456 2",
    ]


def test_a_call_that_a_colleague_picked_up(api: Api, tmp_path: Path) -> None:
    cdrs = imported(api, tmp_path, "picked_up")
    assert tree(cdrs) == [
        "I PSTN_CALL RINGING 447700900123>442079460101 0",
        "  I PSTN_CALL CONNECTED 447700900123>102 2",
    ]
    assert [cdr["user_id"] for cdr in cdrs] == [api.admin.user_id, api.reception.user_id]


def test_each_who_meets_in_a_conference_has_a_call(api: Api, tmp_path: Path) -> None:
    cdrs = imported(api, tmp_path, "conference_of_three")
    assert [cdr["context"] for cdr in cdrs if cdr["is_root"]] == ["CONFERENCE"] * 3


# -- nothing twice, nothing lost


def test_a_second_import_changes_nothing(api: Api, tmp_path: Path) -> None:
    path = file(tmp_path, raw(*SCENES))
    first = run(api, "asterisk-cel", path)
    was = shape(api, api.acme)
    again = run(api, "asterisk-cel", path)
    assert (again.new, again.known, again.refused) == (0, first.new, [])
    assert shape(api, api.acme) == was


def test_a_file_that_has_grown_brings_what_is_new(api: Api, tmp_path: Path) -> None:
    """Also the calls that were up when it was read before."""
    whole = raw(*SCENES)
    lines = whole.splitlines(keepends=True)
    other = run(api, "asterisk-cel", file(tmp_path, whole), customer=api.stranger.customer_id)
    for part in range(0, len(lines), 40):
        with at(api, _at(lines[part])):
            run(api, "asterisk-cel", file(tmp_path, b"".join(lines[:part])))
    last = run(api, "asterisk-cel", file(tmp_path, whole))
    assert last.refused == []
    assert shape(api, api.acme) == shape(api, api.stranger.customer_id)
    assert other.new == len(shape(api, api.acme))


def _at(line: bytes) -> int:
    return int(float(line.split(b'","')[1]))


def test_a_call_that_has_not_ended_is_left_for_a_day(api: Api, tmp_path: Path) -> None:
    torn = b"".join(raw("answered_internal").splitlines(keepends=True)[:6])
    path = file(tmp_path, torn)
    with at(api, 1_795_345_830):
        summary = run(api, "asterisk-cel", path)
    assert (summary.new, summary.warnings) == (0, ["1 × call that had not ended, left for the next import"])
    with at(api, 1_795_345_830 + STILL_UP_S):
        assert run(api, "asterisk-cel", path).new == 1
    (cdr,) = api.admin.listed("/cdrs")
    assert cdr["info"] == "incomplete: its end was not seen"


def test_a_restart_of_the_pbx_ends_what_was_up(api: Api, tmp_path: Path) -> None:
    """Asterisk counts its channels anew."""
    up = raw("answered_outbound").splitlines(keepends=True)[:6]
    fresh = [
        text.replace(b"1795345825.", b"1795349999.") for text in raw("answered_internal").splitlines(keepends=True)
    ]
    with at(api, 1_795_350_000):
        summary = run(api, "asterisk-cel", file(tmp_path, b"".join([*up, *fresh])))
    assert summary.new == 2
    assert [cdr["info"] for cdr in api.admin.listed("/cdrs", sort="id", dir="ASC")] == [
        "incomplete: the PBX was restarted",
        None,
    ]


CDR = line(uniqueid="1795345836.6", start="2026-11-22 11:10:36", channel="PJSIP/101-00000006", dst="07700900456")


def test_a_call_that_came_as_a_cdr_does_not_come_again(api: Api, tmp_path: Path) -> None:
    assert run(api, "asterisk-cdr", written(tmp_path, CDR)).new == 1
    summary = run(api, "asterisk-cel", file(tmp_path, raw("answered_outbound", "answered_internal"), "cel.csv"))
    assert (summary.new, summary.known) == (1, 1)
    assert run(api, "asterisk-cdr", written(tmp_path, CDR)).new == 0


def test_nor_a_cdr_of_a_call_that_is_here(api: Api, tmp_path: Path) -> None:
    assert run(api, "asterisk-cel", file(tmp_path, raw("answered_outbound"), "cel.csv")).new == 1
    summary = run(api, "asterisk-cdr", written(tmp_path, CDR))
    assert (summary.new, summary.known) == (0, 1)


# -- the forms of a file


TABLE = cel_records.FORMS[2]
FREEPBX = cel_records.FORMS[3]


def in_form(names: Iterable[str], scene: str, folder: Path, *, header: bool = False, wall: bool = False) -> Path:
    """The recording as a dump of a table with these columns."""
    path = folder / f"{scene}-{len(tuple(names))}.csv"
    with path.open("w", newline="") as made:
        writer = csv.writer(made)
        if header:
            writer.writerow(names)
        for number, cells in enumerate(csv.reader(raw(scene).decode().splitlines())):
            given = dict(zip(cel_records.SAMPLE, cells, strict=True), id=str(number))
            if wall:
                given["eventtime"] = _wall(given["eventtime"])
            writer.writerow([given.get(name, "") for name in names])
    return path


def _wall(epoch: str) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(float(epoch), UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("names", cel_records.FORMS[1:], ids=lambda names: str(len(names)))
def test_dumps_of_tables(api: Api, tmp_path: Path, names: tuple[str, ...], header: bool) -> None:
    scene = "ring_group"
    assert run(api, "asterisk-cel", file(tmp_path, raw(scene)), customer=api.stranger.customer_id).new == 4
    summary = run(api, "asterisk-cel", in_form(names, scene, tmp_path, header=header, wall=True))
    assert (summary.new, summary.refused) == (4, [])
    assert shape(api, api.acme) == shape(api, api.stranger.customer_id)


def test_other_columns_are_named(api: Api, tmp_path: Path) -> None:
    names = ("uniqueid", "linkedid", "eventtype", "eventtime", "channame", "extra", "exten", "cid_num", "appname")
    path = in_form(names, "answered_internal", tmp_path)
    assert run(api, "asterisk-cel", path, columns=names).new == 1
    with pytest.raises(UsageError, match="there is no column 'colour'"):
        run(api, "asterisk-cel", path, columns=("colour", *names))
    with pytest.raises(UsageError, match="the column eventtime is missing"):
        run(api, "asterisk-cel", path, columns=("eventtype", "uniqueid", "channame"))


def test_tables_may_hold_the_number_of_an_event(api: Api, tmp_path: Path) -> None:
    path = in_form(FREEPBX, "answered_internal", tmp_path)
    text = path.read_text()
    for name in sorted(TYPES, key=len, reverse=True):
        text = text.replace(f",{name},", f",{TYPES.index(name)},")
    path.write_text(text)
    assert run(api, "asterisk-cel", path).new == 1


def test_the_clock_on_the_wall(api: Api, tmp_path: Path) -> None:
    path = in_form(TABLE, "answered_internal", tmp_path, wall=True)
    assert run(api, "asterisk-cel", path, time_zone="Asia/Tokyo").new == 1
    assert api.admin.listed("/cdrs")[0]["calldate"] == "2026-11-22 02:10:25"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1795345825.5", 1795345825.5),
        ("1795345825", 1795345825),
        ("2026-11-22 11:10:25.123456", 1795345825.123456),
        ("2026-11-22T11:10:25Z", 1795345825),
        ("2026-11-22 12:10:25+01", 1795345825),
        ("2026-11-22 05:40:25.5-05:30", 1795345825.5),
    ],
)
def test_times(text: str, seconds: float) -> None:
    line = raw("answered_internal").splitlines()[0].replace(b"1795345825.", b"@", 1)
    cells = line.split(b'","')
    cells[1] = text.encode()
    (record,) = cel_records.parse([b'","'.join(cells)], Options())
    assert isinstance(record, Record)
    assert record.at_us == round(seconds * 1_000_000)


# -- hostile files


def test_what_cannot_be_read_is_refused_and_costs_nobody_else(api: Api, tmp_path: Path) -> None:
    good = raw("answered_internal").splitlines(keepends=True)
    bad = [
        b"rubbish\n",
        good[0].replace(b"1795345825.", b"yesterday", 1),
        NUL_LINE,
        b'"CHAN_START","1795345836.1","","","","","","","","","","","3","","","","","","",""\n',
        b'"' + b"x" * 70_000 + b'"\n',
        b'"' + b"\xff" * 100 + b'","open quote\n',
    ]
    mixed = [each for pair in zip(good, [*bad, *[b""] * len(good)], strict=False) for each in pair]
    summary = run(api, "asterisk-cel", file(tmp_path, b"".join(mixed)))
    assert summary.new == 1
    assert [each.reason for each in summary.refused] == [
        "1 columns instead of 20",
        "eventtime is no possible time",
        "holds a NUL byte",
        "names no channel",
        "longer than 64 KiB",
        "a quote is not closed",
    ]


def test_names_with_commands_in_them_stay_text(api: Api, tmp_path: Path) -> None:
    evil = raw("ring_group").replace(b'"Outside"', b'"<b>=cmd\r\n\'; DROP TABLE cdrs; --\xff"')
    assert run(api, "asterisk-cel", file(tmp_path, evil)).new == 4
    cdr = api.admin.listed("/cdrs")[0]
    assert cdr["src_name"] == "<b>=cmd '; DROP TABLE cdrs; --\ufffd"


@pytest.mark.parametrize(
    "extra",
    ["{", "[" * 5000, '{"hangupcause":"16"}', '{"hangupcause":1e999}', "null", '{"bridge_id":{}}', "x" * 20_000],
)
def test_odd_extras(api: Api, tmp_path: Path, extra: str) -> None:
    text = raw("answered_internal").decode()
    rows = [[*cells[:19], extra] for cells in csv.reader(text.splitlines())]
    path = tmp_path / "cel.csv"
    with path.open("w", newline="") as made:
        csv.writer(made).writerows(rows)
    assert run(api, "asterisk-cel", path).new == 1


def test_random_bytes(api: Api, tmp_path: Path) -> None:
    chance = random.Random(7)
    data = bytearray(raw(*SCENES))
    for _ in range(400):
        data[chance.randrange(len(data))] = chance.randrange(256)
    summary = run(api, "asterisk-cel", file(tmp_path, bytes(data)))
    assert summary.new
    assert run(api, "asterisk-cel", file(tmp_path, bytes(data))).new == 0


# -- size


def many(folder: Path, calls: int) -> Path:
    path = folder / f"cel-{calls}.csv"
    one = raw("answered_outbound")
    with path.open("wb") as made:
        for number in range(calls):
            made.write(one.replace(b"1795345836.", f"17953{number:06}.1".encode()))
    return path


PEAK = """
import sys, resource
from ringback.importers import asterisk_cel
from ringback.importers.importer import Options, Summary
with open(sys.argv[1], "rb") as file:
    rows = sum(1 for _ in asterisk_cel.folded(asterisk_cel.translated(file, Options()), Options(), 2_000_000_000, Summary()))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_is_flat(tmp_path: Path) -> None:
    """The ids of what is over are remembered, up to a number of them."""
    peaks = []
    for calls in (10_000, 60_000):
        told = subprocess.run(
            [sys.executable, "-c", PEAK, many(tmp_path, calls)], capture_output=True, text=True, check=True
        )
        rows, peak_kib = map(int, told.stdout.split())
        assert rows == calls
        peaks.append(peak_kib)
    assert peaks[1] - peaks[0] < 20 * 1024


def test_whatever_a_connection_tells_is_text_that_fits() -> None:
    """AMI's values are not cleaned on their way to the ledger."""
    evil = "\r\n\x00<b>" + "x" * 100_000
    ledger = Ledger()
    facts: list[events.Fact] = [
        events.Started(evil, evil, evil, evil),
        events.Described(evil, evil, evil),
        events.ApplicationEntered("Dial", evil, evil),
        events.HungUp(),
    ]
    found = [Event(at, f"1.1{evil}", f"1.1{evil}", f"PJSIP/{evil}", fact) for at, fact in enumerate(facts)]
    (call,) = [call for event in found for call in ledger.take(event)]
    for row in ledger_rows.rows(call, Options()):
        texts = [value for value in row if isinstance(value, str)]
        assert texts
        assert all(text.isprintable() and len(text) <= 255 for text in texts)
