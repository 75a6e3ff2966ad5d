"""On which pages a widget may be: the Origin that a browser sends with a request (RFC 6454, section 7)."""

import re
from collections.abc import Iterable

_ORIGIN = re.compile(r"(https?)://([a-z0-9_][a-z0-9_.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?", re.ASCII)


def host_of(origin: str) -> str | None:
    """`www.example.com` or `www.example.com:8080`; None for what is no origin of a web page (`null`, a file, an app)."""
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None:
        return None
    return f"{found[2]}:{found[3]}" if found[3] else found[2]


def is_allowed(origin: str, domains: Iterable[str]) -> bool:
    """`domains`: hosts, with a port where only that counts; `*.example.com` is all below example.com."""
    host = host_of(origin)
    return host is not None and any(_fits(host, each) for each in domains)


def _fits(host: str, domain: str) -> bool:
    if ":" not in domain.rpartition("]")[2]:
        name, colon, port = host.rpartition(":")
        host = name if colon and port.isdigit() else host
    return host.endswith(domain[1:]) if domain.startswith("*.") else host == domain


def is_own(origin: str, public_url: str, host: str) -> bool:
    """Whether the page is one of this server's. `host`: of the request, which says where we are when `public_url` does not."""
    own = _ORIGIN.match(public_url.lower())
    if own is not None:
        return origin.lower() == own[0]
    return host_of(origin) == host.lower() != ""
