"""Local times of a file, as `2026-11-22 10:00:00`, into UTC seconds."""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_HOUR = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d)", re.ASCII)
_FRACTION = re.compile(r"\.\d{1,9}", re.ASCII)
_IN_HOUR = {f":{at // 60:02}:{at % 60:02}": at for at in range(3600)}
_LAST_SECOND = timedelta(seconds=3599)


class WallClock:
    """The clock on the wall of one time zone (IANA name; ValueError when unknown).

    A time that the clock showed twice (autumn) is the reading nearest to a hint, without hint the first. One that it
    skipped (spring) is counted on from before the change, as PEP 495 does.
    """

    def __init__(self, time_zone: str) -> None:
        try:
            self._zone = ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {time_zone!r}") from error
        self._hour_at = lru_cache(maxsize=32_768)(self._regular_hour)

    def at(self, text: str) -> int | None:
        """UTC seconds, fractions cut off; None when `nearest` must decide. ValueError for an impossible time."""
        hour_at = self._hour_at(text[:13])
        return None if hour_at is None else hour_at + _second_of_hour(text)

    def nearest(self, text: str, hint: int | None) -> int:
        """As `at`, in an hour with a change of the clock."""
        hour, second = _hour(text[:13]), _second_of_hour(text)
        wall = hour.replace(tzinfo=self._zone) + timedelta(seconds=second)
        readings = [int(wall.replace(fold=fold).timestamp()) for fold in (0, 1)]
        return readings[0] if hint is None else min(readings, key=lambda at: abs(at - hint))

    def _regular_hour(self, text: str) -> int | None:
        """The UTC second at which the hour starts; None when the clock is changed within it."""
        start = _hour(text).replace(tzinfo=self._zone)
        offsets = {wall.replace(fold=fold).utcoffset() for wall in (start, start + _LAST_SECOND) for fold in (0, 1)}
        return int(start.timestamp()) if len(offsets) == 1 else None


def _hour(text: str) -> datetime:
    found = _HOUR.fullmatch(text)
    if found is None:
        raise ValueError("no date and time")
    year, month, day, hour = map(int, found.groups())
    if year < 1970:
        raise ValueError("before 1970")
    return datetime(year, month, day, hour)  # noqa: DTZ001 - the caller knows the zone


def _second_of_hour(text: str) -> int:
    second = _IN_HOUR.get(text[13:19])
    if second is None or (len(text) > 19 and not _FRACTION.fullmatch(text, 19)):
        raise ValueError("no date and time")
    return second
