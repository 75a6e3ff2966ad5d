"""What was heard of calls that are up, kept in a file, so that a server that is killed goes on where it was.

One entry a line, written before anything is made of it. It outlives the process, not a power cut: what that takes is found by
the snapshot at the next connection.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ringback.calls import events
from ringback.calls.events import Event

LEAST_BYTES = 4 << 20
_FACTS: dict[str, Callable[..., Any]] = {each.__name__: each for each in events.Fact.__args__}


class Origin(NamedTuple):
    """Where a channel came in, and for whom: what rules tell customers apart by."""

    channel: str
    context: str
    account: str
    dialled: str


class Named(NamedTuple):
    """A hop has this live id from now on. `key`: of the hop. `customer_id`: who has ordered it; None for what nobody has."""

    key: str
    live_id: int
    customer_id: int | None = None


class Stored(NamedTuple):
    """The CDRs of this call are in the database."""

    call_id: str


Entry = Event | Origin | Named | Stored


class Journal:
    """Used by one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._compacted_bytes = 0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._bytes = os.fstat(self._file).st_size
        self._is_torn = bool(self._bytes) and _last_byte(path) != b"\n"

    def add(self, entries: Iterable[Entry]) -> None:
        """OSError where the disk is full: some of them are there then, and the last one is maybe torn."""
        data = b"".join(_line(each) for each in entries)
        if self._is_torn:
            data = b"\n" + data  # what was being written as the process ended, or the disk was full, stays alone
        self._is_torn = True
        while data:
            written = os.write(self._file, data)
            self._bytes += written
            data = data[written:]
        self._is_torn = False

    def touch(self) -> None:
        """Notes that nothing was missed until now."""
        os.utime(self._file)

    def touched_us(self) -> int:
        """When something was noted last; 0 for a journal without entries."""
        told = os.fstat(self._file)
        return told.st_mtime_ns // 1_000 if told.st_size else 0

    def entries(self) -> Iterator[Entry]:
        """Those that are there, in their order; a line that is torn is passed over."""
        with self._path.open("rb") as file:
            for line in file:
                entry = _entry(line)
                if entry is not None:
                    yield entry

    @property
    def is_long(self) -> bool:
        """Whether it is worth the time to write it anew without what is over."""
        return self._bytes > max(LEAST_BYTES, 4 * self._compacted_bytes)

    def keep(self, wanted: Callable[[Entry], bool]) -> None:
        """Writes it anew with these entries alone."""
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            for entry in self.entries():
                if wanted(entry):
                    file.write(_line(entry))
        fresh = os.open(part, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)  # OSError: the old one goes on
        part.replace(self._path)
        os.close(self._file)
        self._file = fresh
        self._bytes = self._compacted_bytes = os.fstat(self._file).st_size
        self._is_torn = False

    def close(self) -> None:
        os.close(self._file)


def _last_byte(path: Path) -> bytes:
    """Of a file that is not empty."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read()


def _line(entry: Entry) -> bytes:
    if isinstance(entry, Event):
        said = [type(entry.fact).__name__, *entry[:4], *entry.fact]
    else:
        said = [f"+{type(entry).__name__}", *entry]
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


_OTHERS: dict[str, Callable[..., Entry]] = {f"+{each.__name__}": each for each in (Origin, Named, Stored)}


def _entry(line: bytes) -> Entry | None:
    try:
        kind, *said = json.loads(line)
        if kind in _OTHERS:
            return _OTHERS[kind](*said)
        at_us, channel, linked_id, name, *fact = said
        return Event(int(at_us), channel, linked_id, name, _FACTS[kind](*map(_frozen, fact)))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
