"""What a PBX has said of its recordings, and which files were taken: in a file, so that a server that is killed goes on.

One entry a line, as in `journal.py`. An entry of a file stays for a fortnight after the file was written: what is older when it is
first seen was there before, or is for `ringback import recordings`.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ringback.connectors.asterisk.mixmonitor import Recording
from ringback.connectors.folder import Look

FORTNIGHT_NS = 14 * 86_400 * 1_000_000_000
LEAST_BYTES = 4 << 20


class Owner(NamedTuple):
    """Whose a recording is, None for nobody's, and the id of the channel that its call's record has."""

    customer_id: int | None
    uniqueid: str


class Taken(NamedTuple):
    """`customer_id`: None for what is nobody's. `source_key`: of the recording that it became."""

    customer_id: int | None
    source_key: str


class Notes:
    """`since_ns`: when there were none yet. `recordings`: those without an end come from before. Used by one thread."""

    def __init__(self, path: Path, now_ns: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.since_ns = now_ns
        self.recordings: dict[tuple[str, int], Recording] = {}
        self.owners: dict[tuple[str, int], Owner] = {}
        self.taken: dict[tuple[str, Look], Taken] = {}
        for line in _lines(path):
            with suppress(ValueError, TypeError, KeyError, IndexError):  # torn, or of another version
                self._read(line)
        self._file = -1
        self._write_anew(now_ns)

    def begun(self, recording: Recording) -> None:
        self.recordings[_key(recording)] = recording
        self._add(_begun(recording))

    def ended(self, recording: Recording) -> None:
        self._add(["ended", *_key(recording), recording.ended_us])

    def owned(self, recording: Recording, owner: Owner) -> None:
        self.owners[_key(recording)] = owner
        self._add(["owned", *_key(recording), *owner])

    def done(self, recording: Recording) -> None:
        """Its files are taken, or there are none."""
        key = _key(recording)
        self.recordings.pop(key, None)
        self.owners.pop(key, None)
        self._add(["done", *key])

    def owner(self, recording: Recording) -> Owner | None:
        return self.owners.get(_key(recording))

    def take(self, name: str, look: Look, taken: Taken, now_ns: int) -> None:
        self.taken[name, look] = taken
        self._add(["taken", name, *look, *taken])
        if self._bytes > max(LEAST_BYTES, 4 * self._least_bytes):
            self._write_anew(now_ns)

    def gone(self, name: str, look: Look) -> None:
        self.taken.pop((name, look), None)
        self._add(["gone", name, *look])

    def close(self) -> None:
        os.close(self._file)

    def _read(self, line: list[Any]) -> None:
        kind, *said = line
        match kind:
            case "since":
                self.since_ns = int(said[0])
            case "began":
                recording = Recording(*said)
                self.recordings[_key(recording)] = recording
            case "ended":
                self.recordings[said[0], said[1]].ended_us = said[2]
            case "owned":
                self.owners[said[0], said[1]] = Owner(said[2], said[3])
            case "done":
                self.recordings.pop((said[0], said[1]), None)
                self.owners.pop((said[0], said[1]), None)
            case "taken":
                self.taken[said[0], Look(*said[1:4])] = Taken(said[4], said[5])
            case "gone":
                self.taken.pop((said[0], Look(*said[1:4])), None)

    def _write_anew(self, now_ns: int) -> None:
        self.taken = {key: each for key, each in self.taken.items() if key[1].mtime_ns > now_ns - FORTNIGHT_NS}
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            for line in self._entries():
                file.write(_line(line))
        part.replace(self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._bytes = self._least_bytes = os.fstat(self._file).st_size

    def _entries(self) -> Iterator[list[Any]]:
        yield ["since", self.since_ns]
        for key, recording in self.recordings.items():
            yield _begun(recording)
            if recording.ended_us is not None:
                yield ["ended", *key, recording.ended_us]
        for key, owner in self.owners.items():
            yield ["owned", *key, *owner]
        for (name, look), taken in self.taken.items():
            yield ["taken", name, *look, *taken]

    def _add(self, said: list[Any]) -> None:
        data = _line(said)
        os.write(self._file, data)
        self._bytes += len(data)


def _key(recording: Recording) -> tuple[str, int]:
    return recording.channel, recording.started_us


def _begun(given: Recording) -> list[Any]:
    return ["began", given.channel, given.linked_id, given.mixed, given.received, given.sent, given.started_us]


def _line(said: list[Any]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _lines(path: Path) -> Iterator[list[Any]]:
    """Those that are whole."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                said = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(said, list) and said:
                yield said
