"""`/callme/v1.js` and what it loads, and `/callme/preview`: files of the package, read once and packed once.

/callme/v1.js            the button, in the page of a customer's site
/callme/v1/{file}        the dialog, loaded when a visitor opens it
/callme/chat.v1.js       the chat, loaded when a visitor begins one
/callme/preview          the widget with settings out of the URL's fragment, which no server sees
/callme/preview/{file}   what that page loads: its script, its style, the texts of a culture
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import resources

from ringback.errors import NotFound
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.rest.replies import Reply

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
}
FOREIGN = {"Cross-Origin-Resource-Policy": "cross-origin"}
"""Pages of others load it, also those that isolate themselves (COEP)."""
AN_HOUR = {**FOREIGN, "Cache-Control": "public, max-age=3600"}
ASKED_EACH_TIME = {**FOREIGN, "Cache-Control": "no-cache"}
"""The parts change together: none is taken out of a cache without asking whether it is still the right one."""
CLOSED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    packed: bytes
    tag: str
    """Of the content, without quotes."""
    media_type: str


@lru_cache(maxsize=64)
def _file(path: str) -> File:
    """`path` below the widget's folder, of names that `_named` has checked; NotFound."""
    source = resources.files("ringback").joinpath("web", "widget", *path.split("/"))
    media_type = CONTENT_TYPES.get(path.rpartition(".")[2])
    if media_type is None or not source.is_file():
        raise NotFound
    content = source.read_bytes()
    return File(content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:20], media_type)


def _served(path: str, headers: Mapping[str, str], call: Call) -> Reply:
    file = _file(path)
    is_packed = re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", call.headers.get("accept-encoding", "")) is not None
    tag = f'"{file.tag}-gzip"' if is_packed else f'"{file.tag}"'
    about = {**headers, "ETag": tag, "Vary": "Accept-Encoding"}
    if _has(call.headers.get("if-none-match", ""), tag):
        return Reply(304, headers=about)
    if is_packed:
        return Reply(200, file.packed, file.media_type, {**about, "Content-Encoding": "gzip"})
    return Reply(200, file.content, file.media_type, about)


def _has(if_none_match: str, tag: str) -> bool:
    """RFC 9110, 13.1.2: weak comparison with any of the list; proxies that pack make tags weak."""
    given = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in given or tag in given


def _named(folder: str, headers: Mapping[str, str], call: Call) -> Reply:
    name = call.path["file"]
    if re.fullmatch(r"[a-z]+\.[a-z]+", name) is None:
        raise NotFound
    return _served(f"{folder}/{name}", headers, call)


def _of_preview(call: Call) -> Reply:
    folder = "texts" if call.path["file"].endswith(".json") else "preview"
    return _named(folder, CLOSED, call)


def endpoints() -> tuple[Endpoint, ...]:
    row = partial(Endpoint, "GET", shape=Shape.FILE, open=True, work=Work.OWN)
    script, page = CONTENT_TYPES["js"], CONTENT_TYPES["html"]
    return (
        row("/callme/v1.js", "The Call Me Back widget", partial(_served, "v1.js", AN_HOUR), answer=script),
        row("/callme/v1/{file}", "A part of it", partial(_named, "v1", ASKED_EACH_TIME), answer=script),
        row("/callme/chat.v1.js", "Its chat", partial(_served, "chat.v1.js", ASKED_EACH_TIME), answer=script),
        row("/callme/preview", "The widget to look at", partial(_served, "preview/page.html", CLOSED), answer=page),
        row("/callme/preview/{file}", "A file of that page", _of_preview, answer=script),
    )
