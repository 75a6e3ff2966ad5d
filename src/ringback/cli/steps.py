"""How far a command is, on the terminal (standard error, so that what it found can be piped)."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ringback.cli import console


class Bar:
    """Progress on the terminal (standard error, so that the summary can be piped). `what`: what goes on."""

    def __init__(self, what: str = "import") -> None:
        self._what = what
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def start(self, total: int, unit: str) -> None:
        amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        self._bar = Progress(TextColumn(self._what), BarColumn(), amount, TimeRemainingColumn(), console=console.err)
        self._task = self._bar.add_task(self._what, total=total)
        self._bar.start()

    def advance(self, n: int) -> None:
        if self._bar is not None:
            self._bar.advance(self._task, n)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


class Steps:
    """A line for each step of the command."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._task: TaskID | None = None

    def step(self, text: str, total: int) -> None:
        self._close()
        self._task = self._shown.add_task(text, total=total or None)

    def advance(self, n: int) -> None:
        if self._task is not None:
            self._shown.advance(self._task, n)

    def _close(self) -> None:
        """Steps whose parts nobody counts are done when the next begins."""
        if self._task is not None:
            total = self._shown.tasks[self._task].total or 1
            self._shown.update(self._task, total=total, completed=total)


@contextmanager
def steps() -> Iterator[Steps]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console.err, disable=not console.err.is_terminal) as shown:
        yield Steps(shown)
