"""HEP over UDP, TCP and TLS, in an event loop of its own thread.

A connection is not read while the queue is full. One that brings what is no HEP, or leaves a packet unfinished for too long,
is closed. When there are too many a new one takes the place of one that never brought anything: the oldest of the address that
has most of those. So who opens many pushes out its own. Where all have brought something, the idlest gives way.
"""

import asyncio
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from ipaddress import IPv6Address
from typing import NamedTuple, cast

import structlog
import uvloop

from ringback.collect import drops
from ringback.collect.addresses import Bound
from ringback.collect.intake import Intake
from ringback.collect.sources import UNKNOWN
from ringback.rounds import attempt
from ringback.sip.capture.hep import Frames, HepError

log = structlog.get_logger()

MOST_CONNECTIONS = 256
UNFINISHED_S = 30.0
IDLE_S = 60.0
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
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="hep-listener", daemon=True)

    def start(self) -> None:
        """What keeps it from listening is raised."""
        self._thread.start()
        self._started.result()

    def stop(self) -> None:
        """No more packets come in after this."""
        if self._loop is not None and self._done is not None:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            opened = [await self._opened(one) for one in self._sockets]
        except Exception as error:
            self._started.set_exception(error)
            return
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        watch = asyncio.create_task(self._watch())
        self._started.set_result(None)
        await self._done.wait()
        watch.cancel()
        for each in opened:
            each.close()
        for stream in list(self.connections):
            stream.end()
        await asyncio.sleep(CLOSING_S)  # for what the loop has still to do with them: it cannot be closed before

    async def _opened(self, one: Bound) -> "asyncio.Server | asyncio.DatagramTransport | _Accepting":
        loop = asyncio.get_running_loop()
        if one.transport == "UDP":
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self.intake), sock=one.socket)
            return transport
        if one.transport == "TLS" and self._tls is not None:
            one.socket.listen(MOST_CONNECTIONS)
            return _Accepting(loop.create_task(self._accept(one, self._tls)))
        return await loop.create_server(lambda: _Stream(self, one.transport), sock=one.socket, backlog=MOST_CONNECTIONS)

    async def _accept(self, one: Bound, tls: ssl.SSLContext) -> None:
        """A connection counts from its first moment on, so that those that never come to TLS are bounded too."""
        loop = asyncio.get_running_loop()
        with one.socket:
            while True:
                try:
                    plain, peer = await loop.sock_accept(one.socket)
                except OSError:  # it was gone already, or there are too many files
                    await asyncio.sleep(LOOK_S)
                else:
                    stream = _Stream(self, one.transport)
                    attempt("hep-listener", partial(stream.begin_tls, plain, str(peer[0]), tls))

    async def _watch(self) -> None:
        """Reads on where there is room again, closes what waits for too long, and counts what the system dropped."""
        loop = asyncio.get_running_loop()
        udp = [one.socket for one in self._sockets if one.transport == "UDP"]
        next_look = loop.time()
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.intake.queue.is_full:
                attempt("hep-listener", self._read_on)
            if loop.time() >= next_look:
                next_look = loop.time() + DROPS_S
                attempt("hep-listener", partial(self._look, udp, loop.time()))

    def _look(self, udp: Sequence[socket.socket], now: float) -> None:
        self.intake.counts.kernel_dropped = drops.of(udp)
        self._close_late(now)

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
        """Whether there is room for one more connection, be it by ending another."""
        if len(self.connections) >= MOST_CONNECTIONS:
            other = self._who_makes_place(stream)
            if other is None:
                return False
            other.refuse(CROWDED)
            self.connections.pop(other, None)
        self.connections[stream] = None
        return True

    def _who_makes_place(self, stream: "_Stream") -> "_Stream | None":
        strange = [each for each in self.connections if not each.has_brought]
        if strange:
            of_sender = Counter(each.sender for each in (*strange, stream))
            return max(strange, key=lambda each: of_sender[each.sender])  # of equals the oldest
        idlest = max(self.connections, key=lambda each: each.idle_s)
        return idlest if idlest.idle_s >= IDLE_S else None


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, intake: Intake) -> None:
        self._take = intake.datagram

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr[0])


class _Accepting(NamedTuple):
    task: asyncio.Task[None]

    def close(self) -> None:
        self.task.cancel()


class _Stream(asyncio.Protocol):
    """One connection."""

    def __init__(self, listener: Listener, transport: str) -> None:
        self.has_brought = False
        self._listener, self._intake = listener, listener.intake
        self._name = transport
        self._handshake: asyncio.Task[None] | None = None
        self._frames = Frames()
        self._ip = self.sender = ""
        self._brought_at = 0.0
        self._waits_since: float | None = None
        self._is_paused = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._handshake is None:
            peer = transport.get_extra_info("peername") or ("",)
            reason = self._refusal(str(peer[0]))
            if reason is not None:
                self.refuse(reason)

    def begin_tls(self, plain: socket.socket, ip: str, tls: ssl.SSLContext) -> None:
        """Of a connection that was accepted just now."""
        reason = self._refusal(ip)
        if reason is None:
            self._handshake = asyncio.create_task(self._secure(plain, tls))
        else:
            self._intake.refuse(reason, b"", ip)
            plain.close()

    async def _secure(self, plain: socket.socket, tls: ssl.SSLContext) -> None:
        """Whatever is no handshake ends the connection."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            await loop.connect_accepted_socket(lambda: self, plain, ssl=tls, ssl_handshake_timeout=HANDSHAKE_S)
        if self._transport is None:
            self.connection_lost(None)

    def _refusal(self, ip: str) -> str | None:
        """Why it cannot stay."""
        self._ip, self.sender = ip, _sender(ip) if ip else ""
        if not ip or not self._intake.gate.is_known(ip):
            return UNKNOWN
        return None if self._listener.admit(self) else CROWDED

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
        now = asyncio.get_running_loop().time()
        if whole:
            self._brought_at = now
        if not self._frames.is_within:
            self._waits_since = None
        elif whole or self._waits_since is None:
            self._waits_since = now
        if self._intake.queue.is_full:
            self._is_paused = True
            self._transport.pause_reading()

    def read_on(self) -> None:
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._waits_since = None if self._waits_since is None else asyncio.get_running_loop().time()
            self._transport.resume_reading()

    @property
    def idle_s(self) -> float:
        """Since it brought something last; 0 for one that is not read just now."""
        return 0.0 if self._is_paused else asyncio.get_running_loop().time() - self._brought_at

    def is_late(self, now: float) -> bool:
        """Whether the rest of a packet does not come."""
        return not self._is_paused and self._waits_since is not None and now - self._waits_since > UNFINISHED_S

    def refuse(self, reason: str) -> None:
        self._intake.refuse(reason, b"", self._ip)
        self.end()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif self._handshake is not None:
            self._handshake.cancel()
            self.connection_lost(None)

    def connection_lost(self, _: Exception | None) -> None:
        self._listener.connections.pop(self, None)


def _sender(ip: str) -> str:
    """Whose address it is: of IPv6 the network, for everybody has a whole one."""
    address = ip.partition("%")[0]
    return str(int(IPv6Address(address)) >> 64) if ":" in address else address
