"""All PBXs of the configuration, as one thing that starts and stops with the server."""

from collections.abc import Callable, Mapping
from typing import Any

from ringback.connectors.asterisk.connection import Connection as Asterisk
from ringback.connectors.connection import Connection
from ringback.connectors.freeswitch.connection import Connection as FreeSwitch
from ringback.connectors.settings import Connector
from ringback.errors import UsageError
from ringback.metrics import Metrics
from ringback.rounds import attempt
from ringback.services import Services
from ringback.store import accounts

KINDS: Mapping[str, Callable[[Services, Connector], Connection[Any]]] = {"asterisk": Asterisk, "freeswitch": FreeSwitch}


class Exchange:
    """Nothing is connected before `start`. UsageError when a connector names a customer that is not there."""

    def __init__(self, services: Services) -> None:
        there = services.database.read(accounts.customers)
        for each in services.settings.connectors:
            for customer_id in sorted(each.customers() - there):
                raise UsageError(f"[connectors.{each.name}]: there is no customer {customer_id}.")
        self.connections = [KINDS[each.kind](services, each) for each in services.settings.connectors]
        services.desk.pbxs += self.connections
        self._desk = services.desk

    def show(self, metrics: Metrics) -> None:
        """How the PBXs do, among the metrics."""

        def read(of: Callable[[Connection[Any]], int]) -> Callable[[], Mapping[str, int]]:
            return lambda: {each.connector.name: of(each) for each in self.connections}

        of = "connector"
        up, calls, waiting = "ringback_connector_up", "ringback_connector_calls", "ringback_connector_waiting"
        metrics.levels(up, "Whether the PBX is connected", of, read(lambda each: int(each.is_connected)))
        metrics.levels(calls, "Live calls", of, read(lambda each: len(each.book.shown.ends)))
        metrics.levels(waiting, "Events that wait to be understood", of, read(lambda each: each.waiting))
        events, logins, cdrs = "ringback_connector_events", "ringback_connector_logins", "ringback_connector_cdrs"
        metrics.counted(events, "Events that were understood", of, read(lambda each: each.book.heard))
        metrics.counted(logins, "Connections to the PBX", of, read(lambda each: each.book.logins))
        metrics.counted(cdrs, "CDRs of the PBX that were stored", of, read(lambda each: each.book.stored))
        metrics.counted("ringback_connector_orders", "Orders to PBXs", "outcome", lambda: self._desk.outcomes)

    def start(self) -> None:
        for each in self.connections:
            each.start()

    def stop(self) -> None:
        for each in self.connections:
            attempt(f"the end of {each.connector.name}", each.stop)
