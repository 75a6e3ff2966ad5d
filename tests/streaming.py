"""Clients of a running server's streams: server-sent events over a socket, read as a browser reads them."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ringback.settings import BASE_PATHS
from tests.process import Process


@dataclass(frozen=True, slots=True)
class Told:
    name: str
    id: str
    data: Any


class Listener:
    """`GET /events`. `headers`: what it sends besides."""

    def __init__(self, server: Process, query: str = "", **headers: str) -> None:
        self.socket: socket.socket = server.connect()
        given = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
        target = f"{BASE_PATHS[0]}/events{'?' if query else ''}{query}"
        self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{given}\r\n".encode())
        self._file = self.socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers = dict(self._head())

    def _head(self) -> Iterator[tuple[str, str]]:
        while line := self._file.readline().strip().decode():
            name, _, text = line.partition(":")
            yield name.lower(), text.strip()

    def next(self) -> Told:
        """The next event; EOFError when the stream is over."""
        for lines in self._blocks():
            fields = dict(line.split(": ", 1) for line in lines)
            if "data" in fields:
                return Told(fields["event"], fields["id"], json.loads(fields["data"]))
        raise EOFError

    def until(self, name: str) -> Told:
        while (told := self.next()).name != name:
            pass
        return told

    def _blocks(self) -> Iterator[list[str]]:
        """What is between empty lines, out of chunks."""
        while size := int(self._file.readline() or b"0", 16):
            text = self._file.read(size + 2)[:size].decode()
            yield from (block.split("\n") for block in text.split("\n\n") if block)

    def close(self) -> None:
        self._file.close()
        self.socket.close()
