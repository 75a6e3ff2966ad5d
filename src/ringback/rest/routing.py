"""From a method and a path to an endpoint: one look-up by the first segment, then the few templates of that family."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ringback.errors import MethodNotAllowed, NotFound
from ringback.record import MAX_INT
from ringback.rest.endpoint import Endpoint

_PATTERNS = {"id": r"\d{1,19}", "ids": r"\d{1,19}(?:,\d{1,19})*"}
MAX_IDS = 1_000


@dataclass(frozen=True, slots=True)
class _Path:
    """One path template and its methods."""

    pattern: re.Pattern[str]
    methods: Mapping[str, Endpoint]


class Router:
    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        templates: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            methods = templates.setdefault(endpoint.path, {})
            if endpoint.method in methods:
                raise ValueError(f"two endpoints for {endpoint.method} {endpoint.path}")
            methods[endpoint.method] = endpoint
        self._families: dict[str, list[_Path]] = {}
        for template, methods in sorted(templates.items(), key=lambda each: each[0].count("{")):
            self._families.setdefault(_first(template), []).append(_Path(_pattern(template), methods))

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, Any]]:
        """The endpoint and its path parameters; NotFound or MethodNotAllowed (with Allow) when there is none."""
        allowed: set[str] = set()
        for each in self._families.get(_first(path), ()):
            match = each.pattern.fullmatch(path)
            if match is None:
                continue
            endpoint = each.methods.get(method) or (each.methods.get("GET") if method == "HEAD" else None)
            if endpoint is not None:
                return endpoint, _parameters(match.groupdict())
            allowed |= each.methods.keys()
        if not allowed:
            raise NotFound
        raise MethodNotAllowed(headers=[("Allow", ", ".join(sorted(_complete(allowed))))])

    def answers_options(self, path: str) -> bool:
        """Whether an endpoint there answers OPTIONS itself."""
        found = self._families.get(_first(path), ())
        return any("OPTIONS" in each.methods and each.pattern.fullmatch(path) for each in found)


def _complete(methods: set[str]) -> set[str]:
    return methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


def _first(path: str) -> str:
    """The family of a path: its first segment without extension (`/cdrs.csv` and `/cdrs/5.pcap` are one family)."""
    return path.lstrip("/").partition("/")[0].partition(".")[0]


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    texts = [re.escape(part) for part in parts]
    texts[1::2] = [f"(?P<{name}>{_pattern_of(name)})" for name in parts[1::2]]
    return re.compile("".join(texts), re.ASCII)


def _pattern_of(name: str) -> str:
    return _PATTERNS.get("id" if name.endswith("_id") else name, r"[^/\x00]{1,255}")


def _parameters(found: Mapping[str, str]) -> dict[str, Any]:
    return {name: _parameter(name, text) for name, text in found.items()}


def _parameter(name: str, text: str) -> int | list[int] | str:
    if name == "ids":
        ids = list(dict.fromkeys(_id(part) for part in text.split(",")))
        if len(ids) > MAX_IDS:
            raise NotFound(f"At most {MAX_IDS} ids can be given at once.")
        return ids
    return _id(text) if name == "id" or name.endswith("_id") else text


def _id(text: str) -> int:
    number = int(text)
    if number > MAX_INT:
        raise NotFound
    return number
