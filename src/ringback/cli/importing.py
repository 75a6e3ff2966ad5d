"""`ringback import`: what a PBX or another system wrote, into the database."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ringback.cli import console, places
from ringback.cli.console import Config
from ringback.cli.owners import owner
from ringback.cli.steps import Bar
from ringback.connectors.dialling import Share
from ringback.connectors.settings import MARKED, Connector
from ringback.errors import UsageError
from ringback.importers import Importer, Options, Summary, refusals
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Told
from ringback.services import Services

_PREFIX = re.compile(r"[0-9]{0,4}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
SHOWN = 20
"""So many refusals are printed; a file that is all wrong would fill the screen with one sentence."""


def register(app: typer.Typer) -> None:
    kinds = "\n".join(f"- `{kind}`: {importer.help}" for kind, importer in sorted(IMPORTERS.items()))
    app.command("import", help=f"{run.__doc__}\n\nKinds:\n\n{kinds}")(run)


def run(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What it is; see above.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="The file or folder; for some kinds a URL.")],
    customer_id: Annotated[
        int | None, typer.Option("--customer", metavar="ID", help="Whose it is; needed when there are several.")
    ] = None,
    time_zone: Annotated[str, typer.Option("--time-zone", metavar="NAME", help="Of the PBX's clock.")] = "UTC",
    country: Annotated[
        str | None,
        typer.Option("--country", metavar="CC", help="Where national numbers are dialled; else the customer's."),
    ] = None,
    outside_prefix: Annotated[
        str, typer.Option("--outside-prefix", metavar="DIGITS", help="What is dialled for an outside line, such as 9.")
    ] = "",
    columns: Annotated[
        str, typer.Option("--columns", metavar="A,B,C", help="What the columns of the file are, or their template.")
    ] = "",
    refused: Annotated[
        Path | None, typer.Option("--refused", metavar="FILE", help="Write all that is refused to this new file.")
    ] = None,
    connector: Annotated[
        str | None,
        typer.Option("--connector", metavar="NAME", help="The PBX that it is of, where several are connected."),
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
    prefix, names = _prefix(outside_prefix), _names(columns)
    with console.opened(config) as services, _told(refused) as told:
        whose, its_country = owner(services, customer_id)
        pbx = _pbx(services, importer, whose, connector)
        mark = pbx.mark if pbx is not None else ""
        share = Share(pbx, whose) if pbx is not None and not pbx.is_alone(whose) else None
        options = Options(zone, named or its_country, prefix, names, told, mark, share)
        summary = _started(importer, path, services, whose, options)
    _print(summary)
    if summary.refused_in_all:
        raise typer.Exit(1)


def _pbx(services: Services, importer: Importer, customer_id: int, name: str | None) -> Connector | None:
    """The PBX whose log it is, where that is connected. Of several somebody has to say which one it is."""
    there = {each.name: each for each in services.settings.connectors if customer_id in each.customers()}
    if name is not None:
        if name not in there:
            raise UsageError(f"There is no [connectors.{name}] of customer {customer_id} in the configuration.")
        return there[name]
    if importer.is_marked and any(each.mark for each in there.values()):
        raise UsageError(f"Several PBXs are connected: say whose it is, --connector {' or '.join(there)}.")
    own = [each for each in there.values() if each.kind == MARKED]
    return own[0] if importer.is_marked and len(own) == 1 else None


def _started(importer: Importer, path: str, services: Services, customer_id: int, options: Options) -> Summary:
    bar = Bar()
    try:
        if not _URL.match(path):
            if not Path(path).exists():
                raise UsageError(f"There is no {path}.")
            if not (Path(path).is_file() or Path(path).is_dir()):
                raise UsageError(
                    f"{path} is neither a file nor a folder: write what it gives to a file, and import that."
                )
            return importer.run(services, customer_id, Path(path), options, bar)
        if importer.from_url is None:
            raise UsageError(f"{importer.kind} is imported from a file or a folder, not from a URL.")
        return importer.from_url(services, customer_id, path, options, bar)
    finally:
        bar.stop()


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise UsageError(f"--outside-prefix: up to 4 digits, such as 9, not {text!r}.")
    return text


def _names(text: str) -> tuple[str, ...]:
    """Empty names stay: they are columns that nobody needs."""
    return tuple(name.strip() for name in text.split(",")) if text.strip() else ()


@contextmanager
def _told(file: Path | None) -> Iterator[Told | None]:
    if file is None:
        yield None
        return
    with refusals.written(file) as told:
        yield told


def _print(summary: Summary) -> None:
    changed = f" {summary.changed} changed," if summary.changed else ""
    console.out.print(
        f"{summary.read} read: {summary.new} new, {summary.known} known already,{changed} {summary.refused_in_all} refused"
    )
    for warning in summary.warnings:
        console.out.print(f"taken, but: {warning}", markup=False)
    for refusal in summary.refused[:SHOWN]:
        console.out.print(_printable(f"refused {refusal.where}: {refusal.reason}"), markup=False)
    if summary.refused_in_all > SHOWN:
        console.out.print(f"… and {summary.refused_in_all - SHOWN} more")


def _printable(text: str) -> str:
    """Names of files may hold line ends, and commands for a terminal."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
