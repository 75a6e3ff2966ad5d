"""Text within XML and HTML, whatever it holds, and how wide it will be."""

import html
import re
import unicodedata
from functools import lru_cache

# What XML 1.0 section 2.2 has no place for, and what would turn the direction of the text around it.
_FOREIGN = re.compile(
    "[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_NARROW, _WIDE = frozenset("fijlrtI.,:;'|!()[]{} /-·"), frozenset("mwMWQO@%")
_CUT = "…"


def escaped(text: str) -> str:
    """For content and for attributes in double quotes."""
    return html.escape(_FOREIGN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str) -> str:
    return " ".join(text.split())


def width(text: str, size: float) -> float:
    """At most so wide in a sans-serif font of this size, as far as one can say without the font."""
    return size * sum(map(_em, text))


@lru_cache(maxsize=1024)
def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in _NARROW:
        return 0.38
    return 0.92 if character in _WIDE else 0.72 if character.isupper() else 0.6


def fitted(text: str, size: float, room: float) -> str:
    """The text, cut at its end where it has no room."""
    if width(text, size) <= room:
        return text
    room -= width(_CUT, size) * 1.4
    kept = 0
    for character in text:
        room -= size * _em(character)
        if room < 0:
            break
        kept += 1
    return text[:kept].rstrip() + _CUT


def fitted_within(text: str, size: float, room: float) -> str:
    """The same, cut in its middle: an address shows where it begins and ends."""
    if width(text, size) <= room:
        return text
    half = fitted(text, size, room * 0.55)
    back = fitted(text[::-1], size, room * 0.45)
    return half + back.removesuffix(_CUT)[::-1]
