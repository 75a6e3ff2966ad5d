"""The other server of a copy: a whole Ringback behind a socket, and one whose every answer a test makes up."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec

from tests.api import BASE, Api, _call


class Said(NamedTuple):
    """One answer. `headers` come besides, or in place of, the usual ones."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}


Answer = Callable[[str, str, str, dict[str, str], bytes], Said]
"""(method, path, query, headers, body)."""


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """The URL of a server that answers so."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = answer(self.command, path, query, {k.lower(): v for k, v in self.headers.items()}, body)
            own = {name.lower(): value for name, value in said.headers.items()}
            headers = {"content-type": "application/json", "content-length": str(len(said.body)), **own}
            self.send_response(said.status)
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *said: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ringback(api: Api) -> Answer:
    """A whole Ringback."""

    def answer(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Said:
        said = asyncio.run(_call(api.app, method, path, query, headers, body, "127.0.0.1"))
        return Said(said.status, said.body, said.headers)

    return answer


def lists(**rows: list[dict[str, Any]]) -> Answer:
    """An account with nothing but these rows, by the name of their list; other lists are empty."""

    def answer(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Said:
        name = path.removeprefix(BASE).strip("/")
        if name == "me":
            return said({"data": {"id": 1, "customer_id": 7}})
        found = [] if "%22gt%22" in query and "-1" not in query else rows.get(name, [])
        return said({"data": found[:1] if "limit=1&" in query else found, "total": len(found)})

    return answer


def said(content: Any, status: int = 200, **headers: str) -> Said:
    return Said(status, msgspec.json.encode(content), headers)
