"""Bringing a widget onto a page: the line of HTML, a preview of what is not saved, and what still keeps it from calling anybody."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from ringback.callback.asking import hours_of
from ringback.record import Text
from ringback.resources.callmeback.settings import SETTINGS, SettingPatch, columns_of, defaults_of
from ringback.resources.callmeback.widget import looks
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Call, Endpoint, Shape
from ringback.store import callback_requests as store
from ringback.store import rates
from ringback.store.callback_requests import Widget
from ringback.store.database import value

NO_RATES = "There are no rates, so every callback is refused: import a rate deck (docs/rates.md)."
NO_RATE = "There is no rate for {}, so every callback there is refused: import one (docs/rates.md)."
NO_PBX = "No PBX is connected, so callbacks are only kept for later (docs/asterisk.md)."
NO_DOMAINS = "allowed_domains is empty: the widget shows on no page."
NO_COUNTRIES = "allowed_countries is empty: nobody can be called back."
NO_TARGET = "The number's destination is no user, queue or extension that can be dialled: see /ddis."
NEVER_OPEN = "By hours and holidays it is never open."
NO_URL = "public_url is not set on the server: put the address under which pages reach it into the line."


class Snippet(Struct):
    html: Text
    warnings: list[str]


class Preview(Struct):
    url: Text
    warnings: list[str]


def _snippet(call: Call) -> replies.Reply:
    call.find(SETTINGS, call.path["id"])
    widget = store.widget_of(call.db, call.customer_id, call.path["id"])
    assert widget is not None, "it was found a moment ago"
    url = call.services.settings.public_url.rstrip("/") or "https://YOUR-SERVER"
    html = f'<script async src="{url}/callme/v1.js" data-id="{widget.key}"></script>'
    return replies.item(Snippet(html, list(_warnings(call, widget))))


def _preview(call: Call) -> replies.Reply:
    """Nothing is saved; the setting stands in the URL's fragment, which a browser sends to nobody."""
    given = call.body(SettingPatch).given()
    stored = columns_of(call, given)
    columns = {**defaults_of(call, given["ddi_e164"]), **stored}
    widget = store.draft(call.db, call.customer_id, columns)
    warnings = list(_warnings(call, widget))
    shown = json.dumps({**_shown(widget), "warnings": warnings}, ensure_ascii=False, separators=(",", ":"))
    fragment = base64.urlsafe_b64encode(shown.encode()).decode().rstrip("=")
    url = f"{call.services.settings.public_url.rstrip('/')}/callme/preview#{fragment}"
    return replies.item(Preview(url, warnings))


def _shown(widget: Widget) -> dict[str, Any]:
    """As `GET /callme/KEY` answers it, without texts; somebody is there."""
    countries: list[str] = json.loads(widget.countries)
    country = countries[0] if countries else None
    return {**looks(widget), "country": country, "is_shown": True, "is_available": True, "opens_at": None}


def _warnings(call: Call, widget: Widget) -> Iterator[str]:
    has_rates = "SELECT 1 FROM rates WHERE customer_id = :customer LIMIT 1"
    if value(call.db, has_rates, {"customer": call.customer_id}) is None:
        yield NO_RATES
    elif unpriced := rates.unpriced(call.db, call.customer_id, json.loads(widget.countries)):
        yield NO_RATE.format(", ".join(unpriced))
    if call.services.desk.caller(call.customer_id) is None:
        yield NO_PBX
    if widget.domains == "[]":
        yield NO_DOMAINS
    if widget.countries == "[]":
        yield NO_COUNTRIES
    if store.target(call.db, call.customer_id, widget.destination) is None:
        yield NO_TARGET
    if hours_of(widget).opens_at(call.now) is None:
        yield NEVER_OPEN
    if not call.services.settings.public_url:
        yield NO_URL


ENDPOINTS = (
    Endpoint(
        "GET",
        "/callmeback/settings/{id}/snippet",
        "The line of HTML that brings the widget onto a page",
        _snippet,
        Shape.ITEM,
        answer=Snippet,
        resource=SETTINGS,
    ),
    Endpoint(
        "POST",
        "/callmeback/preview",
        "A page that shows the widget of a setting that is not saved",
        _preview,
        Shape.ITEM,
        answer=Preview,
        body=SettingPatch,
        roles=ADMINISTRATORS,
    ),
)
