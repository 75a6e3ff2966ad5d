"""What the values of a setting must be. Each function returns the value to store, or raises ValueError.

hours    = {"mon": [["09:00", "12:30"], ["13:30", "17:00"]], "sat": []}   a day that is missing is closed
holidays = ["2026-12-25"]
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from ringback.callback.hours import DAYS
from ringback.calls.numbers import digits, has_numbers, normal
from ringback.record import money_value

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#<>\"'`]+[^\s<>\"'`]*", re.IGNORECASE)
_MAIL = re.compile(r"[^\s@,;<>\"'()]{1,64}@[A-Za-z0-9.-]{1,190}", re.ASCII)
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,250}[a-z0-9_])?(?::\d{1,5})?", re.ASCII)


def hours(given: dict[str, Any]) -> dict[str, Any]:
    for day, spans in given.items():
        if day not in DAYS or not isinstance(spans, list):
            raise ValueError(f"each day, {', '.join(DAYS)}, has a list of [from, to]")
        ends = [end for span in spans for end in _span(span)]
        if ends != sorted(ends):
            raise ValueError(f"the times of {day} must not overlap, and come in order")
    return given


def _span(span: Any) -> list[str]:
    times = span if isinstance(span, list) else []
    if len(times) != 2 or not all(isinstance(each, str) and _TIME.fullmatch(each) for each in times):
        raise ValueError('a time is ["HH:MM", "HH:MM"]')
    if times[0] >= times[1]:
        raise ValueError("a time ends after it begins")
    return times


def holidays(given: list[str]) -> list[str]:
    """The days in order, each once."""
    try:
        return sorted({date.fromisoformat(each).isoformat() for each in given})
    except ValueError:
        raise ValueError("a holiday is a date such as 2026-12-25") from None


def zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("there is no such time zone") from None
    return name


def countries(given: list[str] | str) -> list[str]:
    """ISO 3166-1 alpha-2 codes, each once, as a list or comma-separated; none: nobody may be called."""
    entries = given.split(",") if isinstance(given, str) else given
    codes = list(dict.fromkeys(each.strip().upper() for each in entries if each.strip()))
    unknown = [code for code in codes if not has_numbers(code)]
    if unknown:
        raise ValueError(f"unknown countries {', '.join(unknown)[:100]}; codes are ISO 3166-1 alpha-2, such as GB")
    return codes


def amount(given: float | str) -> int:
    """Money in 1/10,000 units, not negative, from a number or numeric text."""
    money = money_value(given)
    if money is None or money < 0:
        raise ValueError("an amount is a number of 0 or more")
    return money


def web_address(given: str) -> str:
    """An http(s) address, or empty."""
    if given and not _WEB_ADDRESS.fullmatch(given):
        raise ValueError("an address starts with https:// or http://")
    return given


def hosts(given: list[str]) -> list[str]:
    """Names of hosts without scheme and path, lower case, each once; `*.` in front stands for all below."""
    names = list(dict.fromkeys(each.strip().lower() for each in given))
    if not all(_HOST.fullmatch(each) for each in names):
        raise ValueError("a domain is a host name such as www.example.com")
    return names


def mail_address(given: str) -> str | None:
    """None for an empty one."""
    if given and not _MAIL.fullmatch(given):
        raise ValueError("an e-mail address is name@example.com")
    return given or None


def forms(number: str, country: str | None) -> list[str]:
    """The digits that a number may be stored as, however it is written."""
    found = [normal(number), digits(number, country)]
    return [each for each in found if each]


READERS: Mapping[str, Callable[[Any], Any]] = {
    "allowed_countries": countries,
    "allowed_domains": hosts,
    "daily_spend": amount,
    "holidays": holidays,
    "hours": hours,
    "max_call_rate": amount,
    "missed_mail": mail_address,
    "privacy_policy_url": web_address,
    "time_zone": zone,
}
