"""The file of `--refused`: every refusal of a run as a line of JSON, written as it happens.

`{"where": "line 12", "reason": "…", "raw": "…"}`; `raw` only where there is a line, with bytes that are no UTF-8 as `\\xNN`.
The file is its owner's alone: it holds numbers and names.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ringback.errors import UsageError
from ringback.importers.importer import Refusal, Told


@contextmanager
def written(path: Path) -> Iterator[Told]:
    """UsageError when the file cannot be written, or is there already with something in it: nothing is overwritten."""
    file = _opened(path)
    try:
        yield lambda refusal: _write(file, _line(refusal))
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise UsageError(f"--refused: {path} cannot be written: {error.strerror}.") from None
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_size:
        os.close(file)
        raise UsageError(f"--refused: {path} is there already; name a file that is not.")
    os.fchmod(file, 0o600)
    return file


def _line(refusal: Refusal) -> bytes:
    shown = {"where": refusal.where, "reason": refusal.reason}
    if refusal.raw is not None:
        shown["raw"] = refusal.raw.decode("utf-8", "backslashreplace")
    sound = {name: text.encode("utf-8", "backslashreplace").decode() for name, text in shown.items()}
    return msgspec.json.encode(sound) + b"\n"


def _write(file: int, line: bytes) -> None:
    while line:
        line = line[os.write(file, line) :]
