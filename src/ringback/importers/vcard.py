"""vCards, read card by card in bounded memory: 3.0 (RFC 2426), 4.0 (RFC 6350), and 2.1 as far as phones still write it.

A broken card costs itself and no neighbour. Only the properties of `READ` are kept; a photo is passed over whatever its size.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from quopri import decodestring
from typing import NamedTuple

from ringback.importers.csv_records import RECORD_LIMIT_BYTES, Readable, Refused, batches

READ = frozenset({"N", "FN", "ORG", "TEL", "EMAIL", "NOTE", "CATEGORIES", "UID", "KIND", "X-ADDRESSBOOKSERVER-KIND"})
CARD_LIMIT_BYTES = 10 << 20
CARD_LIMIT_PROPERTIES = 1_000
_CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|iso-?8859-\d{1,2}|windows-125\d|cp125\d|koi8-r|shift_jis|gbk|gb2312|big5|euc-jp|euc-kr"
)
_ESCAPED = re.compile(r"\\([\\,;:nN])")
_NOT_ESCAPED = {separator: re.compile(rf"(?<!\\)((?:\\\\)*){separator}") for separator in ",;"}


class Property(NamedTuple):
    """`name`: upper case, without its group. `parameters`: by lower-case name, in lower case. `value`: still escaped."""

    name: str
    parameters: Mapping[str, tuple[str, ...]]
    value: str

    @property
    def types(self) -> frozenset[str]:
        return frozenset(self.parameters.get("type", ()))

    @property
    def preference(self) -> int:
        """1 is the most preferred, 101 says nothing (RFC 6350, 5.3); `TYPE=pref` of 3.0 is 1."""
        given = "".join(self.parameters.get("pref", ()))
        return 1 if "pref" in self.types else int(given) if re.fullmatch(r"[1-9]\d?|100", given, re.ASCII) else 101

    def text(self) -> str:
        return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], self.value)

    def parts(self, separator: str = ";") -> list[str]:
        """The components of a structured value, or with a comma the values of a list."""
        marked = _NOT_ESCAPED[separator].sub("\\1\0", self.value)  # no NUL gets this far
        return [self._replace(value=part).text().strip() for part in marked.split("\0")]


class Card(NamedTuple):
    """`line_no`: where it begins, from 1."""

    line_no: int
    properties: tuple[Property, ...]

    def all(self, name: str) -> list[Property]:
        """The properties of this name, the preferred first."""
        return sorted((each for each in self.properties if each.name == name), key=lambda each: each.preference)


class _Broken(Exception):
    """A card that cannot be used; the text says why."""


class _Reading:
    """A card on its way in. What is wrong with it is told when it ends, so that its lines are passed over together."""

    def __init__(self, line_no: int) -> None:
        self.line_no = line_no
        self.fault: str | None = None
        self._size = 0
        self._lines: list[bytes] = []  # unfolded; the last one may go on
        self._keeps = False  # whether the last line is of a property that is read

    def add(self, line: bytes) -> None:
        self._size += len(line) + 1
        if self._size > CARD_LIMIT_BYTES:
            self._refuse("a card longer than 10 MiB")
        elif b"\0" in line:
            self._refuse("holds a NUL byte")
        elif self._keeps and self._lines[-1].endswith(b"=") and _is_quoted_printable(self._lines[-1]):
            self._lines[-1] = self._lines[-1][:-1]
            self._go_on(line)
        elif line[:1] in (b" ", b"\t"):
            self._go_on(line[1:])
        else:
            self._begin(line)

    def _begin(self, line: bytes) -> None:
        self._keeps = self.fault is None and _name(line) in READ
        if self._keeps:
            self._lines.append(b"")
            self._go_on(line)
        if len(self._lines) > CARD_LIMIT_PROPERTIES:
            self._refuse(f"more than {CARD_LIMIT_PROPERTIES} properties")

    def _go_on(self, rest: bytes) -> None:
        if not self._keeps:
            return
        self._lines[-1] += rest
        if len(self._lines[-1]) > RECORD_LIMIT_BYTES:
            self._refuse("a line longer than 64 KiB")

    def _refuse(self, reason: str) -> None:
        self.fault = self.fault or reason
        self._lines, self._keeps = [], False

    def ended(self) -> Card | Refused:
        try:
            if self.fault is not None:
                raise _Broken(self.fault)
            properties = tuple(filter(None, map(_property, self._lines)))
        except _Broken as fault:
            return Refused(self.line_no, str(fault), b"")
        return Card(self.line_no, properties)


def read(source: Readable | Iterable[bytes]) -> Iterator[Card | Refused]:
    """The cards in the order of the file. What stands between cards is passed over."""
    card: _Reading | None = None
    lines = chain.from_iterable(batches(source))
    for line_no, line in enumerate((each.rstrip(b"\r") for each in lines), start=1):
        word = line.strip().upper() if len(line) < 32 else b""
        if word == b"BEGIN:VCARD":
            if card is not None:
                yield Refused(card.line_no, "a card that does not end", b"")
            card = _Reading(line_no)
        elif word == b"END:VCARD" and card is not None:
            yield card.ended()
            card = None
        elif card is not None:
            card.add(line)
    if card is not None:
        yield Refused(card.line_no, card.fault or "a card that does not end", b"")


def _name(line: bytes) -> str:
    """Of `item1.TEL;TYPE=cell:…` it is TEL."""
    head = re.split(rb"[;:]", line[:256], maxsplit=1)[0]
    return head.rpartition(b".")[2].strip().decode("ascii", "replace").upper()


def _is_quoted_printable(line: bytes) -> bool:
    return b"QUOTED-PRINTABLE" in line.partition(b":")[0].upper()


def _property(line: bytes) -> Property | None:
    """None for a line without a value. _Broken when it is not in its character set."""
    head, value = _divided(line)
    if value is None:
        return None
    parameters = _parameters(head.decode("utf-8", "replace"))
    if "quoted-printable" in parameters.get("encoding", ()):
        value = decodestring(value)
    if b"\0" in value:
        raise _Broken("holds a NUL byte")
    return Property(_name(line), parameters, _decoded(value, parameters))


def _divided(line: bytes) -> tuple[bytes, bytes | None]:
    """What stands before and after the first colon that is in no quotes; an open quote quotes nothing."""
    found = re.match(rb'((?:[^":]|"[^"]*")*):(.*)', line, re.DOTALL) or re.match(rb"([^:]*):(.*)", line, re.DOTALL)
    return (found[1], found[2]) if found else (line, None)


def _parameters(head: str) -> dict[str, tuple[str, ...]]:
    """A bare word, as in `TEL;CELL` of 2.1, is a type, or names an encoding."""
    found: dict[str, tuple[str, ...]] = {}
    for part in re.findall(r';((?:[^";]|"[^"]*")*)', head):
        name, equals, values = part.lower().partition("=")
        if not equals:
            name, values = ("encoding", name) if name in {"quoted-printable", "base64"} else ("type", name)
        given = (value.strip() for value in values.replace('"', "").split(","))
        found[name.strip()] = (*found.get(name.strip(), ()), *filter(None, given))
    return found


def _decoded(value: bytes, parameters: Mapping[str, tuple[str, ...]]) -> str:
    charset = "".join(parameters.get("charset", ())) or "utf-8"
    if not _CHARSET.fullmatch(charset):
        raise _Broken(f"an unknown character set, {charset[:40]!r}")
    try:
        return value.decode(charset)
    except (UnicodeDecodeError, LookupError):
        raise _Broken(f"not in its character set, {charset}") from None
