"""The server's side of the widget as a test wants it: what each request gets is set by the test, what came is kept.

The files are served by the pages of the real server; only what `/callme/KEY` and below answers is made here.
"""

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ringback
from ringback.errors import RingbackError
from ringback.pages import widget
from ringback.rest.replies import Reply
from ringback.rest.routing import Router

KEY = "AbCdEf0123456789"
BITS = 12
CULTURES = ["en", "es", "de", "fr", "pl", "pt", "it", "nl"]
TEXTS = Path(ringback.__file__).parent / "web" / "widget" / "texts"
FILES = Router(widget.endpoints())


def texts(culture: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((TEXTS / f"{culture}.json").read_text())
    return found


def english_besides(culture: str) -> set[str]:
    """English texts that the widget says otherwise in this culture."""
    own = texts(culture)
    return {text for key, text in texts("en").items() if culture != "en" and own[key] != text and "{" not in text}


def configuration(culture: str = "en", **changes: Any) -> dict[str, Any]:
    """What the widget shows, as `GET /callme/KEY` answers."""
    countries = [["GB", "44"], ["DE", "49"], ["FR", "33"], ["PL", "48"], ["US", "1"], ["CA", "1"]]
    return {
        "culture": culture,
        "position": "bottom_right",
        "floating_icon": True,
        "title": None,
        "message": None,
        "privacy_url": "https://example.com/privacy",
        "button": None,
        "countries": countries,
        "country": "GB",
        "is_shown": True,
        "is_available": True,
        "opens_at": None,
        "has_chat": False,
        "texts": texts(culture),
        **changes,
    }


class Desk:
    """`config`: of each key. `refusals`: what the next requests get instead of 201. `state`: what a poll gets."""

    def __init__(self) -> None:
        self.config: dict[str, dict[str, Any]] = {KEY: configuration()}
        self.refusals: list[dict[str, Any]] = []
        self.state: dict[str, Any] | int = {"state": "REQUESTED", "side": None, "reason": None}
        self.first_state = "REQUESTED"
        self.visitors: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.heard: list[tuple[str, str]] = []
        self.salts: set[str] = set()
        self.url = ""

    def answer(self, method: str, key: str, rest: str, body: Any) -> tuple[int, dict[str, Any]]:
        self.heard.append((method, f"{key}{rest}"))
        if key not in self.config:
            return 404, {"message": "There is nothing here.", "errors": []}
        match method, rest.split("/")[1:]:
            case "POST", ["visitors"]:
                self.visitors.append(body)
                return 201, {"visitor": f"visitor-of-{body['session']}", "challenge": self.challenge()}
            case "POST", ["requests"]:
                return self.requested(body)
            case "GET", ["requests", _]:
                return (self.state, {}) if isinstance(self.state, int) else (200, self.state)
        answers = {"": self.config[key], "/challenge": self.challenge()}
        return (200, answers[rest]) if rest in answers else (204, {})

    def challenge(self) -> dict[str, Any]:
        salt = secrets.token_hex(40)
        self.salts.add(salt)
        return {"salt": salt, "bits": BITS, "until": 2**40}

    def requested(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append(body)
        digest = hashlib.sha256(f"{body.get('salt')}:{body.get('nonce')}".encode()).digest()
        if body.get("salt") not in self.salts or int.from_bytes(digest) >> (256 - BITS):
            return 400, {"error": "challenge"}
        self.salts.remove(body["salt"])
        if self.refusals:
            return 400, self.refusals.pop(0)
        return 201, {"request": "request-1", "state": self.first_state}


def file(path: str, headers: dict[str, str]) -> Reply:
    endpoint, parameters = FILES.find("GET", path)
    return endpoint.handler(SimpleNamespace(path=parameters, headers=headers))  # type: ignore[arg-type]


def _handler_of_desk(desk: Desk) -> type[BaseHTTPRequestHandler]:
    class Handler(_Quiet):
        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            raw = self.rfile.read(length)
            key, _, rest = self.path.removeprefix("/callme/").partition("/")
            if self.command == "OPTIONS":
                return self.send(204, b"", {})
            if key.partition("?")[0] in ("v1.js", "v1", "preview"):
                return self.send_file()
            status, content = desk.answer(
                self.command, key, f"/{rest}" if rest else "", json.loads(raw) if raw else None
            )
            return self.send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

        def send_file(self) -> None:
            try:
                reply = file(self.path.partition("?")[0], {name.lower(): text for name, text in self.headers.items()})
            except RingbackError as error:
                return self.send(error.status, b"", {})
            assert isinstance(reply.body, bytes)
            media_type = {"Content-Type": reply.media_type} if reply.media_type else {}
            return self.send(reply.status, reply.body, {**media_type, **reply.headers})

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            cors = {
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Allow-Headers": "Content-Type",
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Access-Control-Max-Age": "600",
            }
            self.reply(status, body, {**cors, **headers})

    return Handler


class Site:
    """Somebody's web site, on another origin: its pages, its policy, and what other headers it sends."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.policy = ""
        self.headers: dict[str, str] = {}
        self.url = ""

    def show(
        self, desk: Desk, body: str = "<main><h1>A shop</h1><p>Text.</p></main>", head: str = "", tag: str = ""
    ) -> None:
        script = f'<script async src="{desk.url}/callme/v1.js" data-id="{KEY}" {tag}></script>'
        self.pages["/"] = document(head + script, body)


def strict(url: str) -> str:
    """The policy of docs/callmeback.md, to which `connect-src` comes."""
    return (
        f"default-src 'none'; script-src {url}; require-trusted-types-for 'script'; trusted-types 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


def document(head: str, body: str, attributes: str = 'lang="en"') -> str:
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>A shop</title>'
    return f"<!doctype html><html {attributes}><head>{meta}{head}</head><body>{body}</body></html>"


def _handler_of_site(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(_Quiet):
        def answer(self) -> None:
            path = self.path.partition("?")[0]
            page = site.pages.get(path)
            policy = {"Content-Security-Policy": site.policy} if site.policy else {}
            policy |= site.headers
            status = 200 if page else 204 if path == "/favicon.ico" else 404
            self.reply(status, (page or "").encode(), {"Content-Type": "text/html; charset=utf-8", **policy})

    return Handler


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Callable[[], None]

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests look at what the desk has heard."""


@contextmanager
def served(make: Callable[[Any], type[BaseHTTPRequestHandler]], what: Desk | Site, host: str) -> Iterator[Any]:
    """On a port of its own; `what.url` says where. Names differ, so that the origins are of different sites."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), make(what))
    server.daemon_threads = True
    what.url = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield what
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def desk() -> Any:
    return served(_handler_of_desk, Desk(), "127.0.0.1")


def site() -> Any:
    return served(_handler_of_site, Site(), "localhost")
