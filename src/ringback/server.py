"""The process: uvicorn as a library in our own event loop, from an open port to a clean end.

SIGTERM and SIGINT: endless streams are told to end, no new connection is taken, running requests finish (for at most
`GRACE_S`), then workers stop and what is in memory is written. A second SIGINT does not wait for requests.
"""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import structlog
import uvicorn
import uvloop

from ringback import app as composition
from ringback.app import App
from ringback.chat import sockets
from ringback.errors import Unavailable
from ringback.protocol import Protocol
from ringback.settings import BASE_PATHS
from ringback.streams.subscriptions import STOPPED

log = structlog.get_logger()

GRACE_S = 30
KEEP_ALIVE_S = 75  # longer than nginx keeps its side (60), so that it never sends into a closing connection
BACKLOG = 2048
LONGEST_MESSAGE = 64 * 1024
"""Bytes of what a client may say through a WebSocket at a time."""


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: `run` has them."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Unavailable says what to do when it cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise Unavailable(_advice(host, port, error)) from None


def _advice(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. End what listens there, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} of {host} is not allowed to this user. Choose one above 1023 with --port."
    return f"Cannot listen on {host} port {port}: {error.strerror or error}."


def url_of(listener: socket.socket) -> str:
    """Where clients on this machine reach it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: App, listener: socket.socket) -> None:
    """Serves until a signal ends it."""
    with composition.running(app), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, listener))


async def _serve(app: App, listener: socket.socket) -> None:
    server = Server(_configuration(app))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stopper(app, server, number))
    log.info("listening", url=url_of(listener) + BASE_PATHS[0])
    await server.serve([listener])
    log.info("stopped")


def _stopper(app: App, server: Server, number: signal.Signals) -> Callable[[], None]:
    def stop() -> None:
        if server.should_exit and number is signal.SIGINT:
            server.force_exit = True
        log.info("stopping", signal=number.name)
        app.services.stopping.set()
        app.services.streams.end(STOPPED)
        app.services.chats.end(sockets.STOPPED)
        server.should_exit = True

    return stop


class _Ours(logging.Filter):
    """What any stranger at a WebSocket can cause at will is no error, and fills no log."""

    def filter(self, record: logging.LogRecord) -> bool:
        theirs = "Invalid UTF-8 sequence received", "ASGI callable returned without completing handshake"
        return not str(record.msg).startswith(theirs)


def _configuration(app: App) -> uvicorn.Config:
    logger = logging.getLogger("uvicorn.error")
    logger.setLevel(logging.ERROR)
    logger.addFilter(_Ours())
    return uvicorn.Config(
        app.application,
        http=Protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application reads X-Forwarded-For itself, from trusted proxies alone
        ws="websockets-sansio",
        ws_max_size=LONGEST_MESSAGE,
        ws_per_message_deflate=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
