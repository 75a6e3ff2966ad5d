"""When somebody answers: hours of the week by the clock of a time zone, and closed days.

A span holds wherever the clock on the wall is within it. So in the night in which clocks go forward it is shorter, and in the one in
which they go back longer; what begins at a time that the clock leaps over begins with the leap.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_DAYS = 400
"""Who does not open within that time never does."""

Week = Mapping[str, Sequence[Sequence[str]]]
"""{"mon": [["09:00", "12:30"], ["13:30", "24:00"]]}: a day that is missing is closed."""


class Hours(NamedTuple):
    """`week` None: at any time. `closed`: days, YYYY-MM-DD, in the zone."""

    week: Week | None
    closed: Collection[str]
    zone: str

    def is_open(self, at: int) -> bool:
        local = datetime.fromtimestamp(at, ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        return any(begin <= minute < end for begin, end in self._spans(local.date()))

    def opens_at(self, at: int) -> int | None:
        """The first instant from `at` on at which it is open; None for never."""
        if self.is_open(at):
            return at
        first = datetime.fromtimestamp(at, ZoneInfo(self.zone)).date()
        for days in range(LONGEST_DAYS):
            begins = [each for each in self._begins(first + timedelta(days)) if each > at]
            if begins:
                return min(begins)
        return None

    def spans(self, at: int, days: int) -> list[tuple[int, int]] | None:
        """From and to of each span of so many days from `at` on; None when it is always open."""
        if self.week is None and not self.closed:
            return None
        zone = ZoneInfo(self.zone)
        first = datetime.fromtimestamp(at, zone).date()
        found = []
        for n in range(days):
            midnight = datetime.combine(first + timedelta(n), time(), zone)
            ends = [[midnight + timedelta(minutes=each) for each in span] for span in self._spans(midnight.date())]
            found += [(int(begin.timestamp()), int(end.timestamp())) for begin, end in ends]
        return found

    def _spans(self, day: date) -> Iterator[tuple[int, int]]:
        """From and to in minutes of the wall clock."""
        if day.isoformat() in self.closed:
            return
        if self.week is None:
            yield 0, 1440
            return
        for begin, end in self.week.get(DAYS[day.weekday()], ()):
            yield _minute(begin), _minute(end)

    def _begins(self, day: date) -> Iterator[int]:
        for begin, _ in self._spans(day):
            instant = self._instant(day, begin)
            if instant is not None:
                yield instant

    def _instant(self, day: date, minute: int) -> int | None:
        """When the wall clock shows it, or leaps over it; None when the whole span is leapt over."""
        wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=ZoneInfo(self.zone))
        early, late = sorted(int(wall.replace(fold=fold).timestamp()) for fold in (0, 1))
        if self.is_open(early):
            return early
        return next((at for at in range(early - early % 60, late + 60, 60) if self.is_open(at)), None)


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
