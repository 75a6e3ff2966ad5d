"""Users, teams, queues, numbers and contacts of the other account."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Table

from ringback.errors import Invalid
from ringback.importers import headed
from ringback.importers.importer import Unusable
from ringback.importers.voipstudio import ids, listing
from ringback.importers.voipstudio.copy import Columns, Copy
from ringback.importers.voipstudio.ids import Parties
from ringback.importers.voipstudio.rows import columns
from ringback.resources.customer import contacts as contact_resource
from ringback.resources.customer import ddis as ddi_resource
from ringback.resources.customer import queues as queue_resource
from ringback.resources.customer import usergroups as group_resource
from ringback.resources.customer import users as user_resource
from ringback.resources.customer.members import Members
from ringback.rest import bodies
from ringback.store import audit, rows, schema
from ringback.store.database import Db, value

BY = "import"
_ROLES = ("administrator", "reception", "user")
_USER_DEFAULTS = {
    "customer": 0,
    "is_initial": False,
    "is_root": False,
    "active": True,
    "dnd": False,
    "nb_sip_locations": 0,
    "visited_apps": [],
}


def users(copy: Copy) -> None:
    for page in listing.by_id(copy.source, "/users", 200):
        copy.each("user", page, lambda row: _user(copy, row))


def _user(copy: Copy, row: Mapping[str, Any]) -> bool:
    found = _user_columns(row)
    source_id = found.pop("id")

    def work(db: Db) -> bool:
        here = ids.known(db, copy.customer_id, "users", [source_id]).get(source_id)
        if here is None and (same := _same(db, copy, _SAME_EMAIL, found["email_folded"])):
            ids.remember(db, copy.customer_id, "users", {source_id: same})
            return False
        here = here or ids.claim(db, copy.customer_id, schema.users, [source_id])[source_id]
        if ids.existing(db, copy.customer_id, schema.users, [here]):
            return False
        is_root = bool(found["is_root"]) and value(db, _ROOT, {"customer": copy.customer_id}) is None
        user_resource.add(db, copy.customer_id, {**found, "id": here, "is_root": is_root}, found["created_at"])
        named = {"user_name": BY, "object_class": "User", "object_id": here}
        audit.note(db, copy.customer_id, at=copy.services.clock(), action="create", **named)
        return True

    try:
        return copy.services.database.write(work)
    except Invalid as error:
        raise Unusable(headed.reason(error.faults, row)) from None


def _user_columns(row: Mapping[str, Any]) -> Columns:
    """Without a password and a second factor, which the API shows to nobody, and without the devices there."""
    if not row.get("email"):
        raise Unusable("its e-mail address is not shown: log in there as an administrator")
    held = row.get("roles")
    roles = [role for role in _ROLES if role in held] if isinstance(held, list | str) else []
    given = {"email": row["email"], "roles": roles or ["user"]} | ({"ext": row["ext"]} if row.get("ext") else {})
    try:
        patch = bodies.decode(msgspec.json.encode(given), user_resource.UserPatch, partial=True, ignored=())
    except Invalid as error:
        raise Unusable(headed.reason(error.faults, given)) from None
    plain = columns(user_resource.User, schema.users, {**row, "roles": None, "visited_apps": None}, **_USER_DEFAULTS)
    return {**plain, **user_resource.columns_of(patch.given()), "nb_sip_locations": 0}


_SAME_EMAIL = "SELECT id FROM users WHERE customer_id = :customer AND email_folded = :text"
_ROOT = "SELECT id FROM users WHERE customer_id = :customer AND is_root = 1"


def _same(db: Db, copy: Copy, sql: str, text: str) -> int | None:
    found: int | None = value(db, sql, {"customer": copy.customer_id, "text": text})
    return found


def usergroups(copy: Copy) -> None:
    for page in listing.by_id(copy.source, "/usergroups", 200):
        copy.each("team", page, lambda row: _group(copy, row))


def _group(copy: Copy, row: Mapping[str, Any]) -> bool:
    plain = columns(
        group_resource.UserGroup,
        schema.usergroups,
        {**row, "users": None},
        users=[],
        color=group_resource.DEFAULT_COLOR,
    )
    members: dict[int, dict[str, Any]] = {user_id: {} for user_id, _ in _members(row)}
    return _named(copy, schema.usergroups, group_resource.MEMBERS, plain, members)


def queues(copy: Copy) -> None:
    with_status = {"include": "users", "fields[users]": "id,status"}
    for page in listing.by_id(copy.source, "/queues", 200, **with_status):
        copy.each("queue", page, lambda row: _queue(copy, row))


def _queue(copy: Copy, row: Mapping[str, Any]) -> bool:
    plain = columns(queue_resource.Queue, schema.queues, {**row, "users": None}, users=[])
    members = {user_id: {"status": int(status)} for user_id, status in _members(row)}
    return _named(copy, schema.queues, queue_resource.MEMBERS, plain, members)


def _members(row: Mapping[str, Any]) -> Iterator[tuple[int, bool]]:
    """(user id there, whether the member is active), of ids or of objects."""
    listed = row.get("users")
    for each in listed if isinstance(listed, list) else []:
        user_id, status = (each.get("id"), each.get("status")) if isinstance(each, dict) else (each, True)
        if type(user_id) is int and 0 < user_id < 2**63:
            yield user_id, status is not False


def _named(copy: Copy, table: Table, members: Members, plain: Columns, listed: Mapping[int, Mapping[str, Any]]) -> bool:
    """A row that is known by its name here, with those of its members who are here."""
    source_id = plain.pop("id")
    sql = f'SELECT id FROM "{table.name}" WHERE customer_id = :customer AND name = :text'

    def work(db: Db) -> bool:
        here = ids.known(db, copy.customer_id, table.name, [source_id]).get(source_id)
        if here is None and (same := _same(db, copy, sql, plain["name"])):
            ids.remember(db, copy.customer_id, table.name, {source_id: same})
            return False
        here = here or ids.claim(db, copy.customer_id, table, [source_id])[source_id]
        if ids.existing(db, copy.customer_id, table, [here]):
            return False
        rows.insert(db, table, copy.customer_id, [{**plain, "id": here}])
        there = ids.claim(db, copy.customer_id, schema.users, listed)
        present = ids.existing(db, copy.customer_id, schema.users, there.values())
        joined = {there[each]: more for each, more in listed.items() if there[each] in present}
        members.replace(db, copy.customer_id, here, joined)
        return True

    return copy.services.database.write(work)


def ddis(copy: Copy) -> None:
    for page in listing.by_id(copy.source, "/ddis", 200):
        copy.each("number", page, lambda row: _ddi(copy, row))


def _ddi(copy: Copy, row: Mapping[str, Any]) -> bool:
    """Without its campaign: campaigns are not copied."""
    plain = columns(ddi_resource.Ddi, schema.ddis, {**row, "campaign_id": None})
    source_id = plain.pop("id")
    sql = "SELECT id FROM ddis WHERE customer_id = :customer AND e164 = :text"

    def work(db: Db) -> bool:
        if _same(db, copy, sql, plain["e164"]) is not None:
            return False
        here = ids.claim(db, copy.customer_id, schema.ddis, [source_id])[source_id]
        to = Parties(db, copy.customer_id, [plain["destination"]], []).party(plain["destination"])
        given = {**plain, "e164": f"+{plain['e164']}", "id": here, "destination": to}
        ddi_resource.save(db, copy.customer_id, None, given, copy.country)
        return True

    return copy.services.database.write(work)


def contacts(copy: Copy) -> None:
    for page in listing.by_id(copy.source, "/contacts", 500):
        copy.all("contact", schema.contacts, page, _contact, partial(_with_users, copy.customer_id))


def _contact(row: Mapping[str, Any]) -> Columns:
    defaults: dict[str, Any] = {"labels": [], "internal": False, "global": True}
    return columns(contact_resource.Contact, schema.contacts, row, **defaults)


def _with_users(customer_id: int, db: Db, lot: Sequence[Columns]) -> Iterator[Columns]:
    """A contact whose owner is not here would be nobody's, so it is left out."""
    users_ = Parties(db, customer_id, [], (row[name] for row in lot for name in ("user_id", "rel_user_id")))
    named = {users_.user(row[name]) for row in lot for name in ("user_id", "rel_user_id") if row[name]}
    present = ids.existing(db, customer_id, schema.users, (each for each in named if each is not None))
    for row in lot:
        owner, colleague = users_.user(row["user_id"]), users_.user(row["rel_user_id"])
        if row["global"] or owner in present:
            is_here = colleague in present
            yield {
                **row,
                "user_id": None if row["global"] else owner,
                "rel_user_id": colleague if is_here else None,
                "internal": int(is_here and row["internal"]),
            }
