"""`/metrics` of a collector that is a process of its own, for who has the token."""

import hmac
import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ringback.errors import Unavailable, UsageError
from ringback.metrics import TEXT, Metrics

_ADDRESS = re.compile(r"([^\[\]:/\s]+):(\d{1,5})")
_PATIENCE_S = 5.0
_ENDS_S = 0.5


class MetricsPort:
    """Bound when it is built. `address`: `127.0.0.1:9101`. UsageError for one that is none."""

    def __init__(self, address: str, token: str, metrics: Metrics) -> None:
        match = _ADDRESS.fullmatch(address)
        if match is None or int(match[2]) > 65_535:
            raise UsageError(f"hep_metrics: {address!r} is no address such as 127.0.0.1:9101.")
        if not token:
            raise UsageError(
                "hep_metrics needs metrics_token: the numbers are shown to who sends it as a Bearer token."
            )
        try:
            self._server = ThreadingHTTPServer((match[1], int(match[2])), _handler(token, metrics))
        except OSError as error:
            raise Unavailable(f"hep_metrics: cannot listen at {address}: {error.strerror or error}.") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_ENDS_S,), name="metrics", daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(token: str, metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    expected = f"Bearer {token}".encode()

    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE_S

        def do_GET(self) -> None:
            if self.path != "/metrics":
                self._answer(HTTPStatus.NOT_FOUND, b"Only /metrics is here.\n")
            elif not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected):
                self._answer(HTTPStatus.UNAUTHORIZED, b"Send the metrics_token as a Bearer token.\n")
            else:
                self._answer(HTTPStatus.OK, metrics.text())

        def _answer(self, status: HTTPStatus, text: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", TEXT)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Prometheus asks every few seconds; that is no news."""

    return Handler
