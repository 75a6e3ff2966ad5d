"""A person as records know one: by a number or an e-mail address, alone in a column or anywhere in a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from urllib.parse import unquote

from ringback.calls import numbers

ERASED = "[erased]"
_SEPARATOR = r"[\s\-.()/\u00a0\u202f\u2010-\u2014]"
_BETWEEN = rf"{_SEPARATOR}{{0,6}}"
_LOCAL = r"""[^\s<>"'(),:;@\[\]\\]"""
_EMAIL = re.compile(rf"{_LOCAL}+@{_LOCAL}+\.[^\s<>\"'(),:;@\[\]\\.]+")
_BEFORE = re.compile(r"""[^\s<>"(),:;@\[\]\\]{1,64}\Z""")  # RFC 5321, section 4.5.3.1.1
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_WORD = re.compile(r"[\w.+-]")
_URL_CHARACTER = "(?<=%[0-9A-Fa-f]{2})"
_RUN = re.compile(rf"(?<!\d)\+?\d+(?:{_SEPARATOR}{{1,6}}\d+)*", re.ASCII)
_GROUP = re.compile(r"\+?\d+", re.ASCII)
_MOST_GROUPS = 8

Identifier = Literal["number", "email"]


@dataclass(frozen=True)
class Person:
    """`value`: E.164 digits where it is a number of the public network, else its text; an e-mail in lower case.

    `country` (alpha-2): where national forms of the number are written.
    """

    kind: Identifier
    value: str
    country: str | None = None

    def is_in(self, text: str | None) -> bool:
        return bool(text) and self._pattern.search(text or "") is not None

    def redacted(self, text: str) -> str:
        """The text without the person."""
        return self._pattern.sub(ERASED, text)

    @property
    def needle(self) -> str:
        """What a text must hold, letters in lower case, when the person may be in it."""
        return self.value.partition("@")[2] if self.kind == "email" else self.value[-1:]

    @property
    def bare_needle(self) -> str:
        """The same of a column that holds a number without separators."""
        return self.needle if self.kind == "email" else self.value[-2:]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        if self.kind == "email":
            begin = rf"(?:(?<![\w.+-])(?<!\w')|{_URL_CHARACTER})"
            return re.compile(rf"{begin}{_as_in_urls(self.value)}(?!\w)(?![-.]\w)", re.I)
        if not self.value.isdecimal():
            return re.compile(rf"(?<!\w){re.escape(self.value)}(?!\w)", re.I)
        forms = "|".join(self._forms())
        begin = rf"(?:(?<!\d)|{_URL_CHARACTER})(?:\+{_BETWEEN}|00{_BETWEEN}|011{_BETWEEN})?"
        return re.compile(rf"{begin}(?:{forms})(?!\d)")

    def _forms(self) -> Iterator[str]:
        """International, and as the number is dialled in the person's country, with what people write between digits.

        Elsewhere that would be somebody else: +1 202 555 0100 inside its country is +20 2555 0100 to the world.
        """
        yield rf"{_BETWEEN}(?:\(0\){_BETWEEN})?".join(self.value[:4]) + "".join(map(_spaced, self.value[4:]))
        national = numbers.national(self.value)
        if national is not None and self.country and numbers.is_dialled_in(self.value, self.country):
            yield national[:1] + "".join(map(_spaced, national[1:]))


def person(kind: Identifier, text: str, country: str | None) -> Person | None:
    """The person of a number as people write it, or of an e-mail address; None for what can name nobody."""
    if kind == "email":
        stripped = text.strip()
        return Person(kind, stripped.lower(), country) if _EMAIL.fullmatch(stripped) else None
    value = numbers.digits(text, country) or numbers.normal(text).strip()
    bare = sum(map(str.isdecimal, value))
    return Person(kind, value, country) if bare >= 5 and bare == len(value) else None


def mentioned(text: str, country: str | None) -> Iterator[Person]:
    """Everybody whom a text may name: each e-mail address, each number of five digits and more, also as URLs write them.

    Of what can be read in several ways all readings: digits behind a number may be a part of it, or a date.
    """
    for each in {text, unquote(text)}:
        yield from (Person("email", address, country) for address in _addresses(each))
        found = (person("number", number, country) for run in _RUN.finditer(each) for number in _numbers(run[0]))
        yield from filter(None, found)


def _addresses(text: str) -> Iterator[str]:
    for at in re.finditer("@", text):
        before, domain = _BEFORE.search(text[max(at.start() - 64, 0) : at.start()]), _DOMAIN.match(text, at.end())
        if before is None or domain is None:
            continue
        local, host = before[0], domain[0].rstrip("-")
        for start in range(len(local)):
            if not start or not _WORD.match(local[start - 1]):
                yield f"{local[start:]}@{host}".lower()


def _numbers(run: str) -> Iterator[str]:
    """Up to eight groups of digits that stand together, and all of them."""
    groups = [each.span() for each in _GROUP.finditer(run)]
    for first, (start, _) in enumerate(groups):
        for _, end in groups[first : first + _MOST_GROUPS]:
            yield run[start:end]
    if len(groups) > _MOST_GROUPS:
        yield run


def _as_in_urls(text: str) -> str:
    return "".join(each if each.isalnum() else rf"(?:{re.escape(each)}|%{ord(each):02X})" for each in text)


def _spaced(digit: str) -> str:
    return f"{_BETWEEN}{digit}"
