"""`/operator`: the page where operators take chats. Files of the package, read once; the token stays in the tab."""

from functools import lru_cache, partial
from importlib import resources

from ringback.errors import NotFound
from ringback.pages.docs import CONTENT_TYPES
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.rest.replies import Reply

SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    folder = resources.files("ringback") / "web" / "operator"
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in CONTENT_TYPES}


def _file(name: str) -> Reply:
    content = _files().get(name)
    if content is None:
        raise NotFound
    return Reply(200, content, CONTENT_TYPES[name.rpartition(".")[2]], SAFE)


def _named(call: Call) -> Reply:
    return _file(call.path["file"])


def endpoints() -> tuple[Endpoint, ...]:
    row = partial(Endpoint, "GET", shape=Shape.FILE, answer=CONTENT_TYPES["html"], open=True, work=Work.OWN)
    return (
        row("/operator", "Chats with visitors", lambda _: _file("index.html")),
        row("/operator/{file}", "A file of that page", _named),
    )
