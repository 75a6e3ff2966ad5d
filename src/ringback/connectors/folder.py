"""A folder that another machine writes into. Nothing in it is trusted: what is opened lies below it, is a regular file, and
was reached through no symbolic link; names are taken apart here and never given to the system as a whole.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ringback.media.audio import SUFFIXES

DEEPEST = 12
LARGEST_BYTES = 512 << 20
"""As of an upload."""
_BLOCK_BYTES = 1 << 20
_FRESH_NS = 2_000_000_000
_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Look(NamedTuple):
    """A file at one moment: the same again means that nobody has written it since."""

    size: int
    mtime_ns: int
    inode: int


class TooLarge(OSError):
    """More than `LARGEST_BYTES`."""


class Folder:
    """Files are named relative to it, with `/`. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listed: dict[str, tuple[int, list[str]]] = {}

    def is_there(self) -> bool:
        return self.path.is_dir()

    def located(self, told: str) -> str | None:
        """The file that the PBX calls by this path, which is its own, or relative: the longest end of it that is a file here."""
        parts = told.split("/")
        names = ("/".join(parts[first:]) for first in range(len(parts)))
        return next((name for name in names if self.look(name) is not None), None)

    def look(self, name: str) -> Look | None:
        """None where there is no regular file."""
        try:
            with self._opened(name) as file:
                return _look(file)
        except OSError:
            return None

    def copy(self, name: str, target: Path) -> Look:
        """The file as it is now. OSError; TooLarge."""
        with self._opened(name) as file, target.open("wb") as copy:
            look = _look(file)
            if look is None:
                raise FileNotFoundError(f"{name} is no regular file")
            left = LARGEST_BYTES
            while block := os.read(file, _BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    raise TooLarge(f"{name} has more than {LARGEST_BYTES >> 20} MiB")
                copy.write(block)
            return look

    def remove(self, name: str, look: Look) -> bool:
        """Whether it is gone: another file of that name stays. OSError."""
        above, _, last = _clean(name).rpartition("/")
        with self.folder(above) as place:
            try:
                found = os.stat(last, dir_fd=place, follow_symlinks=False)
            except FileNotFoundError:
                return True
            if Look(found.st_size, found.st_mtime_ns, found.st_ino) != look:
                return False
            os.unlink(last, dir_fd=place)
            return True

    def audio(self) -> Iterator[str]:
        """What may be audio by its name: all at first, then what stands in folders that have changed since. OSError where the
        folder itself cannot be listed."""
        with os.scandir(self.path):
            pass
        yield from self._below("", 0)

    def _below(self, name: str, depth: int) -> Iterator[str]:
        place = self.path / name
        try:
            changed_ns = place.stat().st_mtime_ns
            known_ns, folders = self._listed.get(name, (-1, []))
            if known_ns != changed_ns:
                files, folders = _listing(place, name)
                is_settled = changed_ns < time.time_ns() - _FRESH_NS
                self._listed[name] = (changed_ns if is_settled else -1, folders)
                yield from files
        except OSError:
            self._listed.pop(name, None)
            return
        if depth < DEEPEST:
            for each in folders:
                yield from self._below(each, depth + 1)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        """A descriptor of a regular file."""
        above, _, last = _clean(name).rpartition("/")
        with self.folder(above) as place:
            file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
        try:
            yield file
        finally:
            os.close(file)

    @contextmanager
    def folder(self, name: str) -> Iterator[int]:
        """A descriptor of a folder below, or of the folder itself where the name is empty. OSError."""
        place = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in _clean(name).split("/") if name else ():
                below = os.open(part, _STEP, dir_fd=place)
                os.close(place)
                place = below
            yield place
        finally:
            os.close(place)


def _look(file: int) -> Look | None:
    found = os.fstat(file)
    return Look(found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _clean(name: str) -> str:
    """Without what would begin at the root. OSError for what is no name below a folder."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or len(parts) > DEEPEST * 2 or ".." in parts or "\0" in name:
        raise FileNotFoundError("no name of a file here")
    return "/".join(parts)


def _listing(place: Path, name: str) -> tuple[list[str], list[str]]:
    files, folders = [], []
    with os.scandir(place) as entries:
        for each in entries:
            below = f"{name}/{each.name}" if name else each.name
            if each.name.startswith("."):
                continue
            if each.is_dir(follow_symlinks=False):
                folders.append(below)
            elif PurePosixPath(each.name).suffix.lower() in SUFFIXES:
                files.append(below)
    return files, folders
