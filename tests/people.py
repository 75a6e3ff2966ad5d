"""Logging in as a test does it: passwords for the cast, logins from any address."""

from typing import Any

from ringback.identity import passwords
from ringback.store import rows, schema
from tests.api import Answer, Api, Client

PASSWORD = "correct horse battery"


def give_password(api: Api, *clients: Client) -> None:
    changes = {"password_hash": passwords.hash_password(PASSWORD)}
    for each in clients:
        api.write(lambda db, each=each: rows.update(db, schema.users, each.customer_id, each.user_id, changes))


def visitor(api: Api, token: str | None = None, ip: str = "127.0.0.1") -> Client:
    """Somebody without a token, or with one that a login gave."""
    return Client(api.app, token, ip=ip)


def login(api: Api, name: str, password: str = PASSWORD, ip: str = "127.0.0.1", **more: Any) -> Answer:
    """A login of one of Acme's people."""
    body = {"email": f"{name}@customer1.example", "password": password, **more}
    return visitor(api, ip=ip).post("/login", body)
