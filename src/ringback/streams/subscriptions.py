"""Who listens to what happens, and what waits to be sent to each."""

import re
from collections.abc import Callable, Sequence
from hashlib import blake2s
from typing import NamedTuple

from ringback.errors import Unavailable
from ringback.rest.access import Caller
from ringback.rest.outlets import Ending, Outlet, Outlets

PER_USER, PER_CUSTOMER = 10, 2_000
"""Streams that are open at a time, in one process."""
_ID = re.compile(r"([0-9]{1,16})-([0-9a-f]{8})", re.ASCII)


class Event(NamedTuple):
    """`data`: JSON in one line."""

    name: str
    id: str
    data: str


STOPPED = Ending(1012, "The server stops. Come back with the last id.")
REVOKED = Ending(4401, "The token has ended, or what it may see has changed. Come back with a new ticket.")

Form = Callable[[Event], str]
"""An event as it is sent."""


def view_of(caller: Caller) -> str:
    """What a caller may see, in a word that is another one when that changes: ids of one view mean nothing in another."""
    seen = (caller.customer_id, caller.user_id, caller.role, caller.is_root, sorted(caller.policies))
    return blake2s(repr(seen).encode(), digest_size=4).hexdigest()


class Subscription(Outlet):
    """`seen`: the id of the last event that the client has got, as it says. `cursor` is the reader's."""

    most_waiting = 2_000

    def __init__(self, caller: Caller, seen: str, form: Form, preface: str) -> None:
        super().__init__(*filter(None, (preface,)))
        self.caller = caller
        self.view = view_of(caller)
        found = _ID.fullmatch(seen)
        self.seen = int(found[1]) if found is not None and found[2] == self.view else None
        self.cursor: int | None = None
        self._form = form
        self._mark = ""

    def id_of(self, number: int) -> str:
        return f"{number}-{self.view}"

    def tell(self, events: Sequence[Event], number: int) -> None:
        """These events, and with them everything up to that number."""
        self.cursor = number
        self.put(map(self._form, events))
        self._mark = self.id_of(number)

    def beat(self) -> str:
        """Says that both are there, and moves the client's id on where it was told nothing."""
        return self._form(Event("heartbeat", self._mark, "{}")) if self._mark else ""

    def hear(self, text: str) -> None:
        """Whatever a listener says means nothing."""


class Streams(Outlets[Subscription]):
    def __init__(self) -> None:
        super().__init__()
        self.on_open: Callable[[], None] = lambda: None

    def open(self, caller: Caller, seen: str, form: Form, preface: str = "") -> Subscription:
        """Unavailable when the user or the customer has too many."""
        made = Subscription(caller, seen, form, preface)
        user, customer = f"user {caller.user_id}", f"customer {caller.customer_id}"
        full = self._enter(made, {user: PER_USER, customer: PER_CUSTOMER})
        if full == user:
            raise Unavailable(f"A user has at most {PER_USER} streams at a time. End one, then try again.")
        if full == customer:
            raise Unavailable(f"At most {PER_CUSTOMER} streams are open at a time. Try again when one has ended.")
        self.on_open()
        return made
