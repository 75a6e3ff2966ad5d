"""Contacts: global ones are everybody's, the others belong to one user."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ringback.calls.numbers import digits
from ringback.errors import Fault, Forbidden, Invalid
from ringback.record import (
    TEXT_LENGTH,
    Flag,
    Id,
    Labels,
    Name,
    Number,
    Patch,
    Record,
    Text,
    WireTime,
    json_text,
    to_db,
)
from ringback.record import Column as From
from ringback.resources.customer.users import READABLE
from ringback.resources.history.cdrs import CDRS, Cdr
from ringback.rest import replies
from ringback.rest.access import EVERYBODY, RECEPTION, Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import created, list_of, listed, nested, patched, removed, shown
from ringback.store import rows, schema
from ringback.store.database import Db, first, value
from ringback.store.listing import Listing


class Contact(Record):
    id: Id
    type: Name | None
    company: Name | None
    created_at: WireTime
    email: Name | None
    ext: Number | None
    first_name: Name | None
    last_name: Name | None
    global_: Annotated[Flag, From('t."global"')] = msgspec.field(name="global")
    group_name: Name | None
    internal: Flag
    labels: Labels
    mobile: Number | None
    mobile_1: Number | None
    mobile_2: Number | None
    tel: Number | None
    tel_1: Number | None
    tel_2: Number | None
    notes: Text | None
    rel_user_id: Id | None
    user_id: Id | None
    last_call_at: WireTime | None


class ContactPatch(Patch):
    """`rel_user_id`: the colleague that the contact is, which makes it `internal`. `groups` and below are kept for clients."""

    type: Name | UnsetType | None = UNSET
    company: Name | UnsetType | None = UNSET
    email: Name | UnsetType | None = UNSET
    ext: Number | UnsetType | None = UNSET
    first_name: Name | UnsetType | None = UNSET
    last_name: Name | UnsetType | None = UNSET
    global_: Annotated[Flag, Meta(description="whether everybody of the customer sees it")] | UnsetType = msgspec.field(
        name="global", default=UNSET
    )
    group_name: Name | UnsetType | None = UNSET
    labels: Labels | UnsetType | None = UNSET
    mobile: Number | UnsetType | None = UNSET
    mobile_1: Number | UnsetType | None = UNSET
    mobile_2: Number | UnsetType | None = UNSET
    tel: Number | UnsetType | None = UNSET
    tel_1: Number | UnsetType | None = UNSET
    tel_2: Number | UnsetType | None = UNSET
    notes: Text | UnsetType | None = UNSET
    rel_user_id: Annotated[Id, Meta(description="the colleague that the contact is")] | UnsetType | None = UNSET
    user_id: Id | UnsetType | None = UNSET
    groups: Any = UNSET
    speed_dial_phone: Any = UNSET
    speed_dial_phone_1: Any = UNSET
    speed_dial_phone_2: Any = UNSET
    speed_dial_mobile: Any = UNSET
    speed_dial_mobile_1: Any = UNSET
    speed_dial_mobile_2: Any = UNSET
    transfer_list: Any = UNSET


NUMBERS = ("ext", "mobile", "mobile_1", "mobile_2", "tel", "tel_1", "tel_2")
EXTRA = frozenset(ContactPatch.__struct_encode_fields__) - frozenset(Contact.__struct_encode_fields__)

ALL = Listing("contacts", Contact, schema.contacts, newest="created_at")
HIDING = frozenset({Policy.CONTACTS_HIDDEN})


def _narrowed(name: str, where: str) -> Listing:
    return Listing(name, Contact, schema.contacts, newest="created_at", where=where)


CONTACTS = Resource(
    ALL,
    own=_narrowed("seen contacts", '(t."global" = 1 OR t.user_id = :me)'),
    all_for=RECEPTION,
    closed_by=HIDING,
)
WRITABLE = Resource(ALL, own=_narrowed("own contacts", 't.user_id = :me AND t."global" = 0'), closed_by=HIDING)
"""What one may change: one's own; global and others' contacts are the administrators'."""
OF_USER = _narrowed("user's contacts", 't.user_id = :parent AND t."global" = 0')


def _save(call: Call, contact_id: int | None, given: Mapping[str, Any], prefix: str = "") -> int:
    columns = columns_of(given)
    extra = {name: each for name, each in given.items() if name in EXTRA}
    faults = _unknown_users(call, columns, prefix) + _too_long(extra, prefix)
    if faults:
        raise Invalid(faults=faults)
    if "rel_user_id" in columns:
        columns["internal"] = int(columns["rel_user_id"] is not None)
    columns |= _owner(call, contact_id, columns) | _kept(call, contact_id, extra)
    defaults = {"created_at": call.now, "labels": "[]", "internal": 0}
    return rows.save(call.db, schema.contacts, call.customer_id, contact_id, columns, defaults)


def columns_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of what a body gives; without `EXTRA`, which share one."""
    columns = to_db(Contact, {name: each for name, each in given.items() if name not in EXTRA})
    if "labels" in columns:
        columns["labels"] = columns["labels"] or "[]"
    return columns


def _owner(call: Call, contact_id: int | None, columns: Mapping[str, Any]) -> dict[str, Any]:
    """`global` and `user_id` as they become: a global contact is nobody's own. Forbidden unless it is the caller's."""
    sql = 'SELECT "global", user_id FROM contacts WHERE customer_id = :customer AND id = :id'
    before = first(call.db, sql, {"customer": call.customer_id, "id": contact_id}) or (0, call.caller.user_id)
    is_global = columns.get("global", int(before[0] and columns.get("user_id") is None))
    owner = columns.get("user_id") or before[1] or call.caller.user_id
    if not call.caller.is_administrator and (is_global or owner != call.caller.user_id):
        raise Forbidden
    return {"global": is_global, "user_id": None if is_global else owner}


def _kept(call: Call, contact_id: int | None, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The column `extra` with what clients send beyond the record; null takes a value out."""
    if not extra:
        return {}
    sql = "SELECT extra FROM contacts WHERE customer_id = :customer AND id = :id"
    before = value(call.db, sql, {"customer": call.customer_id, "id": contact_id})
    whole = {**(msgspec.json.decode(before) if before else {}), **extra}
    return {"extra": json_text({name: each for name, each in whole.items() if each is not None})}


def _unknown_users(call: Call, columns: Mapping[str, Any], prefix: str) -> list[Fault]:
    named = {name: columns.get(name) for name in ("rel_user_id", "user_id")}
    return [
        Fault(f"{prefix}{name}", "There is no such user.")
        for name, each in named.items()
        if each is not None and not rows.exists(call.db, schema.users, call.customer_id, each)
    ]


def _too_long(extra: Mapping[str, Any], prefix: str) -> list[Fault]:
    return [Fault(f"{prefix}{name}") for name, each in extra.items() if len(json_text(each) or "") > TEXT_LENGTH]


def _patch_many(call: Call) -> replies.Reply:
    elements = call.bulk(ContactPatch)
    ids = [contact_id for contact_id, _ in elements]
    call.find_all(WRITABLE, ids)
    faults: list[Fault] = []
    for index, (contact_id, patch) in enumerate(elements):
        _saved_one(call, contact_id, patch.given(), f"[{index}].", faults)
    if faults:
        raise Invalid(faults=faults)
    records = call.find_all(CONTACTS, ids)
    return replies.collection(records, len(records))


def _saved_one(call: Call, contact_id: int, given: Mapping[str, Any], prefix: str, faults: list[Fault]) -> None:
    try:
        if given:
            _save(call, contact_id, given, prefix)
    except Invalid as error:
        faults.extend(error.faults)


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    rows.delete(db, schema.contacts, customer_id, ids)


_NUMBERS_SQL = f"""
    SELECT (SELECT cc FROM customers WHERE id = :customer), {", ".join(NUMBERS)}
    FROM contacts WHERE customer_id = :customer AND id = :id
"""
_MARKS = ", ".join(f":n{index}, :e{index}" for index in range(len(NUMBERS)))
_WITH = f"(t.src IN ({_MARKS}) OR t.dst IN ({_MARKS}) OR t.src_id = :party OR t.dst_id = :party)"
_MINE = "EXISTS (SELECT 1 FROM cdr_parties p WHERE p.customer_id = :customer AND p.user_id = :me AND p.cdr_id = t.id)"


def _calls_with(name: str, where: str) -> Listing:
    return Listing(name, Cdr, schema.cdrs, newest="calldate", where=where, searched=CDRS.listing.searched)


WITH_CONTACT = Resource(
    _calls_with("contact's cdrs", _WITH),
    own=_calls_with("own cdrs with contact", f"{_WITH} AND {_MINE}"),
    hidden_by=CDRS.hidden_by,
)


def _cdrs(call: Call) -> replies.Reply:
    contact_id = call.path["id"]
    call.find(CONTACTS, contact_id)
    row = first(call.db, _NUMBERS_SQL, {"customer": call.customer_id, "id": contact_id})
    country, *numbers = row or [None] * (1 + len(NUMBERS))
    bound = {f"n{index}": number for index, number in enumerate(numbers)}
    dialled = {f"e{index}": digits(number or "", country) for index, number in enumerate(numbers)}
    listing = WITH_CONTACT.seen_by(call.caller)
    return list_of(call, WITH_CONTACT, listing, party=f"contact:{contact_id}", **bound, **dialled)


ENDPOINTS = (
    listed("/contacts", CONTACTS, "Global contacts and one's own"),
    created("/contacts", WRITABLE, ContactPatch, _save, "Create a contact", roles=EVERYBODY),
    Endpoint(
        "PATCH",
        "/contacts",
        "Change contacts",
        _patch_many,
        Shape.COLLECTION,
        answer=Contact,
        body=ContactPatch,
        bulk=True,
        work=Work.WRITE,
        resource=CONTACTS,
    ),
    shown("/contacts/{id}", CONTACTS, "One contact"),
    patched("/contacts/{id}", WRITABLE, ContactPatch, _save, "Change a contact", roles=EVERYBODY),
    removed("/contacts/{id}", WRITABLE, _remove, "Delete a contact", roles=EVERYBODY),
    Endpoint(
        "GET",
        "/contacts/{id}/cdrs",
        "Calls from and to the numbers of a contact",
        _cdrs,
        Shape.COLLECTION,
        answer=Cdr,
        resource=WITH_CONTACT,
        parent=CONTACTS,
    ),
    nested("/users/{id}/contacts", READABLE, CONTACTS, OF_USER, "The contacts that a user owns"),
)
