"""What every address book has and a contact has less of: numbers of all kinds, addresses, categories."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ringback.calls import numbers

MOBILE = ("mobile", "mobile_1", "mobile_2")
FIXED = ("tel", "tel_1", "tel_2")
_MOBILE_WORDS = {"cell", "mobile", "iphone", "handy"}
_DEAF_WORDS = {"fax", "pager", "modem", "bbs", "textphone", "telex"}

LABELS, LABEL_LENGTH = 20, 50  # as `ringback.record.Labels` has it

LeftOut = Counter[str]


def numbered(found: Iterable[tuple[str, Iterable[str]]], left_out: LeftOut) -> dict[str, str]:
    """The number attributes of a contact from (number, words of its kind). Equal numbers count once."""
    free = {True: list(MOBILE), False: list(FIXED)}
    taken: dict[str, str] = {}
    for number, kinds in found:
        words = {word for kind in kinds for word in kind.lower().replace("-", " ").split()}
        if not number or numbers.normal(number) in map(numbers.normal, taken.values()):
            continue
        names = free[bool(words & _MOBILE_WORDS)]
        if words & _DEAF_WORDS and not words & {"voice", *_MOBILE_WORDS}:
            left_out["a fax or pager number was left out"] += 1
        elif names:
            taken[names.pop(0)] = number
        else:
            left_out["a number beyond three of its kind was left out"] += 1
    return taken


def first_email(found: Sequence[str], left_out: LeftOut) -> str | None:
    if len(set(found)) > 1:
        left_out["an e-mail address beyond the first was left out"] += 1
    return next(iter(found), None)


def labels(found: Iterable[str], left_out: LeftOut) -> list[str]:
    distinct = list(dict.fromkeys(filter(None, (each.strip() for each in found))))
    kept = [each for each in distinct if len(each) <= LABEL_LENGTH][:LABELS]
    if len(kept) < len(distinct):
        left_out["a category was left out: it is too long, or one too many"] += len(distinct) - len(kept)
    return kept


def without_blanks(given: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in given.items() if each}
