"""Who may send captured signalling, and whose it is: the setting `hep_sources`, one source a line.

    customer=1 key=s3cret
    customer=2 key=other networks=192.0.2.0/24,2001:db8::/32 capture_id=2001

A packet belongs to the first source of which everything fits; without one it is refused.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from ringback.errors import UsageError
from ringback.sip.capture.hep import Captured

UNKNOWN, WRONG_KEY = "unknown sender", "wrong key"
_REMEMBERED = 10_000
_LONGEST_REMEMBERED = 256  # bytes of a key: anybody may send any
_HINT = "a line is `customer=1 key=secret networks=192.0.2.0/24 capture_id=2001`, with a key or networks or both"


class Refused(Exception):
    """A packet that is not taken; its text is the reason, of a small fixed set."""


@dataclass(frozen=True, slots=True)
class Source:
    """`networks`: where its packets come from, empty for anywhere. `key`: empty for none. `capture_id`: None for any."""

    customer_id: int
    key: bytes
    networks: tuple[IPv4Network | IPv6Network, ...]
    capture_id: int | None

    def is_at(self, ip: str) -> bool:
        address = ip_address(ip.partition("%")[0])
        return not self.networks or any(address in each for each in self.networks)

    def is_agent(self, ip: str, capture_id: int) -> bool:
        return self.capture_id in (None, capture_id) and self.is_at(ip)

    def has_key(self, key: bytes) -> bool:
        return not self.key or hmac.compare_digest(self.key, key)


def sources(text: str) -> tuple[Source, ...]:
    """UsageError names the line that cannot be read."""
    lines = enumerate((line.strip() for line in text.splitlines()), 1)
    return tuple(_source(line, number) for number, line in lines if line and not line.startswith("#"))


def _source(line: str, number: int) -> Source:
    words = [word.partition("=") for word in line.split()]
    given = {name: value for name, _, value in words}
    try:
        found = Source(
            customer_id=int(given.pop("customer")),
            key=given.pop("key", "").encode(),
            networks=tuple(ip_network(each, strict=False) for each in given.pop("networks", "").split(",") if each),
            capture_id=int(given.pop("capture_id")) if "capture_id" in given else None,
        )
    except (KeyError, ValueError):
        raise UsageError(f"hep_sources, line {number}: {_HINT}.") from None
    if given or not (found.key or found.networks):
        raise UsageError(f"hep_sources, line {number}: {_HINT}.")
    return found


class Gate:
    """Which customer a packet belongs to; remembers what it found, for as many senders as are usual."""

    def __init__(self, admitted: Sequence[Source]) -> None:
        self._sources = tuple(admitted)
        self._found: dict[tuple[str, int, bytes], int | str] = {}

    def is_known(self, ip: str) -> bool:
        """Whether anything from this address may be taken."""
        return any(each.is_at(ip) for each in self._sources)

    def customer(self, ip: str, captured: Captured) -> int:
        """Raises Refused for an unknown sender and for a wrong key."""
        asked = ip, captured.capture_id, captured.key
        found = self._look(*asked) if len(captured.key) > _LONGEST_REMEMBERED else self._found.get(asked)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[asked] = self._look(*asked)
        if isinstance(found, str):
            raise Refused(found)
        return found

    def _look(self, ip: str, capture_id: int, key: bytes) -> int | str:
        near = [each for each in self._sources if each.is_agent(ip, capture_id)]
        key = key.rstrip(b"\0")
        return next((each.customer_id for each in near if each.has_key(key)), WRONG_KEY if near else UNKNOWN)
