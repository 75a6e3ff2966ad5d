"""A person as records know one: by a number or an e-mail address, alone in a column or anywhere in a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ringback.calls import numbers

ERASED = "[erased]"
_BETWEEN = r"[\s\-.()/\u00a0\u202f\u2010-\u2014]{0,3}"
_EMAIL = re.compile(r"[^\s<>\"'(),:;@\[\]\\]+@[^\s<>\"'(),:;@\[\]\\]+\.[^\s<>\"'(),:;@\[\]\\.]+")
_DIGITS = re.compile(rf"(?<!\d)\+?\d(?:{_BETWEEN}\d){{4,19}}(?!\d)")

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

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """How a column may hold the person and nothing else, without separators."""
        if self.kind == "email" or not self.value.isdecimal():
            return (self.value,)
        forms = [*self._forms()]
        return (*dict.fromkeys((*forms, f"+{self.value}", f"00{self.value}")),)

    @property
    def needle(self) -> str:
        """What a text must hold, letters in lower case, when the person may be in it."""
        return self.value if self.kind == "email" else self.value[-2:]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        if self.kind == "email":
            local = r"[\w.!#$%&'*+/=?^`{|}~-]"
            return re.compile(rf"(?<!{local}){re.escape(self.value)}(?![\w-])(?!\.\w)", re.I)
        if not self.value.isdecimal():
            return re.compile(rf"(?<!\w){re.escape(self.value)}(?!\w)", re.I)
        forms = "|".join(_spaced(form) for form in self._forms())
        return re.compile(rf"(?<!\d)(?:\+|00{_BETWEEN}|011{_BETWEEN})?(?:{forms})(?!\d)")

    def _forms(self) -> Iterator[str]:
        """International, and as the number is dialled inside its country."""
        yield self.value
        national = numbers.national(self.value)
        if national is not None:
            yield national


def person(kind: Identifier, text: str, country: str | None) -> Person | None:
    """The person of a number as people write it, or of an e-mail address; None for what can name nobody."""
    if kind == "email":
        stripped = text.strip()
        return Person(kind, stripped.lower(), country) if _EMAIL.fullmatch(stripped) else None
    value = numbers.digits(text, country) or numbers.normal(text).strip()
    bare = sum(map(str.isdecimal, value))
    return Person(kind, value, country) if bare >= 5 and bare == len(value) else None


def mentioned(text: str, country: str | None) -> Iterator[Person]:
    """Everybody whom a text may name: each e-mail address, each number of five digits and more."""
    for found in _EMAIL.finditer(text):
        yield Person("email", found[0].lower(), country)
    for found in _DIGITS.finditer(text):
        number = person("number", found[0], country)
        if number is not None:
            yield number


def _spaced(digits: str) -> str:
    """The digits with what people write between them; `(0)` may stand behind a country code."""
    return (rf"{_BETWEEN}(?:\(0\))?{_BETWEEN}").join(digits)
