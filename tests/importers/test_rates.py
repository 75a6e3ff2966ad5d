"""A carrier's rate deck: its wordings, its prefixes, exact prices, and what a second run does."""

import random
from pathlib import Path

import pytest

from ringback.calls.rating import Rate
from ringback.errors import UsageError
from ringback.importers import Summary, rates
from ringback.importers.importer import Unusable
from ringback.importers.rates import prefixes_of
from ringback.store import rates as store
from tests.api import Api
from tests.child import importing, killed_and_repeated
from tests.importers.master_csv import run, written


def imported(api: Api, folder: Path, *lines: str, customer: int | None = None) -> Summary:
    path = written(folder, *(f"{line}\n" for line in lines), name="deck.csv")
    return run(api, "rates", path, customer=customer)


def deck(api: Api, customer: int | None = None) -> dict[str, Rate]:
    sql = "SELECT prefix, destination, price_micro, minimum_s, increment_s FROM rates WHERE customer_id = :customer"
    found = api.services.database.read(lambda db: db.all(sql, {"customer": customer or api.acme}))
    return {row[0]: Rate(*row) for row in found}


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("prefix,destination,price,minimum,increment", "447,UK mobile,0.0125,30,6"),
        ("Prefix;Destination;Price;Increment", "447;UK mobile;0,0125;30/6"),
        ("Dial Code\tDescription\tRate per minute (USD)\tMin\tInterval", "+44 7\tUK mobile\t$0.0125\t30\t6"),
        ("CODE;NAME;PRICE/MIN EUR;CONNECT MINIMUM;STEP", "00447;UK mobile;€ 0,0125;30 s;6 sec"),
        ("Destination,Country,Codes,Price Per Min,Billing Increment", "UK mobile,United Kingdom,44-7,.012500,30/6"),
        ('"prefix","destination","price","increment"', '"447","UK mobile","0,0125","30/6"'),
    ],
)
def test_decks_are_read_in_the_usual_wordings(api: Api, tmp_path: Path, header: str, line: str) -> None:
    summary = imported(api, tmp_path, header, line)
    assert (summary.read, summary.new, summary.refused) == (1, 1, [])
    assert deck(api) == {"447": Rate("447", "UK mobile", 12_500, 30, 6)}


def test_without_terms_a_call_is_billed_by_the_second(api: Api, tmp_path: Path) -> None:
    imported(api, tmp_path, "prefix,destination,price", "44,UK,0.000001")
    assert deck(api)["44"] == Rate("44", "UK", 1, 0, 1)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("4420", ["4420"]),
        ("+44 20", ["4420"]),
        ("44-20", ["4420"]),
        ("1 (242)", ["1242"]),
        ("4420, 4421;4422|4423/4424", ["4420", "4421", "4422", "4423", "4424"]),
        ("9370-9372", ["9370", "9371", "9372"]),
        ("9370 - 9371, 93799", ["9370", "9371", "93799"]),
        ("44-20; 44-21", ["4420", "4421"]),
    ],
)
def test_a_cell_may_have_several_prefixes(cell: str, expected: list[str]) -> None:
    assert prefixes_of(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "",
        ";",
        "44-20;21",
        "4420 4421",
        "x",
        "0",
        "044",
        "4.42E+11",
        "4" * 16,
        "100000-999999",
        "٤٤",
        "44;UK",
        "-44",
        "44-",
    ],
)
def test_prefixes_that_are_none_or_mean_two_things_are_refused(cell: str) -> None:
    with pytest.raises(Unusable, match="prefix"):
        prefixes_of(cell)


def test_what_cannot_be_used_is_told_by_its_line_and_the_rest_goes_in(api: Api, tmp_path: Path) -> None:
    summary = imported(
        api,
        tmp_path,
        "prefix,destination,price,minimum,increment",
        "44,UK,0.01,60,60",
        "45,,0.01,1,1",
        "46,Sweden,,1,1",
        "47,Norway,-0.01,1,1",
        "48,Poland,0.0123456,1,1",
        "49,Germany,0.01,1,0",
        "51,Peru,0.01,one,1",
        "52,Mexico,0.01,30,60/60",
        "53,Cuba,0.01,1",
        "55,Bra\0zil,0.01,1,1",
        "43,Austria,0.02,1,1",
    )
    assert (summary.read, summary.new, summary.refused_in_all) == (11, 2, 9)
    assert [(refusal.where, refusal.reason) for refusal in summary.refused] == [
        ("line 3", "destination is missing"),
        ("line 4", "price is missing"),
        ("line 5", "a price is digits with one decimal point or comma, and not negative"),
        ("line 6", "a price has at most 6 decimals"),
        ("line 7", "minimum and increment are at most 86400 seconds, the increment 1 or more"),
        ("line 8", "minimum 'one' is no number of seconds"),
        ("line 9", "minimum 30 and increment 60/60 contradict each other"),
        ("line 10", "4 columns instead of 5"),
        ("line 11", "holds a NUL byte"),
    ]
    assert set(deck(api)) == {"43", "44"}


def test_a_file_without_prefixes_is_no_deck(api: Api, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="prefix"):
        imported(api, tmp_path, "a,b,c", "1,2,3")


def test_of_a_prefix_that_stands_twice_the_last_line_counts_and_is_told(api: Api, tmp_path: Path) -> None:
    lines = ("prefix,destination,price", "44;45,One,1", "44,Two,2", "44,Three,3")
    summary = imported(api, tmp_path, *lines)
    assert deck(api)["44"].destination == "Three"
    assert summary.warnings == ["1 × prefix 44 stands twice: line 4 counts"]
    again = imported(api, tmp_path, *lines)
    assert (again.new, again.changed, again.known) == (0, 0, 2)


def test_a_new_deck_changes_what_it_names_and_leaves_the_rest(api: Api, tmp_path: Path) -> None:
    first = imported(api, tmp_path, "prefix,destination,price", "44,UK,1", "45,Denmark,1", "46,Sweden,1")
    assert (first.new, first.changed, first.known) == (3, 0, 0)
    second = imported(api, tmp_path, "prefix,destination,price", "44,UK,1", "45,Denmark,2", "47,Norway,1")
    assert (second.new, second.changed, second.known) == (1, 1, 1)
    assert {prefix: rate.price_micro for prefix, rate in deck(api).items()} == {
        "44": 1_000_000,
        "45": 2_000_000,
        "46": 1_000_000,
        "47": 1_000_000,
    }


def test_each_customer_has_a_deck_of_its_own(api: Api, tmp_path: Path) -> None:
    imported(api, tmp_path, "prefix,destination,price", "44,UK,1")
    assert imported(api, tmp_path, "prefix,destination,price", "44,UK,2", customer=api.other).new == 1
    assert deck(api)["44"].price_micro == 1_000_000
    assert deck(api, api.other)["44"].price_micro == 2_000_000


def test_with_the_first_rate_there_is_a_balance(api: Api, tmp_path: Path) -> None:
    assert api.admin.get("/me").data["balance"] is None
    imported(api, tmp_path, "prefix,destination,price", "44,UK,1")
    assert api.admin.get("/me").data["balance"] == 0
    assert api.stranger.get("/me").data["balance"] is None


def test_a_few_numbers_are_rated_without_the_whole_deck(api: Api, tmp_path: Path) -> None:
    imported(api, tmp_path, "prefix,destination,price", "44,UK,1", "4420,London,2", "45,Denmark,3")
    few = api.services.database.read(lambda db: store.deck_for(db, api.acme, ["442079460000"]))
    whole = api.services.database.read(lambda db: store.deck_for(db, api.acme, [str(10**9 + n) for n in range(300)]))
    assert (len(few), len(whole)) == (2, 3)
    found = few.find("442079460000")
    assert found is not None
    assert found.destination == "London"


def test_killed_on_the_way_it_is_made_whole_by_the_next_run(api: Api, tmp_path: Path, database_url: str) -> None:
    many = [
        f"{prefix},Place {prefix},0.{prefix % 1000:03}1" for prefix in range(1_000_000, 1_000_000 + 5 * rates.BATCH)
    ]
    path = written(tmp_path, *(f"{each}\n" for each in ("prefix,destination,price", *many)), name="deck.csv")
    command = importing(database_url, tmp_path, api.acme, "rates", path)
    killed_and_repeated(command, [random.randrange(4 * rates.BATCH)], lambda: len(deck(api)))
    run(api, "rates", path, customer=api.other)
    assert deck(api) == deck(api, api.other)
    assert len(deck(api)) == len(many)
