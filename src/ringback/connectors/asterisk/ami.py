"""The language of the manager interface (AMI), without a socket: bytes into messages, actions into bytes.

A message is lines `Name: value` that end with CR LF, and an empty one at its end. Nothing can be quoted: a line end within a value would
begin another header, or another action. So whatever goes out passes through `field`.
"""

import re
from collections.abc import Iterable

MESSAGE_LIMIT_BYTES = 1 << 20
VALUE_LIMIT = 16_384
"""Characters of a value that are kept: nothing that we read is longer, but a caller's name may be."""
LINE_LIMIT_BYTES = 1_000
"""Asterisk reads lines of up to 1,024 bytes (`inbuf` in `main/manager.c`)."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_FORBIDDEN = re.compile(r"[\r\n\0]")

_END = b"\r\n\r\n"

Message = dict[str, str]
"""Headers by name as Asterisk writes it. One that came repeatedly has all its values, joined by LF, in their order."""


class TooLong(Exception):
    """A message that does not end. The connection cannot be used any more."""


class Decoder:
    """Bytes in any portions. `banner`: the first line, `Asterisk Call Manager/9.0.0`; empty before it came."""

    def __init__(self) -> None:
        self.banner = ""
        self._left = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now. TooLong when one is over 1 MiB."""
        seen = max(len(self._left) - len(_END) + 1, 0) if self.banner else 0
        self._left += data
        if not self.banner and not self._has_banner():
            return []
        if self._left.find(_END, seen) < 0:
            blocks: list[bytearray] = []
        else:
            *blocks, self._left = self._left.split(_END)
        if len(self._left) > MESSAGE_LIMIT_BYTES or any(len(block) > MESSAGE_LIMIT_BYTES for block in blocks):
            raise TooLong
        return [_message(block) for block in blocks if block]

    def _has_banner(self) -> bool:
        line, end, rest = self._left.partition(b"\r\n")
        if end:
            self.banner, self._left = line.decode("utf-8", "replace"), rest
        elif len(line) > LINE_LIMIT_BYTES:
            raise TooLong
        return bool(end)


def _message(block: bytearray) -> Message:
    message: Message = {}
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")[:VALUE_LIMIT]
        if name in message:
            value = f"{message[name]}\n{value}"[:VALUE_LIMIT]
        message[name] = value
    return message


def field(name: str, value: str) -> str:
    """A header. ValueError for a name that is none, a value with CR, LF or NUL, and a line that Asterisk would not read."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header")
    if _FORBIDDEN.search(value):
        raise ValueError(f"{name} holds a line end or a NUL")
    line = f"{name}: {value}"
    if len(line.encode("utf-8", "surrogatepass")) > LINE_LIMIT_BYTES:
        raise ValueError(f"{name} is too long")
    return line


def action(name: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """An action as it goes to Asterisk. ValueError as `field`."""
    lines = [field("Action", name), *(field(*each) for each in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
