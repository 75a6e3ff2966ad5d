"""A running PBX of whatever kind, for as long as the server runs: connected, reconnected, its calls kept and shown."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from ringback.calls.events import Event
from ringback.connectors.book import Book
from ringback.connectors.journal import Journal, Origin
from ringback.connectors.keeper import Ceased, Keeper
from ringback.connectors.link import Link, Session
from ringback.connectors.orders import NotDone, Pbx, Unsure
from ringback.connectors.settings import Connector
from ringback.connectors.shown import Ends
from ringback.services import Services

SHOWN_S = 3.0
S = TypeVar("S", bound=Session)


class Connection(Pbx, ABC, Generic[S]):
    def __init__(self, services: Services, connector: Connector) -> None:
        path = Path(services.settings.data_dir) / "connectors" / f"{connector.name}.journal"
        self.connector = connector
        self.book = Book(services, connector, Journal(path))
        self.keeper = Keeper(connector.name, self.book, self._taken, self._turned)
        self.link: Link[S] = Link(connector.name, self._login, self._begin, self._ended)
        self._services = services

    @property
    def is_connected(self) -> bool:
        return self.link.session is not None

    @property
    def waiting(self) -> int:
        """How much of what came is not understood yet."""
        return self.keeper.waiting

    def start(self) -> None:
        self.keeper.start()
        self.link.start()

    def stop(self) -> None:
        """What has come is kept; live calls are gone."""
        self.link.stop()
        self.keeper.stop()

    # -- connecting: see `Link`

    @abstractmethod
    def _login(self, on_lost: Callable[[str], None]) -> S: ...

    @abstractmethod
    def _begin(self, session: S) -> None: ...

    def _ended(self) -> None:
        self.keeper.put(Ceased())

    def _taken(self, entry: Event | Origin) -> None:
        """Is shown what goes into the book, in the keeper's thread."""

    def _turned(self) -> None:
        """Is called now and then, in the keeper's thread."""

    # -- orders, from any thread

    def serves(self, customer_id: int) -> bool:
        return customer_id in self.connector.customers()

    @property
    def outside_prefix(self) -> str:
        return self.connector.outside_prefix

    def has(self, customer_id: int, live_id: int) -> bool:
        return (customer_id, live_id) in self.book.shown.ends

    def _new_live_id(self) -> int:
        return self._services.database.write(lambda db: db.new_ids("live", 1), at_once=False)[0]

    def _await_shown(self, customer_id: int, live_id: int) -> None:
        """Returns when the call is shown. Unsure when it is not: the first phone was busy, or the PBX has made no call."""
        if not self.book.shown.wait_for(live_id, customer_id, SHOWN_S):
            raise Unsure("The PBX has taken the order, and no call came of it.")

    def _ends(self, customer_id: int, live_id: int) -> Ends:
        found = self.book.shown.ends.get((customer_id, live_id))
        if found is None or not (found.src_id or found.dst_id):
            raise NotDone("The call has just ended.")
        return found
