"""Countries and time zones as somebody types them: checked before anything is opened."""

from ringback.calls.numbers import has_numbers
from ringback.errors import UsageError
from ringback.importers.wall_clock import WallClock


def country(text: str) -> str:
    """The alpha-2 code, upper case. UsageError when no country with telephone numbers has it."""
    code = text.upper()
    if not has_numbers(code):
        raise UsageError(f"--country: there is no country {text!r}; write the two letters of ISO 3166, such as GB.")
    return code


def time_zone(text: str) -> str:
    """The IANA name. UsageError when there is no such zone."""
    try:
        WallClock(text)
    except ValueError:
        raise UsageError(f"--time-zone: there is no time zone {text!r}; one is named Europe/Warsaw.") from None
    return text
