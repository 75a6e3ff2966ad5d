"""TCP connections of a capture: segments in any order into the SIP messages that they carried.

Segments are put in order by their numbers (RFC 9293 section 3.4), messages are cut by Content-Length (RFC 3261 section 18.3)
or taken out of WebSocket frames (RFC 6455 section 5, RFC 7118). Memory is bounded whatever was captured.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ringback.sip.packet import Endpoint, Packet

SYN, RST = 2, 4
_ROUND = 1 << 32
_WAITING_MAX = 256
"""Segments that wait for one before them; then that one is given up."""
_DIRECTIONS_MAX = 8192
_MESSAGE_MAX = 1 << 20
_HEAD_MAX = 65_536

_START = re.compile(rb"(?:SIP/\d\.\d [1-6]\d\d |[A-Za-z.!%*_+`'~-]{1,32} [^\s]{1,4096} SIP/\d\.\d\r?\n)", re.I)
_START_OF_LINE = re.compile(rb"(?:\A|\n)(?=" + _START.pattern + rb")", re.I)
_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:[ \t]*(\d{1,7})[ \t]*\r?\n", re.I)
_UPGRADE = re.compile(rb"\A(?:GET [^\r\n]+ HTTP/1\.1|HTTP/1\.1 101[^\r\n]*)\r\n", re.I)
_WEBSOCKET = re.compile(rb"\nupgrade:[ \t]*websocket[ \t]*\r\n", re.I)


class Segment(NamedTuple):
    """A TCP segment. `sequence`: the number of its first byte, or of its SYN."""

    src: Endpoint
    dst: Endpoint
    sequence: int
    flags: int
    data: bytes


class Streams:
    """All TCP connections of one capture.

    `lost` counts gaps that were given up, `unfinished` messages without their end, `foreign` directions without SIP.
    """

    def __init__(self) -> None:
        self._directions: dict[tuple[Endpoint, Endpoint], _Direction] = {}
        self.lost = 0
        self.unfinished = 0
        self.foreign = 0

    def add(self, at_us: int, segment: Segment) -> Iterator[Packet]:
        """The messages that are whole with this segment; each has the time of its first byte."""
        ends = segment.src, segment.dst
        direction = self._directions.get(ends)
        if segment.flags & SYN or direction is None:
            self._forget(ends)
            direction = self._directions[ends] = _Direction()
            if len(self._directions) > _DIRECTIONS_MAX:
                self._forget(next(iter(self._directions)))
        lost = direction.order.lost
        for transport, began_us, message in direction.add(at_us, segment):
            yield Packet(began_us, transport, *ends, message)
        self.lost += direction.order.lost - lost
        if segment.flags & RST:
            self._forget(ends)

    def finish(self) -> None:
        """The capture is over: what is left is counted."""
        for ends in list(self._directions):
            self._forget(ends)

    def _forget(self, ends: tuple[Endpoint, Endpoint]) -> None:
        direction = self._directions.pop(ends, None)
        if direction is not None:
            self.foreign += direction.messages.is_foreign
            self.unfinished += direction.messages.is_within


class _Direction:
    """One side of a connection."""

    def __init__(self) -> None:
        self.order = _Order()
        self.messages = _Messages()

    def add(self, at_us: int, segment: Segment) -> Iterator[tuple[str, int, bytes]]:
        for piece in self.order.add(at_us, segment):
            if piece is None:
                self.messages.interrupted()
            else:
                yield from self.messages.add(*piece)


class _Order:
    """Bytes in the order in which they were sent, each once."""

    def __init__(self) -> None:
        self.lost = 0
        self._next: int | None = None
        self._waiting: dict[int, tuple[int, bytes]] = {}

    def add(self, at_us: int, segment: Segment) -> Iterator[tuple[int, bytes] | None]:
        """Pieces with their times; None where bytes are missing for good."""
        start = segment.sequence
        if segment.flags & SYN:
            start = self._next = (start + 1) % _ROUND
        if self._next is None:
            self._next = start
        if self._after(start + len(segment.data)) > 0:
            self._keep(start, at_us, segment.data)
        yield from self._ready()
        if len(self._waiting) > _WAITING_MAX:
            self.lost += 1
            self._next = min(self._waiting, key=self._after)
            yield None
            yield from self._ready()

    def _keep(self, start: int, at_us: int, data: bytes) -> None:
        """Of two segments that begin alike the longer."""
        there = self._waiting.get(start)
        if there is None or len(there[1]) < len(data):
            self._waiting[start] = (at_us, data)

    def _ready(self) -> Iterator[tuple[int, bytes]]:
        while (start := self._following()) is not None:
            at_us, data = self._waiting.pop(start)
            fresh = data[-self._after(start) :]
            if fresh:
                self._next = (start + len(data)) % _ROUND
                yield at_us, fresh

    def _following(self) -> int | None:
        """A waiting segment that begins with the next byte, or before it."""
        if self._next in self._waiting:
            return self._next
        return next((start for start in self._waiting if self._after(start) < 0), None)

    def _after(self, sequence: int) -> int:
        """How far a number is beyond the next byte; negative before it. Numbers go round after 2³²."""
        assert self._next is not None
        return (sequence - self._next + _ROUND // 2) % _ROUND - _ROUND // 2


class _Messages:
    """The bytes of one direction as messages: (transport, time of the first byte, message)."""

    def __init__(self) -> None:
        self._rest = b""
        self._began_us = 0
        self._frames: _Frames | None = None
        self._passed = 0
        self._mid_line = False
        self._found = False

    @property
    def is_within(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._found and bool(self._rest.strip(b"\r\n"))

    @property
    def is_foreign(self) -> bool:
        return not self._found and bool(self._rest or self._passed)

    def interrupted(self) -> None:
        self._rest = b""
        self._frames = None if self._frames is None else _Frames()

    def add(self, at_us: int, data: bytes) -> Iterator[tuple[str, int, bytes]]:
        if not self._rest:
            self._began_us = at_us
        self._rest += data
        while self._rest:
            taken = self._websocket() if self._frames is not None else self._plain()
            if taken is None:
                return
            transport, message = taken
            if message:
                self._found = True
                yield transport, self._began_us, message
            self._began_us = at_us

    def _websocket(self) -> tuple[str, bytes] | None:
        assert self._frames is not None
        self._frames.rest, self._rest = self._frames.rest + self._rest, b""
        message = self._frames.message()
        if message is None:
            return None
        self._rest, self._frames.rest = self._frames.rest, b""
        return "WS", message

    def _plain(self) -> tuple[str, bytes] | None:
        """The next message; empty bytes where something else was passed over; None when more must come."""
        if self._mid_line and not self._to_next_line():
            return None
        self._rest = self._rest.lstrip(b"\r\n")  # keep-alives (RFC 5626 section 3.5.1)
        head = self._head()
        if head is None:
            return None
        if _UPGRADE.match(self._rest) and _WEBSOCKET.search(self._rest, 0, head):
            self._rest, self._frames = self._rest[head:], _Frames()
            return "WS", b""
        end = self._end(head)
        return self._skip() if end is None else self._cut(end)

    def _end(self, head: int) -> int | None:
        """Where the message ends whose head ends there; None for what is none."""
        length = _LENGTH.search(self._rest, 0, head)
        end = head + (int(length[1]) if length else 0)
        return end if _START.match(self._rest) and end <= _MESSAGE_MAX else None

    def _cut(self, end: int) -> tuple[str, bytes] | None:
        if len(self._rest) < end:
            return None
        message, self._rest = self._rest[:end], self._rest[end:]
        return "TCP", message

    def _head(self) -> int | None:
        """Where the head ends; None while it may still come."""
        ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := self._rest.find(mark)) >= 0]
        if ends:
            return min(ends)
        if len(self._rest) > _HEAD_MAX:
            self._skip()
        return None

    def _skip(self) -> tuple[str, bytes]:
        """On to the next line that begins a message: the capture began within one, or this is no SIP."""
        found = _START_OF_LINE.search(self._rest, 1)
        at = found.end() if found else self._rest.rfind(b"\n") + 1
        self._passed += at or len(self._rest)
        self._mid_line = at == 0
        self._rest = self._rest[at:] if at else b""
        return "TCP", b""

    def _to_next_line(self) -> bool:
        """Passes over the end of a line whose beginning was passed over; False while it goes on."""
        at = self._rest.find(b"\n") + 1
        self._rest = self._rest[at:] if at else b""
        self._mid_line = at == 0
        return not self._mid_line


class _Frames:
    """WebSocket frames of one direction (RFC 6455 section 5.2)."""

    def __init__(self) -> None:
        self.rest = b""
        self._parts: list[bytes] = []

    def message(self) -> bytes | None:
        """The next text or binary message; empty for a control frame; None when more must come."""
        while (frame := self._frame()) is not None:
            final, operation, payload = frame
            if operation >= 8:
                return b""
            self._parts.append(payload)
            if final or sum(map(len, self._parts)) > _MESSAGE_MAX:
                message, self._parts = b"".join(self._parts), []
                return message
        return None

    def _frame(self) -> tuple[bool, int, bytes] | None:
        if len(self.rest) < 2:
            return None
        first, second = self.rest[:2]
        length, at = second & 127, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(self.rest[2 : 2 + size], "big"), 2 + size
        at += 4 if second & 128 else 0
        if length > _MESSAGE_MAX:
            self.rest = b""
            return None
        if len(self.rest) < at + length:
            return None
        payload = self.rest[at : at + length]
        if second & 128:
            payload = _unmasked(payload, self.rest[at - 4 : at])
        self.rest = self.rest[at + length :]
        return bool(first & 128), first & 15, payload


def _unmasked(payload: bytes, key: bytes) -> bytes:
    """Section 5.3. As one number, for a byte by byte loop would take a hundred times as long."""
    mask = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(payload), "big")
