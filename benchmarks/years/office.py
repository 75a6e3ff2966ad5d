"""The calls of an office of 50 people over five years, as Asterisk's cdr_csv writes them, and what is true of them.

The same number of calls up to the same day is the same file each time. It streams: a day is in memory at a time.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/London")
DAY_S = 86_400
DAYS = 1_826
PEOPLE = 50
EXTENSIONS = tuple(str(101 + n) for n in range(PEOPLE))
NUMBERS = 60_000
FIRST_NAMES = ("Zoë", "José", "Łukasz", "Aoife", "Søren", "Anna", "Владимир", "美咲", "Peter", "Renée")
LAST_NAMES = ("Müller", "O'Brien", "Ångström", "Novák", "Smith", "García", "de la Cruz", "Иванова", "Jones", "Çelik")
_HOURS = (1, 1, 1, 1, 1, 2, 6, 20, 70, 100, 105, 100, 80, 85, 100, 100, 95, 70, 30, 12, 6, 4, 2, 1)
_WEEK = (1.05, 1.1, 1.05, 1.0, 0.9, 0.25, 0.08)
_LONGEST_LINE = 65_536

# What cannot be a call: columns missing, impossible dates, no number, a NUL byte, a line without end.
BROKEN = (
    '"","101","02079460000","from-internal"\n',
    '"","101","102","a","","PJSIP/101-1","","Dial","","2024-02-31 10:00:00","","",1,0,"NO ANSWER","","1.1","","","1.1",1\n',
    '"","101","102","a","","PJSIP/101-1","","Dial","","2024-02-28 10:00:00","","",long,0,"NO ANSWER","","1.2","","","1.2",1\n',
    '"","101","10\0002","a","","PJSIP/101-1","","Dial","","2024-02-28 10:00:00","","",1,0,"NO ANSWER","","1.3","","","1.3",1\n',
    '"","101","' + "1" * _LONGEST_LINE + '"\n',
)
FAULTS = 40


@dataclass(slots=True)
class Known:
    """What the script knows that it wrote. `until`: the day after the last, counted from 1970. `days`: calls by the day
    (UTC) that they began on."""

    until: int
    calls: int = 0
    broken: int = 0
    days: Counter[int] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    people: int = PEOPLE
    recordings: int = 0
    voicemails: int = 0
    contacts: int = 0
    rates: int = 0

    def as_json(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def of_json(cls, read: dict[str, Any]) -> "Known":
        days = Counter({int(day): n for day, n in read["days"].items()})
        return cls(**{**read, "days": days, "users": Counter(read["users"]), "types": Counter(read["types"])})

    @property
    def first(self) -> int:
        return self.until - DAYS

    def between(self, first: int, end: int) -> int:
        """Calls of the days from `first` on, before `end`."""
        return sum(n for day, n in self.days.items() if first <= day < end)


def day_no(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def outside(n: int) -> str:
    """The n-th number of the world outside, as people dial it."""
    if n % 9 == 0:
        return f"07700{n * 37 % 1_000_000:06}"
    if n % 31 == 0:
        return f"0049301{n * 41 % 1_000_000:06}"
    return f"02079{n * 37 % 1_000_000:06}"


def name(n: int) -> str:
    return f"{FIRST_NAMES[n % 10]} {LAST_NAMES[n // 10 % 10]}"


class _Hours(dict[int, str]):
    """`2026-11-22 10` on the office's wall, by the hour since 1970."""

    def __missing__(self, hour: int) -> str:
        text = self[hour] = datetime.fromtimestamp(hour * 3600, ZONE).strftime("%Y-%m-%d %H")
        return text


_IN_HOUR = tuple(f":{at // 60:02}:{at % 60:02}" for at in range(3600))
_hours = _Hours()


def wall(at: int) -> str:
    """An instant as the office's clock shows it."""
    return _hours[at // 3600] + _IN_HOUR[at % 3600]


@dataclass(frozen=True, slots=True)
class Talk:
    """An answered call that may have been recorded."""

    at: int
    uniqueid: str
    src: str
    dst: str
    direction: str


Record = Callable[[Talk], None]


class Office:
    """`lines()` are those of Master.csv; `known` is right once they all were taken."""

    def __init__(self, calls: int, until: date, recordings: int, record: Record) -> None:
        self._calls, self._until = calls, until
        self._record, self._recorded_each = record, max(1, calls // recordings) if recordings else calls + 1
        self._next_recorded = self._recorded_each // 2
        self._recordings = recordings
        self._chance = random.Random(calls)
        self._serial = self._enough = 0
        self.known = Known(day_no(until))

    def lines(self) -> Iterator[str]:
        faults_each = max(1, self._calls // FAULTS)
        for at in self._times():
            for line in self._call(at):
                yield line
                self.known.calls += 1
                if self.known.calls % faults_each == 0 and self.known.broken < FAULTS:
                    yield BROKEN[self.known.broken % len(BROKEN)]
                    self.known.broken += 1

    def _times(self) -> Iterator[int]:
        """When calls begin, until there are enough; a call may be two lines."""
        chance = self._chance
        for start_at, n in self._quotas():
            hours = chance.choices(range(24), _HOURS, k=n)
            times = sorted(start_at + hour * 3600 + int(chance.random() * 3600) for hour in hours)
            self._enough = self.known.calls + n
            for at in times:  # more than enough: some calls are two lines
                if self.known.calls >= self._enough:
                    break
                yield at

    def _quotas(self) -> Iterator[tuple[int, int]]:
        """Of each day its midnight in UTC and how many lines."""
        first = self._until - timedelta(days=DAYS)
        days = [first + timedelta(days=n) for n in range(DAYS)]
        weights = [_WEEK[day.weekday()] * (0.5 if (day.month, day.day) > (12, 23) else 1) for day in days]
        whole, sofar, given = sum(weights), 0.0, 0
        for day, weight in zip(days, weights, strict=True):
            sofar += weight
            enough = self._calls if day == days[-1] else int(self._calls * sofar / whole)
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            yield int(midnight.timestamp()), enough - given
            given = enough

    def _call(self, at: int) -> Sequence[str]:
        chance = self._chance
        dice = chance.random()
        user = EXTENSIONS[int(chance.random() ** 1.5 * PEOPLE)]
        other = int(chance.random() ** 2 * NUMBERS)
        for limit, make in _KINDS:
            if dice < limit:
                return make(self, at, user, other)
        raise AssertionError

    # -- kinds of calls; each says what Ringback has to make of it

    def _out(self, at: int, user: str, other: int) -> Sequence[str]:
        talk = int(self._chance.expovariate(1 / 150)) + 1
        dst = outside(other)
        self._talked("out", at, user, dst)
        dial = ("Dial", f"PJSIP/{dst}@trunk,60")
        return (self._line("O", user, at, 8, talk, user, dst, name(int(user)), "101", "trunk", dial),)

    def _out_in_vain(self, at: int, user: str, other: int) -> Sequence[str]:
        dst, disposition = outside(other), ("BUSY", "FAILED", "NO ANSWER", "CONGESTION")[other % 4]
        dial = ("Dial", f"PJSIP/{dst}@trunk,60")
        return (
            self._line("O", user, at, other % 30, 0, user, dst, name(int(user)), "101", "trunk", dial, disposition),
        )

    def _inside(self, at: int, user: str, other: int) -> Sequence[str]:
        called = EXTENSIONS[other % PEOPLE]
        dial = ("Dial", f"PJSIP/{called},20")
        return (self._line("O", user, at, 5, other % 200 + 1, user, called, name(int(user)), user, called, dial),)

    def _in(self, at: int, user: str, other: int) -> Sequence[str]:
        talk = int(self._chance.expovariate(1 / 180)) + 1
        self._talked("exten", at, outside(other), user)
        dial = ("Dial", f"PJSIP/{user},20")
        return (self._line("I", user, at, 7, talk, outside(other), user, name(other), "trunk", user, dial),)

    def _missed(self, at: int, user: str, other: int) -> Sequence[str]:
        dial = ("Dial", f"PJSIP/{user},20")
        return (self._line("M", user, at, 20, 0, outside(other), user, name(other), "trunk", user, dial, "NO ANSWER"),)

    def _mailbox(self, at: int, user: str, other: int) -> Sequence[str]:
        box = ("VoiceMail", f"{user}@default,u")
        return (self._line("M", user, at, 20, 15, outside(other), user, name(other), "trunk", "", box),)

    def _queue(self, at: int, user: str, other: int) -> Sequence[str]:
        queue = ("Queue", "sales,t,,,300")
        return (self._line("I", user, at, other % 90, 240, outside(other), "600", name(other), "trunk", user, queue),)

    def _left_the_queue(self, at: int, _: str, other: int) -> Sequence[str]:
        queue = ("Queue", "sales,t,,,300")
        line = self._line("M", "", at, 3, other % 200, outside(other), "600", name(other), "trunk", "", queue)
        return (line,)

    def _transferred(self, at: int, user: str, other: int) -> Sequence[str]:
        """Two hops of one call, by the `linkedid` that they share; the last line of a day is a call of one."""
        if self.known.calls + 1 >= self._enough:
            return self._in(at, user, other)
        src, to = outside(other), EXTENSIONS[(int(user) + 7) % PEOPLE]
        linked = f"{at}.{self._serial + 1}"
        first = self._line("I", user, at, 7, 30, src, user, name(other), "trunk", user, ("Dial", f"PJSIP/{user},20"))
        onward = ("Dial", f"PJSIP/{to},20")
        second = self._line("I", to, at + 37, 4, 200, src, to, name(other), "trunk", to, onward, linked=linked)
        return first, second

    def _talked(self, direction: str, at: int, src: str, dst: str) -> None:
        if self.known.calls >= self._next_recorded and self.known.recordings < self._recordings:
            self._next_recorded += self._recorded_each
            self.known.recordings += 1
            self._record(Talk(at, f"{at}.{self._serial + 1}", src, dst, direction))

    def _line(
        self,
        type_: str,
        user: str,
        at: int,
        wait: int,
        talk: int,
        src: str,
        dst: str,
        clid: str,
        endpoint: str,
        dst_endpoint: str,
        app: tuple[str, str],
        disposition: str = "ANSWERED",
        linked: str = "",
    ) -> str:
        serial = self._serial = self._serial + 1
        known = self.known
        known.days[at // DAY_S] += 1
        known.types[type_] += 1
        known.users[user] += 1
        if serial % 50_021 == 0:
            clid += "\udcff"  # a byte that is no UTF-8
        duration = "-3" if serial % 70_001 == 0 else wait + talk
        uniqueid = f"{at}.{serial}"
        channel = f"PJSIP/{src if type_ == 'O' else endpoint}-{serial:08x}"
        reached = dst_endpoint and f"PJSIP/{dst_endpoint}-{serial + 1:08x}"
        answered = wall(at + wait) if talk else ""
        return (
            f'"","{src}","{dst}","from-{"internal" if type_ == "O" else "trunk"}","""{clid}"" <{src}>","{channel}","{reached}",'
            f'"{app[0]}","{app[1]}","{wall(at)}","{answered}","{wall(at + wait + talk)}",{duration},{talk},"{disposition}",'
            f'"DOCUMENTATION","{uniqueid}","","","{linked or uniqueid}",{serial}\n'
        )


_KINDS: Sequence[tuple[float, Callable[[Office, int, str, int], Sequence[str]]]] = (
    (0.34, Office._out),
    (0.40, Office._out_in_vain),
    (0.48, Office._inside),
    (0.72, Office._in),
    (0.82, Office._missed),
    (0.86, Office._mailbox),
    (0.92, Office._queue),
    (0.95, Office._left_the_queue),
    (1.00, Office._transferred),
)
