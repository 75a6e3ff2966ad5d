"""Proof of work: a browser that has computed for a moment, which costs a visitor nothing and ten thousand requests a day.

A salt is `until.bits.random.signature`: signed, for one widget, with an end. The solution is a decimal `nonce` so that
sha256(salt + ":" + nonce) begins with `bits` zero bits. That each works once is the caller's to see to.
"""

import hmac
import re
from hashlib import sha256
from typing import NamedTuple

LIFE_S = 600
BITS, MOST_BITS = 15, 21
"""32,768 tries on the average: a tenth of a second in a browser. For who has asked before, four times as many each time."""
_SALT = re.compile(r"(\d{10})\.(\d{1,2})\.([0-9a-f]{16})\.([0-9a-f]{32})", re.ASCII)
_NONCE = re.compile(r"\d{1,18}", re.ASCII)


class Challenge(NamedTuple):
    salt: str
    bits: int
    until: int


def challenge(secret: bytes, key: str, now: int, before: int, random: str) -> Challenge:
    """`before`: how many requests came from there lately. `random`: 16 hexadecimal digits."""
    bits, until = min(BITS + 2 * before, MOST_BITS), now + LIFE_S
    said = f"{until}.{bits}.{random}"
    return Challenge(f"{said}.{_signature(secret, key, said)}", bits, until)


def fault(secret: bytes, key: str, salt: str, nonce: str, now: int) -> str | None:
    """What is wrong with a solution: `shape`, `signature`, `late`, `work`."""
    found = _SALT.fullmatch(salt)
    if found is None or not _NONCE.fullmatch(nonce):
        return "shape"
    said = salt.rpartition(".")[0]
    if not hmac.compare_digest(found[4], _signature(secret, key, said)):
        return "signature"
    if int(found[1]) <= now:
        return "late"
    return None if is_solved(salt, nonce, int(found[2])) else "work"


def is_solved(salt: str, nonce: str, bits: int) -> bool:
    digest = sha256(f"{salt}:{nonce}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - bits) == 0


def until_of(salt: str) -> int:
    """When a salt that has no fault ends."""
    return int(salt[:10])


def _signature(secret: bytes, key: str, said: str) -> str:
    return hmac.new(secret, f"{key}:{said}".encode(), sha256).hexdigest()[:32]
