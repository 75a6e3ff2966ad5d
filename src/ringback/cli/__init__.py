"""`ringback`: the command line. One file a group of commands; `main` turns every error into one sentence."""

import sqlite3
import sys

from ringback.blobs import BlobsUnavailable
from ringback.cli import accounts, backups, billing, checks, collecting, console, importing, keeping, serving
from ringback.errors import RingbackError, UsageError

app = console.root()
for module in (serving, accounts, importing, collecting, billing, backups, keeping, checks):
    module.register(app)


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
