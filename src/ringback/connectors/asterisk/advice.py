"""What of Asterisk's own configuration keeps calls from being told: in the log, where nobody has asked `ringback doctor`."""

import threading

import structlog

from ringback.connectors.asterisk import setup
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Session
from ringback.connectors.link import Lost, Refused
from ringback.connectors.settings import Connector
from ringback.services import Services

log = structlog.get_logger()

LASTED_S = 5.0
"""The answers are long: a wire that breaks all the time has better things to carry."""


class Advice:
    """A part of a connection (`part.Part`). Asterisk is asked when a connection has lasted, in a thread of its own, and each lack
    is told once."""

    def __init__(self, _services: Services, connector: Connector) -> None:
        self._connector = connector
        self._told: set[str] = set()
        self._timer: threading.Timer | None = None

    def connected(self, session: Session) -> None:
        self._timer = threading.Timer(LASTED_S, self._look, (session,))
        self._timer.daemon, self._timer.name = True, f"advice-{self._connector.name}"
        self._timer.start()

    def heard(self, message: Message) -> None: ...

    def lost(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def stop(self) -> None: ...

    def _look(self, session: Session) -> None:
        try:
            points = list(setup.needed(session, self._connector.user))
        except (Lost, Refused):
            return  # the next connection looks again
        for each in points:
            if each.is_needed and not each.is_good and each.text not in self._told:
                self._told.add(each.text)
                name = self._connector.name
                log.warning("the pbx is not set up", pbx=name, lack=each.text, more=f"ringback doctor asterisk {name}")
