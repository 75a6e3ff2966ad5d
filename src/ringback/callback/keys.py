"""Public keys of settings, by which pages name the widget that they have."""

import secrets
import string

_LETTERS = string.ascii_letters + string.digits
_LENGTH = 16


def new_key() -> str:
    """One that nobody can guess."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def is_key(text: str) -> bool:
    return len(text) == _LENGTH and set(_LETTERS).issuperset(text)
