"""Second factors: the codes of an authenticator app (RFC 6238), codes by mail, recovery codes."""

import hashlib
import hmac
import secrets
from enum import IntEnum

import pyotp

from ringback.identity import challenges, tokens
from ringback.store import rows, schema
from ringback.store.database import Db

STEP_S = 30
RECOVERY_CODES = 10


class Method(IntEnum):
    """`two_factor_auth` of a user."""

    OFF = 0
    EMAIL = 1
    APP = 2


def new_secret() -> str:
    return pyotp.random_base32()


def otpauth_uri(secret: str, email: str) -> str:
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Ringback")


def matching_step(secret: str, code: str, now: int) -> int | None:
    """The time step whose code this is, of the present one and its neighbours; None when it is none of theirs."""
    totp, step = pyotp.TOTP(secret), now // STEP_S
    candidates = (each for each in (step, step - 1, step + 1) if hmac.compare_digest(totp.generate_otp(each), code))
    return next(candidates, None)


def new_mail_code() -> str:
    return f"{secrets.randbelow(1_000_000):06}"


def mail_code_hash(challenge_hash: str, code: str) -> str:
    return hashlib.sha256(f"{challenge_hash}:{code}".encode()).hexdigest()


def cleaned(code: str) -> str:
    """People type codes with spaces and dashes."""
    return "".join(char for char in code if char.isascii() and char.isalnum()).lower()


def is_right(
    db: Db, challenge: challenges.Challenge, method: int, totp_secret: str | None, code: str, now: int
) -> bool:
    """Whether a code is the answer to a login's challenge; a code is used up by this, also when two come at once."""
    typed = cleaned(code)
    if method == Method.APP and totp_secret and _use_step(db, challenge, totp_secret, typed, now):
        return True
    if method == Method.EMAIL and mailed(challenge, typed):
        return True
    return _use_recovery_code(db, challenge.customer_id, challenge.user_id, typed)


def mailed(challenge: challenges.Challenge, typed: str) -> bool:
    """Whether this is the code that was mailed for the challenge."""
    return challenge.secret is not None and hmac.compare_digest(challenge.secret, mail_code_hash(challenge.hash, typed))


def _use_step(db: Db, challenge: challenges.Challenge, secret: str, typed: str, now: int) -> bool:
    step = matching_step(secret, typed, now)
    sql = """
        UPDATE users SET totp_last_step = :step
        WHERE customer_id = :customer AND id = :user AND (totp_last_step IS NULL OR totp_last_step < :step)
    """
    bound = {"step": step, "customer": challenge.customer_id, "user": challenge.user_id}
    return step is not None and db.run(sql, bound) == 1


def _use_recovery_code(db: Db, customer_id: int, user_id: int, typed: str) -> bool:
    sql = "DELETE FROM recovery_codes WHERE customer_id = :customer AND user_id = :user AND hash = :hash"
    return db.run(sql, {"customer": customer_id, "user": user_id, "hash": tokens.hash_of(typed)}) == 1


def turn_on(
    db: Db, customer_id: int, user_id: int, method: Method, *, secret: str | None = None, step: int | None = None
) -> list[str]:
    """Turns the second factor on and returns the new recovery codes, which are kept as hashes only."""
    _set(db, customer_id, user_id, method, secret, step)
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    hashes = [{"user_id": user_id, "hash": tokens.hash_of(cleaned(code))} for code in codes]
    rows.insert(db, schema.recovery_codes, customer_id, hashes)
    return codes


def turn_off(db: Db, customer_id: int, user_id: int) -> None:
    """Also for administrators, when somebody has lost the phone and the recovery codes."""
    _set(db, customer_id, user_id, Method.OFF, None, None)


def _set(db: Db, customer_id: int, user_id: int, method: Method, secret: str | None, step: int | None) -> None:
    changes = {"two_factor_auth": method.value, "totp_secret": secret, "totp_last_step": step}
    rows.update(db, schema.users, customer_id, user_id, changes)
    sql = "DELETE FROM recovery_codes WHERE customer_id = :customer AND user_id = :user"
    db.run(sql, {"customer": customer_id, "user": user_id})
    challenges.drop(db, customer_id, user_id, challenges.Kind.LOGIN, *challenges.ENROL)


def _recovery_code() -> str:
    """60 random bits as xxxxx-xxxxx-xxxxx, hexadecimal."""
    text = secrets.token_hex(8)[:15]
    return "-".join(text[at : at + 5] for at in (0, 5, 10))
