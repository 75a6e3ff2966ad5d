"""HTTP: the only module that knows the web framework. Bytes in, `machine.answer` in a worker thread, bytes out."""

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send

from ringback.errors import NotFound, RingbackError, TooLarge, UnsupportedMediaType, UpgradeRequired
from ringback.metrics import Metrics
from ringback.rest import machine, replies, uploads
from ringback.rest.endpoint import Endpoint, Shape
from ringback.rest.outlets import BEAT_S, Outlet
from ringback.rest.routing import Router
from ringback.rest.turns import Turns
from ringback.services import Services
from ringback.settings import BASE_PATHS

T = TypeVar("T")

MAX_BODY = 10 * 1024 * 1024
MAX_UNPROVEN_BODY = 1024 * 1024
"""What is read of a request before its token is checked; all that may be sent where none is needed."""
ABORT = "ringback.abort"
"""The extension of the server that ends a connection without waiting for what is unsent."""
STALLED_S = 60.0  # a reader that takes nothing for so long is dropped, so that its snapshot ends

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, X-Auth-Token, Authorization, X-Language, Idempotency-Key, Range, If-Range, "
    "Last-Event-ID",
    "Access-Control-Expose-Headers": "Content-Disposition, Content-Range, ETag, Retry-After, X-Incomplete",
    "Access-Control-Max-Age": "86400",
}
SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Application:
    """The ASGI application. `api` endpoints answer under the three base paths, `pages` at the root."""

    def __init__(
        self, services: Services, api: Sequence[Endpoint], pages: Sequence[Endpoint], metrics: Metrics
    ) -> None:
        self.services = services
        self.api = Router(api)
        self.pages = Router(pages)
        self.metrics = metrics
        self.turns = Turns()
        self.proxies = [
            ip_network(part.strip(), strict=False)
            for part in services.settings.trusted_proxies.split(",")
            if part.strip()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        reply, template = await self._reply(scope, receive)
        await self._send(reply, scope, receive, send)
        self.metrics.request(scope["method"], template, reply.status, time.perf_counter() - began)

    async def _reply(self, scope: Scope, receive: Receive) -> tuple[replies.Reply, str]:
        try:
            request = self._request(scope)
            router, path = self._router(scope["path"])
            if request.method == "OPTIONS" and not router.answers_options(path):
                return replies.empty(), "*"
            endpoint, parameters = await self._route(router, path, request)
            if endpoint.shape is Shape.SOCKET:
                await self._refuse_page(endpoint, parameters, request)
            if endpoint.upload:
                return await self._upload(endpoint, parameters, request, receive), endpoint.path
            request = await self._with_body(endpoint, request, receive)
            return await self._answer(endpoint, parameters, request), endpoint.path
        except RingbackError as error:
            return replies.problem(error), "*"
        except Exception:
            return machine.failure(scope["method"]), "*"

    async def _refuse_page(self, endpoint: Endpoint, parameters: Mapping[str, Any], request: machine.Request) -> None:
        if not endpoint.open:
            admit = partial(machine.admit, self.services, endpoint, parameters, request, self.turns.met)
            await self._in_turn(request, admit)
        raise UpgradeRequired

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        await receive()  # that it wants to connect
        reply, template = await self._opened(scope)
        if reply.outlet is None:
            await self._send(reply, scope, receive, partial(_as_denial, send))
        else:
            await self._converse(reply.outlet, scope, receive, send)
        self.metrics.request("SOCKET", template, reply.status, time.perf_counter() - began)

    async def _opened(self, scope: Scope) -> tuple[replies.Reply, str]:
        """A reply with an outlet, or the refusal of a WebSocket."""
        try:
            request = self._request(scope)
            router, path = self._router(scope["path"])
            endpoint, parameters = await self._route(router, path, request)
            if endpoint.shape is not Shape.SOCKET:
                raise NotFound
            return await self._answer(endpoint, parameters, request), endpoint.path
        except RingbackError as error:
            return replies.problem(error), "*"
        except Exception:
            return machine.failure("a WebSocket"), "*"

    async def _converse(self, outlet: Outlet, scope: Scope, receive: Receive, send: Send) -> None:
        async def put(text: str) -> None:
            await send({"type": "websocket.send", "text": text})

        await _begun(outlet, send({"type": "websocket.accept"}))
        hearing = asyncio.ensure_future(self._hear(outlet, self._request(scope), receive))
        if await _pour(outlet, put, hearing) and outlet.ending is not None:
            ending = outlet.ending
            with suppress(TimeoutError):
                async with asyncio.timeout(STALLED_S):
                    await send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})

    async def _hear(self, outlet: Outlet, request: machine.Request, receive: Receive) -> None:
        """Until the other side has gone."""
        while (message := await receive())["type"] == "websocket.receive":
            try:
                await self._in_turn(request, partial(outlet.hear, message.get("text") or ""))
            except Exception:
                machine.failure("what came through a WebSocket")
                return

    async def _route(self, router: Router, path: str, request: machine.Request) -> tuple[Endpoint, Mapping[str, Any]]:
        try:
            return router.find(request.method, path)
        except RingbackError:
            if router is self.api:  # 401 before 404, so that an outsider learns nothing of the routes
                await self._authenticate(request)
            raise

    async def _with_body(self, endpoint: Endpoint, request: machine.Request, receive: Receive) -> machine.Request:
        """The request with its body. 401 comes before 413 and 415, and before much is read."""
        limit = MAX_UNPROVEN_BODY if endpoint.open else MAX_BODY
        if not endpoint.open and _announced(request.headers) > MAX_UNPROVEN_BODY:
            await self._authenticate(request)
        try:
            full = replace(request, body=await _body(request.headers, receive, limit))
            _check_media_type(full, endpoint)
        except (TooLarge, UnsupportedMediaType):
            if not endpoint.open:
                await self._authenticate(request)
            raise
        return full

    async def _answer(
        self, endpoint: Endpoint, parameters: Mapping[str, Any], request: machine.Request
    ) -> replies.Reply:
        answer = partial(machine.answer, self.services, endpoint, parameters, request, self.turns.met)
        return await self._in_turn(request, answer)

    async def _upload(
        self, endpoint: Endpoint, parameters: Mapping[str, Any], request: machine.Request, receive: Receive
    ) -> replies.Reply:
        """The answer to a file. 401, 403, 413 and 415 come before any of it is read, as far as they are known then."""
        admit = partial(machine.admit, self.services, endpoint, parameters, request, self.turns.met)
        await self._in_turn(request, admit)
        _check_upload_type(request)
        with uploads.opened() as (file, path):
            async for block in uploads.blocks(_pieces(request.headers, receive, uploads.MAX_FILE)):
                await self._in_turn(request, partial(uploads.write, file, block))
            return await self._answer(endpoint, parameters, replace(request, file=path))

    async def _authenticate(self, request: machine.Request) -> None:
        await self._in_turn(request, partial(machine.authenticate, self.services, request))

    async def _in_turn(self, request: machine.Request, work: Callable[[], T]) -> T:
        """Has `work` done in a thread when it is the turn of the request's customer."""
        return await asyncio.wrap_future(self.turns.submit(self.turns.lane(request.headers, request.ip), work))

    def _router(self, path: str) -> tuple[Router, str]:
        for base in BASE_PATHS:
            if path.startswith(base) and path[len(base) : len(base) + 1] in ("", "/"):
                return self.api, path[len(base) :]
        return self.pages, path

    def _request(self, scope: Scope) -> machine.Request:
        """Without its body, which only a request that has a route needs."""
        headers = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"]]
        return machine.Request(
            method=scope.get("method", "GET"),  # a WebSocket has none
            path=scope["path"],
            params=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            headers=dict(headers),
            body=b"",
            ip=self._address(scope, headers),
        )

    def _address(self, scope: Scope, headers: Sequence[tuple[str, str]]) -> str:
        """The client's address; X-Forwarded-For counts only as far as trusted proxies wrote it."""
        peer = str((scope.get("client") or ("",))[0])
        # Several lines: some proxies add one below the client's own.
        lines = ",".join(text for name, text in headers if name == "x-forwarded-for")
        hops = [_without_port(part.strip()) for part in lines.split(",") if part.strip()]
        while hops and _within(peer, self.proxies):
            peer = hops.pop()
        return peer

    async def _send(self, reply: replies.Reply, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope.get("method") == "HEAD"
        headers = {**SAFE, **(CORS if reply.cors is None else reply.cors), **reply.headers}
        if reply.media_type is not None:
            headers.setdefault("Content-Type", reply.media_type)
        if reply.outlet is not None:
            await _begun(reply.outlet, send(_start(reply.status, headers)))
            await self._follow(reply.outlet, is_head, scope, receive, send)
            return
        if isinstance(reply.body, bytes):
            if reply.status != 204:
                headers.setdefault("Content-Length", str(len(reply.body)))
            await send(_start(reply.status, headers))
            await send({"type": "http.response.body", "body": b"" if is_head else reply.body})
            return
        await send(_start(reply.status, headers))
        if not is_head:
            await self._stream(reply.body, self._request(scope), receive, send)
        await send({"type": "http.response.body", "body": b""})

    async def _follow(self, outlet: Outlet, is_head: bool, scope: Scope, receive: Receive, send: Send) -> None:
        """Server-sent events, until they are over or nobody reads them: then the connection is cut, with what it holds."""

        async def put(text: str) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        gone = asyncio.ensure_future(_gone(receive))
        if is_head:
            gone.cancel()
            outlet.closed()
        elif not await _pour(outlet, put, gone):
            scope.get("extensions", {}).get(ABORT, lambda: None)()
            return
        await send({"type": "http.response.body", "body": b""})

    async def _stream(self, chunks: Iterator[bytes], request: machine.Request, receive: Receive, send: Send) -> None:
        """Ends when the reader has gone: the server takes what is sent to nobody without a word."""
        following: Callable[[], bytes | None] = partial(next, chunks, None)
        heard = asyncio.ensure_future(receive())
        try:
            while not _has_gone(heard) and (chunk := await self._in_turn(request, following)) is not None:
                message = {"type": "http.response.body", "body": chunk, "more_body": True}
                await asyncio.wait_for(send(message), STALLED_S)
        finally:
            heard.cancel()
            close: Callable[[], None] | None = getattr(chunks, "close", None)
            if close is not None:
                await self._in_turn(request, close)


async def _begun(outlet: Outlet, sent: Awaitable[None]) -> None:
    """Who has gone before the first word was sent does not count as one who stays."""
    try:
        await sent
    except BaseException:
        outlet.closed()
        raise


async def _pour(outlet: Outlet, put: Callable[[str], Awaitable[None]], gone: asyncio.Future[None]) -> bool:
    """Sends what the outlet has; whether it came to its end, and not the other side to its own."""
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    writing = asyncio.ensure_future(_written(outlet, woken, put))
    try:
        outlet.opened(partial(loop.call_soon_threadsafe, woken.set), partial(loop.call_soon_threadsafe, writing.cancel))
        await asyncio.wait((writing, gone), return_when=asyncio.FIRST_COMPLETED)
        return writing.done() and not writing.cancelled() and writing.exception() is None
    finally:
        outlet.closed()
        writing.cancel()
        gone.cancel()
        await asyncio.gather(writing, gone, return_exceptions=True)


async def _written(outlet: Outlet, woken: asyncio.Event, put: Callable[[str], Awaitable[None]]) -> None:
    while True:
        woken.clear()
        is_over = outlet.ending is not None
        for text in outlet.waiting():
            async with asyncio.timeout(STALLED_S):
                await put(text)
        if is_over:
            return
        try:
            async with asyncio.timeout(BEAT_S):
                await woken.wait()
        except TimeoutError:
            await put(outlet.beat())


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _as_denial(send: Send, message: Message) -> None:
    """An HTTP answer to who wanted a WebSocket."""
    await send({**message, "type": f"websocket.{message['type']}"})


def _without_port(hop: str) -> str:
    """`198.51.100.7:50123` and `[2001:db8::7]:50123`, as some proxies write, are addresses too."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::\d{1,5})?", hop, re.ASCII)
    return hop if found is None else found[1] or found[2]


def _within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _start(status: int, headers: Mapping[str, str]) -> Message:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def _check_media_type(request: machine.Request, endpoint: Endpoint) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not request.body or not given or given.startswith("audio/") or given == endpoint.takes:
        return
    if given != replies.JSON and not given.endswith("+json"):
        raise UnsupportedMediaType(f"Send the body as {endpoint.takes} or {replies.JSON}." if endpoint.takes else None)


def _check_upload_type(request: machine.Request) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given and given not in ("application/octet-stream", "application/ogg") and not given.startswith("audio/"):
        raise UnsupportedMediaType("Send the audio itself as the body, as audio/wav or application/octet-stream.")


def _has_gone(heard: asyncio.Future[Message]) -> bool:
    return heard.done() and heard.result()["type"] == "http.disconnect"


def _announced(headers: Mapping[str, str]) -> float:
    """How long the body will be at most."""
    if "transfer-encoding" in headers:
        return math.inf
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() else 0


async def _body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    """The whole body, up to the limit; TooLarge as soon as it is known to be more."""
    return b"".join([piece async for piece in _pieces(headers, receive, limit)])


async def _pieces(headers: Mapping[str, str], receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes. TooLarge as soon as it is known to be larger than the limit; NotFound when its sender goes."""
    if limit < _announced(headers) < math.inf:
        raise TooLarge
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise NotFound
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise TooLarge
        yield piece
        more = message.get("more_body", False)
