"""What handlers, jobs and commands share in one process. Built in `app.py`, never imported as a global."""

from collections.abc import Callable
from dataclasses import dataclass

from ringback.blobs import Blobs
from ringback.identity.idle import IdleTokens
from ringback.settings import Settings
from ringback.store.database import Database
from ringback.store.lists import Lists

Clock = Callable[[], int]
"""UTC seconds now."""


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    lists: Lists
    blobs: Blobs
    idle: IdleTokens
    clock: Clock
