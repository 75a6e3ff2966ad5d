"""The first customer and its administrator, so that a new installation can be logged in to."""

from dataclasses import dataclass

from ringback.identity.accounts import by_email, set_password
from ringback.identity.passwords import hash_password
from ringback.services import Services
from ringback.store import accounts
from ringback.store.database import Db, value

EMAIL = "admin@ringback.local"


@dataclass(frozen=True, slots=True)
class Administrator:
    customer_id: int
    user_id: int


def create(
    services: Services, *, customer: str, cc: str, currency_iso: str, email: str, password: str
) -> Administrator | None:
    """Makes both, unless there is a customer already: None."""
    if services.database.read(_has_customers):
        return None
    password_hash = hash_password(password)
    now = services.clock()

    def work(db: Db) -> Administrator | None:
        if _has_customers(db):  # another process was faster
            return None
        customer_id = accounts.create_customer(db, name=customer, cc=cc, currency_iso=currency_iso, now=now)
        user_id = accounts.create_user(
            db,
            customer_id,
            email=email,
            first_name="First",
            last_name="Administrator",
            roles='["administrator"]',
            password_hash=password_hash,
            is_root=True,
            now=now,
        )
        return Administrator(customer_id, user_id)

    return services.database.write(work)


def reset(services: Services, *, email: str, password: str) -> Administrator | None:
    """Gives an administrator made before a new password; None when there is none with this e-mail."""
    account = services.database.read(lambda db: by_email(db, email))
    if account is None:
        return None
    found = Administrator(account.customer_id, account.user_id)
    password_hash = hash_password(password)
    services.database.write(lambda db: set_password(db, found.customer_id, found.user_id, password_hash))
    return found


def _has_customers(db: Db) -> bool:
    return value(db, "SELECT 1 FROM customers LIMIT 1") is not None
