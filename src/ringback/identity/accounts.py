"""The accounts behind e-mail addresses, and their passwords."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ringback.errors import Fault, Invalid
from ringback.identity import challenges, passwords, throttle, tokens
from ringback.services import Services
from ringback.store import audit, rows, schema
from ringback.store.accounts import full_name
from ringback.store.database import Db, Row, first, folded

_SELECT = """
    SELECT u.customer_id, u.id, u.email, u.first_name, u.last_name, u.password_hash, u.two_factor_auth, u.totp_secret
    FROM users u JOIN customers c ON c.id = u.customer_id
    WHERE u.active = 1 AND c.deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Account:
    """An active user of a customer that still exists; for logging in nobody else is there."""

    customer_id: int
    user_id: int
    email: str
    first_name: str | None
    last_name: str | None
    password_hash: str | None
    method: int
    totp_secret: str | None

    @property
    def name(self) -> str:
        return full_name(self.first_name, self.last_name) or self.email

    @property
    def personal(self) -> Sequence[str | None]:
        """What the password must not be."""
        return (self.email, self.first_name, self.last_name, self.name)


def by_email(db: Db, email: str) -> Account | None:
    return _account(first(db, f"{_SELECT} AND u.email_folded = :email", {"email": folded(email.strip())}))


def by_id(db: Db, customer_id: int, user_id: int) -> Account | None:
    bound: dict[str, Any] = {"customer": customer_id, "user": user_id}
    return _account(first(db, f"{_SELECT} AND u.customer_id = :customer AND u.id = :user", bound))


def _account(row: Row | None) -> Account | None:
    return None if row is None else Account(*row)


def confirm_password(services: Services, customer_id: int, user_id: int, password: str, *, field: str) -> None:
    """Checks the password of somebody who is logged in; Invalid names `field`, Throttled after too many tries.

    Opens its own transactions (the hash is verified outside of them): for handlers with `Work.OWN`.
    """
    now, keys = services.clock(), throttle.user_keys("password", user_id, throttle.PAIR)
    services.database.write(lambda db: throttle.reserve(db, keys, now, field=field))
    account = services.database.read(lambda db: by_id(db, customer_id, user_id))
    if not passwords.verify(account.password_hash if account else None, password):
        raise Invalid("The password is wrong.", [Fault(field, "The password is wrong.")])
    services.database.write(lambda db: throttle.forgive(db, keys))


def note(db: Db, account: Account, action: str, *, at: int, ip: str) -> None:
    """Notes in the audit log what somebody who is not logged in did with the account."""
    audit.note(
        db,
        account.customer_id,
        at=at,
        action=action,
        user_id=account.user_id,
        user_name=account.name,
        object_class="User",
        object_id=account.user_id,
        ip=ip,
    )


def set_password(db: Db, customer_id: int, user_id: int, password_hash: str, *, keep: str | None = None) -> None:
    """Stores a password; the user's other sessions, half-done logins and reset mails end. API tokens stay.

    `keep`: the hash of the token whose session goes on. The caller notes it in the audit log.
    """
    rows.update(db, schema.users, customer_id, user_id, {"password_hash": password_hash})
    tokens.end_sessions(db, customer_id, user_id, keep=keep)
    challenges.drop(db, customer_id, user_id, *challenges.Kind)
