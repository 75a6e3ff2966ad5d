"""What the commands share: the root command, `--config`, opened services, and how things are printed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ringback import app as composition
from ringback import logs, settings
from ringback.services import Services
from ringback.settings import Settings

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar=settings.CONFIG, metavar="FILE", help="Settings as TOML; see `ringback config`."
    ),
]


def _version(asked: bool) -> None:
    if asked:
        out.print(f"ringback {version('ringback')}")
        raise typer.Exit


def root() -> typer.Typer:
    app = group("Ringback: a self-hosted phone-system back end that speaks the VoIPstudio REST API.")
    app.callback()(_root)
    return app


def _root(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")
    ] = False,
) -> None:
    """Ringback: a self-hosted phone-system back end that speaks the VoIPstudio REST API.

    Begin with `ringback demo` to look around, or `ringback serve` to start for real.
    """


def group(help_text: str) -> typer.Typer:
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )


def configured(config: Path | None, **flags: Any) -> Settings:
    """The settings, with logging set up by them."""
    found = settings.load(config, **flags)
    logs.configure(found.log_level)
    return found


@contextmanager
def opened(config: Path | None) -> Iterator[Services]:
    """The services for one command."""
    services = composition.open_services(configured(config))
    try:
        yield services
    finally:
        services.database.close()


def table(*columns: str) -> Table:
    """A plain table: it copies well out of a terminal."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(rows: Table) -> None:
    """Prints a table: as wide as the terminal, but uncut into a file or a pipe."""
    Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(rows)


def plain(text: str) -> Text:
    """A cell whose brackets are brackets, not Rich's markup."""
    return Text(text)


def debugging() -> bool:
    return os.environ.get("RINGBACK_LOG_LEVEL", "").lower() == "debug"


def fail(sentence: str, code: int) -> int:
    """Says what is wrong on standard error; returns the exit code."""
    err.print(f"ringback: {sentence}", markup=False)
    return code
