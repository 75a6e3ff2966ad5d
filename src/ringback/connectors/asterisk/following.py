"""Bringing into the database what a part of the connection hears: a moment later, so that what changes often is written once."""

from collections.abc import Callable

from ringback.rounds import Rounds

PAUSE_S = 0.1
AGAIN_S = 10.0
"""So often it is written anyway: users and queues change too."""


class Following:
    """A thread that calls `write` after each `changed`. What the database refuses is tried again."""

    def __init__(self, name: str, write: Callable[[], None]) -> None:
        self._rounds = Rounds(name, write, AGAIN_S, PAUSE_S)

    def changed(self) -> None:
        """Begins with the first one."""
        self._rounds.start()
        self._rounds.wake()

    def stop(self) -> None:
        self._rounds.stop()
