"""`rates`: a rate deck out of a CSV, as carriers send it.

The file is read to its end before anything is stored, since of a prefix that stands twice the last line counts. Rates that
the deck does not name stay as they are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

from ringback.calls.numbers import clean
from ringback.calls.rating import LONGEST_PREFIX, MAX_STEP_S, Rate, parsed_price
from ringback.importers import headed
from ringback.importers.csv_records import Refused
from ringback.importers.headed import Row
from ringback.importers.importer import Importer, Options, Progress, Summary, Unusable, watched
from ringback.services import Services
from ringback.store import rates as store

BATCH = 2_000
MAX_RATES = 1_000_000
MAX_RANGE = 1_000
TOLD = 20
"""So many prefixes that stand twice are named."""

HELP = (
    "A rate deck as CSV whose first line names the columns: prefix, destination, price a minute, minimum and increment in "
    "seconds (or both as 60/60). Prefixes that are known get the new price; others stay."
)

_CURRENCIES = ("", "eur", "usd", "gbp", "chf", "pln")
_PRICES = ("price", "rate", "cost", "tariff", "sellrate", "sellprice", "newrate", "newprice")
_MINUTES = ("", "perminute", "permin", "minute", "min", "pm")

# The wordings of a column, the surest first, as `headed.heading` writes them.
_WORDS = {
    "prefix": (
        "prefix prefixes dialcode dialcodes dialingcode dialingcodes diallingcode diallingcodes dialprefix dialprefixes "
        "destinationcode destinationcodes numberprefix digits code codes"
    ),
    "destination": (
        "destination destinationname dest destname description name prefixname codename zone route country countryname"
    ),
    "minimum": (
        "minimum minimumseconds minimumsec minimums min minseconds minsec mins connectminimum minimumduration minduration "
        "minimumtime mintime initial initialincrement initialinterval firstincrement firstinterval interval1"
    ),
    "increment": (
        "increment increments incrementseconds incrementsec increments interval intervals step steps billingincrement "
        "billingincrements billinginterval billing nextincrement nextinterval subsequentincrement subsequentinterval "
        "intervaln interval2"
    ),
}
_WORDINGS = {name: text.split() for name, text in _WORDS.items()} | {
    "price": [
        *("".join(each) for each in product(_PRICES, _MINUTES, _CURRENCIES)),
        *("".join(each) for each in product(_PRICES, _CURRENCIES, _MINUTES)),
        "perminute",
    ],
}
_TERMS = re.compile(r"(\d{1,6})(?:\s*[/+-]\s*(\d{1,6}))?(?:\s*s(?:ec(?:onds?)?)?\.?)?", re.ASCII | re.IGNORECASE)
_CURRENCY = re.compile(r"(?:[A-Z]{3}|[€$£¥])", re.IGNORECASE)


@dataclass(slots=True)
class _Deck:
    """What was read: the rate of each prefix with its line, and which prefixes stand twice."""

    rates: dict[str, tuple[int, Rate]] = field(default_factory=dict)
    doubled: dict[str, None] = field(default_factory=dict)

    def add(self, line_no: int, rates: list[Rate]) -> None:
        if len(self.rates) + len(rates) > MAX_RATES:
            raise Unusable(f"a deck has at most {MAX_RATES:,} prefixes")
        for rate in rates:
            if rate.prefix in self.rates:
                self.doubled[rate.prefix] = None
            self.rates[rate.prefix] = line_no, rate


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary, deck = options.summary(), _Deck()
    with watched(path, progress) as file:
        for row in headed.read(file, _WORDINGS["prefix"]):
            summary.read += 1
            _take(row, deck, summary)
    _tell_doubled(deck, summary)
    rates = [rate for _, rate in deck.rates.values()]
    for at in range(0, len(rates), BATCH):
        lot = rates[at : at + BATCH]
        put = services.database.write(partial(store.put, customer_id=customer_id, rates=lot))
        summary.new += put.new
        summary.changed += put.changed
        summary.known += put.known
    return summary


def _take(row: Row | Refused, deck: _Deck, summary: Summary) -> None:
    if isinstance(row, Refused):
        summary.refuse(f"line {row.line_no}", row.reason, row.raw)
        return
    try:
        deck.add(row.line_no, list(_rates(row.pick(_WORDINGS))))
    except (Unusable, ValueError) as fault:
        summary.refuse(f"line {row.line_no}", str(fault))


def _tell_doubled(deck: _Deck, summary: Summary) -> None:
    for place, prefix in enumerate(deck.doubled):
        if place == TOLD:
            summary.noted["more prefixes that stand twice: the last line counts"] = len(deck.doubled) - TOLD
            return
        summary.noted[f"prefix {prefix} stands twice: line {deck.rates[prefix][0]} counts"] = 1


def _rates(cells: dict[str, str]) -> Iterator[Rate]:
    """One rate for each prefix of a line. Unusable or ValueError with what is wrong."""
    destination = clean(cells.get("destination", "")).strip()
    for name, cell in (("prefix", cells.get("prefix")), ("destination", destination), ("price", cells.get("price"))):
        if not cell:
            raise Unusable(f"{name} is missing")
    price = parsed_price(_CURRENCY.sub("", cells["price"]).strip())
    minimum, increment = _terms(cells)
    for prefix in prefixes_of(cells["prefix"]):
        yield Rate(prefix, destination, price, minimum, increment)


def _terms(cells: dict[str, str]) -> tuple[int, int]:
    """Minimum and increment in seconds; by the second where the deck says nothing."""
    minimum, _ = _seconds("minimum", cells.get("minimum", "0"))
    first, second = _seconds("increment", cells.get("increment", "1"))
    if second is not None and "minimum" in cells and minimum != first:
        raise Unusable(f"minimum {minimum} and increment {first}/{second} contradict each other")
    minimum, increment = (minimum, first) if second is None else (first, second)
    if not (minimum <= MAX_STEP_S and 1 <= increment <= MAX_STEP_S):
        raise Unusable(f"minimum and increment are at most {MAX_STEP_S} seconds, the increment 1 or more")
    return minimum, increment


def _seconds(name: str, text: str) -> tuple[int, int | None]:
    found = _TERMS.fullmatch(text)
    if found is None or (found[2] and name == "minimum"):
        raise Unusable(f"{name} {text[:40]!r} is no number of seconds")
    return int(found[1]), int(found[2]) if found[2] else None


def prefixes_of(cell: str) -> list[str]:
    """The prefixes of a cell: `4420`, `+44 20`, `44-20`, `4420, 4421`, `9370-9379` (ten of them)."""
    parts = [part for part in map(str.strip, re.split(r"[,;|/\n]", cell)) if part]
    found = [prefix for part in parts for prefix in _prefixes(part)]
    if not found:
        raise Unusable("prefix is missing")
    _refuse_shortened(cell, parts)
    return found


def _refuse_shortened(cell: str, parts: list[str]) -> None:
    """`44-20; 21` means 4421 to some and 21 to others."""
    if len(parts) > 1 and len({bool(re.search(r"[ -]", part)) and not _is_range(part) for part in parts}) > 1:
        raise Unusable(f"prefix {cell[:60]!r} can be read in two ways: write every prefix in full")


def _prefixes(part: str) -> list[str]:
    if _is_range(part):
        first, last = re.split(r"\s*-\s*", part)
        if int(last) - int(first) >= MAX_RANGE:
            raise Unusable(f"prefix {part!r}: a range has at most {MAX_RANGE} prefixes")
        return [_prefix(str(each)) for each in range(int(first), int(last) + 1)]
    pieces = re.split(r"[ \u00a0(-]+", part.removeprefix("+").removesuffix(")").strip())
    if not all(pieces) or (len(pieces) > 1 and len(pieces[0].removeprefix("00")) > 3):
        raise Unusable(f"prefix {part[:60]!r} can be read in two ways: write every prefix in full")
    return [_prefix("".join(pieces).removeprefix("00"))]


def _is_range(part: str) -> bool:
    """Two prefixes of one length, too long for a country and an area: `9370-9379`."""
    found = re.fullmatch(r"([1-9]\d{3,14})\s*-\s*(\d{4,15})", part, re.ASCII)
    return found is not None and len(found[1]) == len(found[2]) and found[1] < found[2]


def _prefix(text: str) -> str:
    if not re.fullmatch(rf"[1-9]\d{{0,{LONGEST_PREFIX - 1}}}", text, re.ASCII):
        raise Unusable(f"prefix {text[:40]!r} is none: 1 to {LONGEST_PREFIX} digits that begin with a country's code")
    return text


RATES = Importer("rates", HELP, run)
