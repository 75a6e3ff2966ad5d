"""Passwords: argon2id hashes, and what a new password must be.

Hashing takes tens of milliseconds and much memory: never call it inside a database transaction.
"""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 10, 1000

# OWASP's second choice for argon2id: 19 MiB each, so that many logins at once do not take the server's memory.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$cDsrnjUZXnQTpUKi6+vMbg$JiG7JOnYFzrbNX+GqRLPbC8+bTNtf4yiH0Y2ScrjbDg"
"""Of a password that nobody knows, made by the same rules."""


def hash_password(text: str) -> str:
    return _HASHER.hash(text)


def verify(stored: str | None, text: str) -> bool:
    """Whether `text` is the password of the hash `stored`. `None` (no such account) is never right and costs the same time."""
    try:
        right = len(text) <= LONGEST and _HASHER.verify(stored or _NOBODYS, text)
    except (VerificationError, InvalidHashError):
        return False
    return right and stored is not None


def check_strength(text: str, *personal: str | None) -> str | None:
    """What is wrong with a new password, or `None`. `personal`: the e-mail, names and the like, which it must not be."""
    if len(text) < SHORTEST:
        return f"The password needs at least {SHORTEST} characters"
    if len(text) > LONGEST:
        return f"The password must not have more than {LONGEST} characters"
    folded = text.strip().casefold()
    if folded in {word.strip().casefold() for word in personal if word}:
        return "The password must not be the e-mail address or a name"
    return None
