"""Who can be reached: Asterisk's device states and contacts, as the presence of users and the number of their phones.

A user's extension is the name of the endpoint, behind what the rules of the configuration put before it.
"""

import threading
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TypeVar

from ringback.connectors import phones
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.following import Following
from ringback.connectors.asterisk.inquiry import Inquiry
from ringback.connectors.asterisk.session import Session
from ringback.connectors.phones import State
from ringback.connectors.settings import Connector
from ringback.services import Services
from ringback.store import phones as store
from ringback.store.phones import Told

K = TypeVar("K")
V = TypeVar("V")
PJSIP = "PJSIP/"
MOST = 50_000
"""Of endpoints, and of contacts: more than one Asterisk has."""
_PRESENCE = {
    "NOT_INUSE": phones.AVAILABLE,
    "INUSE": phones.BUSY,
    "BUSY": phones.BUSY,
    "RINGING": phones.RINGING,
    "RINGINUSE": phones.RINGING,
    "ONHOLD": phones.ON_HOLD,
}
_LISTS = {"DeviceStateList": "", "PJSIPShowContacts": "No Contacts found"}
"""What is asked for, and how Asterisk refuses a list that is empty: while no phone is registered."""
_AWAY = {"Removed", "Unreachable", "Unavailable"}
Contact = tuple[str, str]
"""The endpoint and the URI."""


class Heard:
    """What an Asterisk has told of its endpoints since the connection began. What came as an event is newer than what a list
    says, which is asked for at the beginning."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.contacts: dict[Contact, bool] = {}
        self.lists = 0
        """How many of `_LISTS` have come."""

    def take(self, message: Message) -> bool:
        """Whether the event changed anything."""
        if message.get("Event") == "DeviceStateChange":
            return self._state(message, is_new=True)
        if message.get("Event") == "ContactStatus":
            found = (message.get("EndpointName") or message.get("AOR", ""), message.get("URI", ""))
            return self._contact(found, is_there=message.get("ContactStatus", "") not in _AWAY, is_new=True)
        return False

    def listed(self, found: Iterable[Message]) -> None:
        """DeviceStateList or PJSIPShowContacts."""
        for each in found:
            if each.get("Event") == "ContactList":
                self._contact((each.get("Endpoint", ""), each.get("Uri", "")), each.get("Status") not in _AWAY)
            else:
                self._state(each)
        self.lists += 1

    def _state(self, message: Message, *, is_new: bool = False) -> bool:
        device = message.get("Device", "")
        endpoint = device.removeprefix(PJSIP)
        if not device.startswith(PJSIP) or (endpoint not in self.states and len(self.states) >= MOST):
            return False
        return _put(self.states, endpoint, message.get("State", ""), is_new)

    def _contact(self, contact: Contact, is_there: bool, is_new: bool = False) -> bool:
        if contact not in self.contacts and len(self.contacts) >= MOST:
            self.contacts = {each: there for each, there in self.contacts.items() if there}
            if len(self.contacts) >= MOST:
                return False
        return _put(self.contacts, contact, is_there, is_new)

    def endpoints(self) -> dict[str, State]:
        """All that have a state."""
        counts = dict.fromkeys(self.states, 0)
        for (endpoint, _), is_there in self.contacts.items():
            if is_there and endpoint in counts:
                counts[endpoint] += 1
        return {each: State(_PRESENCE.get(self.states[each], phones.OFFLINE), n) for each, n in counts.items()}


def _put(known: dict[K, V], key: K, value: V, is_new: bool) -> bool:
    if known.get(key) == value or (key in known and not is_new):
        return False
    known[key] = value
    return True


def owned(connector: Connector, endpoints: Mapping[str, State]) -> dict[tuple[int, str], State]:
    """By customer and extension; those that are nobody's are left out."""
    found = ((connector.owner(name), state) for name, state in endpoints.items())
    return {owner: state for owner, state in found if owner is not None}


class Presence:
    """A part of a connection (`part.Part`)."""

    def __init__(self, services: Services, connector: Connector) -> None:
        self._services, self._connector = services, connector
        self._heard = Heard()
        self._lock = threading.Lock()
        self._inquiries: list[Inquiry] = []
        self._following = Following(f"presence-{connector.name}", self._write)

    def connected(self, session: Session) -> None:
        take = partial(self._listed, self._heard)
        self._inquiries = [Inquiry(session, name, take, self._connector.name, empty) for name, empty in _LISTS.items()]

    def _listed(self, heard: Heard, found: list[Message]) -> None:
        with self._lock:
            heard.listed(found)
        self._following.changed()

    def heard(self, message: Message) -> None:
        if message.get("Event") in {"DeviceStateChange", "ContactStatus"}:
            with self._lock:
                is_other = self._heard.take(message)
            if is_other:
                self._following.changed()

    def lost(self) -> None:
        for each in self._inquiries:
            each.stop()
        with self._lock:
            self._heard = Heard()
        self._following.changed()

    def stop(self) -> None:
        """Until the next start nothing is known."""
        self.lost()
        self._following.stop()

    def _write(self) -> None:
        desk = self._services.desk
        with self._lock:
            is_known = self._heard.lists == len(_LISTS)
            endpoints = self._heard.endpoints() if is_known else {}
        if is_known:
            desk.phones.tell(self._connector.name, owned(self._connector, endpoints))
        else:
            desk.phones.forget(self._connector.name)
        for customer_id in sorted(self._connector.customers()):
            self._settle(customer_id, desk.phones.of(customer_id))

    def _settle(self, customer_id: int, states: Mapping[str, State]) -> None:
        told: dict[str, Told] = dict(states)
        if self._services.database.read(lambda db: store.differing(db, customer_id, told)):
            self._services.database.write(lambda db: store.put(db, customer_id, told), at_once=False)
