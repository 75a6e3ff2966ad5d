"""What a call costs, against the same sums in decimal arithmetic."""

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.calls.rating import MAX_PRICE_MICRO, Deck, Rate, billed_s, charge, parsed_price, prefixes

PRICES = st.integers(0, MAX_PRICE_MICRO)
SECONDS = st.integers(0, 2**31 - 1)
RATES = st.builds(
    Rate, st.just("44"), st.just("UK"), PRICES, minimum_s=st.integers(0, 86_400), increment_s=st.integers(1, 86_400)
)
NUMBERS = st.text("0123456789", min_size=1, max_size=15)


def rate(terms: str = "1/1", price: str = "0.6") -> Rate:
    minimum, increment = map(int, terms.split("/"))
    return Rate("44", "United Kingdom", parsed_price(price), minimum, increment)


@pytest.mark.parametrize(
    ("terms", "billsec", "paid"),
    [
        ("60/60", 1, 60),
        ("60/60", 60, 60),
        ("60/60", 61, 120),
        ("30/6", 1, 30),
        ("30/6", 30, 30),
        ("30/6", 31, 36),
        ("30/6", 36, 36),
        ("30/6", 37, 42),
        ("1/1", 61, 61),
        ("0/60", 61, 120),
        ("60/1", 61, 61),
        ("60/60", 0, 0),
        ("60/60", -5, 0),
    ],
)
def test_the_minimum_comes_first_then_the_steps(terms: str, billsec: int, paid: int) -> None:
    assert billed_s(rate(terms), billsec) == paid


def test_a_charge_is_rounded_once_and_half_up() -> None:
    assert charge(rate("60/60", "0.00005"), 60) == 1
    assert charge(rate("60/60", "0.000049"), 60) == 0
    assert charge(rate("1/1", "0.0001"), 30) == 1  # half of a ten-thousandth
    assert charge(rate("1/1", "0.0001"), 29) == 0
    assert rate(price="0.00005").price == 1
    assert rate(price="0.000049").price == 0


@given(RATES, SECONDS)
def test_charges_are_those_of_decimal_arithmetic(each: Rate, billsec: int) -> None:
    beyond = max(Decimal(billsec - each.minimum_s), Decimal(0))
    steps = (beyond / each.increment_s).to_integral_value(ROUND_CEILING)
    paid = each.minimum_s + steps * each.increment_s if billsec else Decimal(0)
    exact = Decimal(each.price_micro) / 1_000_000 * paid / 60
    assert Decimal(charge(each, billsec)) / 10_000 == exact.quantize(Decimal("0.0001"), ROUND_HALF_UP)


@given(RATES, SECONDS, SECONDS)
def test_a_longer_call_never_costs_less(each: Rate, one: int, other: int) -> None:
    assert charge(each, min(one, other)) <= charge(each, max(one, other))


@given(st.sets(NUMBERS, max_size=40), NUMBERS)
def test_the_longest_prefix_says_the_rate(known: set[str], number: str) -> None:
    deck = Deck(Rate(prefix, prefix, 1) for prefix in known)
    fitting = [prefix for prefix in known if number.startswith(prefix)]
    found = deck.find(number)
    assert (found and found.prefix) == (max(fitting, key=len) if fitting else None)
    assert set(fitting) <= set(prefixes(number))


def test_the_last_rate_of_a_prefix_counts() -> None:
    deck = Deck([Rate("44", "UK", 1), Rate("44", "UK", 2)])
    found = deck.find("442079460000")
    assert found is not None
    assert found.price_micro == 2
    assert len(deck) == 1


@given(st.decimals(0, 1_000_000, places=6, allow_nan=False), st.sampled_from(".,"))
def test_prices_are_exact(price: Decimal, point: str) -> None:
    assert parsed_price(f"{price:f}".replace(".", point)) == int(price * 1_000_000)


@pytest.mark.parametrize("text", ["", ".", "-1", "1e3", "1.2.3", "1,234.5", "0.0000001", "1000000.1", "٣", "9" * 5000])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a price"):
        parsed_price(text)


def test_zeros_after_the_sixth_decimal_say_nothing() -> None:
    assert parsed_price("0.0125000000") == 12_500
    assert parsed_price(".5") == 500_000
