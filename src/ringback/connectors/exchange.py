"""All PBXs of the configuration, as one thing that starts and stops with the server."""

from ringback.connectors.asterisk.connection import Connection
from ringback.errors import UsageError
from ringback.services import Services
from ringback.store.database import Db


class Exchange:
    """Nothing is connected before `start`. UsageError when a connector names a customer that is not there."""

    def __init__(self, services: Services) -> None:
        there = services.database.read(_customers)
        for each in services.settings.connectors:
            for customer_id in sorted(each.customers() - there):
                raise UsageError(f"[connectors.{each.name}]: there is no customer {customer_id}.")
        self.connections = [Connection(services, each) for each in services.settings.connectors]
        services.desk.pbxs += self.connections

    def start(self) -> None:
        for each in self.connections:
            each.start()

    def stop(self) -> None:
        for each in self.connections:
            each.stop()


def _customers(db: Db) -> set[int]:
    return {row[0] for row in db.all("SELECT id FROM customers WHERE deleted_at IS NULL")}
