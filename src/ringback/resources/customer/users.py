"""Users: who has an account, and the directory that colleagues see of each other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from ringback.errors import REQUIRED, Fault, Forbidden, Invalid
from ringback.identity import passwords, second_factor
from ringback.identity.accounts import set_password
from ringback.jobs import drop_blobs
from ringback.record import (
    END,
    NO_NUL,
    Column,
    Count,
    Extension,
    Flag,
    Id,
    Kind,
    Name,
    Number,
    Patch,
    Record,
    RequiredName,
    Texts,
    Wire,
    WireTime,
    to_db,
)
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS, RECEPTION, Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import item_of, listed, shown
from ringback.store import accounts, rows, schema
from ringback.store.database import Db, Taken, first, folded, value
from ringback.store.listing import Listing

NOT_USABLE = "This value cannot be used."
"""Said of every e-mail that is refused, whatever the reason: nobody learns who has an account elsewhere."""

Email = Annotated[
    str, Meta(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00.]+(\.[^@\s\x00.]+)*" + END), Wire(Kind.TEXT)
]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?" + END), Wire(Kind.TEXT)]
Password = Annotated[
    str,
    Meta(max_length=1000, pattern=NO_NUL, description="at least 10 characters; neither the e-mail address nor a name"),
    Wire(Kind.TEXT),
]
SecondFactor = Annotated[
    Count, Meta(description="0 turns it off, for a user who has lost the phone; users turn it on themselves")
]
Roles = Annotated[
    list[Literal["administrator", "reception", "user"]], Meta(min_length=1, max_length=3), Wire(Kind.JSON)
]


def _private(column: str) -> Column:
    """Null for anybody but administrators and the user."""
    return Column(f"CASE WHEN :sees_all = 1 OR t.id = :me THEN t.{column} END")


def _presence(column: str) -> Column:
    """Null where no PBX tells, and for those whom a policy hides it from."""
    return Column(f"CASE WHEN t.presence IS NOT NULL AND (:sees_presence = 1 OR t.id = :me) THEN t.{column} END")


class User(Record):
    id: Id
    active: Flag
    created_at: WireTime
    customer: Annotated[Id, Column("t.customer_id")]
    email: Annotated[Name | None, _private("email")]
    first_name: Name | None
    is_initial: Annotated[Flag, Column("t.is_root")]
    is_root: Flag
    last_name: Name | None
    roles: Annotated[Texts | None, _private("roles")]
    two_factor_auth: Annotated[Count | None, _private("two_factor_auth")]
    visited_apps: Texts
    ext: Name | None
    cli: Number | None
    dnd: Flag
    nb_sip_locations: Annotated[Count | None, _presence("nb_sip_locations")]
    """Phones that are registered; like `presence` null while no PBX tells."""
    presence: Annotated[Name | None, _presence("presence")]
    """offline, available, on_hold, busy, ringing."""


class UserPatch(Patch):
    """What an administrator sets. `language` and `password` are never shown here."""

    email: Email
    first_name: RequiredName
    last_name: RequiredName
    ext: Extension
    roles: Roles | UnsetType = UNSET
    active: Flag | UnsetType = UNSET
    cli: Number | UnsetType | None = UNSET
    dnd: Flag | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET
    password: Password | UnsetType = UNSET
    two_factor_auth: SecondFactor | UnsetType = UNSET


ALL = Listing("users", User, schema.users)
OWN = replace(ALL, name="own user", where="t.id = :me")

USERS = Resource(ALL, own=OWN)
"""A user with what belongs to the user: a plain user's and a receptionist's are their own."""
READABLE = Resource(ALL, own=OWN, all_for=RECEPTION)
DIRECTORY = Resource(ALL)
"""Everybody's colleagues, without their private attributes."""


def _create(call: Call) -> replies.Reply:
    columns = columns_of(_body(call, partial=False))

    def work(db: Db) -> replies.Reply:
        call.transaction = db
        user_id = add(db, call.customer_id, columns, call.now)
        call.audit("create", "User", user_id)
        return item_of(call, USERS, user_id, 201)

    return _written(call, work)


def add(db: Db, customer_id: int, columns: dict[str, Any], now: int) -> int:
    """Stores a new user, whose columns are those of `columns_of`, and returns the id. Invalid when e-mail or extension are
    in use. Without a password nobody can log in as the user until one is set by a reset mail."""
    _refuse_taken(db, customer_id, None, columns)
    stored = {name: each for name, each in columns.items() if name != "two_factor_auth"}  # only 0 gets here
    return accounts.create_user(db, customer_id, now=now, **stored)


def _change(call: Call) -> replies.Reply:
    user_id = call.path["id"]
    if user_id == call.caller.user_id and Policy.SETTINGS_LOCKED in call.caller.policies:
        raise Forbidden
    user = _found(call, user_id)
    columns = columns_of(_body(call, partial=True), user)
    if user.is_root and not call.caller.is_root and _takes_over(user, columns):
        raise Forbidden("Only the root user changes the root user's e-mail, password and second factor.")
    factor_off = columns.pop("two_factor_auth", user.two_factor_auth) != user.two_factor_auth

    def work(db: Db) -> replies.Reply:
        call.transaction = db
        call.find(USERS, user_id)
        if columns:
            _refuse_taken(db, call.customer_id, user_id, columns)
            store_changes(call, user_id, columns)
        if factor_off:
            second_factor.turn_off(db, call.customer_id, user_id)
            call.audit("two_factor_off", "User", user_id)
        return item_of(call, USERS, user_id)

    return _written(call, work)


def _found(call: Call, user_id: int) -> User:
    def work(db: Db) -> User:
        call.transaction = db
        user = call.find(USERS, user_id)
        assert isinstance(user, User)
        return user

    return call.services.database.read(work)


def _body(call: Call, *, partial: bool) -> dict[str, Any]:
    """What the body gives. A malformed e-mail is refused in the same words as a taken one."""
    try:
        return call.body(UserPatch, partial=partial).given()
    except Invalid as error:
        if not any(_is_bad_email(fault) for fault in error.faults):
            raise
        faults = [Fault("email", NOT_USABLE) if _is_bad_email(fault) else fault for fault in error.faults]
        raise Invalid(faults=faults) from None


def _is_bad_email(fault: Fault) -> bool:
    return fault.field == "email" and fault.message != REQUIRED


def columns_of(given: dict[str, Any], user: User | None = None) -> dict[str, Any]:
    """The columns to write; hashes the password, so never inside a transaction."""
    faults = [
        *_weak_password(given, user),
        *_factor_faults(given, user),
        *(_lockout(given) if user is not None and user.is_root else ()),
    ]
    if faults:
        raise Invalid(faults=faults)
    columns = to_db(UserPatch, given)
    if "email" in columns:
        columns["email_folded"] = folded(columns["email"])
    if "password" in columns:
        columns["password_hash"] = passwords.hash_password(columns.pop("password"))
    return columns


def _weak_password(given: dict[str, Any], user: User | None) -> list[Fault]:
    if "password" not in given:
        return []
    personal = [given.get(name, getattr(user, name, None)) for name in ("email", "first_name", "last_name")]
    reason = passwords.check_strength(given["password"], *personal)
    return [Fault("password", f"{reason}.")] if reason else []


def _factor_faults(given: dict[str, Any], user: User | None) -> list[Fault]:
    present = 0 if user is None else user.two_factor_auth
    if given.get("two_factor_auth", 0) in (0, present):
        return []
    return [Fault("two_factor_auth", "0 turns it off; a user turns it on with POST /me/twofactor.")]


def _takes_over(user: User, columns: dict[str, Any]) -> bool:
    """Whether the changes would let somebody else log in as the user."""
    changed = [
        name for name in ("email", "two_factor_auth") if columns.get(name, getattr(user, name)) != getattr(user, name)
    ]
    return "password_hash" in columns or bool(changed)


def _lockout(given: dict[str, Any]) -> list[Fault]:
    """The root user stays able to administer, or nobody could."""
    faults = []
    if "administrator" not in given.get("roles", ["administrator"]):
        faults.append(Fault("roles", "The root user is an administrator."))
    if given.get("active") is False:
        faults.append(Fault("active", "The root user stays active."))
    return faults


def _refuse_taken(db: Db, customer_id: int, user_id: int | None, columns: dict[str, Any]) -> None:
    others = {
        "customer": customer_id,
        "id": user_id or 0,
        "email": columns.get("email_folded"),
        "ext": columns.get("ext"),
    }
    faults = []
    if value(db, "SELECT 1 FROM users WHERE email_folded = :email AND id <> :id", others):
        faults.append(Fault("email", NOT_USABLE))
    if value(db, "SELECT 1 FROM users WHERE customer_id = :customer AND ext = :ext AND id <> :id", others):
        faults.append(Fault("ext", "This value is already used."))
    if faults:
        raise Invalid(faults=faults)


def _written(call: Call, work: Callable[[Db], replies.Reply]) -> replies.Reply:
    """Runs `work` in a transaction. Two requests may race for one e-mail: the database then has the last word."""
    try:
        return call.services.database.write(work)
    except Taken as error:
        if "email_folded" in error.columns:
            raise Invalid(faults=[Fault("email", NOT_USABLE)]) from error
        raise


def store_changes(call: Call, user_id: int, columns: dict[str, Any]) -> None:
    """Writes columns of a user. With a new password the user's sessions end, but for the one that asks."""
    named = sorted({name.removesuffix("_folded").removesuffix("_hash") for name in columns})
    plain = {name: each for name, each in columns.items() if name != "password_hash"}
    rows.update(call.db, schema.users, call.customer_id, user_id, plain)
    if "password_hash" in columns:
        set_password(call.db, call.customer_id, user_id, columns["password_hash"], keep=call.caller.token_hash)
    call.audit("change", "User", user_id, attributes=named)


_BELONGINGS = (
    "DELETE FROM tokens WHERE customer_id = :customer AND user_id = :user",
    "DELETE FROM challenges WHERE customer_id = :customer AND user_id = :user",
    "DELETE FROM recovery_codes WHERE customer_id = :customer AND user_id = :user",
    "DELETE FROM queue_users WHERE customer_id = :customer AND user_id = :user",
    "DELETE FROM usergroup_users WHERE customer_id = :customer AND user_id = :user",
    "DELETE FROM contacts WHERE customer_id = :customer AND user_id = :user",
    "UPDATE contacts SET rel_user_id = NULL, internal = 0 WHERE customer_id = :customer AND rel_user_id = :user",
)
"""What goes with a user. History keeps its `user_id`."""


def _delete(call: Call) -> replies.Reply:
    user_id = call.path["id"]
    user = call.find(USERS, user_id)
    assert isinstance(user, User)
    if user.is_root or user_id == call.caller.user_id:
        raise Forbidden("The root user cannot be deleted, nor can oneself.")
    bound = {"customer": call.customer_id, "user": user_id}
    audio = first(call.db, "SELECT audio_key FROM users WHERE customer_id = :customer AND id = :user", bound)
    drop_blobs.enqueue(call.db, call.customer_id, [key for key in audio or () if key])
    for statement in _BELONGINGS:
        call.db.run(statement, bound)
    rows.delete(call.db, schema.users, call.customer_id, [user_id])
    call.audit("delete", "User", user_id, name=accounts.full_name(user.first_name, user.last_name))
    return replies.empty()


def _administered(
    method: str, path: str, summary: str, handler: Callable[[Call], replies.Reply], status: int = 200
) -> Endpoint:
    return Endpoint(
        method,
        path,
        summary,
        handler,
        Shape.ITEM,
        status,
        answer=User,
        body=UserPatch,
        roles=ADMINISTRATORS,
        work=Work.OWN,
        resource=USERS,
    )


ENDPOINTS = (
    listed("/users", DIRECTORY, "The users of the customer, as a directory"),
    _administered("POST", "/users", "Create a user", _create, 201),
    shown("/users/{id}", READABLE, "One user"),
    _administered("PATCH", "/users/{id}", "Change a user", _change),
    Endpoint(
        "DELETE",
        "/users/{id}",
        "Delete a user; what the user did stays in the history",
        _delete,
        Shape.EMPTY,
        204,
        roles=ADMINISTRATORS,
        work=Work.WRITE,
        resource=USERS,
    ),
)
