"""Finding and taking out one person in what records say."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.calls.persons import Person, mentioned, person

BOB = Person("number", "442079460123", "GB")
ANN = Person("email", "ann@example.com")


@pytest.mark.parametrize(
    "text",
    [
        "442079460123",
        "+44 20 7946 0123",
        "+44 (0)20 7946-0123",
        "0044 20 7946 0123",
        "(020) 7946 0123",
        "020 7946 0123, please call",
        "call 02079460123.",
        '"Bob" <442079460123>',
        "sip:+442079460123@gw.example;user=phone",
        "020 7946 01 2-3",
        "0 2 0 7 9 4 6 0 1 2 3",
        "https://shop.example/?tel=%2B442079460123&q=%20020%207946",
        "?tel=%20442079460123",
        "2026-11-22 020 7946 0123 2026-11-22 10:00",
    ],
)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert BOB.is_in(text)
    assert not BOB.is_in(BOB.redacted(text))
    assert "0123" not in BOB.redacted(text)


@pytest.mark.parametrize(
    "text", [None, "", "442079460124", "1442079460123", "4420794601235", "79460123", "2079460123 4", "20:79:46"]
)
def test_another_number_is_not(text: str | None) -> None:
    assert not BOB.is_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.com",
        "Ann <ANN@Example.COM>",
        "mailto:ann@example.com?subject=x",
        "ann@example.com.",
        "'ann@example.com'",
        "?email=ann@example.com&x=1",
        "{ann@example.com}",
        "ann%40example.com",
        "?to%3Dann%40example.com",
    ],
)
def test_an_address_is_found(text: str) -> None:
    assert ANN.is_in(text)
    assert "ann@" not in ANN.redacted(text).lower()


@pytest.mark.parametrize(
    "text",
    ["joann@example.com", "ann@example.com.pl", "ann@example.community", "x.ann@example.com", "o'ann@example.com"],
)
def test_another_address_is_not(text: str) -> None:
    assert not ANN.is_in(text)


def test_redacting_leaves_the_rest() -> None:
    assert BOB.redacted("Bob (020 7946 0123) or 020 7946 0124") == "Bob ([erased]) or 020 7946 0124"


def test_a_country_without_a_trunk_prefix() -> None:
    assert Person("number", "12025550100", "US").is_in("(202) 555-0100")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "+44 20 7946 0123", "442079460123"),
        ("number", "020 7946 0123", "442079460123"),
        ("number", "anonymous", None),
        ("number", "101", None),  # an extension is a user's
        ("email", " Ann@Example.com ", "ann@example.com"),
        ("email", "ann", None),
        ("email", "ann@example.com, bob@example.com", None),
    ],
)
def test_whom_a_request_names(kind: str, text: str, value: str | None) -> None:
    found = person(kind, text, "GB")  # type: ignore[arg-type]
    assert (found and found.value) == value


def test_a_national_form_of_another_country_is_another_number() -> None:
    """`202 555 0100` is dialled in the USA; the world dials +20 2555 0100 in Egypt so."""
    assert not Person("number", "12025550100", "GB").is_in("2025550100")
    assert Person("number", "12025550100", "CA").is_in("202 555 0100")
    assert Person("number", "12025550100", "GB").is_in("001 202 555 0100")


def test_what_somebody_made_up_to_cost_time_costs_none() -> None:
    for text in (
        "---".join("44207946012") + "---",
        "a" * 65_536,
        "1-" * 32_768,
        "ann@" * 16_384,
        "@" * 65_536,
        "+" * 65_536,
    ):
        begun = time.process_time()
        BOB.is_in(text)
        ANN.is_in(text)
        for _ in mentioned(text[:8_192], "GB"):
            pass
        assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "text",
    [
        "020 7946 0123 2026-11-22 10:00",
        "room 5, 442079460123 442079460124",
        "0 2 0 7 9 4 6 0 1 2 3",
        "?tel=%2B442079460123",
    ],
)
def test_a_number_among_other_digits_is_found_without_being_known(text: str) -> None:
    assert BOB.value in {each.value for each in mentioned(text, "GB")}


@pytest.mark.parametrize(
    "text", ["'ann@example.com'", "?email=Ann@example.com.", "to%3Dann%40example.com&", "x/ann@example.com-"]
)
def test_an_address_among_other_characters_is_found_without_being_known(text: str) -> None:
    assert ANN.value in {each.value for each in mentioned(text, "GB")}


@pytest.mark.parametrize("someone", [BOB, ANN])
def test_everybody_whom_a_text_names(someone: Person) -> None:
    text = "From ann@example.com: ring 020 7946 0123 or +44 20 7946 0124 on 2026-11-22"
    assert someone.value in {each.value for each in mentioned(text, "GB")}


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    assert not BOB.is_in(BOB.redacted(text))
    for each in mentioned(text, "GB"):
        assert each.value
