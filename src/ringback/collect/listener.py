"""HEP over UDP, TCP and TLS, in an event loop of its own thread.

A connection is not read while the queue is full. One that brings what is no HEP, or leaves a packet unfinished for too long,
is closed; so is, when there are too many, the one that has waited longest without bringing anything.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterable
from typing import cast

import structlog
import uvloop

from ringback.collect import drops
from ringback.collect.addresses import Bound
from ringback.collect.intake import Intake
from ringback.collect.sources import UNKNOWN
from ringback.sip.hep import Frames, HepError

log = structlog.get_logger()

MOST_CONNECTIONS = 256
UNFINISHED_S = 30.0
HANDSHAKE_S = 10.0
LOOK_S = 0.02
"""How often a full queue is looked at."""
DROPS_S = 1.0
CLOSING_S = 0.05
CROWDED, UNFINISHED = "too many connections", "packet unfinished"


class Listener:
    def __init__(self, sockets: Iterable[Bound], intake: Intake, tls: ssl.SSLContext | None) -> None:
        self.intake = intake
        self.connections: dict[_Stream, None] = {}
        self._sockets = list(sockets)
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hep-listener", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """No more packets come in after this."""
        if self._loop is not None and self._done is not None:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        opened = [await self._opened(one) for one in self._sockets]
        watch = asyncio.create_task(self._watch())
        self._started.set()
        await self._done.wait()
        watch.cancel()
        for each in opened:
            each.close()
        for stream in list(self.connections):
            stream.end()
        await asyncio.sleep(CLOSING_S)  # for what the loop has still to do with them: it cannot be closed before

    async def _opened(self, one: Bound) -> asyncio.Server | asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        if one.transport == "UDP":
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self.intake), sock=one.socket)
            return transport
        is_tls = one.transport == "TLS"
        return await loop.create_server(
            lambda: _Stream(self, one.transport),
            sock=one.socket,
            backlog=MOST_CONNECTIONS,
            ssl=self._tls if is_tls else None,
            ssl_handshake_timeout=HANDSHAKE_S if is_tls else None,
        )

    async def _watch(self) -> None:
        """Reads on where there is room again, closes what waits for too long, and counts what the system dropped."""
        loop = asyncio.get_running_loop()
        udp = [one.socket for one in self._sockets if one.transport == "UDP"]
        next_look = loop.time()
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.intake.queue.is_full:
                self._read_on()
            if loop.time() >= next_look:
                next_look = loop.time() + DROPS_S
                self.intake.counts.kernel_dropped = drops.of(udp)
                self._close_late(loop.time())

    def _read_on(self) -> None:
        for stream in list(self.connections):
            stream.read_on()
            if self.intake.queue.is_full:
                return

    def _close_late(self, now: float) -> None:
        for stream in list(self.connections):
            if stream.is_late(now):
                stream.refuse(UNFINISHED)

    def admit(self, stream: "_Stream") -> bool:
        """Whether there is room for one more connection, be it by ending one that never brought anything."""
        if len(self.connections) >= MOST_CONNECTIONS:
            idle = next((each for each in self.connections if not each.has_brought), None)
            if idle is None:
                return False
            idle.refuse(CROWDED)
            self.connections.pop(idle, None)
        self.connections[stream] = None
        return True


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, intake: Intake) -> None:
        self._take = intake.datagram

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr[0])


class _Stream(asyncio.Protocol):
    """One connection."""

    def __init__(self, listener: Listener, transport: str) -> None:
        self.has_brought = False
        self._listener, self._intake = listener, listener.intake
        self._name = transport
        self._frames = Frames()
        self._ip = ""
        self._waits_since: float | None = None
        self._is_paused = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername") or ("",)
        self._ip = str(peer[0])
        if not self._ip or not self._intake.gate.is_known(self._ip):
            self.refuse(UNKNOWN)
        elif not self._listener.admit(self):
            self.refuse(CROWDED)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        whole = 0
        try:
            for frame in self._frames.feed(data):
                whole += 1
                self.has_brought |= self._intake.frame(frame, self._ip, self._name)
        except HepError as error:
            self._intake.refuse(str(error), data, self._ip)
            self.end()
            return
        if not self._frames.is_within:
            self._waits_since = None
        elif whole or self._waits_since is None:
            self._waits_since = asyncio.get_running_loop().time()
        if self._intake.queue.is_full:
            self._is_paused = True
            self._transport.pause_reading()

    def read_on(self) -> None:
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._waits_since = None if self._waits_since is None else asyncio.get_running_loop().time()
            self._transport.resume_reading()

    def is_late(self, now: float) -> bool:
        """Whether the rest of a packet does not come."""
        return not self._is_paused and self._waits_since is not None and now - self._waits_since > UNFINISHED_S

    def refuse(self, reason: str) -> None:
        self._intake.refuse(reason, b"", self._ip)
        self.end()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._listener.connections.pop(self, None)
