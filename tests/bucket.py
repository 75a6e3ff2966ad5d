"""An S3 server on loopback for the tests: moto's S3 behind the standard library's HTTP server.

moto's own server wants Flask, which nothing else here needs.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto.moto_proxy.proxy3 import MotoRequestHandler
from werkzeug.exceptions import HTTPException

_ONE_AT_A_TIME = threading.Lock()
_AWS = MotoRequestHandler(0)


def _answer(method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, Any], bytes]:
    with _ONE_AT_A_TIME:
        try:
            answer = _AWS.parse_request(method, "http://s3.amazonaws.com", path, headers, body)
        except HTTPException as refusal:
            answer = (refusal.code, dict(refusal.get_headers()), refusal.get_body())
    status, found, content = answer if isinstance(answer, tuple) else (200, {}, answer)
    return status, found, content.encode() if isinstance(content, str) else content


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = _answer(self.command, self.path, self.headers, body)
        self.send_response(status)
        headers = {name.lower(): value for name, value in headers.items()}
        for name, value in ({"content-length": len(content)} | headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 -- the names that it calls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def s3_server(*buckets: str) -> Iterator[str]:
    """The address of a server that has these buckets."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for bucket in buckets:
            _answer("PUT", f"/{bucket}", {"Host": "s3.amazonaws.com"}, b"")
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
