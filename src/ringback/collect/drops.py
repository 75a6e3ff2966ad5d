"""UDP packets that the system dropped because nobody fetched them in time: `drops` of /proc/net/udp and udp6 (Linux)."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from socket import socket

_TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
_INODE, _DROPS = 9, 12


def of(sockets: Iterable[socket]) -> int:
    """0 where the system does not tell."""
    inodes = {str(os.fstat(each.fileno()).st_ino) for each in sockets if each.fileno() >= 0}
    return sum(int(words[_DROPS]) for words in _lines() if words[_INODE] in inodes) if inodes else 0


def _lines() -> Iterator[list[str]]:
    for table in _TABLES:
        try:
            text = table.read_text()
        except OSError:
            continue
        yield from (words for line in text.splitlines()[1:] if len(words := line.split()) > _DROPS)
