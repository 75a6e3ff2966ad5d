"""`/docs`: the page to browse the API and try it. Files of the package, read once; nothing comes from another host."""

from functools import lru_cache, partial
from importlib import resources
from urllib.parse import urlsplit

from ringback.errors import NotFound
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.rest.replies import Reply

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
}
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    folder = resources.files("ringback") / "web" / "apidocs"
    return {each.name: each.read_bytes() for each in folder.iterdir() if _kind(each.name) in CONTENT_TYPES}


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _file(name: str) -> Reply:
    content = _files().get(name)
    if content is None:
        raise NotFound
    return Reply(200, content, CONTENT_TYPES[_kind(name)], SAFE)


def _named(call: Call) -> Reply:
    return _file(call.path["file"])


def _to_docs(call: Call) -> Reply:
    prefix = urlsplit(call.services.settings.public_url).path.rstrip("/")
    return Reply(302, headers={"Location": f"{prefix}/docs"})


def endpoints() -> tuple[Endpoint, ...]:
    row = partial(Endpoint, "GET", shape=Shape.FILE, answer=CONTENT_TYPES["html"], open=True, work=Work.OWN)
    return (
        Endpoint("GET", "/", "To that page", _to_docs, Shape.EMPTY, 302, open=True, work=Work.OWN),
        row("/docs", "The API, to browse and to try", lambda _: _file("index.html")),
        row("/docs/{file}", "A file of that page", _named),
    )
