"""ZIP files of any size and number of entries, written in flat memory (PKWARE's APPNOTE.TXT 6.3.10).

Entries are stored, not deflated: audio is compressed already. The list of entries, which stands at the end, waits in a
temporary file. What is larger than 4 GiB, or more than 65,534 entries, is written as ZIP64.
"""

import struct
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import IO, Self

_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")
_END_64 = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR = struct.Struct("<4sLQL")
_OLD, _NEW = 20, 45  # the version that a reader needs: 4.5 has ZIP64
_UTF8 = 0x800
_FULL, _MANY = 0xFFFF_FFFF, 0xFFFF
_FIRST_YEAR = 1980
_PRIVATE_FILE = 0o100600 << 16


class ZipWriter:
    """Writes to a file that can seek, from its present place on; `close` writes the list of entries."""

    def __init__(self, file: IO[bytes], folder: str) -> None:
        """`folder`: where the list waits."""
        self._file = file
        self._entries: IO[bytes] = TemporaryFile(dir=folder)  # noqa: SIM115 -- closed by __exit__
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def add(self, name: str, at: int, size: int, chunks: Iterable[bytes]) -> None:
        """One entry. `at`: UTC seconds. `size`: about how many bytes come, which decides whether it is ZIP64."""
        large = size >= _FULL // 2
        start = self._file.tell()
        head = _Head(name.encode(), _dos_time(at), large)
        self._file.write(head.local(0, 0))
        crc, size = 0, 0
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
            self._file.write(chunk)
        end = self._file.tell()
        self._file.seek(start)
        self._file.write(head.local(crc, size))
        self._file.seek(end)
        self._entries.write(head.central(crc, size, start))
        self._count += 1

    def close(self) -> None:
        start, length = self._file.tell(), self._entries.tell()
        self._entries.seek(0)
        while block := self._entries.read(1 << 20):
            self._file.write(block)
        if self._count >= _MANY or start + length >= _FULL:
            count, end = self._count, start + length
            self._file.write(_END_64.pack(b"PK\6\6", 44, _NEW, _NEW, 0, 0, count, count, length, start))
            self._file.write(_LOCATOR.pack(b"PK\6\7", 0, end, 1))
        few = min(self._count, _MANY)
        self._file.write(_END.pack(b"PK\5\6", 0, 0, few, few, min(length, _FULL), min(start, _FULL), 0))


class _Head:
    """What stands before an entry and in the list of entries."""

    def __init__(self, name: bytes, stamp: tuple[int, int], large: bool) -> None:
        self._name, self._stamp, self._large = name, stamp, large

    def local(self, crc: int, size: int) -> bytes:
        if not self._large and size >= _FULL:
            raise OverflowError("an entry turned out much larger than was said")
        extra = struct.pack("<HHQQ", 1, 16, size, size) if self._large else b""
        shown = _FULL if self._large else size
        version = _NEW if self._large else _OLD
        fixed = (b"PK\3\4", version, _UTF8, 0, *self._stamp, crc, shown, shown, len(self._name), len(extra))
        return _LOCAL.pack(*fixed) + self._name + extra

    def central(self, crc: int, size: int, start: int) -> bytes:
        sizes = [size, size] if self._large else []
        starts = [start] if start >= _FULL else []
        extra = b"".join(struct.pack("<Q", each) for each in sizes + starts)
        extra = struct.pack("<HH", 1, len(extra)) + extra if extra else b""
        shown = _FULL if self._large else size
        version = _NEW if extra else _OLD
        return (
            _CENTRAL.pack(
                *(b"PK\1\2", 3 << 8 | version, version, _UTF8, 0, *self._stamp, crc, shown, shown),
                *(len(self._name), len(extra), 0, 0, 0, _PRIVATE_FILE, min(start, _FULL)),
            )
            + self._name
            + extra
        )


def _dos_time(at: int) -> tuple[int, int]:
    """(time, date) as MS-DOS has them, UTC; nothing before 1980 or after 2107."""
    moment = datetime.fromtimestamp(min(max(at, 315_532_800), 4_354_819_198), UTC)
    day = (moment.year - _FIRST_YEAR) << 9 | moment.month << 5 | moment.day
    return moment.hour << 11 | moment.minute << 5 | moment.second // 2, day
