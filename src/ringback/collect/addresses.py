"""Where to listen, as the setting `hep_listen` says it: `127.0.0.1:9060` (UDP and TCP), `udp://[::1]:9060, tls://0.0.0.0:9061`."""

import errno
import re
import socket
from collections.abc import Iterator
from typing import NamedTuple

from ringback.errors import Unavailable, UsageError

RECEIVE_BUFFER = 8 << 20  # the system gives as much of it as net.core.rmem_max allows
_ADDRESS = re.compile(r"(?:(udp|tcp|tls)://)?(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/\s]+)):(\d{1,5})")


class Bound(NamedTuple):
    """`transport`: UDP, TCP or TLS."""

    transport: str
    socket: socket.socket

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"{self.transport.lower()}://" + (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def bound(text: str) -> list[Bound]:
    """The sockets, all of them or none. UsageError for what is no address, Unavailable for one that cannot be had."""
    found: list[Bound] = []
    try:
        for transport, host, port in _wanted(text):
            found.append(Bound(transport, _opened(transport, host, port)))
    except BaseException:
        for each in found:
            each.socket.close()
        raise
    return found


def _wanted(text: str) -> Iterator[tuple[str, str, int]]:
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = _ADDRESS.fullmatch(part)
        if match is None or int(match[4]) > 65_535:
            raise UsageError(f"hep_listen: {part!r} is no address such as 127.0.0.1:9060 or tls://[::1]:9061.")
        for transport in (match[1],) if match[1] else ("udp", "tcp"):
            yield transport.upper(), match[2] or match[3], int(match[4])


def _opened(transport: str, host: str, port: int) -> socket.socket:
    kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
        opened = socket.socket(family, kind)
    except OSError as error:
        raise Unavailable(f"hep_listen: cannot listen on {host}: {error.strerror or error}.") from None
    try:
        _prepared(opened, kind)
        opened.bind(address)
    except OSError as error:
        opened.close()
        what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror or error}"
        raise Unavailable(f"hep_listen: {transport} port {port} of {host} {what}.") from None
    return opened


def _prepared(opened: socket.socket, kind: socket.SocketKind) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_DGRAM:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    else:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setblocking(False)
