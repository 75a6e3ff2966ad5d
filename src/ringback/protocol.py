"""HTTP/1.1 on a connection: uvicorn's parser, with what it lacks on an open network.

- The head and the body of a small answer leave in one write: clients exist that take each read for a whole answer.
- A request's head (also its trailers and chunk extensions) ends at 64 KiB, with 431.
- A head must be complete after 10 seconds and a body go on within 60, or the connection is closed.
"""

import asyncio
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ringback.rest import replies
from ringback.rest.asgi import ABORT

MAX_HEAD = 64 * 1024
HEAD_S = 10.0
BODY_S = 60.0
UNREAD_S = 30.0
LINGER_S = 1.0  # after a refusal the rest is read and dropped, else the peer's kernel drops our answer with it

TOO_LARGE = "The request's head is too large: at most 64 KiB."
MALFORMED = "This is no valid HTTP request."


class JoinedWrites:
    """A transport that sends what is written first in a turn of the event loop, a head, together with what follows it."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        if len(self._waiting) > 1:
            self._flush()
        else:
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """What is unsent has a while to go: a peer that reads nothing is not waited for."""
        self._flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(UNREAD_S, self._transport.abort)

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def _flush(self) -> None:
        """Nothing goes to a peer that has gone meanwhile."""
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():
            self._transport.writelines(waiting)  # one system call, no copy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None
        self._named = 0
        """Bytes of target and headers of the request that is being read."""
        self._unended = 0
        """Bytes received since a head, a piece of a body or a message ended: an unfinished head or trailer."""
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))
        self._expect(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._patience is None and self._is_idle():
            self._expect(HEAD_S)
        self._unended += len(data)
        super().data_received(data)
        if self._unended > MAX_HEAD:
            self._refuse(431, TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._named = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._named += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._named += len(name) + len(value) + 4
        if self._named <= MAX_HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unended = 0
        if self._named > MAX_HEAD:
            self._refuse(431, TOO_LARGE)
        if not self._refused:
            self._expect(BODY_S)
            super().on_headers_complete()
            cast(dict[str, Any], self.scope)["extensions"] = {ABORT: self.transport.abort}

    def on_body(self, body: bytes) -> None:
        self._unended = 0
        if not self._refused:
            self._expect(BODY_S)
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._unended = 0
        if not self._refused:
            self._expect(None)
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._expect(None)
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's English for us to replace)
        self._refuse(400, MALFORMED)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect(self, seconds: float | None) -> None:
        """Gives the peer so long for its next step; None while it is our turn."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = None if seconds is None else self.loop.call_later(seconds, self.transport.close)

    def _refuse(self, status: int, message: str) -> None:
        """The last answer of this connection; only the end of it when another answer is under way."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._unset_keepalive_if_required()
        if not self._is_idle():
            self.transport.close()
            return
        self.transport.write(_answer(status, message))
        self.transport.write_eof()
        self._expect(LINGER_S)


def _answer(status: int, message: str) -> bytes:
    body = msgspec.json.encode({"message": message, "errors": []})
    head = (
        f"content-type: {replies.JSON}\r\ncontent-length: {len(body)}\r\n"
        "access-control-allow-origin: *\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[status] + head.encode() + body
