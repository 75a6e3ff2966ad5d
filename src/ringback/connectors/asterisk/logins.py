"""What a user's phone logs in with, for clients that are phones themselves: asked of Asterisk when it is needed, kept nowhere.

Only where the configuration says so (`sip_passwords`): who has a user's token could then call as the user from anywhere.
"""

import re
from concurrent.futures import TimeoutError as Late

from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Session
from ringback.connectors.link import Lost, Refused
from ringback.connectors.settings import Connector
from ringback.services import Services

ANSWER_S = 2.0
_ENDPOINT = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)


class Logins:
    """A part of a connection (`part.Part`), and its face to the API (`orders.Passwords`)."""

    def __init__(self, services: Services, connector: Connector) -> None:
        self._services, self._connector = services, connector
        self._session: Session | None = None
        services.desk.passwords.append(self)

    def connected(self, session: Session) -> None:
        self._session = session

    def heard(self, message: Message) -> None: ...

    def lost(self) -> None:
        self._session = None

    def stop(self) -> None:
        self._services.desk.passwords.remove(self)

    def serves(self, customer_id: int) -> bool:
        return customer_id in self._connector.customers()

    def domain(self) -> str | None:
        return self._connector.sip_domain or None

    def password(self, customer_id: int, extension: str) -> str | None:
        """Only where the endpoint's name says whose it is."""
        session = self._session
        endpoint = self._connector.endpoint_prefix(customer_id) + extension
        if session is None or not self._connector.sip_passwords or not _ENDPOINT.fullmatch(endpoint):
            return None
        if self._connector.owner(endpoint) != (customer_id, extension):
            return None
        try:
            found = session.send_list("PJSIPShowEndpoint", ("Endpoint", endpoint)).result(ANSWER_S)
        except (Refused, Lost, Late):
            return None
        return next((_password(each) for each in found if each.get("Event") == "AuthDetail"), None)


def _password(told: Message) -> str | None:
    return told.get("Password") or None
