"""What is known of a recording before its call is looked for: from its name, and from a JSON file beside it.

FreePBX names a recording `kind-called-caller-date-time-uniqueid` (out, internal, external, exten, q, rg, force, …), by the
clock on its wall. FusionPBX and FreeSWITCH name it by the call's UUID, which is its uniqueid here. The JSON file has the
name of the audio with `.json`, and any of `uniqueid`, `src`, `dst`, `start`, `ext` and `user`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringback.calls import numbers
from ringback.importers.importer import Unusable
from ringback.importers.wall_clock import WallClock
from ringback.record import time_value

LONGEST_JSON_BYTES = 65_536
_UNIQUEID = re.compile(r"(?<!\d)\d{9,11}\.\d+", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.I)
_FREEPBX = re.compile(r"[a-z]+-([^-]*)-([^-]*)-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)(?:-.*)?", re.ASCII)
_BEFORE_S, _AFTER_S = 60, 5  # a menu may come before the recording; clocks differ
_KEYS = frozenset({"uniqueid", "src", "dst", "start", "ext", "user"})


@dataclass(frozen=True, slots=True)
class Facts:
    """`uniqueids`: what may be the call's, the likeliest first. `earliest`, `latest`: when the call began, in UTC seconds.
    `start`: the same, where the JSON file says it. `user`: an e-mail address."""

    uniqueids: tuple[str, ...]
    caller: str = ""
    called: str = ""
    earliest: int = 0
    latest: int = 0
    start: int | None = None
    ext: str = ""
    user: str = ""


def facts(file: Path, clock: WallClock) -> Facts:
    """Raises Unusable."""
    beside = _beside(file.with_suffix(".json"))
    names = tuple(uniqueids(numbers.clean(file.stem)))
    if beside is None:
        return _of_name(file.stem, names, clock)
    return _of_json(beside, names, clock)


def uniqueids(stem: str) -> Iterator[str]:
    """What may be the id of the call in the name of a recording: the whole, then what looks like one in it."""
    yield stem
    yield from (found for found in _UNIQUEID.findall(stem) + _UUID.findall(stem) if found != stem)


def _of_name(stem: str, uniqueids: tuple[str, ...], clock: WallClock) -> Facts:
    found = _FREEPBX.fullmatch(stem)
    if found is None:
        return Facts(uniqueids)
    called, caller, year, month, day, hour, minute, second = found.groups()
    try:
        at = clock.nearest(f"{year}-{month}-{day} {hour}:{minute}:{second}", None)
    except ValueError:
        return Facts(uniqueids)
    return Facts(uniqueids, caller, called, at - _BEFORE_S, at + _AFTER_S)


def _of_json(told: Mapping[str, str], uniqueids: tuple[str, ...], clock: WallClock) -> Facts:
    start = _start(told["start"], clock) if told["start"] else None
    at = 0 if start is None else start
    return Facts(
        (told["uniqueid"],) if told["uniqueid"] else uniqueids,
        told["src"],
        told["dst"],
        at - _AFTER_S,
        at + _AFTER_S,
        start,
        told["ext"],
        told["user"],
    )


def _start(text: str, clock: WallClock) -> int:
    """Seconds since 1970, a time in UTC (`2026-11-22T10:15:00Z`), or one on the PBX's wall (`2026-11-22 10:15:00`)."""
    if text.isascii() and text.isdecimal() and len(text) <= 10:
        return int(text)
    at = time_value(text) if text.endswith("Z") else None
    try:
        return clock.nearest(text.replace("T", " "), None) if at is None else at
    except ValueError:
        raise Unusable(f"its JSON file says no time that there is (start: {numbers.clean(text)!r})") from None


def _beside(file: Path) -> Mapping[str, str] | None:
    """What the JSON file says, each key a text; None without a file."""
    if file.is_symlink():
        raise Unusable("its JSON file is a symbolic link")
    if not file.is_file():
        return None
    content = _content(file)
    if not isinstance(content, dict):
        raise Unusable("its JSON file holds no object")
    wrong = [key for key in _KEYS & content.keys() if not isinstance(content[key], str | int | None)]
    if wrong:
        raise Unusable(f"its JSON file has no text for {min(wrong)}")
    return {key: numbers.clean(str(content.get(key) or "")).strip() for key in _KEYS}


def _content(file: Path) -> Any:
    if file.stat().st_size > LONGEST_JSON_BYTES:
        raise Unusable("its JSON file is too large: at most 64 KiB")
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise Unusable("its JSON file is no JSON") from None
