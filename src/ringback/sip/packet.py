"""What a capture holds: one datagram or stream message, with its time and its two ends."""

import socket
from functools import lru_cache
from typing import NamedTuple

SECOND_US = 1_000_000
RTCP_TYPES = range(200, 208)
"""SR, RR, SDES, BYE, APP (RFC 3550 section 12.1), RTPFB, PSFB (RFC 4585), XR (RFC 3611)."""

MOST_PARTS = 256
"""Of a compound RTCP packet; what has more is none."""


class Endpoint(NamedTuple):
    """One end of a packet. ``ip``: as `ip_text` writes it, so that equal ends are equal texts."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


class Packet(NamedTuple):
    """One captured message. ``at_us``: microseconds since 1970, UTC. ``transport``: ``UDP``, ``TCP``, ``TLS``, …

    ``sightings``: (number of a capture agent, its time), first the one whose time this is; empty where not known.
    """

    at_us: int
    transport: str
    src: Endpoint
    dst: Endpoint
    payload: bytes
    sightings: tuple[tuple[int, int], ...] = ()


@lru_cache(maxsize=8192)
def ip_text(address: bytes) -> str:
    """Of the 4 or 16 bytes of an address."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


@lru_cache(maxsize=8192)
def endpoint(address: bytes, port: int) -> Endpoint:
    """Of the 4 or 16 bytes of an address."""
    return Endpoint(ip_text(address), port)


def is_text(payload: bytes) -> bool:
    """Whether this may be SIP, however damaged: RTP, RTCP, STUN and keep-alives begin as no text does."""
    return b" " <= payload.lstrip(b"\r\n")[:1] <= b"~"


def is_rtcp(payload: bytes) -> bool:
    """Whether this is a compound or reduced-size RTCP packet: a chain of headers that ends where the payload does.

    RFC 3550 section 6.4 and appendix A.2; RFC 5506. SRTCP, whose trailer breaks the chain, is not.
    """
    if payload[:1] < b"\x80":
        return False
    start = 0
    for _ in range(MOST_PARTS):
        if start + 4 > len(payload):
            break
        if payload[start] >> 6 != 2 or payload[start + 1] not in RTCP_TYPES:
            return False
        start += 4 * (int.from_bytes(payload[start + 2 : start + 4], "big") + 1)
    return 0 < start == len(payload)
