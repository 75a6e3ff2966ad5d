"""The other server: requests to one host that is not trusted, with limits on all that it sends.

No redirect is followed, no compressed answer is taken, and a request that lasts too long is cut off, whatever the server
trickles. What is refused for now (429, 502 to 504, a broken connection) is asked for again, after the time that the server
names or twice the time before.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from ringback.errors import Unavailable, UsageError

T = TypeVar("T")

BASE = "/v1.1/voipstudio"
JSON_LIMIT_BYTES = 64 << 20
FILE_LIMIT_BYTES = 1 << 30
SILENCE_S = 60.0
JSON_DEADLINE_S = 300.0
FILE_DEADLINE_S = 3_600.0
ATTEMPTS = 8
LONGEST_WAIT_S = 300.0
_AGAIN = {429, 502, 503, 504}
_BLOCK_BYTES = 65_536
_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}")


class NotServed(Exception):
    """The server does not give this; the text says how it said so."""


class Broken(NotServed):
    """The answer is not what the API promises."""


class _Later(Exception):
    """Worth another attempt, after so many seconds if the server said so."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Origin(NamedTuple):
    secure: bool
    host: str
    port: int
    base: str


def origin(url: str) -> Origin:
    """UsageError for a URL that must not be asked. A host alone is the service's own base path over TLS."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UsageError("This is no URL: give one like https://l7api.com/v1.1/voipstudio.") from None
    if parts.username is not None or parts.query or parts.fragment or parts.scheme not in ("http", "https") or not host:
        raise UsageError("Give a URL like https://l7api.com/v1.1/voipstudio, without a password or a query in it.")
    secure = parts.scheme == "https"
    if not secure and not _is_loopback(host):
        raise UsageError("http:// would show the token to everybody on the way: use https://.")
    base = parts.path.rstrip("/") or BASE
    if not re.fullmatch(r"[\w./~-]+", base, re.ASCII):
        raise UsageError("The path of the URL has characters that no path of this API has.")
    return Origin(secure, host, port or (443 if secure else 80), base)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Connection:
    """One connection after the other to one server, for one thread. `wait` sleeps so many seconds."""

    def __init__(self, to: Origin, wait: Callable[[float], None] = time.sleep) -> None:
        self.origin = to
        self._wait = wait
        self._token = ""
        self._renewed: Callable[[], str] | None = None
        self._http: http.client.HTTPConnection | None = None
        self._met = False

    def use(self, token: str, renewed: Callable[[], str] | None = None) -> None:
        """`renewed` gives another token once this one has died."""
        if not _TOKEN.fullmatch(token):
            raise UsageError("The token has characters that no token has.")
        self._token, self._renewed = token, renewed

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The JSON object of an answer. NotServed when there is none."""
        whole = f"{path}?{urlencode(params)}" if params else path
        return self._tried(lambda: self._json(whole))

    def post(self, path: str, body: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """(status, JSON object): for logging in, which is refused with an object too."""
        return self._tried(lambda: self._posted(path, msgspec.json.encode(body)))

    def fetch(self, path: str, target: Path) -> str:
        """Writes a file to `target`; returns its media type."""
        return self._tried(lambda: self._file(path, target))

    def _tried(self, work: Callable[[], T]) -> T:
        wait_s = 1.0
        for _ in range(ATTEMPTS - 1):
            try:
                return work()
            except _Later as later:
                self.close()
                self._wait(min(wait_s if later.after_s is None else later.after_s, LONGEST_WAIT_S))
                wait_s *= 2
        try:
            return work()
        except _Later as later:
            raise Unavailable(f"{self.origin.host} does not answer, after {ATTEMPTS} attempts: {later}.") from None

    def _json(self, path: str) -> dict[str, Any]:
        with self._answer("GET", path, None, JSON_DEADLINE_S) as answer:
            if answer.status == 401 and self._renewed is not None:
                self._token, self._renewed = self._renewed(), None
                raise _Later("the session has ended", 0)
            _refuse(answer)
            return _object(answer)

    def _posted(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        with self._answer("POST", path, body, JSON_DEADLINE_S) as answer:
            return answer.status, _object(answer)

    def _file(self, path: str, target: Path) -> str:
        with self._answer("GET", path, None, FILE_DEADLINE_S) as answer, target.open("wb") as file:
            _refuse(answer)
            for block in _blocks(answer, FILE_LIMIT_BYTES):
                file.write(block)
            return _media_type(answer)

    @contextmanager
    def _answer(
        self, method: str, path: str, body: bytes | None, deadline_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        """The connection is closed unless the answer was read to its end."""
        whole = False
        connection, late = self._connected(), threading.Event()
        watchdog = threading.Timer(deadline_s, _cut, (connection, late))
        watchdog.start()
        try:
            connection.request(method, self.origin.base + path, body, self._headers())
            answer = connection.getresponse()
            self._met = True
            if answer.status in _AGAIN:
                raise _Later(f"it answers {answer.status}", _retry_after(answer))
            yield answer
            whole = answer.isclosed()
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(f"The certificate of {self.origin.host} is not valid: {error.verify_message}.") from None
        except (OSError, http.client.HTTPException, Broken) as error:
            if late.is_set():
                raise _Later(f"an answer takes over {deadline_s:g} s") from None
            if isinstance(error, Broken):
                raise
            if not self._met:
                raise Unavailable(f"{self.origin.host} cannot be reached: {error}. Check the URL.") from None
            raise _Later(str(error) or type(error).__name__) from None
        finally:
            watchdog.cancel()
            if not whole:
                self.close()

    def _connected(self) -> http.client.HTTPConnection:
        if self._http is None:
            to = self.origin
            if to.secure:
                context = ssl.create_default_context()
                self._http = http.client.HTTPSConnection(to.host, to.port, timeout=SILENCE_S, context=context)
            else:
                self._http = http.client.HTTPConnection(to.host, to.port, timeout=SILENCE_S)
        return self._http

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "ringback-import",
        }
        return headers | ({"X-Auth-Token": self._token} if self._token else {})


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """Ends the reading of the other thread."""
    late.set()
    with suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


def _refuse(answer: http.client.HTTPResponse) -> None:
    if answer.status == 401:
        raise UsageError("The other server does not take the token, or it has ended.")
    if 300 <= answer.status < 400:
        raise Broken("it answers with a redirect, which is not followed")
    if answer.status != 200:
        raise NotServed(f"it answers {answer.status}")


def _object(answer: http.client.HTTPResponse) -> dict[str, Any]:
    if _media_type(answer) != "application/json":
        raise Broken("its answer is no JSON")
    raw = b"".join(_blocks(answer, JSON_LIMIT_BYTES))
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Broken("its answer is no JSON") from None
    if not isinstance(found, dict):
        raise Broken("its answer is no JSON object")
    return found


def _blocks(answer: http.client.HTTPResponse, limit: int) -> Iterator[bytes]:
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Broken("its answer is compressed, which was not asked for")
    if (answer.length or 0) > limit:
        raise Broken(f"its answer is longer than {limit >> 20} MiB")
    taken = 0
    while block := answer.read(_BLOCK_BYTES):
        taken += len(block)
        if taken > limit:
            raise Broken(f"its answer is longer than {limit >> 20} MiB")
        yield block
    if answer.length:
        raise _Later("an answer was cut short")


def _media_type(answer: http.client.HTTPResponse) -> str:
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _retry_after(answer: http.client.HTTPResponse) -> float | None:
    """Seconds only: a date depends on two clocks."""
    text = str(answer.headers.get("Retry-After", "")).strip()
    return float(text) if re.fullmatch(r"\d{1,6}", text, re.ASCII) else None
