"""Whose account is copied: a token, or e-mail and password, from the environment or the terminal; never an argument."""

import os
import sys
from collections.abc import Mapping
from getpass import getpass

from ringback.errors import UsageError
from ringback.importers.voipstudio.connection import Connection

TOKEN, EMAIL, PASSWORD = "RINGBACK_SOURCE_TOKEN", "RINGBACK_SOURCE_EMAIL", "RINGBACK_SOURCE_PASSWORD"


def log_in(connection: Connection, environment: Mapping[str, str] = os.environ) -> None:
    """UsageError when there is nothing to log in with, or it is refused."""
    token = environment.get(TOKEN, "").strip()
    if token:
        connection.use(token)
        return
    email, password = _credentials(environment)
    connection.use(_session(connection, email, password), lambda: _session(connection, email, password))


def _credentials(environment: Mapping[str, str]) -> tuple[str, str]:
    email, password = environment.get(EMAIL, ""), environment.get(PASSWORD, "")
    if email and password:
        return email, password
    if not sys.stdin.isatty():
        raise UsageError(f"Set {TOKEN} to an API token of an administrator there, or {EMAIL} and {PASSWORD}.")
    print("E-mail address of an administrator there: ", end="", file=sys.stderr, flush=True)
    return email or input(), password or getpass("Password there: ", sys.stderr)


def _session(connection: Connection, email: str, password: str) -> str:
    status, answer = connection.post("/login", {"email": email, "password": password})
    token = answer.get("user_token")
    if status == 202:
        raise UsageError(f"This account has a second factor: make an API token there and set {TOKEN} to it.")
    if status != 200 or not isinstance(token, str):
        raise UsageError("The other server refuses this e-mail address and password.")
    return token
