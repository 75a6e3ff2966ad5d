"""Asterisk's own call records beside its channel events: whatever the events told of brings nothing more, what they missed comes in.

`ledger/records`: what one Asterisk 22 wrote of a call as channel events (`.cel.csv`), as call records (`.cdr.csv`, with
`newcdrcolumns`), and told of some live (`.ami`).
"""

import csv
from pathlib import Path

import pytest

from ringback.connectors.book import Book
from ringback.connectors.dialling import Share
from ringback.connectors.settings import Connector, Rule
from ringback.importers.importer import Summary
from ringback.store import cdrs as stored_cdrs
from tests.api import Api
from tests.importers.master_csv import run, stored, written
from tests.test_book import rounds, take
from tests.test_connector_memory import opened

RECORDED = Path(__file__).parent / "ledger/records"
SCENES = sorted(file.name.removesuffix(".cdr.csv") for file in RECORDED.glob("*.cdr.csv"))
LIVE = sorted(file.stem for file in RECORDED.glob("*.ami"))
WITH_LINKEDID, STOCK, BARE = None, 18, 16
"""How many columns the file has: all; those that Asterisk's sample of `cdr.conf` has; none that names a channel."""


def events(scene: str) -> Path:
    return RECORDED / f"{scene}.cel.csv"


def records(folder: Path, *scenes: str, columns: int | None = STOCK) -> Path:
    path = folder / "cdr.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for scene in scenes:
            with (RECORDED / f"{scene}.cdr.csv").open(newline="") as source:
                writer.writerows(cells[:columns] for cells in csv.reader(source))
    return path


def lived(api: Api, folder: Path, text: str) -> Book:
    book = opened(api, folder)
    take(book, text)
    rounds(book)
    return book


def told(scene: str) -> str:
    return (RECORDED / f"{scene}.ami").read_text()


def here(api: Api) -> list[tuple[object, ...]]:
    return stored(api, "source_key, is_root, src, dst, billsec, charge")


def nothing_new(api: Api, path: Path) -> Summary:
    """It may be imported again and again."""
    before = here(api)
    for _ in range(2):
        summary = run(api, "asterisk-cdr", path)
        assert (summary.new, summary.known, summary.refused) == (0, summary.read, [])
    assert here(api) == before
    return summary


@pytest.mark.parametrize("columns", [WITH_LINKEDID, STOCK])
@pytest.mark.parametrize("scene", SCENES)
def test_records_of_a_call_whose_events_were_imported_add_nothing(
    api: Api, tmp_path: Path, scene: str, columns: int | None
) -> None:
    """However many channels it went through, and whichever of them a record names."""
    assert run(api, "asterisk-cel", events(scene)).new > 0
    assert nothing_new(api, records(tmp_path, scene, columns=columns)).read > 0


@pytest.mark.parametrize("columns", [WITH_LINKEDID, STOCK])
@pytest.mark.parametrize("scene", LIVE)
def test_nor_do_those_of_a_call_that_was_told_live(api: Api, tmp_path: Path, scene: str, columns: int | None) -> None:
    lived(api, tmp_path, told(scene))
    assert nothing_new(api, records(tmp_path, scene, columns=columns)).read > 1


@pytest.mark.parametrize("columns", [WITH_LINKEDID, STOCK])
@pytest.mark.parametrize("scene", SCENES)
def test_events_of_a_call_whose_records_were_imported_add_nothing(
    api: Api, tmp_path: Path, scene: str, columns: int | None
) -> None:
    run(api, "asterisk-cdr", records(tmp_path, scene, columns=columns))
    before = here(api)
    summary = run(api, "asterisk-cel", events(scene))
    assert (summary.new, summary.known) == (0, summary.read)
    if scene in LIVE:
        lived(api, tmp_path, told(scene))
    assert here(api) == before


def test_of_a_file_the_calls_that_nobody_told_of_come_in(api: Api, tmp_path: Path) -> None:
    """Two calls were told live, one while nobody listened."""
    for scene in LIVE:
        lived(api, tmp_path, told(scene))
    before = here(api)
    run(api, "asterisk-cdr", records(tmp_path, LIVE[0], "forward_to_mobile", LIVE[1]))
    added = [row[2:4] for row in here(api)[len(before) :]]
    assert added == [("447700900123", "830"), ("447700900123", "447700900456")]


def test_a_call_that_was_up_when_the_connection_broke_stays_as_far_as_it_was_told(api: Api, tmp_path: Path) -> None:
    """What its channels went on to do brings nothing; the call that was begun meanwhile, to ask 102, comes in."""
    lines = told("attended_by_callee").split("\n\n")
    asked = next(n for n, text in enumerate(lines) if "Channel: PJSIP/101-00000098" in text)
    book = lived(api, tmp_path, "\n\n".join(lines[:asked]) + "\n\n")
    book.missed(list(book.open_legs().values()), book.last_us)
    rounds(book)
    (first,) = stored(api, "uniqueid, info, dst")
    assert first == ("1795409816.180", "incomplete: its end was not seen", "442079460101")
    path = records(tmp_path, "attended_by_callee")
    assert (run(api, "asterisk-cdr", path).new, run(api, "asterisk-cdr", path).new) == (1, 0)
    assert stored(api, "uniqueid, src, dst")[1:] == [("1795409818.182", "101", "102")]


def test_what_was_not_told_to_its_end_is_put_right_by_events_with_all_its_channels(api: Api, tmp_path: Path) -> None:
    lines = told("attended_by_callee").split("\n\n")
    asked = next(n for n, text in enumerate(lines) if "Channel: PJSIP/101-00000098" in text)
    book = lived(api, tmp_path, "\n\n".join(lines[:asked]) + "\n\n")
    book.missed(list(book.open_legs().values()), book.last_us)
    rounds(book)
    assert run(api, "asterisk-cel", events("attended_by_callee")).changed == 1
    nothing_new(api, records(tmp_path, "attended_by_callee"))


def test_records_that_name_no_channel_are_taken_and_that_is_said(api: Api, tmp_path: Path) -> None:
    path = records(tmp_path, "blind_by_caller", columns=BARE)
    assert run(api, "asterisk-cdr", path, customer=api.other).warnings == []
    run(api, "asterisk-cel", events("blind_by_caller"))
    summary = run(api, "asterisk-cdr", path)
    assert (summary.new, summary.warnings) == (
        2,
        ["2 × no uniqueid: taken, though channel events may have brought the call"],
    )


def test_on_a_shared_pbx_a_record_of_another_ones_call_adds_nothing(api: Api, tmp_path: Path) -> None:
    """The second half of a forwarded call names nobody's endpoint: by the rules alone it would be that of whoever has the rest."""
    pbx = Connector("office", "asterisk", "u", "s", customer=api.acme, rules=(Rule(api.other, endpoint="trunk"),))
    path = records(tmp_path, "forward_to_mobile")
    cel = events("forward_to_mobile")
    assert run(api, "asterisk-cel", cel, customer=api.other, share=Share(pbx, api.other)).new == 2
    for customer in (api.acme, api.other):
        summary = run(api, "asterisk-cdr", path, customer=customer, share=Share(pbx, customer))
        assert (summary.new, summary.known) == (0, 1)


def test_where_a_call_was_deleted_its_records_come_in(api: Api, tmp_path: Path) -> None:
    run(api, "asterisk-cel", events("attended_by_callee"))
    ids = [row[0] for row in stored(api, "id")]
    api.write(lambda db: stored_cdrs.delete(db, api.acme, ids))
    assert api.services.database.read(lambda db: db.all("SELECT * FROM cdr_channels")) == []
    assert run(api, "asterisk-cdr", records(tmp_path, "attended_by_callee")).new == 3


def test_a_plain_call_keeps_no_further_channels(api: Api, tmp_path: Path) -> None:
    """Nearly all are: one channel called another, and no record names the second alone."""
    cel = Path(__file__).parent / "ledger/cel/answered_internal.csv"
    assert run(api, "asterisk-cel", written(tmp_path, cel.read_text())).new == 1
    assert api.services.database.read(lambda db: db.all("SELECT * FROM cdr_channels")) == []
