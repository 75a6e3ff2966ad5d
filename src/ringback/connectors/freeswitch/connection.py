"""A running FreeSWITCH: what it tells, and what is ordered of it."""

import time
from collections.abc import Callable
from functools import partial
from uuid import uuid4

from ringback.connectors import connection, dialling
from ringback.connectors.freeswitch import orders, snapshot
from ringback.connectors.freeswitch.esl import Headers
from ringback.connectors.freeswitch.events import CHANNEL_EVENTS, CUSTOM_EVENTS, Translator
from ringback.connectors.freeswitch.session import Login, Session
from ringback.connectors.journal import Origin
from ringback.connectors.keeper import Began, Expected, Snapshot
from ringback.connectors.orders import Origination
from ringback.connectors.settings import Connector
from ringback.services import Services


class Connection(connection.Connection[Session]):
    def __init__(self, services: Services, connector: Connector) -> None:
        super().__init__(services, connector)
        self._translator = Translator()

    # -- connecting

    def _login(self, on_lost: Callable[[str], None]) -> Session:
        given = self.connector
        return Session(Login(given.host, given.port, given.user, given.secret), self._heard, on_lost)

    def _begin(self, session: Session) -> None:
        self.keeper.put(Began())
        self.book.logins += 1
        session.ask("event", "plain", *CHANNEL_EVENTS, "CUSTOM", *CUSTOM_EVENTS)
        rows = snapshot.channels(session.api("show", "channels", "as", "json"))
        news = partial(snapshot.news, rows, now_us=time.time_ns() // 1_000)
        self.keeper.put(Snapshot(snapshot.ids(rows), news))

    def _heard(self, message: Headers) -> None:
        """In the reading thread: a message takes ten times the memory of what it says."""
        get = message.get
        if get("Event-Name") == "CHANNEL_CREATE":
            account = get("variable_accountcode", "")
            dialled = get("Caller-Destination-Number", "") if get("Call-Direction") == "inbound" else ""
            self.keeper.put(Origin(get("Unique-ID", ""), get("Caller-Context", ""), account, dialled))
        for event in self._translator.events(message, time.time_ns() // 1_000):
            self.keeper.put(event)

    # -- orders, from any thread

    def originate(self, order: Origination) -> int:
        session, live_id, uuid = self.link.online(), self._new_live_id(), str(uuid4())
        self.keeper.put(Expected(uuid, live_id, order.customer_id))
        orders.originate(session, order, self.connector, uuid)
        self._await_shown(order.customer_id, live_id)
        return live_id

    def hang_up(self, customer_id: int, live_id: int) -> None:
        """Both sides; the one who called goes on where others ring for him too."""
        ends, session = self._ends(customer_id, live_id), self.link.online()
        for uuid in filter(None, (ends.dst_id, ends.src_id if ends.is_connected or not ends.dst_id else "")):
            orders.hang_up(session, uuid)

    def transfer(self, customer_id: int, live_id: int, by_extension: str, number: str) -> None:
        """Whom the party talks to goes to the number."""
        ends, session = self._ends(customer_id, live_id), self.link.online()
        by_callee = ends.is_connected and ends.dst_id and not (by_extension and by_extension == ends.src_endpoint)
        stays = ends.src_id if by_callee or not ends.dst_id else ends.dst_id
        orders.transfer(session, stays or ends.dst_id, number, dialling.context(self.connector, customer_id))
