"""Bodies that are files: written to disk as they come, so that many large ones take no memory.

The file has no name, so that nothing of it remains however the process ends. It lies in the system's folder for temporary
files (TMPDIR).
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from ringback.errors import Unavailable

MAX_FILE = 512 << 20
BLOCK = 1 << 20


@contextmanager
def opened() -> Iterator[tuple[BinaryIO, Path]]:
    """A file to write, and a path under which this process can read it meanwhile."""
    with TemporaryFile(buffering=0) as file:
        yield cast(BinaryIO, file), Path(f"/dev/fd/{file.fileno()}")


def write(file: BinaryIO, block: bytes) -> None:
    """Unavailable when the disk is full."""
    try:
        rest = memoryview(block)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise Unavailable(f"The file cannot be kept for the moment: {error.strerror}.") from error


async def blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a network in lots that are worth a write."""
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        if len(waiting) >= BLOCK:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
