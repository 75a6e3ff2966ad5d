"""`ringback import`: what a PBX or another system wrote, into the database."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from ringback.cli import console, places
from ringback.cli.console import Config
from ringback.cli.owners import owner
from ringback.errors import UsageError
from ringback.importers import IMPORTERS, Options, Summary

SHOWN = 20
"""So many refusals are printed; a file that is all wrong would fill the screen with one sentence."""


class Bar:
    """An importer's progress on the terminal (standard error, so that the summary can be piped)."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def start(self, total: int, unit: str) -> None:
        amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        self._bar = Progress(TextColumn("import"), BarColumn(), amount, TimeRemainingColumn(), console=console.err)
        self._task = self._bar.add_task("import", total=total)
        self._bar.start()

    def advance(self, n: int) -> None:
        if self._bar is not None:
            self._bar.advance(self._task, n)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def register(app: typer.Typer) -> None:
    kinds = "\n".join(f"- `{kind}`: {importer.help}" for kind, importer in sorted(IMPORTERS.items()))
    app.command("import", help=f"{run.__doc__}\n\nKinds:\n\n{kinds}")(run)


def run(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What it is; see above.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file or folder.")],
    customer_id: Annotated[
        int | None, typer.Option("--customer", metavar="ID", help="Whose it is; needed when there are several.")
    ] = None,
    time_zone: Annotated[str, typer.Option("--time-zone", metavar="NAME", help="Of the PBX's clock.")] = "UTC",
    country: Annotated[
        str | None,
        typer.Option("--country", metavar="CC", help="Where national numbers are dialled; else the customer's."),
    ] = None,
    config: Config = None,
) -> None:
    """Import a file or a folder. It can be done again, also after a crash: what is there already is not stored twice.

    Exit code: 0 when all of it was taken or known, 1 when something was refused, 2 when it was not begun.

    Example: `ringback import asterisk-cdr /var/log/asterisk/cdr-csv/Master.csv --time-zone Europe/Warsaw`
    """
    importer = IMPORTERS.get(kind)
    if importer is None:
        raise UsageError(f"{kind!r} is nothing that can be imported; there are {', '.join(sorted(IMPORTERS))}.")
    zone, named = places.time_zone(time_zone), country and places.country(country)
    bar = Bar()
    with console.opened(config) as services:
        whose, its_country = owner(services, customer_id)
        options = Options(time_zone=zone, country=named or its_country)
        try:
            summary = importer.run(services, whose, path, options, bar)
        finally:
            bar.stop()
    _print(summary)
    if summary.refused_in_all:
        raise typer.Exit(1)


def _print(summary: Summary) -> None:
    console.out.print(
        f"{summary.read} read: {summary.new} new, {summary.known} known already, {summary.refused_in_all} refused"
    )
    for warning in summary.warnings:
        console.out.print(f"taken, but: {warning}", markup=False)
    for refusal in summary.refused[:SHOWN]:
        console.out.print(f"refused {refusal.where}: {refusal.reason}", markup=False)
    if summary.refused_in_all > SHOWN:
        console.out.print(f"… and {summary.refused_in_all - SHOWN} more")
