"""`ringback`: the command line. One file a group of commands; `main` turns every error into one sentence.

A file is imported only when one of its commands runs: all of them, with all that they need, would take a second.
"""

import sqlite3
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand

from ringback.blobs import BlobsUnavailable
from ringback.cli import console
from ringback.errors import RingbackError, UsageError


class Listed(NamedTuple):
    """A command as the list of them shows it. `file`: which one of ours `register`s it."""

    file: str
    does: str


COMMANDS: Mapping[str, Listed] = {
    "serve": Listed("serving", "Run the server."),
    "demo": Listed("serving", "Run a server filled with the calls, recordings and SIP traces of a made-up company."),
    "migrate": Listed("serving", "Bring the database to this version's schema."),
    "customer": Listed("accounts", "Make, list, credit and delete customers."),
    "user": Listed("accounts", "Make users, and help those who cannot log in."),
    "token": Listed("accounts", "Make API tokens, with which programs log in."),
    "import": Listed("importing", "Import call records, recordings, voice messages, users and more."),
    "collect": Listed("collecting", "Take captured signalling from PBXs and proxies as it comes."),
    "rerate": Listed("billing", "Give the outbound calls of a period the rates of the deck as it is now."),
    "backup": Listed("backups", "Make a backup of the database and the audio."),
    "verify-backup": Listed("backups", "Read a backup back, and say whether it is whole."),
    "restore": Listed("backups", "Put a backup back into an empty place."),
    "copy-to": Listed("backups", "Copy the SQLite database to PostgreSQL."),
    "retain": Listed("keeping", "Delete what customers keep no longer, and give its space back."),
    "doctor": Listed("checks", "Look for what is wrong with the installation, and say what to do."),
    "asterisk-config": Listed("connecting", "Print what has to stand in the files of an Asterisk that is connected."),
    "config": Listed("checks", "Show every setting: its value, where that is from, and what it means."),
    "routes": Listed("checks", "List every operation of the API."),
}


class _Root(console.Group):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Enough of a command for the list of them."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name].does) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, command(name or ""), rest


def command(name: str) -> Any:
    """A command itself, as its file registers it."""
    group = console.group("")
    import_module(f"ringback.cli.{COMMANDS[name].file}").register(group)
    return typer.main.get_group(group).commands[name]


app = console.root(_Root)


def main() -> None:
    """Exit codes: 0 done, 1 something is away or failed, 2 used wrongly, 130 interrupted."""
    try:
        app()
    except Exception as error:
        if console.debugging():
            raise
        sys.exit(console.fail(*_sentence(error)))


def _sentence(error: Exception) -> tuple[str, int]:
    match error:
        case UsageError():
            return str(error), 2
        case RingbackError():
            return " ".join((error.message, *(f"{fault.field}: {fault.message}" for fault in error.faults))), 1
        case BlobsUnavailable():
            return str(error), 1
        case OSError() if error.strerror:
            return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}.", 1
        case sqlite3.OperationalError():
            return f"A file cannot be read or written: {error}.", 1
        case _:
            where = "Set RINGBACK_LOG_LEVEL=debug to see where, and please report it."
            return f"Unexpected: {type(error).__name__}: {error}. {where}", 1
