"""SQLite: freed pages go back to the disk in short steps, each with the write lock for some milliseconds."""

import sqlite3
from collections.abc import Callable, Iterator

PAGES = 200  # of 4 KiB, a step
MERGED_PAGES = 50  # of the index of parts of numbers, a step
PATIENCE_MS = 200

Maintain = Callable[[Callable[[sqlite3.Connection], bool]], bool]
"""Runs work on the writer's connection, outside of a transaction."""


def giving_back(maintain: Maintain, thorough: bool) -> Iterator[None]:
    """`thorough`: the index of parts of numbers is merged too. It keeps what was deleted until then."""
    if thorough:
        while maintain(_merge):
            yield
    while maintain(_free):
        yield
    maintain(_truncate)


def _merge(connection: sqlite3.Connection) -> bool:
    before = connection.total_changes
    connection.execute("INSERT INTO cdr_numbers (cdr_numbers, rank) VALUES ('merge', ?)", (-MERGED_PAGES,))
    return connection.total_changes - before > 1


def _free(connection: sqlite3.Connection) -> bool:
    """`execute` would step the pragma once, and free one page."""
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    if free:
        connection.executescript(f"PRAGMA incremental_vacuum({PAGES})")
    return free > PAGES


def _truncate(connection: sqlite3.Connection) -> bool:
    """The file shrinks when the log is copied into it. Where a reader is in the way for long, the next time."""
    patience = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute(f"PRAGMA busy_timeout = {patience}")
    connection.execute("PRAGMA shrink_memory")
    return False
