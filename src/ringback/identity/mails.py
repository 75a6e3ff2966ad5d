"""The mails of identity, as jobs: a code for a second factor, a code to set a new password.

A job knows whom to write to, never a secret: the code is made when the mail is sent, and only its hash is kept. A job that
is run twice sends a second mail, whose code replaces the first.
"""

from collections.abc import Mapping
from typing import Any

from ringback import mail
from ringback.identity import accounts, challenges, second_factor
from ringback.jobs import queue
from ringback.services import Services
from ringback.store.database import Db

CODE, RESET = "mail_code", "mail_reset"

_CODE_TEXT = """Your Ringback code is

    {code}

It is good for ten minutes. If you have not just logged in, somebody knows your password: change it.
"""
_RESET_TEXT = """Somebody, hopefully you, asked for a new Ringback password for {email}.

Your reset code is

    {token}

It works once, within an hour. If this was not you, do nothing: your password stays as it is.
"""


def enqueue_code(db: Db, customer_id: int, user_id: int, challenge_hash: str, now: int) -> None:
    args: Mapping[str, Any] = {"user_id": user_id, "challenge": challenge_hash}
    queue.enqueue(db, customer_id, CODE, args, now=now)


def enqueue_reset(db: Db, email: str, now: int) -> None:
    """For any address; only the job finds out whether it has an account, so that the request's time tells nothing."""
    queue.enqueue(db, 0, RESET, {"email": email}, now=now)


def send_code(services: Services, job: queue.Job) -> None:
    """Sends the code of a challenge, unless that is over or the account is gone."""
    challenge_hash, code, now = job.args["challenge"], second_factor.new_mail_code(), services.clock()
    secret = second_factor.mail_code_hash(challenge_hash, code)

    def prepare(db: Db) -> accounts.Account | None:
        account = accounts.by_id(db, job.customer_id, job.args["user_id"])
        return account if challenges.set_secret(db, challenge_hash, secret, now) else None

    account = services.database.write(prepare)
    if account is not None:
        mail.send(services.settings, account.email, "Your Ringback code", _CODE_TEXT.format(code=code))


def send_reset(services: Services, job: queue.Job) -> None:
    """Sends a reset code to the account of an address, if there is one; an earlier code ends."""
    now = services.clock()

    def prepare(db: Db) -> tuple[accounts.Account, str] | None:
        account = accounts.by_email(db, job.args["email"])
        if account is None:
            return None
        kind, until = challenges.Kind.RESET, now + challenges.RESET_LIFE_S
        challenges.drop(db, account.customer_id, account.user_id, kind)
        return account, challenges.add(db, account.customer_id, account.user_id, kind, expires_at=until)[0]

    prepared = services.database.write(prepare)
    if prepared is not None:
        account, token = prepared
        text = _RESET_TEXT.format(email=account.email, token=token)
        mail.send(services.settings, account.email, "A new Ringback password", text)
