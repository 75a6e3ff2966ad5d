"""Who answers the calls in Asterisk's queues: read from what it tells, and changed by the manager interface.

A queue of ours is the one of Asterisk's that has its number or its name, behind what the rules of the configuration put before an
extension. What Asterisk says of its members counts: members of ours that it has not are logged out.
"""

import re
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.following import Following
from ringback.connectors.asterisk.inquiry import Inquiry
from ringback.connectors.asterisk.session import Session
from ringback.connectors.dialling import checked
from ringback.connectors.link import Lost, Refused
from ringback.connectors.orders import NotDone
from ringback.connectors.settings import Connector
from ringback.services import Services
from ringback.store import queues as store
from ringback.store.queues import Members, Queue

MOST_QUEUES, MOST_MEMBERS = 2_000, 2_000
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9]{1,20}/[A-Za-z0-9_.@/:-]{1,150}", re.ASCII)
_ENDPOINT = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
"""Of a member that is ordered here: behind a slash would stand an address, which is somebody else's."""
_EVENTS = {"QueueMemberAdded", "QueueMemberRemoved", "QueueMemberPause", "QueueMemberStatus"}


class Member(NamedTuple):
    """`is_there`: False for one who has left since the connection began."""

    is_there: bool
    is_paused: bool


class Heard:
    """Members by queue and interface. What came as an event is newer than what the list says that is asked for first."""

    def __init__(self) -> None:
        self.queues: dict[str, dict[str, Member]] = {}
        self.is_complete = False

    def take(self, message: Message) -> bool:
        """Whether the event changed anything."""
        there = self._queue(message)
        if there is None:
            return False
        found = Member(message.get("Event") != "QueueMemberRemoved", message.get("Paused") == "1")
        interface = message.get("Interface", "")
        if there.get(interface) == found or (interface not in there and len(there) >= MOST_MEMBERS):
            return False
        there[interface] = found
        return True

    def listed(self, found: Iterable[Message]) -> None:
        """QueueStatus: each queue, and behind it its members."""
        for each in found:
            there = self._queue(each)
            if there is not None and each.get("Event") == "QueueMember" and len(there) < MOST_MEMBERS:
                there.setdefault(each.get("Location", ""), Member(True, each.get("Paused") == "1"))
        self.is_complete = True

    def _queue(self, message: Message) -> dict[str, Member] | None:
        name = message.get("Queue", "")
        if name not in self.queues and len(self.queues) >= MOST_QUEUES:
            return None
        return self.queues.setdefault(name, {})

    def members(self, queue: str) -> dict[str, bool]:
        """Whether each is paused, by interface."""
        return {each: member.is_paused for each, member in self.queues.get(queue, {}).items() if member.is_there}


def named(connector: Connector, queues: Iterable[str], customer_id: int) -> dict[str, str]:
    """Asterisk's names of the customer's queues, by their own, in small letters: Asterisk takes no notice of large ones."""
    owners = ((name, connector.owner(name)) for name in queues)
    return {owner[1].casefold(): name for name, owner in owners if owner is not None and owner[0] == customer_id}


def extension(connector: Connector, interface: str, customer_id: int) -> str | None:
    """Of `PJSIP/acme-101` and `Local/101@from-queue/n`; None where it is another customer's. `interface`: in a queue of the
    customer's, so that a number which is dialled is the customer's unless it begins as another one's endpoints."""
    technology, _, rest = interface.partition("/")
    name = rest.partition("@")[0]
    found = connector.owner(name)
    if found is not None and found[0] == customer_id:
        return found[1]
    is_dialled = technology == "Local" and not any(name.startswith(each) for each in connector.prefixes())
    return name if is_dialled else None


class Queues:
    """A part of a connection (`part.Part`), and the face of its queues to the API (`orders.Staff`)."""

    def __init__(self, services: Services, connector: Connector) -> None:
        self._services, self._connector = services, connector
        self._session: Session | None = None
        self._inquiry: Inquiry | None = None
        self._heard = Heard()
        self._lock = threading.Lock()
        self._following = Following(f"queues-{connector.name}", self._write)
        services.desk.staffs.append(self)

    # -- a part

    def connected(self, session: Session) -> None:
        take = partial(self._listed, self._heard, session)
        self._inquiry = Inquiry(session, "QueueStatus", take, self._connector.name)

    def _listed(self, heard: Heard, session: Session, found: list[Message]) -> None:
        """An Asterisk without queues has none of ours."""
        with self._lock:
            heard.listed(found)
            self._session = session if heard is self._heard else self._session
        self._following.changed()

    def heard(self, message: Message) -> None:
        if message.get("Event") in _EVENTS:
            with self._lock:
                is_other = self._heard.take(message)
            if is_other:
                self._following.changed()

    def lost(self) -> None:
        if self._inquiry is not None:
            self._inquiry.stop()
        with self._lock:
            self._session, self._heard = None, Heard()

    def stop(self) -> None:
        self._following.stop()
        self._services.desk.staffs.remove(self)

    # -- orders

    def serves(self, customer_id: int) -> bool:
        return customer_id in self._connector.customers()

    def assign(
        self, customer_id: int, queue: Sequence[str], wanted: Mapping[str, bool], extensions: Collection[str]
    ) -> None:
        with self._lock:
            session = self._session
            names = named(self._connector, self._heard.queues, customer_id)
            name = names.get(_known(names, queue) or "")
            members = {} if name is None else self._heard.members(name)
        if session is None:
            raise NotDone(
                "The PBX is not connected, or has not told of its queues yet, so nobody's place in one can be changed now."
            )
        if name is not None:
            for action, fields in self._orders(customer_id, name, members, wanted, extensions):
                _carried_out(session, action, fields)

    def _orders(
        self,
        customer_id: int,
        name: str,
        members: Mapping[str, bool],
        wanted: Mapping[str, bool],
        extensions: Collection[str],
    ) -> list[tuple[str, list[tuple[str, str]]]]:
        """Those who are to leave, then those who are to wait, then those who are to come."""
        there = {each: extension(self._connector, each, customer_id) or "" for each in members}
        gone = [each for each, ext in there.items() if ext in extensions and ext not in wanted]
        other = [(each, wanted[ext]) for each, ext in there.items() if ext in wanted and members[each] != wanted[ext]]
        came = {ext: paused for ext, paused in wanted.items() if ext not in there.values()}
        fresh = [(f"PJSIP/{self._endpoint(customer_id, ext)}", paused) for ext, paused in came.items()]
        return [
            *(("QueueRemove", _fields(name, each)) for each in gone),
            *(("QueuePause", _fields(name, each, paused)) for each, paused in other),
            *(("QueueAdd", _fields(name, each, paused)) for each, paused in fresh),
        ]

    def _endpoint(self, customer_id: int, ext: str) -> str:
        found = self._connector.endpoint_of(customer_id, ext)
        if found is None:
            raise NotDone(f"Nothing says that the phone {ext} of the PBX is this customer's.")
        return checked(_ENDPOINT, found)

    # -- in the database

    def told(self, customer_id: int) -> dict[str, dict[str, bool]]:
        with self._lock:
            if not self._heard.is_complete:
                return {}
            found = {name: self._heard.members(name) for name in self._heard.queues}
        names = named(self._connector, found, customer_id)
        return {ours: self._by_extension(customer_id, found[name]) for ours, name in names.items()}

    def _by_extension(self, customer_id: int, told: Mapping[str, bool]) -> dict[str, bool]:
        found = ((extension(self._connector, interface, customer_id), paused) for interface, paused in told.items())
        return {ext: paused for ext, paused in found if ext is not None}

    def _write(self) -> None:
        with self._lock:
            if not self._heard.is_complete:
                return
        for customer_id in sorted(self._connector.customers()):
            there = [each.told(customer_id) for each in self._services.desk.staffs if each.serves(customer_id)]
            found = self._differing(customer_id, there) if any(there) else {}
            if found:
                put = partial(store.put, customer_id=customer_id, found=found)
                self._services.database.write(put, at_once=False)

    def _differing(self, customer_id: int, there: Sequence[Mapping[str, Mapping[str, bool]]]) -> dict[int, Members]:
        """The members of the queues that have others than the database says, by the queue's id. `there`: at each PBX."""
        found: dict[int, Members] = {}
        for queue in self._services.database.read(lambda db: store.of(db, customer_id)):
            told = [each[name] for each in there if (name := _known(each, queue.names)) is not None]
            members = _members(queue, told) if told else queue.members
            if members != queue.members:
                found[queue.id] = members
        return found


def _known(told: Collection[str], names: Sequence[str]) -> str | None:
    return next((each.casefold() for each in names if each.casefold() in told), None)


def _members(queue: Queue, told: Sequence[Mapping[str, bool]]) -> Members:
    """Those who are users, at whichever PBX; who is paused at one of them may still be called by another."""
    extensions = {ext for each in told for ext in each if ext in queue.users}
    return {queue.users[ext]: int(not all(each.get(ext, True) for each in told)) for ext in extensions}


def _fields(queue: str, interface: str, paused: bool | None = None) -> list[tuple[str, str]]:
    fields = [("Queue", queue), ("Interface", interface)]
    return fields if paused is None else [*fields, ("Paused", "true" if paused else "false")]


def _carried_out(session: Session, action: str, fields: Sequence[tuple[str, str]]) -> None:
    """What is so already is no fault."""
    _, queue = fields[0]
    _, interface = fields[1]
    if not _NAME.fullmatch(queue) or not _INTERFACE.fullmatch(interface):
        raise NotDone("The PBX cannot be asked for a queue or a member of that name.")
    try:
        session.ask(action, *fields)
    except Refused as error:
        if action == "QueueRemove" and "not dynamic" in str(error):
            raise NotDone(
                f"{interface} stands in the PBX's own configuration: it can be paused, not removed."
            ) from None
        if "Already there" not in str(error) and "Not there" not in str(error):
            raise NotDone(f"The PBX does not do it: {error}.") from None
    except Lost as error:
        raise NotDone(f"The PBX does not do it: {error}.") from None
