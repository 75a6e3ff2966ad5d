"""SIP messages as they come off the wire: scanned, never refused (RFC 3261 section 7).

A trace must show what was really sent, and that includes folded headers, bare line feeds, Latin-1 names, spaces
before a colon and plain nonsense. So the scanner takes any bytes, finds what it can, and says ``malformed`` where
a strict reader would have stopped.
"""

import re
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote

_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*', re.S)
_HEAD_END = re.compile(rb"\n(?:\n?\r\n|\n)")
_FOLD = re.compile(r"\r?\n[ \t]+")
_CSEQ = re.compile(r"(\d{1,10})\s+(\S+)", re.A)
_STATUS = re.compile(r"SIP/\d+\.\d+\s+([1-6]\d\d)(?:\s+(.*))?$", re.I | re.A)
_REQUEST = re.compile(r"(\S+)\s+(\S(?:.*\S)?)\s+SIP/\d+\.\d+$", re.I | re.A)
"""Each run of blanks is looked at once: 64 KiB of them took seconds."""
_TAG = re.compile(r";\s*tag\s*=\s*([^;,\s>]+)", re.I)
_BRANCH = re.compile(r";\s*branch\s*=\s*([^;,\s>]+)", re.I)

_FIELDS = {
    # Compact forms: RFC 3261 section 7.3.3.
    "call-id": "call_id", "i": "call_id",
    "cseq": "cseq",
    "from": "from", "f": "from",
    "to": "to", "t": "to",
    "via": "via", "v": "via",
    "contact": "contact", "m": "contact",
    "content-length": "content_length", "l": "content_length",
    "user-agent": "user_agent",
    "server": "server",
    "reason": "reason",
    "p-asserted-identity": "p_asserted_identity",
    "remote-party-id": "remote_party_id",
    "replaces": "replaces",
    "session-expires": "session_expires", "x": "session_expires",
}  # fmt: skip
_REPEATABLE = frozenset({"reason", "p_asserted_identity", "remote_party_id"})
_REMEMBERED = 512  # characters: longer texts are read anew, or they would fill the memory


class CSeq(NamedTuple):
    """RFC 3261 section 20.16."""

    number: int
    method: str


class Address(NamedTuple):
    """The value of From, To, Contact, P-Asserted-Identity, … ``user`` is percent-decoded; absent parts are empty."""

    display_name: str
    uri: str
    user: str
    tag: str


class SipMessage(NamedTuple):
    """One message. Texts that are absent are empty; of repeated headers the first counts (of Reason and
    those that say who somebody is: all, with commas between).

    ``method`` of a response is that of its CSeq. ``status`` is 0 for requests. ``cseq`` is None where it is
    missing or no number. ``body`` ends where Content-Length says (section 18.3).
    """

    is_request: bool
    method: str
    request_uri: str
    status: int
    reason_phrase: str
    call_id: str
    cseq: CSeq | None
    from_text: str
    from_tag: str
    to_text: str
    to_tag: str
    via: str
    contact_text: str
    user_agent: str
    server: str
    p_asserted_identity: str
    remote_party_id: str
    reason: str
    replaces: str
    session_expires: str
    body: bytes
    malformed: bool

    @property
    def from_(self) -> Address:
        return address(self.from_text)

    @property
    def to(self) -> Address:
        return address(self.to_text)

    @property
    def contact(self) -> Address:
        return address(self.contact_text)

    @property
    def branch(self) -> str:
        """The branch of the topmost Via: names the transaction (section 17)."""
        found = _BRANCH.search(self.via.partition(",")[0])
        return found[1] if found else ""


class _StartLine(NamedTuple):
    is_request: bool
    method: str
    request_uri: str
    status: int
    reason_phrase: str
    malformed: bool


def scan(raw: bytes) -> SipMessage:
    """Read one message. Never raises; what is not SIP comes back ``malformed`` with empty fields."""
    lines, body, ended = _split(raw)
    start = _start_line(lines[0].strip())
    found, readable = _headers(lines)
    get = found.get
    cseq, from_text, to_text = _cseq(get("cseq", "")), get("from", ""), get("to", "")
    body, complete = _body(body, get("content_length", ""))
    return SipMessage(
        start.is_request,
        start.method or (cseq.method if cseq else ""),
        start.request_uri,
        start.status,
        start.reason_phrase,
        get("call_id", ""),
        cseq,
        from_text,
        _tag(from_text),
        to_text,
        _tag(to_text),
        get("via", ""),
        get("contact", ""),
        get("user_agent", ""),
        get("server", ""),
        get("p_asserted_identity", ""),
        get("remote_party_id", ""),
        get("reason", ""),
        get("replaces", ""),
        get("session_expires", ""),
        body,
        start.malformed or not (ended and readable and complete) or _lacks_something(start, cseq, found),
    )


def address(text: str) -> Address:
    """Read a name-addr or addr-spec with its tag (RFC 3261 section 20.10); of a list the first entry."""
    return _address(text) if len(text) <= _REMEMBERED else _address.__wrapped__(text)


@lru_cache(maxsize=4096)
def _address(text: str) -> Address:
    quoted = _QUOTED.match(text)
    display_name = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.S) if quoted else ""
    rest = text[quoted.end() :] if quoted else text
    before, bracket, after = rest.partition("<")
    if bracket:
        display_name = display_name or before.strip()
        uri, _, parameters = after.partition(">")
    else:
        uri, semicolon, parameters = rest.partition(";")
        parameters = semicolon + parameters
    tag = _TAG.search(parameters)
    return Address(display_name, uri.strip(), user_of(uri.strip()), tag[1] if tag else "")


def user_of(uri: str) -> str:
    """The user part of a sip, sips or tel URI, without password and parameters; empty when it has none."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "tel":
        user = rest
    elif scheme.lower() in {"sip", "sips"}:
        user = rest.rpartition("@")[0].partition(":")[0]
    else:
        return ""
    return unquote(user.partition(";")[0])


def decoded(raw: bytes) -> str:
    """UTF-8 where it is UTF-8, else line by line UTF-8 or Latin-1. NUL, which no store takes, becomes U+FFFD."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\n".join(map(_decoded_line, raw.split(b"\n")))
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _decoded_line(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _split(raw: bytes) -> tuple[list[str], bytes, bool]:
    """The lines of the head, the body, and whether the empty line between them is there. Leading line ends are skipped
    (section 7.5), folded lines are put together (section 7.3.1)."""
    if raw[:1] in {b"\r", b"\n"}:
        raw = raw.lstrip(b"\r\n")
    end = _HEAD_END.search(raw)
    head, body = (raw, b"") if end is None else (raw[: end.start()], raw[end.end() :])
    lines = decoded(head).split("\n")
    return _unfolded(lines) if min(lines) < "!" else lines, body, end is not None


def _unfolded(lines: list[str]) -> list[str]:
    return _FOLD.sub(" ", "\n".join(lines)).split("\n")


def _tag(text: str) -> str:
    """As of its `address`, without reading the rest."""
    if ";" not in text:
        return ""
    return _read_tag(text) if len(text) <= _REMEMBERED else _read_tag.__wrapped__(text)


@lru_cache(maxsize=4096)
def _read_tag(text: str) -> str:
    """Behind the quoted name and the URI: both may hold anything."""
    quoted = _QUOTED.match(text)
    start = quoted.end() if quoted else 0
    bracket = text.find("<", start)
    end = text.find(";", start) if bracket < 0 else text.find(">", bracket)
    found = _TAG.search(text, end) if end >= 0 else None
    return found[1] if found else ""


def _start_line(line: str) -> _StartLine:
    is_usual_answer = line.startswith("SIP/2.0 ") and len(line) <= _REMEMBERED
    return _read_start_line(line) if is_usual_answer else _read_start_line.__wrapped__(line)


@lru_cache(maxsize=1024)
def _read_start_line(line: str) -> _StartLine:
    words = line.split(" ")
    if len(words) == 3 and words[2] == "SIP/2.0" and line.isprintable() and words[0] and words[1]:
        return _StartLine(True, words[0], words[1], 0, "", False)
    status = _STATUS.match(line)
    if status:
        return _StartLine(False, "", "", int(status[1]), (status[2] or "").strip(), False)
    request = _REQUEST.match(line)
    if request:
        return _StartLine(True, request[1], request[2], 0, "", " " in request[2])
    return _StartLine(False, "", "", 0, "", True)


def _headers(lines: list[str]) -> tuple[dict[str, str], bool]:
    """The headers that dialogs need, by field, and whether every line was a header."""
    found: dict[str, str] = {}
    readable = True
    for line in islice(lines, 1, None):
        name, colon, value = line.partition(":")
        field = _NAMES[name]
        if field is None:
            readable = readable and (colon == ":" or not name.strip())
        elif not colon:
            readable = False
        elif field not in found:
            found[field] = value.strip()
        elif field in _REPEATABLE:
            found[field] += ", " + value.strip()
    return found, readable


class _Names(dict[str, str | None]):
    """The fields of header names as they were written before, of which there are few; bounded in number and in length."""

    def __missing__(self, name: str) -> str | None:
        field = _FIELDS.get(name.strip().lower())
        if len(name) < 64:
            if len(self) >= 1024:
                self.clear()
            self[name] = field
        return field


_NAMES = _Names()


def _cseq(text: str) -> CSeq | None:
    return _read_cseq(text) if len(text) <= _REMEMBERED else _read_cseq.__wrapped__(text)


@lru_cache(maxsize=4096)
def _read_cseq(text: str) -> CSeq | None:
    match = _CSEQ.match(text)
    return CSeq(int(match[1]), match[2]) if match else None


def _body(rest: bytes, content_length: str) -> tuple[bytes, bool]:
    """Cut to Content-Length, and whether all of it is there (section 18.3)."""
    if not content_length:
        return rest, True
    if not (content_length.isascii() and content_length.isdecimal() and len(content_length) < 10):
        return rest, False
    length = int(content_length)
    return rest[:length], length <= len(rest)


def _lacks_something(start: _StartLine, cseq: CSeq | None, found: dict[str, str]) -> bool:
    """RFC 3261 section 8.1.1: what every message must have (Max-Forwards, younger than RFC 2543, left aside)."""
    if cseq is None or (start.is_request and start.method != cseq.method):
        return True
    get = found.get
    return not (get("call_id") and get("cseq") and get("from") and get("to") and get("via"))
