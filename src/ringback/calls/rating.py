"""What a call costs: the longest prefix of the number called, then minimum and increment as the trade writes them.

`30/6` is a minimum of 30 seconds and steps of 6 after it: a call of 31 seconds is billed as 36. Prices are whole millionths of
the currency unit a minute, charges whole ten-thousandths; only a charge is rounded, once, half up.
"""

from collections.abc import Iterable
from typing import NamedTuple

MICRO = 1_000_000
"""Parts of the currency unit in a price."""
LONGEST_PREFIX = 15
MAX_PRICE_MICRO = 1_000_000 * MICRO
MAX_STEP_S = 86_400
"""Of a minimum, and of an increment."""

_PER_CHARGE = 60 * 100  # a price is a minute's and in millionths; a charge is in ten-thousandths


class Rate(NamedTuple):
    """`price_micro`: a minute, in millionths of the currency unit. `increment_s` is 1 or more."""

    prefix: str
    destination: str
    price_micro: int
    minimum_s: int = 0
    increment_s: int = 1

    @property
    def price(self) -> int:
        """A minute in ten-thousandths, rounded half up: to be shown, never to be charged by."""
        return (self.price_micro + 50) // 100


class Deck:
    """Rates by prefix. Of two rates with one prefix the last counts."""

    def __init__(self, rates: Iterable[Rate] = ()) -> None:
        self._by_prefix = {rate.prefix: rate for rate in rates}
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)

    def __len__(self) -> int:
        return len(self._by_prefix)

    def find(self, number: str) -> Rate | None:
        """The rate of E.164 digits: that of their longest prefix. None where the deck has none."""
        by_prefix = self._by_prefix
        for length in self._lengths:
            rate = by_prefix.get(number[:length])
            if rate is not None:
                return rate
        return None


def prefixes(number: str) -> list[str]:
    """Everything that a rate of this number may have as prefix."""
    return [number[:length] for length in range(1, min(len(number), LONGEST_PREFIX) + 1)]


def billed_s(rate: Rate, billsec: int) -> int:
    """The seconds that are paid for: none for a call that was not answered."""
    if billsec <= 0:
        return 0
    beyond = max(billsec - rate.minimum_s, 0)
    return rate.minimum_s + -(-beyond // rate.increment_s) * rate.increment_s


def charge(rate: Rate, billsec: int) -> int:
    """The price of a call, in ten-thousandths of the currency unit."""
    return (rate.price_micro * billed_s(rate, billsec) + _PER_CHARGE // 2) // _PER_CHARGE


def parsed_price(text: str) -> int:
    """`0.0125` or `0,0125` in millionths, exactly. ValueError with the reason when it is no price."""
    whole, _, part = text.replace(",", ".").partition(".")
    if not (whole + part).isdecimal() or not text.isascii():
        raise ValueError("a price is digits with one decimal point or comma, and not negative")
    if len(part.rstrip("0")) > 6:
        raise ValueError("a price has at most 6 decimals")
    micro = int(whole[:20] or "0") * MICRO + int(part[:6].ljust(6, "0"))
    if len(whole) > 20 or micro > MAX_PRICE_MICRO:
        raise ValueError(f"a price is at most {MAX_PRICE_MICRO // MICRO} a minute")
    return micro
