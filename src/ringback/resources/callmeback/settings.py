"""Call Me Back settings: one record is one widget on one website."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from ringback.callback import keys
from ringback.calls.numbers import country_of
from ringback.errors import Fault, Invalid
from ringback.record import (
    ENUM,
    MAX_INT,
    MONEY_UNIT,
    Column,
    Count,
    Exact,
    Flag,
    Id,
    Money,
    Name,
    Number,
    Object,
    Patch,
    Record,
    RequiredName,
    Text,
    Texts,
    WireTime,
    json_text,
)
from ringback.resources.callmeback import values
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import accounts, callbacks, rows, schema
from ringback.store.database import value
from ringback.store.listing import Listing

Position = Annotated[
    Literal[
        "top_left",
        "top_center",
        "top_right",
        "middle_left",
        "middle_right",
        "bottom_left",
        "bottom_center",
        "bottom_right",
    ],
    ENUM,
]
Culture = Annotated[Literal["en", "es", "de", "fr", "pl", "pt", "it", "nl"], ENUM]
DialFirst = Annotated[Literal["agent", "visitor"], ENUM]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Amount = float | Name
"""A number or numeric text."""
Digits = Annotated[int, Meta(ge=0, le=MAX_INT)]

_DDI = "(SELECT d.e164 FROM ddis d WHERE d.customer_id = t.customer_id AND d.id = t.ddi_id)"
_HOSTS = f"""(SELECT coalesce('["' || string_agg(h.host, '","') || '"]', '[]') FROM (
    SELECT host FROM callmeback_domains WHERE customer_id = t.customer_id AND setting_id = t.id
    ORDER BY seen_at DESC, host LIMIT {callbacks.HOSTS}) h)"""
_VISITORS = "(SELECT count(*) FROM callmeback_visitors v WHERE v.customer_id = t.customer_id AND v.setting_id = t.id)"


class CallMeBackSetting(Record):
    id: Id
    allowed_countries: Texts
    button_id: Id | None
    created_at: WireTime
    culture: Culture
    ddi: Annotated[Id, Column("t.ddi_id")]
    floating_icon: Flag
    name: Name
    position: Position
    privacy_policy_url: Text | None
    show_to_allowed_countries_only: Flag
    title: Name | None
    welcome_screen_msg: Text | None
    ddi_e164: Annotated[Number | None, Column(_DDI)]
    max_call_rate: Money
    allowed_domains: Texts
    dial_first: DialFirst
    time_zone: Name | None
    hours: Object | None
    holidays: Texts
    daily_spend: Money | None
    max_duration: Count | None
    chat_enabled: Flag
    public_key: Exact
    """By which a page names the widget: `data-id` of the script."""
    missed_mail: Annotated[Name | None, Column("CASE WHEN :sees_all = 1 THEN t.missed_mail END")]
    """Who is told of callbacks that came to nothing; null for anybody but administrators."""


class Website(CallMeBackSetting):
    domains: Annotated[Texts, Column(_HOSTS)]
    """The hosts that the widget was loaded from, latest first."""
    nb_visitors: Annotated[Count, Column(_VISITORS)]


class SettingPatch(Patch):
    name: RequiredName
    ddi_e164: Digits | Number
    button_id: Annotated[Id, Meta(description="of /callmeback/buttons")] | UnsetType | None = UNSET
    position: Position | UnsetType = UNSET
    floating_icon: Flag | UnsetType = UNSET
    culture: Culture | UnsetType = UNSET
    allowed_countries: Texts | Text | UnsetType = UNSET
    show_to_allowed_countries_only: Flag | UnsetType = UNSET
    welcome_screen_msg: Text | UnsetType | None = UNSET
    privacy_policy_url: Name | UnsetType | None = UNSET
    max_call_rate: Amount | UnsetType = UNSET
    title: Name | UnsetType | None = UNSET
    allowed_domains: Texts | UnsetType = UNSET
    dial_first: DialFirst | UnsetType = UNSET
    time_zone: Annotated[Name, Meta(description="an IANA name, such as Europe/Warsaw")] | UnsetType = UNSET
    hours: (
        Annotated[
            Object,
            Meta(
                description="when somebody answers, by day (mon to sun); a day that is missing is closed",
                examples=[{"mon": [["09:00", "12:30"], ["13:30", "17:00"]]}],
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    holidays: Annotated[Texts, Meta(description="closed days, YYYY-MM-DD")] | UnsetType = UNSET
    daily_spend: Amount | UnsetType | None = UNSET
    max_duration: Annotated[Seconds, Meta(description="seconds")] | UnsetType | None = UNSET
    chat_enabled: Flag | UnsetType = UNSET
    missed_mail: Annotated[Name, Meta(description="an e-mail address")] | UnsetType | None = UNSET


SETTINGS = Resource(Listing("callmeback settings", CallMeBackSetting, schema.callmeback_settings))
WEBSITES = Resource(Listing("callmeback websites", Website, schema.callmeback_settings))

DEFAULTS = {
    "position": "bottom_right",
    "culture": "en",
    "floating_icon": 1,
    "show_to_allowed_countries_only": 0,
    "max_call_rate": 15 * MONEY_UNIT // 100,
    "allowed_domains": "[]",
    "dial_first": "agent",
    "holidays": "[]",
    "chat_enabled": 0,
}


def _save(call: Call, setting_id: int | None, given: Any) -> int:
    columns = columns_of(call, given)
    defaults = defaults_of(call, given["ddi_e164"]) if setting_id is None else {}
    return rows.save(call.db, schema.callmeback_settings, call.customer_id, setting_id, columns, defaults)


def defaults_of(call: Call, ddi: int | str) -> dict[str, Any]:
    """Of a new setting; the number and the customer give the country and the time zone."""
    country = country_of(_e164(call, ddi)[1])
    zone = value(call.db, "SELECT time_zone FROM customers WHERE id = :customer", {"customer": call.customer_id})
    found = {"allowed_countries": json_text([country] if country else []), "time_zone": zone or "UTC"}
    return {**DEFAULTS, **found, "public_key": keys.new_key(), "created_at": call.now}


def columns_of(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """What the body gives as database values; Invalid with all that is wrong."""
    columns: dict[str, Any] = {}
    wrong: list[tuple[str, ValueError]] = []
    for name, each in given.items():
        try:
            column, stored = _column(call, name, each)
            columns[column] = stored
        except ValueError as error:
            wrong.append((name, error))
    if wrong:
        reasons = "; ".join(f"{name}: {error}" for name, error in wrong)
        raise Invalid(f"{Invalid.message}: {reasons}", [Fault(name) for name, _ in wrong])
    return columns


def _column(call: Call, name: str, given: Any) -> tuple[str, Any]:
    if name == "ddi_e164":
        return "ddi_id", _e164(call, given)[0]
    if name == "button_id":
        return name, _button(call, given)
    if name in values.READERS and given is not None:
        given = values.READERS[name](given)
    if isinstance(given, bool):
        return name, int(given)
    if isinstance(given, list | dict):
        return name, json_text(given)
    return name, given


def _e164(call: Call, given: int | str) -> tuple[int, str]:
    """The id and the digits of one of the customer's numbers; ValueError when it is none."""
    country = accounts.country_of(call.db, call.customer_id)
    for form in values.forms(str(given), country):
        sql = "SELECT id FROM ddis WHERE customer_id = :customer AND e164 = :e164"
        found = value(call.db, sql, {"customer": call.customer_id, "e164": form})
        if found is not None:
            return found, form
    raise ValueError("this is no number of yours; GET /ddis lists them")


def _button(call: Call, button_id: int | None) -> int | None:
    if button_id is not None and not rows.exists(call.db, schema.callmeback_buttons, call.customer_id, button_id):
        raise ValueError("there is no such button")
    return button_id


ENDPOINTS = (
    listed("/callmeback/websites", WEBSITES, "The websites with a widget: their settings, hosts and visitors"),
    listed("/callmeback/settings", SETTINGS, "The Call Me Back settings"),
    created("/callmeback/settings", SETTINGS, SettingPatch, _save, "Create a Call Me Back setting"),
    shown("/callmeback/settings/{id}", SETTINGS, "One Call Me Back setting"),
    patched("/callmeback/settings/{id}", SETTINGS, SettingPatch, _save, "Change a Call Me Back setting"),
    removed("/callmeback/settings/{id}", SETTINGS, callbacks.delete_settings, "Delete a Call Me Back setting"),
)
