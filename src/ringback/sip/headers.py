"""All headers of a message, by name (RFC 3261 section 7.3); ``message`` has those that dialogs need."""

import re
from collections.abc import Iterator

from ringback.sip.message import decoded

_VIA = re.compile(rb"(?:^|\n)(?:via|v)[ \t]*:([^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+)", re.I)
_FOLD = re.compile(rb"\r?\n[ \t]+")
_VALUE = r'\s*=\s*(?:"([^"]*)"|([^\s",;]+))'
_LONGEST = 4_096  # characters of a value that are searched
_COMPACT = {
    b"v": "via", b"r": "refer-to", b"x": "session-expires", b"k": "supported", b"o": "event", b"m": "contact",
    b"c": "content-type", b"i": "call-id", b"f": "from", b"t": "to", b"l": "content-length", b"s": "subject",
}  # fmt: skip

Headers = dict[str, list[str]]
"""By name in lower case, in order; compact names are written out."""


def headers(payload: bytes) -> Headers:
    """Lines that are no header are passed over."""
    head = _head(payload)
    if b"\n " in head or b"\n\t" in head:
        head = _FOLD.sub(b" ", head)
    found: Headers = {}
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            key = name.strip().lower()
            found.setdefault(_COMPACT.get(key) or decoded(key), []).append(decoded(value.strip()))
    return found


def hops(payload: bytes) -> Iterator[bytes]:
    """The values of Via, topmost first, several in one line apart (sections 7.3.1, 20.42)."""
    head = payload.partition(b"\r\n\r\n")[0]
    return (hop for line in _VIA.finditer(head) for hop in line[1].split(b","))


def parameter(value: str, name: str) -> str:
    """Of a header value or a challenge: ``realm="x"``, ``refresher=uac``; empty when it is not there."""
    found = re.search(rf"(?<![\w-]){name}{_VALUE}", value[:_LONGEST], re.I)
    return (found[1] or found[2] or "") if found else ""


def number(value: str) -> int | None:
    """The number that a value begins with, up to nine digits."""
    found = re.match(r"\s*(\d{1,9})(?!\d)", value, re.A)
    return int(found[1]) if found else None


def _head(payload: bytes) -> bytes:
    text = payload.lstrip(b"\r\n")
    ends = [at for at in (text.find(b"\r\n\r\n"), text.find(b"\n\n")) if at >= 0]
    return text[: min(ends)] if ends else text
