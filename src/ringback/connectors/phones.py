"""What all PBXs of this process say of the phones of users. Used by any thread."""

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

OFFLINE, AVAILABLE, ON_HOLD, BUSY, RINGING = "offline", "available", "on_hold", "busy", "ringing"
_RANK = (OFFLINE, AVAILABLE, ON_HOLD, BUSY, RINGING)
"""Where two PBXs have a phone of one user, what says most counts."""


class State(NamedTuple):
    """`presence`: of the extension, whichever of its phones it is. `locations`: phones that are registered or have a fixed
    address, without those that are known not to answer."""

    presence: str
    locations: int


class Phones:
    """Nothing is known of a customer's phones until a PBX has told all of them."""

    def __init__(self) -> None:
        self._told: dict[str, Mapping[tuple[int, str], State]] = {}
        self._lock = threading.Lock()

    def tell(self, pbx: str, states: Mapping[tuple[int, str], State]) -> None:
        """All that this PBX knows, by customer and extension."""
        with self._lock:
            self._told[pbx] = states

    def forget(self, pbx: str) -> None:
        with self._lock:
            self._told.pop(pbx, None)

    def of(self, customer_id: int) -> dict[str, State]:
        """By extension; empty while no PBX is connected."""
        found: dict[str, State] = {}
        with self._lock:
            told = list(self._told.values())
        for states in told:
            for (owner, extension), state in states.items():
                if owner == customer_id:
                    found[extension] = merged(found[extension], state) if extension in found else state
        return found


def merged(one: State, other: State) -> State:
    return State(loudest((one.presence, other.presence)), one.locations + other.locations)


def loudest(presences: Iterable[str]) -> str:
    return max(presences, key=_RANK.index)
