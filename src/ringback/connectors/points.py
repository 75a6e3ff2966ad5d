"""What `ringback doctor` looks at where a PBX is connected."""

from typing import NamedTuple


class Point(NamedTuple):
    """`lines`: what has to stand in the file, its section first; empty where nothing is missing."""

    is_good: bool
    is_needed: bool
    text: str
    file: str = ""
    lines: tuple[str, ...] = ()
