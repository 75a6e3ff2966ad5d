"""The number's field while somebody types, and the proof of work."""

import hashlib
from typing import Any

import pytest
from desk import KEY, Desk, configuration, texts
from visitor import Visit

Visits = Any
EN = texts("en")


@pytest.mark.parametrize(
    ("country", "typed", "shown"),
    [
        ("GB", "07911123456", "07911 123 456"),
        ("GB", "02079460000", "020 7946 0000"),
        ("US", "2125550123", "212 555 0123"),
        ("FR", "0612345678", "06 12 34 56 78"),
        ("FR", "612345678", "6 12 34 56 78"),
        ("PL", "601234567", "601 234 567"),
        ("DE", "(030) 123-456 abc", "0301 234 56"),
    ],
)
def test_digits_are_grouped_as_they_are_typed(visit: Visits, country: str, typed: str, shown: str) -> None:
    found: Visit = visit().go().open()
    found.dialog.get_by_label(EN["country"]).select_option(country)
    found.number.press_sequentially(typed)
    assert found.number.input_value() == shown


def test_the_caret_stays_where_one_types(visit: Visits) -> None:
    found: Visit = visit().go().open()
    found.number.press_sequentially("0791112345")
    for _ in range(5):
        found.page.keyboard.press("ArrowLeft")
    found.page.keyboard.type("99")
    assert found.number.input_value() == "07911 199 234 5"
    assert found.number.evaluate("(input) => input.selectionStart") == 9
    for _ in range(3):
        found.page.keyboard.press("Backspace")
    assert found.number.input_value() == "07911 234 5"


def test_delete_passes_a_gap(visit: Visits) -> None:
    found: Visit = visit().go().open()
    found.number.press_sequentially("07911123456")
    found.number.evaluate("(input) => input.setSelectionRange(5, 5)")
    found.page.keyboard.press("Delete")
    found.page.keyboard.press("Delete")
    assert found.number.input_value() == "07911 234 56"


@pytest.mark.parametrize(
    ("typed", "country"), [("+49 30 1", "DE"), ("0033612", "FR"), ("+1 416", "US"), ("+48", "PL"), ("+7 495", "GB")]
)
def test_an_international_number_chooses_its_country(visit: Visits, typed: str, country: str) -> None:
    found: Visit = visit().go().open()
    found.number.press_sequentially(typed)
    assert found.dialog.get_by_label(EN["country"]).input_value() == country


def test_countries_that_share_a_code_stay_as_chosen(visit: Visits) -> None:
    found: Visit = visit().go().open()
    found.dialog.get_by_label(EN["country"]).select_option("CA")
    found.number.press_sequentially("+1416")
    assert found.dialog.get_by_label(EN["country"]).input_value() == "CA"


def test_countries_have_the_names_of_the_culture(visit: Visits, desk: Desk) -> None:
    desk.config[KEY] = configuration("de")
    found: Visit = visit().go().open()
    names = found.dialog.get_by_label(texts("de")["country"]).locator("option").all_inner_texts()
    assert names == [
        "Deutschland (+49)",
        "Frankreich (+33)",
        "Kanada (+1)",
        "Polen (+48)",
        "Vereinigte Staaten (+1)",
        "Vereinigtes Königreich (+44)",
    ]


def test_one_country_needs_no_choice(visit: Visits, desk: Desk) -> None:
    desk.config[KEY] = configuration(countries=[["PL", "48"]], country=None)
    found: Visit = visit().go().open()
    assert found.dialog.get_by_role("combobox").count() == 0
    found.dialog.get_by_text("+48").wait_for()


@pytest.mark.parametrize(
    ("typed", "error"), [("", "empty"), ("12", "number"), ("+7 495 123 45 67", "country"), ("1" * 30, "number")]
)
def test_what_is_wrong_at_first_sight_is_said_at_once(visit: Visits, desk: Desk, typed: str, error: str) -> None:
    found: Visit = visit().go().open()
    found.number.press_sequentially(typed)
    found.press(EN["call"])
    found.dialog.get_by_role("alert").get_by_text(EN[f"error_{error}"]).wait_for()
    assert found.number.get_attribute("aria-invalid") == "true"
    found.has_focus("number")
    assert desk.requests == []
    found.number.press_sequentially("1")
    assert found.number.get_attribute("aria-invalid") == "false"


@pytest.mark.parametrize("length", [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 500])
def test_the_hash_is_sha_256(visit: Visits, desk: Desk, length: int) -> None:
    found: Visit = visit().go()
    text = "Ringback/" * 60
    words = found.evaluate(
        "async ([url, text]) => Array.from((await import(url + '/callme/v1/proof.js')).sha256(text))",
        [desk.url, text[:length]],
    )
    assert (
        b"".join((word & 0xFFFFFFFF).to_bytes(4) for word in words).hex()
        == hashlib.sha256(text[:length].encode()).hexdigest()
    )


@pytest.mark.parametrize("length", [1, 62, 63, 64, 127, 200])
def test_the_work_is_right_for_salts_of_any_length(visit: Visits, desk: Desk, length: int) -> None:
    found: Visit = visit().go()
    asked = (
        "async ([url, salt]) => (await (await import(url + '/callme/v1/proof.js')).solved({ salt, bits: 12 })).nonce"
    )
    nonce = found.evaluate(asked, [desk.url, "a" * length])
    assert int.from_bytes(hashlib.sha256(f"{'a' * length}:{nonce}".encode()).digest()) >> (256 - 12) == 0


def test_the_work_is_done_without_stopping_the_page(visit: Visits, desk: Desk) -> None:
    """It looks at the clock after each 64 tries; here that is a millisecond each time, so that no other work counts."""
    found: Visit = visit().go()
    turns, nonce = found.evaluate(
        """async ([url, salt]) => {
          const { solved } = await import(url + '/callme/v1/proof.js');
          const later = setTimeout;
          let now = 0, turns = 0;
          performance.now = () => now++;
          window.setTimeout = (...given) => { turns += 1; return later(...given) };
          const { nonce } = await solved({ salt, bits: 14 });
          return [turns, nonce];
        }""",
        [desk.url, "a" * 80],
    )
    assert int.from_bytes(hashlib.sha256(f"{'a' * 80}:{nonce}".encode()).digest()) >> (256 - 14) == 0
    assert turns >= int(nonce) // (64 * 20) > 1, "of the page, each after less than 20 ms"
