"""REGISTER requests and their responses as they come off the wire: what one message tells of a phone's registration.

Read by itself, in one pass, as half of all SIP is this. Any bytes may come; all that is read is cut to a length.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ringback.sip.message import address, decoded
from ringback.sip.packet import Endpoint, Packet

DEFAULT_S = 3_600  # RFC 3261 section 10.2.1.1: also for an expiry that is no number
UNSAID = -1
_LONGEST_S = 2**32 - 1
_LONGEST_TEXT, _LONGEST_HEADER = 255, 2_048
_MOST_CONTACTS = 10

Contact = tuple[str, int]
"""URI and `expires` in seconds, -1 where it does not say."""


class End(NamedTuple):
    """Where the phone is. Of several views of one message that with the fewest `vias` is nearest to it."""

    vias: int
    ip: str
    port: int
    transport: str


class Asked(NamedTuple):
    """The request. `expires`: the header, -1 without. `server`, `proxy`: whether it brings credentials for these."""

    vias: int
    at_us: int
    contacts: tuple[Contact, ...]
    expires: int
    server: bool
    proxy: bool
    user_agent: str


class Answer(NamedTuple):
    """The final response; of several the one that says the best."""

    status: int
    vias: int
    at_us: int
    phrase: str
    contacts: tuple[Contact, ...]
    expires: int
    stale: bool


class RegisterAttempt(NamedTuple):
    """A transaction, as far as it was seen. `sent`: by hop and capture agent the first and last time of the request, while
    nothing answered. `heard`: something did, be it provisional."""

    call_id: str
    cseq: int
    branch: str
    at_us: int
    end: End
    host: str
    asked: Asked | None
    answer: Answer | None
    heard: bool
    sent: dict[str, tuple[int, int]]


class Sighting(NamedTuple):
    """One captured message: of which address-of-record, of which of its devices, and what it tells."""

    aor: str
    device: str
    attempt: RegisterAttempt


def is_register(payload: bytes) -> bool:
    """Whether it may be a REGISTER or a response to one; cheap."""
    start = payload.lstrip(b"\r\n")[:9]
    return start == b"REGISTER " or (start.startswith(b"SIP/") and b"REGISTER" in payload)


_NAMES = {
    "via": "via", "v": "via", "to": "to", "t": "to", "call-id": "call-id", "i": "call-id", "cseq": "cseq",
    "contact": "contact", "m": "contact", "expires": "expires", "user-agent": "user-agent",
    "authorization": "server", "proxy-authorization": "proxy",
    "www-authenticate": "challenge", "proxy-authenticate": "challenge",
}  # fmt: skip
_USUAL = {name.title(): field for name, field in _NAMES.items()} | {
    **{"Call-ID": "call-id", "CSeq": "cseq", "WWW-Authenticate": "challenge"},
    **dict.fromkeys(("From", "Max-Forwards", "Content-Length", "Allow", "Supported", "Server", "Date"), ""),
}
"""Headers as most agents write them."""


def sighting(packet: Packet, capture_id: int | None) -> Sighting | None:
    """What a message tells; None for what is no REGISTER, no response to one, or lacks what would name its transaction."""
    payload = packet.payload.lstrip(b"\r\n")
    end = payload.find(b"\r\n\r\n")
    lines = decoded(payload if end < 0 else payload[:end]).split("\n")
    found = _headers(lines)
    number, method = (*found.get("cseq", "").split(None, 1), "", "")[:2]
    aor, vias = _aor(found.get("to", "")), [each for each in found.get("via", "").split(",") if each.strip()]
    if method != "REGISTER" or not _is_number(number) or not (aor and vias and found.get("call-id")):
        return None
    start = lines[0].split(None, 2) or [""]
    if start[0] == "REGISTER":
        return _sighting(packet, packet.src, aor, found, vias, _asked(packet, found, len(vias), capture_id))
    if len(start) > 1 and start[0].startswith("SIP/") and len(start[1]) == 3 and _is_number(start[1]):
        return _sighting(packet, packet.dst, aor, found, vias, _answered(packet, found, len(vias), start))
    return None


def _headers(lines: Sequence[str]) -> dict[str, str]:
    """Those that count; repeated ones joined by commas."""
    found: dict[str, str] = {}
    last = ""
    for line in lines[1:]:
        if line[:1] in (" ", "\t"):
            if last and len(found[last]) < _LONGEST_HEADER:
                found[last] += " " + line.strip()[:_LONGEST_HEADER]
            continue
        name, _, value = line.partition(":")
        usual = _USUAL.get(name)
        last = _NAMES.get(name.strip().lower(), "") if usual is None else usual
        if last and len(known := found.get(last, "")) < _LONGEST_HEADER:
            value = value.strip()[:_LONGEST_HEADER]
            found[last] = f"{known}, {value}" if known else value
    return found


class _Told(NamedTuple):
    asked: Asked | None
    answer: Answer | None
    heard: bool
    sent: dict[str, tuple[int, int]]


def _asked(packet: Packet, found: dict[str, str], vias: int, capture_id: int | None) -> _Told:
    contacts, expires = _contacts(found.get("contact", "")), _seconds(found.get("expires"))
    agent = found.get("user-agent", "")[:_LONGEST_TEXT]
    asked = Asked(vias, packet.at_us, contacts, expires, "server" in found, "proxy" in found, agent)
    hop = f"{capture_id} {packet.src} {packet.dst}"
    return _Told(asked, None, False, {hop: (packet.at_us, packet.at_us)})


def _answered(packet: Packet, found: dict[str, str], vias: int, start: Sequence[str]) -> _Told:
    status, phrase = int(start[1]), (start[2] if len(start) > 2 else "").strip()[:_LONGEST_TEXT]
    if status < 200:
        return _Told(None, None, True, {})
    is_stale = "stale=true" in found.get("challenge", "").lower().replace(" ", "").replace('"', "")
    contacts, expires = _contacts(found.get("contact", "")), _seconds(found.get("expires"))
    return _Told(None, Answer(status, vias, packet.at_us, phrase, contacts, expires, is_stale), True, {})


def _sighting(
    packet: Packet, end: Endpoint, aor: str, found: dict[str, str], vias: Sequence[str], told: _Told
) -> Sighting:
    """The phone's own Via is the lowest one, and it goes through all proxies and back again."""
    sent_by, _, parameters = vias[-1].partition(";")
    given = {
        name.strip().lower(): each.strip() for name, _, each in (one.partition("=") for one in parameters.split(";"))
    }
    protocol, _, where = sent_by.strip().rpartition(" ")
    host, port = host_port(where)
    near = End(len(vias), end.ip, end.port, packet.transport)
    if len(vias) > 1:
        ip = host_port(given.get("received", ""))[0] or host
        near = End(len(vias), ip, _port(given.get("rport", "")) or port, protocol.strip().rpartition("/")[2].upper())
    is_named = host != near.ip and not host.endswith(".invalid")  # WebSocket phones invent a name (RFC 7118 section 5)
    cseq, call_id = int(found["cseq"].split(None, 1)[0]), found["call-id"][:_LONGEST_TEXT]
    branch = given.get("branch", "")[:_LONGEST_TEXT]
    attempt = RegisterAttempt(
        call_id, cseq, branch, packet.at_us, near, host, told.asked, told.answer, told.heard, told.sent
    )
    return Sighting(aor, f"{near.ip} {host}" if is_named else near.ip, attempt)


@lru_cache(maxsize=2048)
def _aor(text: str) -> str:
    """The canonical address-of-record (section 10.3, step 5): without parameters, the host in small letters."""
    scheme, _, rest = address(text[:_LONGEST_HEADER]).uri.partition(";")[0].partition(":")
    user, at, host = rest.rpartition("@")
    return f"{scheme.lower()}:{user}{at}{host.lower()}"[:_LONGEST_TEXT] if rest else ""


@lru_cache(maxsize=2048)
def host_port(text: str) -> tuple[str, int]:
    """Without the brackets of IPv6; port 0 where none is given."""
    text = text.strip().lower()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host[:_LONGEST_TEXT], _port(rest.lstrip(":"))
    if text.count(":") > 1:
        return text[:_LONGEST_TEXT], 0
    host, _, port = text.partition(":")
    return host.strip()[:_LONGEST_TEXT], _port(port)


def _port(text: str) -> int:
    text = text.strip()
    return int(text) if _is_number(text) and len(text) < 6 else 0


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 10 and text.isascii() and text.isdecimal()


def _seconds(text: str | None) -> int:
    if text is None:
        return UNSAID
    text = text.strip()
    return min(int(text), _LONGEST_S) if _is_number(text) else DEFAULT_S


@lru_cache(maxsize=2048)
def _contacts(text: str) -> tuple[Contact, ...]:
    """A list of name-addr and addr-spec with their parameters (section 20.10)."""
    found = []
    for each in _entries(text)[:_MOST_CONTACTS]:
        before, bracket, rest = each.partition("<")
        uri, _, parameters = rest.partition(">") if bracket else before.partition(";")
        given = {
            name.strip().lower(): value for name, _, value in (one.partition("=") for one in parameters.split(";"))
        }
        if uri.strip():
            found.append((uri.strip()[:_LONGEST_TEXT], _seconds(given.get("expires"))))
    return tuple(found)


def _entries(text: str) -> list[str]:
    """Split at the commas outside of quotes and brackets; what stands in quotes is left out."""
    bare = "".join(text[:_LONGEST_HEADER].replace("\\\\", "").replace('\\"', "").split('"')[::2])
    found: list[str] = []
    for part in bare.split(","):
        if found and "<" in found[-1] and ">" not in found[-1]:
            found[-1] += "," + part
        else:
            found.append(part)
    return found
