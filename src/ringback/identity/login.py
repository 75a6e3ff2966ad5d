"""Logging in: the password, then the second factor where it is on.

The throttle counts a try in one short transaction, the password is verified outside of any, what follows is another one.
"""

from dataclasses import dataclass

from ringback.errors import LoginRefused
from ringback.identity import accounts, challenges, mails, passwords, second_factor, throttle, tokens
from ringback.services import Services
from ringback.store.database import Db

WRONG_CODE = "Invalid or expired code."


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who knocks, and when."""

    ip: str
    user_agent: str | None
    now: int


@dataclass(frozen=True, slots=True)
class Session:
    token: str
    user_id: int


@dataclass(frozen=True, slots=True)
class Nonce:
    """The password was right, a second factor is awaited."""

    nonce: str


def with_password(services: Services, email: str, password: str, visitor: Visitor) -> Session | Nonce:
    """LoginRefused for anything wrong: unknown, inactive, deleted and wrong cannot be told apart."""
    database, keys = services.database, throttle.login_keys(email.strip(), visitor.ip)
    database.write(lambda db: throttle.reserve(db, keys, visitor.now))
    account = database.read(lambda db: accounts.by_email(db, email))
    if not passwords.verify(account.password_hash if account else None, password) or account is None:
        database.write(lambda db: _failed(db, account, keys, visitor))
        raise LoginRefused

    def proceed(db: Db) -> Session | Nonce:
        throttle.forgive(db, keys)
        if accounts.by_id(db, account.customer_id, account.user_id) != account:  # changed while we verified
            raise LoginRefused
        return _session(db, account, visitor) if not account.method else _nonce(db, account, visitor)

    return database.write(proceed)


def _failed(db: Db, account: accounts.Account | None, keys: throttle.Keys, visitor: Visitor) -> None:
    """Notes the failure of an account; for an unknown one something else is written, so that time does not tell them apart."""
    if account is not None:
        accounts.note(db, account, "login_failed", at=visitor.now, ip=visitor.ip)
    else:
        throttle.touch(db, keys, visitor.now)


def _session(db: Db, account: accounts.Account, visitor: Visitor) -> Session:
    token, _ = tokens.add(
        db,
        account.customer_id,
        account.user_id,
        kind=tokens.SESSION,
        expiry_s=tokens.SESSION_IDLE_S,
        now=visitor.now,
        ip=visitor.ip,
        user_agent=visitor.user_agent,
    )
    accounts.note(db, account, "login", at=visitor.now, ip=visitor.ip)
    return Session(token, account.user_id)


def _nonce(db: Db, account: accounts.Account, visitor: Visitor) -> Nonce:
    until = visitor.now + challenges.LIFE_S
    nonce, challenge_hash = challenges.add(
        db, account.customer_id, account.user_id, challenges.Kind.LOGIN, expires_at=until
    )
    if account.method == second_factor.Method.EMAIL:
        throttle.reserve(db, throttle.user_keys("code", account.user_id, throttle.CODES), visitor.now)
        mails.enqueue_code(db, account.customer_id, account.user_id, challenge_hash, visitor.now)
    return Nonce(nonce)


def with_code(services: Services, nonce: str, code: str, visitor: Visitor) -> Session:
    """The second step. A wrong code counts against the nonce (five tries) and against the account."""

    def attempt(db: Db) -> Session | None:
        challenge = challenges.try_login(db, nonce, visitor.now)
        account = None if challenge is None else accounts.by_id(db, challenge.customer_id, challenge.user_id)
        if challenge is None or account is None:
            return None
        keys = throttle.user_keys("second", account.user_id, throttle.SECOND_FACTOR)
        throttle.reserve(db, keys, visitor.now, field="code")
        if not second_factor.is_right(db, challenge, account.method, account.totp_secret, code, visitor.now):
            accounts.note(db, account, "login_failed", at=visitor.now, ip=visitor.ip)
            return None
        challenges.use(db, challenge)
        throttle.forgive(db, keys)
        return _session(db, account, visitor)

    session = services.database.write(attempt)  # a wrong try returns, so that what it counted is committed
    if session is None:
        raise LoginRefused(WRONG_CODE, field="code")
    return session
