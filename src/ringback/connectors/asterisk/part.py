"""What a connection to Asterisk serves besides calls: each matter hears all that comes, and keeps its own."""

from typing import Protocol

from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Session


class Part(Protocol):
    """`connected` and `lost` are called by the connecting thread, which waits for them; `heard` by the thread that reads, which
    must not wait for anything, least of all for an answer of Asterisk.
    """

    def connected(self, session: Session) -> None:
        """Logged in, events already come. Lost ends the connection; Refused is told, and the connection stays."""
        ...

    def heard(self, message: Message) -> None: ...

    def lost(self) -> None:
        """There is no connection: at the beginning, and whenever one was lost."""
        ...

    def stop(self) -> None:
        """The server ends; what waits is finished or given up within a second or two."""
        ...
