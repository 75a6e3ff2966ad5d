"""`/me`: the caller's own account. `data` is one object, as clients read it (the page's sample shows a list)."""

from functools import partial
from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, UnsetType

from ringback.errors import REQUIRED, Fault, Invalid
from ringback.identity import passwords
from ringback.identity.accounts import confirm_password
from ringback.record import (
    NO_NUL,
    Column,
    Flag,
    Id,
    Kind,
    Money,
    Name,
    Number,
    Patch,
    Record,
    RequiredName,
    Wire,
    to_db,
)
from ringback.resources.customer.users import Language, Password, store_changes
from ringback.rest import replies
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.store import accounts, schema
from ringback.store.database import Db
from ringback.store.listing import Listing


class Me(Record):
    """The page's seven, then what the connectors and the command-line tool read."""

    id: Id
    balance: Annotated[Money | None, Column("c.balance")]
    cc: Annotated[Name | None, Column("c.cc")]
    cli: Number | None
    currency_iso: Annotated[Name | None, Column("c.currency_iso")]
    is_root: Flag
    language: Annotated[Name | None, Column("coalesce(t.language, c.language)")]
    email: Name
    first_name: Name | None
    last_name: Name | None
    customer_id: Id
    sip_password: Annotated[Name | None, Column("NULL", filterable=False)]
    sip_domain: Annotated[Name | None, Column("NULL", filterable=False)]


class MePatch(Patch):
    """A new `password` needs the old one beside it."""

    first_name: RequiredName | UnsetType = UNSET
    last_name: RequiredName | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET
    cli: Number | UnsetType | None = UNSET
    dnd: Flag | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    old_password: (
        Annotated[
            str,
            Meta(max_length=1000, pattern=NO_NUL, description="the present one, which a new password needs beside it"),
            Wire(Kind.TEXT),
        ]
        | UnsetType
    ) = UNSET


ME = Resource(
    Listing(
        "me",
        Me,
        schema.users,
        source='"users" t JOIN "customers" c ON c.id = t.customer_id',
        where="t.id = :me",
    ),
    hidden_by={Policy.BILLING_DISABLED: frozenset({"balance"})},
)


def _show(call: Call) -> replies.Reply:
    """With what the PBX tells of the user's own phone. Nothing is held while it is asked."""
    me = call.services.database.read(partial(_found, call))
    for each in call.services.desk.passwords:
        if each.serves(call.customer_id) and me.extension:
            me.record.sip_domain = each.domain()
            me.record.sip_password = each.password(call.customer_id, me.extension)
            break
    return replies.item(me.record)


class _Found(NamedTuple):
    record: Me
    extension: str | None


def _found(call: Call, db: Db) -> _Found:
    call.transaction = db
    record = call.find(ME, call.caller.user_id)
    assert isinstance(record, Me)
    return _Found(record, accounts.extension_of(db, call.customer_id, call.caller.user_id))


def _change(call: Call) -> replies.Reply:
    given = call.body(MePatch, partial=True).given()
    old = given.pop("old_password", None)
    columns = to_db(MePatch, given)
    if "password" in given:
        columns["password_hash"] = _new_hash(call, columns.pop("password"), old)

    def work(db: Db) -> None:
        call.transaction = db
        store_changes(call, call.caller.user_id, columns)

    if columns:
        call.services.database.write(work)
    return _show(call)


def _new_hash(call: Call, password: str, old: str | None) -> str:
    """Outside of any transaction: verifying and hashing take their time."""
    reason = passwords.check_strength(password, *_personal(call))
    faults = [Fault("password", f"{reason}.")] if reason else []
    if old is None:
        faults.append(Fault("old_password", REQUIRED))
    if faults or old is None:
        raise Invalid(faults=faults)
    confirm_password(call.services, call.customer_id, call.caller.user_id, old, field="old_password")
    return passwords.hash_password(password)


def _personal(call: Call) -> list[str | None]:
    me = call.services.database.read(partial(_found, call)).record
    return [me.email, me.first_name, me.last_name]


ENDPOINTS = (
    Endpoint("GET", "/me", "The caller's own account", _show, Shape.ITEM, answer=Me, work=Work.OWN, resource=ME),
    Endpoint(
        "PATCH",
        "/me",
        "Change the own names, language, caller id, do-not-disturb or password",
        _change,
        Shape.ITEM,
        answer=Me,
        body=MePatch,
        closed_by=frozenset({Policy.SETTINGS_LOCKED}),
        work=Work.OWN,
        resource=ME,
    ),
)
