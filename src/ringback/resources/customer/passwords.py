"""Setting a new password by mail, for those who have forgotten theirs (ours)."""

from contextlib import suppress
from typing import Annotated

from msgspec import Meta

from ringback import mail
from ringback.errors import Fault, Invalid
from ringback.identity import accounts, challenges, mails, passwords, throttle
from ringback.record import Patch, Text
from ringback.resources.customer.sessions import Message
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.store.database import Db


class ForgotBody(Patch):
    email: Text


class ResetBody(Patch):
    token: Annotated[Text, Meta(description="the code from the mail; good for an hour")]
    password: Annotated[Text, Meta(description="at least 10 characters")]


def _forgot(call: Call) -> replies.Reply:
    """The same answer after the same work for every address, also when it asks too often."""
    body = call.body(ForgotBody)
    if not mail.is_configured(call.services.settings):
        raise Invalid("This server sends no mail. Ask an administrator for a new password.", [Fault("email")])
    email = body.email.strip()
    keys = throttle.mail_keys(email, call.ip)

    def enqueue(db: Db) -> None:
        throttle.reserve(db, keys, call.now)
        mails.enqueue_reset(db, email, call.now)

    with suppress(throttle.Throttled):
        call.services.database.write(enqueue)
    return replies.data(Message("If this address has an account, a mail is on its way."), 202)


def _reset(call: Call) -> replies.Reply:
    body = call.body(ResetBody)
    account, challenge = call.services.database.read(lambda db: _found(db, body.token, call.now))
    wrong = passwords.check_strength(body.password, *account.personal)
    if wrong is not None:
        raise Invalid(wrong, [Fault("password", wrong)])
    hashed = passwords.hash_password(body.password)

    def store(db: Db) -> None:
        if not challenges.use(db, challenge):
            raise _no_such_token()
        accounts.set_password(db, account.customer_id, account.user_id, hashed)
        accounts.note(db, account, "password_reset", at=call.now, ip=call.ip)

    call.services.database.write(store)
    return replies.empty()


def _found(db: Db, token: str, now: int) -> tuple[accounts.Account, challenges.Challenge]:
    challenge = challenges.find_reset(db, token, now)
    account = None if challenge is None else accounts.by_id(db, challenge.customer_id, challenge.user_id)
    if challenge is None or account is None:
        raise _no_such_token()
    return account, challenge


def _no_such_token() -> Invalid:
    return Invalid("This code is unknown, used or older than an hour.", [Fault("token")])


ENDPOINTS = (
    Endpoint(
        "POST",
        "/password/forgot",
        "Send a reset code to an address; the answer tells nothing about the address",
        _forgot,
        Shape.PLAIN,
        202,
        answer=Message,
        body=ForgotBody,
        open=True,
        work=Work.OWN,
    ),
    Endpoint(
        "POST",
        "/password/reset",
        "Set a new password with a mailed code; all sessions of the user end",
        _reset,
        Shape.EMPTY,
        204,
        body=ResetBody,
        open=True,
        work=Work.OWN,
    ),
)
