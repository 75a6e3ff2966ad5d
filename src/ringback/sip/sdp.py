"""The part of a session description that says where media go and which way (RFC 4566, RFC 3264)."""

import re
import socket
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ringback.sip.packet import Endpoint

MOST_STREAMS, MOST_FORMATS, MOST_LINES = 64, 128, 4_000
"""What is read of a description; there are no more payload types, and browsers with every candidate stay far below."""
_LONGEST, _LONGEST_NAME = 65_536, 255  # bytes of a description, characters of a host
_REMEMBERED = 8_192  # bytes: longer descriptions are read anew, or they would fill the memory
_LINE = re.compile(r"[^\r\n]+")
_ENDS = re.compile(r"(?:^|[\r\n])[^\S\r\n]*([cm])=([^\r\n]*)")
"""The lines that say where media go."""
DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
HOLDING = frozenset({"sendonly", "inactive"})
"""Of who put the call on hold (RFC 3264 section 8.4)."""
_STATIC = {
    0: "PCMU/8000", 3: "GSM/8000", 4: "G723/8000", 5: "DVI4/8000", 6: "DVI4/16000", 7: "LPC/8000", 8: "PCMA/8000",
    9: "G722/8000", 10: "L16/44100", 11: "L16/44100", 12: "QCELP/8000", 13: "CN/8000", 14: "MPA/90000", 15: "G728/8000",
    16: "DVI4/11025", 17: "DVI4/22050", 18: "G729/8000", 25: "CelB/90000", 26: "JPEG/90000", 28: "nv/90000",
    31: "H261/90000", 32: "MPV/90000", 33: "MP2T/90000", 34: "H263/90000",
}  # fmt: skip
"""Payload types that need no a=rtpmap, with the clock of their timestamps (RFC 3551 section 6)."""


class Media(NamedTuple):
    """One stream. ``rtcp``: every address its reports may come to. ``direction``: as the sender of the SDP sees it.

    ``codecs``: the names of the formats in order; a format that nobody names is shown as it is. ``clocks``: ticks a second
    of the timestamps of each, 0 where nobody says.
    """

    kind: str
    rtp: Endpoint
    rtcp: frozenset[Endpoint]
    direction: str
    codecs: tuple[str, ...] = ()
    clocks: tuple[int, ...] = ()


class _Section:
    """The lines of the session or of one stream, as far as they matter here."""

    def __init__(self, address: str = "", direction: str = "sendrecv") -> None:
        self.kind, self.port = "", 0
        self.address, self.direction = address, direction
        self.rtcp_port, self.rtcp_address, self.multiplexed = 0, "", False
        self.formats: list[str] = []
        self.names: dict[str, str] = {}

    def add(self, key: str, value: str) -> None:
        if key == "c":
            self.address = _address(value)
        elif value in DIRECTIONS:
            self.direction = value
        elif value == "rtcp-mux":
            self.multiplexed = True
        elif value.startswith("rtcp:"):
            self._add_rtcp(value[5:])
        elif value.startswith("rtpmap:"):
            number, _, encoding = value[7:].partition(" ")
            self.names.setdefault(number, encoding.strip())

    def media(self) -> Media:
        """RTCP is on the next port (RFC 3550 section 11), where a=rtcp says (RFC 3605), or with the RTP (RFC 5761)."""
        named = Endpoint(self.rtcp_address or self.address, self.rtcp_port or self.port + 1)
        rtp = Endpoint(self.address, self.port)
        # A connection address of 0.0.0.0 is how RFC 2543 put a call on hold (RFC 3264 section 8.4).
        held = self.address == "0.0.0.0" and self.direction == "sendrecv"  # noqa: S104
        rtcp = frozenset({named, rtp} if self.multiplexed else {named})
        encodings = [(self.names.get(each) or _static(each)).split("/") for each in self.formats]
        codecs = tuple(each[0] for each in encodings)
        clocks = tuple(_clock(each) for each in encodings)
        return Media(self.kind, rtp, rtcp, "sendonly" if held else self.direction, codecs, clocks)

    def _add_rtcp(self, value: str) -> None:
        """``port [IN IP4 address]``: RFC 3605 section 2.1."""
        port, _, connection = value.partition(" ")
        self.rtcp_port = _port(port)
        if connection:
            self.rtcp_address = _address(connection)


def media(body: bytes) -> list[Media]:
    """The streams of an SDP body, also of one inside a multipart body; those refused (port 0) left out. Of more than
    `MOST_STREAMS` the first."""
    session = current = _Section()
    sections: list[_Section] = []
    for line in _LINE.findall(_text(body))[:MOST_LINES]:
        key, equals, value = line.strip().partition("=")
        if not equals:
            continue
        if key == "m":
            if len(sections) == MOST_STREAMS:
                break
            current = _Section(session.address, session.direction)
            current.kind, current.port = _stream(value)
            current.formats = value.split()[3 : 3 + MOST_FORMATS]
            sections.append(current)
        elif key in {"c", "a"}:
            current.add(key, value.strip())
    return [each.media() for each in sections if each.port]


def streams(body: bytes) -> tuple[Media, ...]:
    """As `media`, which it remembers: proxies and retransmissions repeat what was said before."""
    return _streams(body) if len(body) <= _REMEMBERED else tuple(media(body))


@lru_cache(maxsize=512)
def _streams(body: bytes) -> tuple[Media, ...]:
    return tuple(media(body))


def audio(body: bytes) -> Iterator[Media]:
    return (stream for stream in streams(body) if stream.kind == "audio")


def rtp_ends(body: bytes) -> list[Endpoint]:
    """The ``rtp`` of each stream that ``media`` gives, for less."""
    of_session = ""
    found: list[Endpoint] = []
    for key, value in _ENDS.findall(_text(body)):
        if key == "m":
            if len(found) == MOST_STREAMS:
                break
            found.append(Endpoint(of_session, _stream(value)[1]))
        elif found:
            found[-1] = Endpoint(_address(value), found[-1].port)
        else:
            of_session = _address(value)
    return [each for each in found if each.port]


def _text(body: bytes) -> str:
    begin = max(body.find(b"v=0"), 0)
    return body[begin : begin + _LONGEST].decode("latin-1")


def _stream(value: str) -> tuple[str, int]:
    words = value.split()
    if len(words) < 2:
        return value, 0
    return words[0], _port(words[1].partition("/")[0])


def _static(number: str) -> str:
    return _STATIC.get(int(number), number) if number.isascii() and number.isdecimal() and len(number) < 4 else number


def _clock(encoding: list[str]) -> int:
    """``name/clock rate/channels``."""
    rate = encoding[1] if len(encoding) > 1 else ""
    return int(rate) if rate.isascii() and rate.isdecimal() and len(rate) < 9 else 0


def _port(text: str) -> int:
    """0 where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65535 else 0


def _address(connection: str) -> str:
    """``IN IP4 192.0.2.1/127`` → ``192.0.2.1``, in the form of Endpoint where it is an address."""
    return _read_address(connection) if len(connection) <= _LONGEST_NAME else _read_address.__wrapped__(connection)


@lru_cache(maxsize=1024)
def _read_address(connection: str) -> str:
    words = connection.split()
    text = words[-1].partition("/")[0] if words else ""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except (OSError, ValueError):
        return text[:_LONGEST_NAME]
