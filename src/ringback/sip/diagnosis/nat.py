"""Private addresses in session descriptions that came from elsewhere (RFC 1918, RFC 6598, RFC 4193)."""

import socket
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address, ip_network

from ringback.sip.diagnosis.call import Call, Message
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.headers import parameter

MEDIA = Kind(
    "nat-media-address",
    Severity.WARNING,
    "A side behind NAT names a private address for its media, and nobody on the way replaces it. An error where it was passed "
    "on to somebody else as it is.",
    "Switch on the media relay for this side, STUN or ICE in the phone, or symmetric RTP at the server; on a router switch "
    "SIP ALG off.",
)
KINDS = (MEDIA,)
_PRIVATE = [
    ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7")
]
_NEITHER = [ip_network(each) for each in ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128", "fe80::/10")]


def find(call: Call) -> Iterator[Finding]:
    described = [each for leg in call.calls for each in leg.messages if each.audio]
    origins: dict[str, Message] = {}
    for each in described:
        origins.setdefault(_media(each), each)
    public = _seen_from(call)
    relays = _Relays(described)
    heard = {each.packet.src.ip for each in call.rtcp}
    for address, message in origins.items():
        came_from = public.get(message.place) or message.packet.src.ip
        is_behind = _is_private(address) and _is_public(came_from) and b"a=candidate:" not in message.sip.body
        if is_behind and came_from not in heard and not relays.replace(message):
            yield from _told(message, came_from, relays.passed_on(message))


def _told(message: Message, came_from: str, passed_on: Message | None) -> Iterator[Finding]:
    says = f"The SDP from {came_from} says that media go to {_media(message)}, a private address"
    if passed_on is None:
        yield finding(MEDIA, f"{says}.", [message])
    elif passed_on.packet.dst.ip != came_from:  # else both are behind the same NAT, and may reach each other
        says += f", and {passed_on.packet.src.ip} passed it on as it is."
        yield finding(MEDIA, says, [message, passed_on], Severity.ERROR)


class _Relays:
    """Who sends SDP on to somebody else, and what becomes of private addresses there."""

    def __init__(self, described: list[Message]) -> None:
        self._last: dict[str, dict[str, int]] = {}
        self._passed: dict[tuple[str, str], Message] = {}
        for each in described:
            src, dst = each.packet.src.ip, each.packet.dst.ip
            self._passed.setdefault((src, _media(each)), each)
            if not _is_private(_media(each)):
                to = self._last.setdefault(src, {})
                to.pop(dst, None)
                to[dst] = each.place

    def passed_on(self, message: Message) -> Message | None:
        return self._passed.get((message.packet.dst.ip, _media(message)))

    def replace(self, message: Message) -> bool:
        """Whether who got this tells somebody else an address that can be reached. An answer to its sender is none."""
        if self.passed_on(message) is not None:
            return False
        latest = list(reversed(self._last.get(message.packet.dst.ip, {}).items()))[:2]
        return any(dst != message.packet.src.ip and index > message.place for dst, index in latest)


def _seen_from(call: Call) -> dict[int, str]:
    """By a request's index the address that its receiver says it saw it come from (RFC 3261 section 18.2.1)."""
    found: dict[int, str] = {}
    for leg in call.calls:
        for exchange in leg.of("INVITE", "UPDATE"):
            for hop in exchange.transactions:
                received = next((seen for each in hop.responses if (seen := _received(each))), "")
                found.update((each.place, received) for each in hop.requests if received)
    return found


def _received(response: Message) -> str:
    received = parameter(response.first("via").partition(",")[0], "received").strip("[]")
    return received if _is_public(received) else ""


def _media(message: Message) -> str:
    return message.audio.rtp.ip if message.audio else ""


@lru_cache(maxsize=4096)
def _is_private(address: str) -> bool:
    return _is_address(address) and any(ip_address(address) in each for each in _PRIVATE)


@lru_cache(maxsize=4096)
def _is_public(address: str) -> bool:
    return _is_address(address) and not any(ip_address(address) in each for each in (*_PRIVATE, *_NEITHER))


def _is_address(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True
