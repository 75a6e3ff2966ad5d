"""Captured REGISTERs become registrations, in transactions of their own: also where the messages are not kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from ringback.collect.parts import in_parts, told
from ringback.errors import TooSlow, Unavailable
from ringback.services import Services
from ringback.sip.capture import hep
from ringback.sip.registrations.registers import is_register
from ringback.store import registrations
from ringback.store.database import persistently
from ringback.store.registrations import Seen

log = structlog.get_logger()


class Registers:
    """`users_of`: a customer's users by extension; None when there is no such customer."""

    def __init__(self, services: Services, users_of: Callable[[int], Mapping[str, int] | None]) -> None:
        self._database, self._clock, self._users_of = services.database, services.clock, users_of

    def note(self, entries: Iterable[tuple[int, hep.Captured]]) -> None:
        """What among these says something of a registration. What cannot be stored now is left out: phones come again."""
        by_customer: dict[int, list[Seen]] = {}
        for customer_id, captured in entries:
            if captured.protocol == hep.SIP and is_register(captured.packet.payload):
                by_customer.setdefault(customer_id, []).append((captured.packet, captured.capture_id))
        for customer_id, seen in by_customer.items():
            try:
                self._note(customer_id, seen)
            except (Unavailable, TooSlow) as error:
                log.warning("registrations are not noted", customer=customer_id, messages=len(seen), error=str(error))

    def _note(self, customer_id: int, seen: Sequence[Seen]) -> None:
        """When something of it cannot be stored, its parts by themselves."""
        users = self._users_of(customer_id)
        if users is None:
            return

        def note(some: Sequence[Seen]) -> None:
            now = self._clock()
            persistently(self._database, lambda db: registrations.take(db, customer_id, some, users, now=now))

        def failed(_: Sequence[Seen], error: Exception) -> None:
            log.error("registration cannot be noted", customer=customer_id, error=told(error))

        in_parts(seen, note, failed, passed_on=(Unavailable, TooSlow))
