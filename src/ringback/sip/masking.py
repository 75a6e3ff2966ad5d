"""Secrets out of a captured SIP message, each byte of them a ``*``: every length in the message stays true.

What goes: of digest credentials (RFC 3261 section 22, RFC 7616) the hashes that a password can be guessed from without
asking anybody, ``response`` and ``rspauth``; with nonce, cnonce and user name, which stay, they are worthless. Of other
schemes (Basic, Bearer) all that follows the scheme. SRTP keys in SDP: ``a=crypto`` (RFC 4568), ``a=key-mgmt`` (RFC 4567),
``k=`` (RFC 4566 section 5.12). In the body as in the head, for messages travel in messages.
"""

import re
from collections.abc import Iterator

from ringback.sip.packet import Packet

Span = tuple[int, int]

_TELLTALES = (
    b"authorization",
    b"authentication-info",
    b"a=crypto:",
    b"a=key-mgmt:",
    b"k=clear:",
    b"k=base64:",
    b"k=uri:",
)
_LINE = re.compile(
    rb"[ \t]*+(?:"
    rb"(?P<credentials>(?:proxy-)?(?:authorization|authentication-info))(?:[ \t]|\r?\n[ \t])*+:"
    rb"|a=crypto:(?P<crypto>[^\r\n]*+)"
    rb"|a=key-mgmt:[ \t]*+[^\s]++[ \t]++(?P<management>[^\r\n]*+)"
    rb"|k=(?:clear|base64|uri):(?P<key>[^\r\n]*+)"
    rb")",
    re.I,
)
_LINE_END = re.compile(rb"[\r\n]")
_REST = re.compile(rb"[^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+")
"""Of a header, with the lines that it is folded into (RFC 3261 section 7.3.1)."""

_PART = re.compile(
    rb"[\s,]*+"
    rb"(?:(?P<name>[^\s,=\"]++)\s*+=\s*+(?:\"(?P<quoted>(?:[^\"\\]|\\.)*+)\"|(?P<token>[^\s,\"]*+))(?=[\s,]|$)"
    rb"|(?P<scheme>[^\s,=\"]++)(?=\s|$))",
    re.S,
)
"""A parameter or the name of a scheme, as the grammar of RFC 3261 section 25.1 has them."""
_SECRET = frozenset({b"response", b"rspauth"})
_ANYWHERE = re.compile(rb"(?:response|rspauth)\s*+=\s*+(?:\"(?P<quoted>[^\"]*+)|(?P<token>[^\",\s]*+))", re.I)
_KEY = re.compile(rb"(?<![\w-])[a-z][\w-]*+:[ \t]*+([^|;\s]++)", re.I)
"""Of ``inline:KEY|lifetime|MKI:length;inline:…`` and FEC_KEY=inline:…, whatever the method is called."""
_BLANK, _STAR = b"\r\n\t ", ord("*")


def masked(payload: bytes) -> bytes:
    """The message, as long as it was."""
    low = payload.lower()
    spans = [span for each in _TELLTALES if each in low for span in _secrets(payload, low, each)]
    if not spans:
        return payload
    content = bytearray(payload)
    for start, end in spans:
        content[start:end] = bytes(each if each in _BLANK else _STAR for each in payload[start:end])
    return bytes(content)


def without_secrets(packet: Packet) -> Packet:
    payload = masked(packet.payload)
    return packet if payload is packet.payload else packet._replace(payload=payload)


def _secrets(payload: bytes, low: bytes, telltale: bytes) -> Iterator[Span]:
    """In the lines with this word, of which only the beginning counts."""
    place = low.find(telltale)
    while place >= 0:
        begin = max(low.rfind(b"\n", 0, place), low.rfind(b"\r", 0, place)) + 1
        found = _LINE.match(payload, begin)
        if found is not None:
            yield from _in_line(payload, found)
        line_end = _LINE_END.search(low, place)
        place = -1 if line_end is None else low.find(telltale, line_end.end())


def _in_line(payload: bytes, found: re.Match[bytes]) -> Iterator[Span]:
    if found["credentials"] is not None:
        value = _REST.match(payload, found.end())
        yield from _credentials(payload, found.end(), value.end() if value else found.end())
    elif found["crypto"] is not None:
        yield from (each.span(1) for each in _KEY.finditer(payload, *found.span("crypto")))
    else:
        yield found.span("management" if found["management"] is not None else "key")


def _credentials(payload: bytes, start: int, end: int) -> Iterator[Span]:
    """Of one header, several credentials too. From where it leaves the grammar on, whatever looks like a secret."""
    while start < end and (part := _PART.match(payload, start, end)) is not None:
        start = part.end()
        if part["scheme"] is None:
            if part["name"].lower() in _SECRET:
                yield part.span("token" if part["quoted"] is None else "quoted")
        elif part["scheme"].lower() != b"digest":
            yield start, end
            return
    for found in _ANYWHERE.finditer(payload, start, end):
        yield found.span("token" if found["quoted"] is None else "quoted")
