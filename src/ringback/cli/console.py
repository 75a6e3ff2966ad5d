"""What the commands share: the root command, `--config`, opened services, and how things are printed."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from ringback import settings
from ringback.errors import UsageError
from ringback.settings import Settings

if TYPE_CHECKING:
    from ringback.services import Services

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


def root(kind: type["Group"]) -> typer.Typer:
    app = group("Ringback: a self-hosted phone-system back end that speaks the VoIPstudio REST API.", kind)
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


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


def _without_types(params: list[Any]) -> list[Any]:
    """For the help: what takes no value has no type beside it."""
    for each in params:
        if getattr(each, "is_flag", False):
            each.metavar = ""
    return params


class _App(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        return super().command(name, cls=_Command, **options)


def group(help_text: str, kind: type[Group] = Group) -> typer.Typer:
    return _App(
        cls=kind,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )


def configured(config: Path | None, **flags: Any) -> Settings:
    """The settings, with logging set up by them."""
    from ringback import logs

    found = settings.load(config, **flags)
    logs.configure(found.log_level)
    return found


@contextmanager
def opened(config: Path | None) -> Iterator["Services"]:
    """The services for one command, which makes no database: in the wrong folder it would make an empty one."""
    from ringback.opening import open_services
    from ringback.store.engines import sqlite_path

    found = configured(config)
    if found.is_embedded() and not (path := sqlite_path(found.database_url()).absolute()).exists():
        advice = "Run `ringback serve` or `ringback migrate` first, or name the configuration with --config."
        raise UsageError(f"There is no database at {path}. {advice}")
    services = open_services(found)
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
    if sys.stdout.isatty():
        out.print(rows)
        return
    wide = Console(highlight=False, width=400)
    with wide.capture() as printed:
        wide.print(rows)
    out.print("\n".join(line.rstrip() for line in printed.get().splitlines()), markup=False)


def plain(text: str) -> Text:
    """A cell whose brackets are brackets, not Rich's markup."""
    return Text(text)


def debugging() -> bool:
    return os.environ.get("RINGBACK_LOG_LEVEL", "").lower() == "debug"


def fail(sentence: str, code: int) -> int:
    """Says what is wrong on standard error; returns the exit code."""
    err.print(f"ringback: {sentence}", markup=False)
    return code
