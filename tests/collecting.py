"""A collector beside the application, and capture agents that send to it."""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ringback.collect.collector import Collector
from ringback.sip.packet import Packet
from tests.api import Api
from tests.sip.test_sip_hep import chunk, hep3

KEY = "s3cret"
WAIT_S = 60.0


@contextmanager
def collecting(api: Api, sources: str = "", listen: str = "127.0.0.1:0", **changes: Any) -> Iterator[Collector]:
    """Acme's agents have the key; `{acme}` and `{other}` in `sources` are the customers."""
    text = (sources or f"customer={{acme}} key={KEY}").format(acme=api.acme, other=api.stranger.customer_id)
    settings = replace(api.services.settings, hep_listen=listen, hep_sources=text, **changes)
    collector = Collector(replace(api.services, settings=settings))
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()


def hep(packet: Packet, key: str = KEY, agent: int = 2001, kind: int = 1, correlation: str = "") -> bytes:
    more = [chunk(11, bytes([kind])), chunk(12, agent.to_bytes(4, "big")), chunk(14, key.encode())]
    return hep3(packet, *more, *([chunk(17, correlation.encode())] if correlation else []))


def end_of(collector: Collector, transport: str) -> tuple[str, int]:
    found = next(each.socket for each in collector.sockets if each.transport == transport)
    host, port = found.getsockname()[:2]
    return host, port


def send_udp(collector: Collector, datagrams: Iterable[bytes]) -> None:
    host, port = end_of(collector, "UDP")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as agent:
        for each in datagrams:
            agent.sendto(each, (host, port))


def connected(collector: Collector, transport: str = "TCP", source: str = "") -> socket.socket:
    """`source`: the address to come from."""
    return socket.create_connection(end_of(collector, transport), WAIT_S, (source, 0) if source else None)


def send_tcp(collector: Collector, frames: Iterable[bytes]) -> None:
    with connected(collector) as agent:
        agent.sendall(b"".join(frames))


def until(holds: Callable[[], bool]) -> None:
    """Waits for another thread."""
    give_up = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def settled(collector: Collector, n: int) -> None:
    """Until `n` packets have come to their end, whichever that is."""
    counts = collector.counts

    def done() -> bool:
        return counts.stored + counts.known + counts.left_out + counts.failed + sum(counts.refused.values()) >= n

    until(done)
