"""Things that somebody must prove within a while: a second factor, an enrolment, a password reset.

The caller gets a token; the row has its hash, what the answer is checked against, and how many tries were made.
"""

from dataclasses import dataclass
from enum import StrEnum

from ringback.identity import tokens
from ringback.store import rows, schema
from ringback.store.database import Db, first

TRIES = 5
LIFE_S = 600
RESET_LIFE_S = 3600


class Kind(StrEnum):
    LOGIN = "login"
    ENROL_APP = "enrol_app"
    ENROL_EMAIL = "enrol_email"
    RESET = "reset"


ENROL = (Kind.ENROL_APP, Kind.ENROL_EMAIL)


@dataclass(frozen=True, slots=True)
class Challenge:
    hash: str
    customer_id: int
    user_id: int
    kind: Kind
    secret: str | None
    """The app's secret or the hash of a mailed code; None when there is none (yet)."""


def add(
    db: Db, customer_id: int, user_id: int, kind: Kind, *, expires_at: int, secret: str | None = None
) -> tuple[str, str]:
    """Makes a challenge; returns the token that names it, and its hash."""
    token = tokens.new_token()
    row = {
        "hash": tokens.hash_of(token),
        "user_id": user_id,
        "kind": kind.value,
        "secret": secret,
        "tries": 0,
        "expires_at": expires_at,
    }
    rows.insert(db, schema.challenges, customer_id, [row])
    return token, tokens.hash_of(token)


def try_login(db: Db, nonce: str, now: int) -> Challenge | None:
    """Counts a try at a login's second factor; None when it is unknown, over, or was tried too often."""
    sql = """
        UPDATE challenges SET tries = tries + 1
        WHERE hash = :hash AND kind = 'login' AND expires_at > :now AND tries < :tries
        RETURNING hash, customer_id, user_id, kind, secret
    """
    return _challenge(first(db, sql, {"hash": tokens.hash_of(nonce), "now": now, "tries": TRIES}))


def try_enrolment(db: Db, customer_id: int, user_id: int, now: int) -> Challenge | None:
    sql = f"""
        UPDATE challenges SET tries = tries + 1
        WHERE customer_id = :customer AND user_id = :user AND {db.among("kind", "kinds")}
            AND expires_at > :now AND tries < :tries
        RETURNING hash, customer_id, user_id, kind, secret
    """
    bound = {"customer": customer_id, "user": user_id, "kinds": list(ENROL), "now": now, "tries": TRIES}
    return _challenge(first(db, sql, bound))


def find_reset(db: Db, token: str, now: int) -> Challenge | None:
    sql = """
        SELECT hash, customer_id, user_id, kind, secret FROM challenges
        WHERE hash = :hash AND kind = 'reset' AND expires_at > :now
    """
    return _challenge(first(db, sql, {"hash": tokens.hash_of(token), "now": now}))


def _challenge(row: tuple[str, int, int, str, str | None] | None) -> Challenge | None:
    return None if row is None else Challenge(row[0], row[1], row[2], Kind(row[3]), row[4])


def set_secret(db: Db, challenge_hash: str, secret: str, now: int) -> bool:
    """Sets what the answer is checked against; False when the challenge is over."""
    sql = "UPDATE challenges SET secret = :secret WHERE hash = :hash AND expires_at > :now"
    return db.run(sql, {"secret": secret, "hash": challenge_hash, "now": now}) == 1


def use(db: Db, challenge: Challenge) -> bool:
    """Ends a challenge; False when somebody else has just used it."""
    sql = "DELETE FROM challenges WHERE customer_id = :customer AND hash = :hash"
    return db.run(sql, {"customer": challenge.customer_id, "hash": challenge.hash}) == 1


def drop(db: Db, customer_id: int, user_id: int, *kinds: Kind) -> None:
    """Ends the user's challenges of these kinds."""
    sql = f"DELETE FROM challenges WHERE customer_id = :customer AND user_id = :user AND {db.among('kind', 'kinds')}"
    db.run(sql, {"customer": customer_id, "user": user_id, "kinds": list(kinds)})
