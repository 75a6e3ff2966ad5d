"""Blobs one by one through a scratch file, a few at a time: an object store answers slowly, but many at once."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from ringback.blobs import Blobs

THREADS = 4
_LOT = 64
_PIECE = 1 << 20

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`work` of each, in their order; items are taken in lots, so that memory stays flat."""
    rest = iter(items)
    with ThreadPoolExecutor(THREADS) as pool:
        while lot := list(islice(rest, _LOT)):
            yield from pool.map(work, lot)


def digest(blobs: Blobs, key: str) -> str:
    """The SHA-256 of a blob. BlobMissing when there is none."""
    found = sha256()
    for piece in blobs.read(key, chunk=_PIECE):
        found.update(piece)
    return found.hexdigest()


class Fetched:
    """A copy of a blob in a file of `folder`, for the time of a block. BlobMissing when there is none."""

    def __init__(self, blobs: Blobs, key: str, folder: Path) -> None:
        self.path = folder / token_hex(16)
        self.size = 0
        self.sha256 = ""
        self._blobs, self._key = blobs, key

    def __enter__(self) -> "Fetched":
        found = sha256()
        try:
            with self.path.open("wb") as file:
                for piece in self._blobs.read(self._key, chunk=_PIECE):
                    found.update(piece)
                    file.write(piece)
                self.size = file.tell()
        except BaseException:
            self.path.unlink()
            raise
        self.sha256 = found.hexdigest()
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink()
