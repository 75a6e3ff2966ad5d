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
_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:(?:[ \t]|\r?\n[ \t])*+(\d{1,7})[ \t]*\r?\n", re.I)
_UPGRADE = re.compile(rb"\A(?:GET [^\r\n]+ HTTP/1\.1|HTTP/1\.1 101[^\r\n]*)\r\n", re.I)
_WEBSOCKET = re.compile(rb"\nupgrade:[ \t]*websocket[ \t]*\r\n", re.I)


_Ends = tuple[Endpoint, Endpoint]


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
        self._directions: dict[_Ends, _Direction] = {}
        self.lost = 0
        self.unfinished = 0
        self.foreign = 0

    def add(self, at_us: int, segment: Segment) -> Iterator[Packet]:
        """The messages that are whole with this segment; each has the time of its first byte."""
        ends = segment.src, segment.dst
        direction = self._directions.get(ends)
        if segment.flags & SYN or direction is None:
            yield from self._forget(ends)
            direction = self._directions[ends] = _Direction()
            if len(self._directions) > _DIRECTIONS_MAX:
                yield from self._forget(next(iter(self._directions)))
        yield from _packets(ends, direction.add(at_us, segment))
        if segment.flags & RST:
            yield from self._forget(ends)

    def finish(self) -> Iterator[Packet]:
        """The capture is over: what waited for segments that are missing, and what is left is counted."""
        for ends in list(self._directions):
            yield from self._forget(ends)

    def _forget(self, ends: _Ends) -> Iterator[Packet]:
        direction = self._directions.pop(ends, None)
        if direction is not None:
            yield from _packets(ends, direction.rest())
            self.lost += direction.order.lost
            self.foreign += direction.messages.is_foreign
            self.unfinished += direction.messages.is_within


def _packets(ends: _Ends, found: Iterator[tuple[str, int, bytes]]) -> Iterator[Packet]:
    return (Packet(began_us, transport, *ends, message) for transport, began_us, message in found)


class _Direction:
    """One side of a connection."""

    def __init__(self) -> None:
        self.order = _Order()
        self.messages = _Messages()

    def add(self, at_us: int, segment: Segment) -> Iterator[tuple[str, int, bytes]]:
        return self._messages(self.order.add(at_us, segment))

    def rest(self) -> Iterator[tuple[str, int, bytes]]:
        """What waits for segments that do not come any more."""
        return self._messages(self.order.rest())

    def _messages(self, pieces: Iterator[tuple[int, bytes] | None]) -> Iterator[tuple[str, int, bytes]]:
        for piece in pieces:
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
        if segment.data and self._after(start + len(segment.data)) > 0:
            self._keep(start, at_us, segment.data)
        yield from self._ready()
        if len(self._waiting) > _WAITING_MAX:
            yield from self._beyond_gap()

    def rest(self) -> Iterator[tuple[int, bytes] | None]:
        """What waits, and None for each gap before it."""
        while self._waiting:
            yield from self._beyond_gap()

    def _beyond_gap(self) -> Iterator[tuple[int, bytes] | None]:
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
        self._parts: list[bytes] = []
        """What came since `_rest` was looked at."""
        self._size = 0
        self._tail = b""
        self._missing: int | None = 0
        """Bytes without which a look is not worth while; None: an empty line. A message may come byte by byte."""
        self._began_us = 0
        self._frames: _Frames | None = None
        self._passed = 0
        self._mid_line = False
        self._found = False

    @property
    def is_within(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._found and bool(b"".join((self._rest, *self._parts)).strip(b"\r\n"))

    @property
    def is_foreign(self) -> bool:
        return not self._found and bool(self._rest or self._parts or self._passed)

    def interrupted(self) -> None:
        self._rest, self._missing = b"", 0
        self._parts.clear()
        self._frames = None if self._frames is None else _Frames()

    def add(self, at_us: int, data: bytes) -> Iterator[tuple[str, int, bytes]]:
        if not self._rest and not self._parts:
            self._began_us = at_us
        self._parts.append(data)
        self._size += len(data)
        if not self._is_worth_a_look(data):
            return
        self._rest = b"".join((self._rest, *self._parts))
        self._parts.clear()
        self._size = 0
        while self._rest:
            taken = self._websocket() if self._frames is not None else self._plain()
            if taken is None:
                return
            transport, message = taken
            if message:
                self._found = True
                yield transport, self._began_us, message
            self._began_us = at_us
        self._missing = 0

    def _is_worth_a_look(self, data: bytes) -> bool:
        if self._missing is not None:
            return self._size >= self._missing
        seam = self._tail + data
        self._tail = seam[-3:]
        return b"\r\n\r\n" in seam or b"\n\n" in seam or len(self._rest) + self._size > _HEAD_MAX

    def _websocket(self) -> tuple[str, bytes] | None:
        assert self._frames is not None
        message, used = self._frames.message(self._rest)
        self._rest = self._rest[used:]
        if message is None:
            self._missing = self._frames.wanted - len(self._rest)
            return None
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
            self._missing = end - len(self._rest)
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
            self._missing = 0
        else:
            self._tail, self._missing = self._rest[-3:], None if self._rest else 0
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
        self.wanted = 0
        """Bytes of the next frame that must be there to read on."""
        self._parts: list[bytes] = []
        self._size = 0

    def message(self, data: bytes) -> tuple[bytes | None, int]:
        """The next text or binary message, empty for a control frame, None when more must come; and how many bytes are read."""
        at = 0
        while (frame := self._frame(data, at)) is not None:
            final, operation, payload, at = frame
            if operation >= 8:
                return b"", at
            self._parts.append(payload)
            self._size += len(payload)
            if final or self._size > _MESSAGE_MAX:
                message, self._parts, self._size = b"".join(self._parts), [], 0
                return message, at
        return None, at

    def _frame(self, data: bytes, begin: int) -> tuple[bool, int, bytes, int] | None:
        """Whether it is a message's last, its operation, payload and end. One that is too long takes along all that is there."""
        length, at = data[begin + 1] & 127 if len(data) > begin + 1 else 0, begin + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        is_masked = len(data) > begin + 1 and bool(data[begin + 1] & 128)
        at += 4 if is_masked else 0
        self.wanted = at - begin
        if len(data) < at:
            return None
        if length > _MESSAGE_MAX:
            return True, 8, b"", len(data)
        self.wanted += length
        if len(data) < at + length:
            return None
        payload = data[at : at + length]
        if is_masked:
            payload = _unmasked(payload, data[at - 4 : at])
        return bool(data[begin] & 128), data[begin] & 15, payload, at + length


def _unmasked(payload: bytes, key: bytes) -> bytes:
    """Section 5.3. As one number, for a byte by byte loop would take a hundred times as long."""
    mask = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(payload), "big")
