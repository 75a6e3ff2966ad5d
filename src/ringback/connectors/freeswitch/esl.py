"""The language of the event socket (ESL, `mod_event_socket`), without a socket: bytes into messages, commands into bytes.

A message is headers `Name: value`, each on a line, then an empty one, then as many bytes as its `Content-Length` says. An event in plain
form is such headers once more, in the body, and each value is percent-encoded there. A command is one line and an empty one; nothing
can be quoted, so a line end within a value would be another command: whatever goes out passes through `command`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

HEAD_LIMIT_BYTES = 65_536
BODY_LIMIT_BYTES = 16 << 20
"""`show channels` of a great PBX is one body."""
VALUE_LIMIT = 16_384
"""Characters of a value that are kept: nothing that we read is longer, but a caller's name may be."""
COMMAND_LIMIT_BYTES = 4_096
_FORBIDDEN = re.compile(r"[\r\n\0]")
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)

Headers = dict[str, str]


class TooLong(Exception):
    """A message that does not end, or says that it is enormous. The connection cannot be used any more."""


class Message(NamedTuple):
    """`kind`: its `Content-Type`, such as `auth/request`, `command/reply`, `api/response`, `text/event-plain`."""

    kind: str
    headers: Headers
    body: bytes


class Decoder:
    """Bytes in any portions."""

    def __init__(self) -> None:
        self._left = bytearray()
        self._seen = 0
        self._head: Headers | None = None

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now. TooLong when one is longer than the limits of this module."""
        self._left += data
        return list(self._messages())

    def _messages(self) -> Iterator[Message]:
        while self._has_head():
            head = self._head or {}
            length = _length(head)
            if len(self._left) < length:
                return
            body = bytes(self._left[:length])
            del self._left[:length]
            self._head = None
            if head:
                yield Message(head.get("Content-Type", ""), head, body)

    def _has_head(self) -> bool:
        if self._head is None:
            end = self._left.find(b"\n\n", max(self._seen - 1, 0))
            self._seen = len(self._left) if end < 0 else 0
            if max(end, self._seen) > HEAD_LIMIT_BYTES:
                raise TooLong
            if end < 0:
                return False
            self._head = _headers(self._left[:end])
            del self._left[: end + 2]
        return True


def _length(headers: Headers) -> int:
    told = headers.get("Content-Length", "0")
    if not _DIGITS.fullmatch(told) or int(told) > BODY_LIMIT_BYTES:
        raise TooLong
    return int(told)


def _headers(block: bytes | bytearray) -> Headers:
    lines = (line.partition(":") for line in block.decode("utf-8", "replace").split("\n") if line)
    return {name: value.removeprefix(" ")[:VALUE_LIMIT] for name, _, value in lines}


def event(body: bytes) -> Headers:
    """The headers of an event in plain form, decoded. What follows them (a body of its own) is left out."""
    plain = _headers(body.partition(b"\n\n")[0])
    return {name: unquote(value) if "%" in value else value for name, value in plain.items()}


def command(*words: str) -> bytes:
    """A command as it goes to FreeSWITCH. ValueError for a word with CR, LF or NUL, and for a line that is too long."""
    line = " ".join(words)
    data = line.encode("utf-8", "surrogatepass")
    if _FORBIDDEN.search(line) or len(data) > COMMAND_LIMIT_BYTES:
        raise ValueError("a command is one line of text")
    return data + b"\n\n"
