"""Finding and taking out one person in what records say."""

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
    "text", ["ann@example.com", "Ann <ANN@Example.COM>", "mailto:ann@example.com?subject=x", "ann@example.com."]
)
def test_an_address_is_found(text: str) -> None:
    assert ANN.is_in(text)
    assert "ann@" not in ANN.redacted(text).lower()


@pytest.mark.parametrize(
    "text", ["joann@example.com", "ann@example.com.pl", "ann@example.community", "x.ann@example.com"]
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


@pytest.mark.parametrize("someone", [BOB, ANN])
def test_everybody_whom_a_text_names(someone: Person) -> None:
    text = "From ann@example.com: ring 020 7946 0123 or +44 20 7946 0124 on 2026-11-22"
    assert someone.value in {each.value for each in mentioned(text, "GB")}


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    assert not BOB.is_in(BOB.redacted(text))
    for each in mentioned(text, "GB"):
        assert each.value
