"""What a widget on somebody's page asks the server: open to anybody, at the root, in CORS of its own.

    GET    /callme/KEY                  what it shows
    POST   /callme/KEY/visitors         it was opened
    GET    /callme/KEY/challenge        work to be done before a request
    POST   /callme/KEY/requests         call me back
    GET    /callme/KEY/requests/TOKEN   how it goes on
    DELETE /callme/KEY/requests/TOKEN   the visitor gives up

`KEY` is a setting's public key. An Origin that the setting does not allow gets 403 and nothing to read. What is wrong with a request
is told in one word; why it was refused, only the administrator learns.
"""

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from hmac import new as hmac
from importlib import resources
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from ringback.callback import asking, course, keys, origins, proof, rules
from ringback.callback.asking import Accepted, Asked, hours_of
from ringback.callback.availability import Availability, available
from ringback.callback.going_on import happen
from ringback.callback.rules import Refusal
from ringback.callback.whereabouts import country_at, place_at
from ringback.calls import numbers
from ringback.chat import talk
from ringback.identity import tokens
from ringback.metrics import Metrics
from ringback.record import Count
from ringback.resources.callmeback import rehearsing
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.store import callback_requests as store
from ringback.store import callbacks, rows, schema
from ringback.store.callback_requests import Widget
from ringback.store.database import Database, Db, Taken, persistently
from ringback.store.server_secrets import secret

T = TypeVar("T")
KNOWN_S, MOST_KNOWN = 2.0, 5_000
"""What a setting says, and whether somebody is there, is asked of the database so often."""
MOST_BYTES = 16_384
DAYS = 8
"""For a later call seven are offered, by the visitor's clock."""
URL_LENGTH = 2_000
PURPOSE = "callback"
"""The name of the secret that signs what pages get."""
STATUS: Mapping[str, int] = {"later": 429, "closed": 409, "unavailable": 409, "refused": 403}
"""Of an answer with an error; 400 for the others."""


class Opened(Struct):
    session: str
    page: str = ""
    referer: str = ""
    test: bool = False


class Request(Struct):
    number: str
    salt: str = ""
    nonce: str = ""
    visitor: str = ""
    country: str = ""
    name: str | None = None
    preferred_at: Count | None = None
    website: str = ""
    test: bool = False


class _Kept:
    """Values that are good for two seconds; a few thousand at most."""

    def __init__(self) -> None:
        self._found: dict[Any, tuple[float, Any]] = {}

    def get(self, name: Any, find: Callable[[], T]) -> T:
        until, found = self._found.get(name, (0.0, None))
        if until < time.monotonic():
            found = find()
            if len(self._found) >= MOST_KNOWN:
                self._found.clear()
            self._found[name] = time.monotonic() + KNOWN_S, found
        value: T = found
        return value


Handler = Callable[[Call, Widget], replies.Reply]


class Widgets:
    """The handlers. `refusals`: how many there were, by reason."""

    def __init__(self) -> None:
        self.refusals: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._kept = _Kept()
        self._secret = b""

    def guarded(self, handler: Handler) -> Callable[[Call], replies.Reply]:
        """404 for a key that is none, 403 for a page that is not allowed."""

        def run(call: Call) -> replies.Reply:
            widget = self.widget(call)
            if widget is None:
                return replies.data({"error": "unknown"}, 404)
            origin = call.headers.get("origin", "")
            if not _is_allowed(call, widget, origin):
                self._refuse("origin")
                return replace(replies.data({"error": "refused"}, 403), cors={})
            return replace(handler(call, widget), cors=_cors(origin))

        return run

    def _refuse(self, reason: str) -> None:
        with self._lock:
            self.refusals[reason] += 1

    def widget(self, call: Call) -> Widget | None:
        key = call.path["key"]
        if not keys.is_key(key):
            return None
        return self._kept.get(key, lambda: call.services.database.read(lambda db: store.widget(db, key)))

    def _available(self, call: Call, widget: Widget) -> Availability:
        services = call.services
        return self._kept.get(
            (widget.customer_id, widget.id),
            lambda: services.database.read(lambda db: available(db, services.desk, widget, call.now)),
        )

    def _has_operator(self, call: Call, widget: Widget) -> bool:
        """Whether somebody is there for a chat."""
        return self._kept.get(
            ("operators", widget.customer_id, widget.id),
            lambda: call.services.database.read(lambda db: talk.operators(db, widget, call.now).is_online),
        )

    def _key(self, database: Database) -> bytes:
        """What is signed with, the same for ever."""
        self._secret = self._secret or secret(database, PURPOSE)
        return self._secret

    def _signed(self, call: Call, *words: object) -> str:
        return hmac(self._key(call.services.database), ":".join(map(str, words)).encode(), sha256).hexdigest()[:32]

    # -- what it shows

    def show(self, call: Call, widget: Widget) -> replies.Reply:
        countries: list[str] = json.loads(widget.countries)
        country = country_at(call.ip, call.services.settings.geoip_database)
        state = self._available(call, widget)
        hidden = widget.only_there and country is not None and country not in countries
        return replies.data(
            {
                **looks(widget),
                "country": country if country in countries else None,
                "is_shown": not hidden,
                "is_available": state == "available",
                "opens_at": hours_of(widget).opens_at(call.now) if state == "closed" else None,
                "open": hours_of(widget).spans(call.now, DAYS),
                "texts": texts(widget.culture),
                **({"has_operator": self._has_operator(call, widget)} if widget.has_chat else {}),
            }
        )

    def opened(self, call: Call, widget: Widget) -> replies.Reply:
        given = _body(call, Opened)
        if given is None or not 8 <= len(given.session) <= 64 or not given.session.isascii():
            return self._refused(Refusal("refused", "body"))
        database, network = call.services.database, rules.network(call.ip)
        token = self._signed(call, "visitor", widget.key, given.session)

        def work(db: Db) -> int:
            if not given.test:
                _note_visitor(db, call, widget, given, token, network)
            return len(store.of_network(db, widget.customer_id, network, call.now - rules.HOUR_S))

        before = persistently(database, work, at_once=False)
        challenge = self._challenge(database, widget, call.now, before)
        return replies.data({"visitor": token, "challenge": challenge}, 201)

    def challenge(self, call: Call, widget: Widget) -> replies.Reply:
        database, network, since = call.services.database, rules.network(call.ip), call.now - rules.HOUR_S
        before = database.read(lambda db: len(store.of_network(db, widget.customer_id, network, since)))
        return replies.data(self._challenge(database, widget, call.now, before))

    def _challenge(self, database: Database, widget: Widget, now: int, before: int) -> dict[str, Any]:
        return proof.challenge(self._key(database), widget.key, now, before, secrets.token_hex(8))._asdict()

    # -- a request

    def request(self, call: Call, widget: Widget) -> replies.Reply:
        given = _body(call, Request)
        if given is None:
            return self._refused(Refusal("refused", "body"))
        if given.test:
            return rehearsing.begun(self._signed, call, widget)
        fault = proof.fault(self._key(call.services.database), widget.key, given.salt, given.nonce, call.now)
        if fault is not None:
            return self._refused(Refusal("challenge", f"challenge: {fault}"))
        return self._asked(call, widget, _asked(call, widget, given))

    def _asked(self, call: Call, widget: Widget, asked: Asked) -> replies.Reply:
        state = self._available(call, widget)

        def work(db: Db) -> Accepted | Refusal:
            return asking.ask(db, widget, asked, call.now, is_available=state == "available")

        try:
            found = call.services.database.write(work)
        except Taken:
            found = Refusal("later", "number_open")
        if isinstance(found, Refusal):
            return self._refused(found)
        call.services.desk.wake()
        told = {"request": found.token, "state": course.STATES[found.stage]}
        return replies.data(told if found.due_at is None else {**told, "at": found.due_at}, 201)

    def _refused(self, refusal: Refusal) -> replies.Reply:
        self._refuse(refusal.reason.partition(":")[0])
        return replies.data({"error": refusal.code}, STATUS.get(refusal.code, 400))

    # -- how it goes on

    def state(self, call: Call, widget: Widget) -> replies.Reply:
        token = call.path["token"]
        if rehearsing.is_one(token):
            return rehearsing.state(self._signed, call, widget)
        digest = tokens.hash_of(token)
        found = call.services.database.read(lambda db: store.shown(db, widget.customer_id, widget.id, digest))
        if found is None:
            return replies.data({"error": "unknown"}, 404)
        side, reason = course.told(found.reason)
        rung = course.side(found.stage, found.dial_first)
        state = course.STATES[found.stage]
        return replies.data({"state": state, "side": rung or side, "reason": reason, "since": found.changed_at})

    def cancel(self, call: Call, widget: Widget) -> replies.Reply:
        token = call.path["token"]
        if rehearsing.is_one(token):
            return replies.empty()
        digest, customer_id = tokens.hash_of(token), widget.customer_id

        def work(db: Db) -> bool:
            found = store.shown(db, customer_id, widget.id, digest)
            return found is not None and happen(db, customer_id, found.id, "cancel", call.now) is not None

        if call.services.database.write(work):
            call.services.desk.wake()
        return replies.empty()


def looks(widget: Widget) -> dict[str, Any]:
    """What a setting says of its widget, whoever looks, and whenever."""
    countries: list[str] = json.loads(widget.countries)
    return {
        "culture": widget.culture,
        "position": widget.position,
        "floating_icon": bool(widget.floating_icon),
        "title": widget.title,
        "message": widget.message,
        "privacy_url": widget.privacy_url or None,
        "button": None if widget.button_id is None else {"online": widget.online, "offline": widget.offline},
        "countries": [[each, numbers.calling_code(each)] for each in countries],
        "has_chat": bool(widget.has_chat),
    }


def _body(call: Call, kind: type[T]) -> T | None:
    """None for what is no such object."""
    if len(call.raw) > MOST_BYTES:
        return None
    try:
        return msgspec.json.decode(call.raw, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _asked(call: Call, widget: Widget, given: Request) -> Asked:
    country = given.country.upper()
    home = country if numbers.has_numbers(country) else widget.home
    number = numbers.digits(given.number, home) if len(given.number) <= 40 else None
    return Asked(
        number=number and numbers.one_spelling(number),
        name=given.name,
        visitor=numbers.clean(given.visitor)[:64],
        network=rules.network(call.ip),
        salt=given.salt,
        preferred_at=given.preferred_at,
        fault="honeypot" if given.website else None,
    )


def _note_visitor(db: Db, call: Call, widget: Widget, given: Opened, token: str, network: str) -> None:
    customer_id, page = widget.customer_id, _address(given.page)
    host = origins.host_of(call.headers.get("origin", ""))
    if host is not None:
        callbacks.seen_on(db, customer_id, widget.id, host, call.now)
    known = store.visitor_id(db, customer_id, widget.id, token)
    if known is not None:
        rows.update(db, schema.callmeback_visitors, customer_id, known, {"last_seen_at": call.now, "page": page})
        return
    if store.visitors_of(db, customer_id, network, call.now - rules.HOUR_S) >= rules.VISITORS.n:
        return
    place = place_at(call.ip, call.services.settings.geoip_database)
    row = {
        "setting_id": widget.id,
        "created_at": call.now,
        "last_seen_at": call.now,
        "ip": call.ip,
        "country": place.country,
        "city": place.city,
        "ua": numbers.clean(call.headers.get("user-agent", "")) or None,
        "referer": _address(given.referer),
        "page": page,
        "state": "NEW",
        "token": token,
        "network": network,
    }
    store.add_visitor(db, customer_id, row)


def _address(text: str) -> str | None:
    """Of a page; None for what is none."""
    is_one = text.lower().startswith(("https://", "http://")) and text.isprintable() and len(text) <= URL_LENGTH
    return text if is_one else None


# -- where a widget may be


def _is_allowed(call: Call, widget: Widget, origin: str) -> bool:
    if not origin:  # a browser sends none with a GET to its own page's server
        return call.headers.get("sec-fetch-site") == "same-origin"
    if origins.is_own(origin, call.services.settings.public_url, call.headers.get("host", "")):
        return True
    domains: list[str] = json.loads(widget.domains)
    return origins.is_allowed(origin, domains)


def _cors(origin: str) -> Mapping[str, str]:
    allowed = {"Access-Control-Allow-Origin": origin} if origin else {}
    return {**allowed, "Vary": "Origin"}


def _preflight(_: Call, __: Widget) -> replies.Reply:
    headers = {
        "Access-Control-Allow-Methods": "GET, POST, DELETE",
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return replies.Reply(204, headers=headers)


@lru_cache(maxsize=16)
def texts(culture: str) -> Mapping[str, str]:
    """What the widget says in a language."""
    file = resources.files("ringback") / "web" / "widget" / "texts" / f"{culture}.json"
    found: dict[str, str] = json.loads(file.read_text())
    return found


def endpoints(metrics: Metrics, widgets: Widgets) -> tuple[Endpoint, ...]:
    metrics.counted("ringback_callback_refusals", "Callbacks that were refused", "reason", lambda: widgets.refusals)

    def row(method: str, path: str, summary: str, handler: Handler, status: int = 200) -> Endpoint:
        guarded = widgets.guarded(handler)
        return Endpoint(method, path, summary, guarded, Shape.PLAIN, status, open=True, work=Work.OWN)

    one = "/callme/{key}/requests/{token}"
    found = (
        row("GET", "/callme/{key}", "What a widget shows", widgets.show),
        row("POST", "/callme/{key}/visitors", "A widget was opened", widgets.opened, 201),
        row("GET", "/callme/{key}/challenge", "Work before a request", widgets.challenge),
        row("POST", "/callme/{key}/requests", "Call me back", widgets.request, 201),
        row("GET", one, "How a request goes on", widgets.state),
        row("DELETE", one, "The visitor gives up", widgets.cancel, 204),
    )
    paths = sorted({each.path for each in found})
    return (*found, *(row("OPTIONS", path, "Who may ask from where", _preflight, 204) for path in paths))
