"""What handlers, jobs and commands share in one process. Built in `app.py`, never imported as a global."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ringback.blobs import Blobs
from ringback.chat.sockets import Sockets
from ringback.connectors.orders import Desk
from ringback.identity.idle import IdleTokens
from ringback.settings import Settings
from ringback.store.database import Database
from ringback.store.lists import Lists
from ringback.streams.subscriptions import Streams

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
    desk: Desk = field(default_factory=Desk)
    """Takes orders to connected PBXs."""
    streams: Streams = field(default_factory=Streams)
    """Who is told of live changes."""
    chats: Sockets = field(default_factory=Sockets)
    """Visitors who chat."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process begins to stop: streams without an end look at it and end themselves."""
