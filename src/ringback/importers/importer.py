"""What every importer is: a kind that the command line names, and a run that can be repeated.

An importer stores in small transactions, each a whole: killed at any point and started again it leaves what one
undisturbed run leaves, and a second run finds everything known.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from ringback.calls.ledger import Call
from ringback.services import Services

REFUSALS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """What could not be used. `where`: `line 12`, or the name of a file. `raw`: the line as it stood there, or its start."""

    where: str
    reason: str
    raw: bytes | None = None


class Unusable(Exception):
    """A row or file that cannot be stored; the text says why."""


Told = Callable[[Refusal], None]
"""Whoever hears of every refusal, as it happens."""


@dataclass(slots=True)
class Summary:
    """How a run went. `read`: rows, files or calls that were looked at; they are `new`, `known` or refused, and `changed`
    where the kind updates what is there.

    Of a file that is all wrong the first 1,000 refusals are kept; `refused_in_all` counts and `told` hears every one.
    """

    read: int = 0
    new: int = 0
    known: int = 0
    changed: int = 0
    refused: list[Refusal] = field(default_factory=list)
    refused_in_all: int = 0
    noted: Counter[str] = field(default_factory=Counter)
    told: Told | None = None

    def refuse(self, where: str, reason: str, raw: bytes | None = None) -> None:
        refusal = Refusal(where, reason, raw)
        self.refused_in_all += 1
        if len(self.refused) < REFUSALS_KEPT:
            self.refused.append(refusal)
        if self.told is not None:
            self.told(refusal)

    @property
    def warnings(self) -> list[str]:
        """What was taken in spite of a fault, with how often."""
        return [f"{times} × {text}" for text, times in self.noted.most_common()]


class Share(Protocol):
    """The calls of one customer out of what a PBX of several has told (`connectors.dialling.Share`)."""

    by_endpoints: bool
    """Whether endpoints alone say whose a call is."""
    customers: Set[int]
    """All that the PBX has."""

    def began(self, channel: str, context: str, account: str, dialled: str) -> None: ...

    def has(self, call: Call) -> bool: ...

    def has_record(self, channels: Sequence[str], endpoints: Sequence[str]) -> bool: ...

    def bare(self, endpoint: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Options:
    """`time_zone`: IANA name of the PBX's clock. `country`: alpha-2, where its national numbers are dialled.
    `outside_prefix`: the digits dialled for an outside line. `columns`: what the columns of a file are, in their order,
    or the name of a template of the kind; empty for the kind's own. `told`: see Summary. `mark`: what the ids of channels
    begin with here, where several PBXs have ids of one form. `share`: where the PBX has other customers too."""

    time_zone: str = "UTC"
    country: str | None = None
    outside_prefix: str = ""
    columns: tuple[str, ...] = ()
    told: Told | None = None
    mark: str = ""
    share: Share | None = None

    def summary(self) -> Summary:
        """An empty one, for this run: every importer begins with it."""
        return Summary(told=self.told)


class Progress(Protocol):
    """Whoever shows how far a run is."""

    def start(self, total: int, unit: str) -> None:
        """Called once. `unit`: `bytes`, `files` or `steps`."""

    def advance(self, n: int) -> None:
        """So many more of them are done."""


class Unwatched:
    """Progress that nobody looks at."""

    def start(self, total: int, unit: str) -> None: ...

    def advance(self, n: int) -> None: ...


Run = Callable[[Services, int, Path, Options, Progress], Summary]
"""`run(services, customer_id, path, options, progress)`. UsageError when the path or an option cannot be used."""

RunUrl = Callable[[Services, int, str, Options, Progress], Summary]
"""As `Run`, from where a URL points. What it says of the URL has no password in it."""


@dataclass(frozen=True, slots=True)
class Importer:
    """`kind` and `help` are what the command line shows. `from_url`: for kinds whose PATH may be a URL."""

    kind: str
    help: str
    run: Run
    from_url: RunUrl | None = None
    is_marked: bool = False
    """Whether it names channels as Asterisk does (`Options.mark`)."""


class _Counted:
    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file, self._progress = file, progress

    def read(self, size: int, /) -> bytes:
        return self._counted(self._file.read(size))

    def readline(self, size: int, /) -> bytes:
        return self._counted(self._file.readline(size))

    def _counted(self, block: bytes) -> bytes:
        self._progress.advance(len(block))
        return block


@contextmanager
def watched(path: Path, progress: Progress) -> Iterator[_Counted]:
    """The file, open for reading; what is read of it moves the progress."""
    with path.open("rb") as file:
        progress.start(path.stat().st_size, "bytes")
        yield _Counted(file, progress)


def each_watched(paths: Sequence[Path], progress: Progress) -> Iterator[_Counted]:
    """The files one after the other, each open until the next one is asked for."""
    progress.start(sum(path.stat().st_size for path in paths), "bytes")
    for path in paths:
        with path.open("rb") as file:
            yield _Counted(file, progress)


@contextmanager
def uncollected() -> Iterator[None]:
    """Rows make no reference cycles; looking for some takes an eighth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
