"""May we call back: that number, now, from there, at that price. All that is asked is given; nothing is looked up here."""

from collections.abc import Collection, Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal, NamedTuple

from ringback.calls.numbers import Line
from ringback.calls.rating import Rate

Code = Literal["number", "country", "later", "closed", "unavailable", "challenge", "refused"]
"""What a visitor is told. `refused` is all that an attacker must not learn."""

HOUR_S, DAY_S = 3_600, 86_400
WINDOW_S = 120
"""A number that was rung is not rung again so soon."""
LEAST_S = 60
"""A call that could not last so long for its money is not begun."""
LONGEST_S = 3_600
"""Of a call, where the setting says nothing."""
MOST_AHEAD_S = 14 * DAY_S
"""A preferred time is within two weeks."""
MOST_WAITING = 200
"""So many requests of a setting are kept for later."""

SPEND = "spend"
"""The reason where the money of the day does not pay for a call: that of tomorrow may."""

LINES = frozenset({"fixed", "mobile", "fixed_or_mobile", "voip"})
"""What is called: no premium rate, shared cost, toll free, personal or company number, pager; and satellites have no country."""


class Limit(NamedTuple):
    """At most `n` requests that were taken, within so long. `reason`: for the administrator."""

    reason: str
    n: int
    within_s: int


PER_NUMBER = (Limit("number_hour", 3, HOUR_S), Limit("number_day", 6, DAY_S))
PER_ADDRESS = (Limit("address_hour", 5, HOUR_S), Limit("address_day", 15, DAY_S))
PER_SETTING = (Limit("setting_hour", 120, HOUR_S),)
PER_CUSTOMER = (Limit("customer_hour", 300, HOUR_S),)
VISITORS = Limit("visitors_hour", 120, HOUR_S)
"""Opened widgets of one address that get a row."""


class Terms(NamedTuple):
    """What a setting says. Amounts are 1/10,000 of the currency unit; `daily_spend` None: no limit; `most_s` None: `LONGEST_S`."""

    countries: Collection[str]
    max_call_rate: int
    daily_spend: int | None
    most_s: int | None


class Facts(NamedTuple):
    """`counts`: requests by the reason of the limit that counts them. `spent`: of today, with what open calls may still cost.
    `rang_s`: seconds since the number was rung last, None for never."""

    is_never_called: bool
    is_own: bool
    is_emergency: bool
    rate: Rate | None
    counts: Mapping[str, int]
    spent: int
    rang_s: int | None


class Refusal(NamedTuple):
    """`reason`: for the administrator; the word before a colon stands in metrics."""

    code: Code
    reason: str


class Allowed(NamedTuple):
    """`most_s`: how long the call may last, for its setting and for its money."""

    price_micro: int
    most_s: int


def verdict(line: Line, terms: Terms, facts: Facts) -> Allowed | Refusal:
    """`line`: of the number."""
    return _kind(line, terms, facts) or _limits(facts) or _price(terms, facts)


def _kind(line: Line, terms: Terms, facts: Facts) -> Refusal | None:
    if facts.is_emergency:
        return Refusal("number", "emergency")
    if line.kind not in LINES or line.country is None:
        return Refusal("number", f"line: {line.kind if line.country else 'of no country'}")
    if line.country not in terms.countries:
        return Refusal("country", f"country: {line.country}")
    if facts.is_never_called:
        return Refusal("refused", "donotcall")
    return Refusal("refused", "own_number") if facts.is_own else None


def _limits(facts: Facts) -> Refusal | None:
    if facts.rang_s is not None and facts.rang_s < WINDOW_S:
        return Refusal("later", "number_window")
    for limit in (*PER_NUMBER, *PER_ADDRESS):
        if facts.counts.get(limit.reason, 0) >= limit.n:
            return Refusal("later", limit.reason)
    for limit in (*PER_SETTING, *PER_CUSTOMER):
        if facts.counts.get(limit.reason, 0) >= limit.n:
            return Refusal("refused", limit.reason)
    return None


def _price(terms: Terms, facts: Facts) -> Allowed | Refusal:
    rate, most_s = facts.rate, terms.most_s or LONGEST_S
    if rate is None:
        return Refusal("refused", "no_rate")
    if rate.price_micro > terms.max_call_rate * 100:
        return Refusal("refused", f"price: {_amount(rate.price)} a minute, {_amount(terms.max_call_rate)} allowed")
    if terms.daily_spend is not None and rate.price_micro:
        affordable_s = affordable(terms.daily_spend - facts.spent, rate)
        if affordable_s < min(LEAST_S, most_s):
            return Refusal("refused", SPEND)
        most_s = min(most_s, affordable_s)
    return Allowed(rate.price_micro, most_s)


def affordable(left: int, rate: Rate) -> int:
    """Seconds of talk that cost at most `left` (1/10,000), as whole steps are billed."""
    paid_s = left * 6_000 // rate.price_micro
    if paid_s < max(rate.minimum_s, 1):
        return 0
    return paid_s if rate.increment_s == 1 else rate.minimum_s + _steps(paid_s - rate.minimum_s, rate.increment_s)


def _steps(seconds: int, increment_s: int) -> int:
    return seconds // increment_s * increment_s


def _amount(money: int) -> str:
    return f"{money / 10_000:.4f}"


def network(ip: str) -> str:
    """What limits count: an address, or the /64 that an IPv6 client has for itself."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip[:64]
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def shortened(ip: str) -> str | None:
    """An address of which nobody can be told any more: without its last byte, or all but the first 48 bits."""
    try:
        address = ip_address(network(ip).partition("/")[0])
    except ValueError:
        return None
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False))
