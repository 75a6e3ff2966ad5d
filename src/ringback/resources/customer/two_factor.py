"""The caller's second factor: turned on in two steps, off with the password (ours)."""

from typing import Annotated, Literal

from msgspec import Meta

from ringback import mail
from ringback.errors import Fault, Invalid, Unauthorized
from ringback.identity import accounts, challenges, mails, second_factor, throttle
from ringback.identity.second_factor import Method
from ringback.record import ENUM, Name, Patch, Record, Text, Texts
from ringback.rest import replies
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.store.database import Db


class MethodBody(Patch):
    method: Annotated[Literal["app", "email"], ENUM]


class ConfirmBody(Patch):
    code: Annotated[Text, Meta(description="six digits, from the app or the mail")]


class PasswordBody(Patch):
    password: Annotated[Text, Meta(description="the present password")]


class Enrolment(Record):
    """What the authenticator app needs (`uri` as a QR code); null when the code comes by mail."""

    method: Annotated[Literal["app", "email"], ENUM]
    secret: Name | None
    uri: Text | None


class RecoveryCodes(Record):
    """Shown once. Each lets its owner in once when phone or mailbox are out of reach."""

    recovery_codes: Texts


def _begin(call: Call) -> replies.Reply:
    body, account = call.body(MethodBody), _account(call)
    if account.method != Method.OFF:
        raise Invalid("Two-factor login is already on. Turn it off first.", [Fault("method")])
    by_app = body.method == "app"
    if not by_app and not mail.is_configured(call.services.settings):
        raise Invalid("This server sends no mail, so codes cannot come by e-mail.", [Fault("method")])
    challenges.drop(call.db, call.customer_id, account.user_id, *challenges.ENROL)
    secret = second_factor.new_secret() if by_app else None
    kind = challenges.Kind.ENROL_APP if by_app else challenges.Kind.ENROL_EMAIL
    _, challenge_hash = challenges.add(
        call.db, call.customer_id, account.user_id, kind, expires_at=call.now + challenges.LIFE_S, secret=secret
    )
    if secret is None:
        throttle.reserve(call.db, throttle.user_keys("code", account.user_id, throttle.CODES), call.now, field="method")
        mails.enqueue_code(call.db, call.customer_id, account.user_id, challenge_hash, call.now)
    uri = None if secret is None else second_factor.otpauth_uri(secret, account.email)
    return replies.item(Enrolment(body.method, secret, uri), 201)


def _account(call: Call) -> accounts.Account:
    account = accounts.by_id(call.db, call.customer_id, call.caller.user_id)
    if account is None:  # gone between the check of the token and now
        raise Unauthorized
    return account


def _confirm(call: Call) -> replies.Reply:
    code = second_factor.cleaned(call.body(ConfirmBody).code)

    def attempt(db: Db) -> list[str] | None:
        call.transaction = db
        return _turned_on(call, code)

    codes = call.services.database.write(attempt)  # a wrong try returns None, so that its count is committed
    if codes is None:
        raise Invalid("This code is wrong or too old; after five tries begin anew.", [Fault("code")])
    return replies.item(RecoveryCodes(codes))


def _turned_on(call: Call, code: str) -> list[str] | None:
    user_id = call.caller.user_id
    challenge = challenges.try_enrolment(call.db, call.customer_id, user_id, call.now)
    if challenge is None:
        return None
    by_app, step = challenge.kind is challenges.Kind.ENROL_APP, None
    if by_app:
        step = second_factor.matching_step(challenge.secret or "", code, call.now)
    if not (step if by_app else second_factor.mailed(challenge, code)):
        return None
    method, secret = (Method.APP, challenge.secret) if by_app else (Method.EMAIL, None)
    codes = second_factor.turn_on(call.db, call.customer_id, user_id, method, secret=secret, step=step)
    call.audit("two_factor_on", "User", user_id, method="app" if by_app else "email")
    return codes


def _end(call: Call) -> replies.Reply:
    password = call.body(PasswordBody).password
    accounts.confirm_password(call.services, call.customer_id, call.caller.user_id, password, field="password")

    def off(db: Db) -> None:
        call.transaction = db
        second_factor.turn_off(db, call.customer_id, call.caller.user_id)
        call.audit("two_factor_off", "User", call.caller.user_id)

    call.services.database.write(off)
    return replies.empty()


_LOCKED = frozenset({Policy.SETTINGS_LOCKED})

ENDPOINTS = (
    Endpoint(
        "POST",
        "/me/twofactor",
        "Begin to turn two-factor login on, with an app or with codes by e-mail",
        _begin,
        Shape.ITEM,
        201,
        answer=Enrolment,
        body=MethodBody,
        closed_by=_LOCKED,
        work=Work.WRITE,
    ),
    Endpoint(
        "POST",
        "/me/twofactor/confirm",
        "Turn two-factor login on with the first code; the answer has the recovery codes",
        _confirm,
        Shape.ITEM,
        answer=RecoveryCodes,
        body=ConfirmBody,
        closed_by=_LOCKED,
        work=Work.OWN,
    ),
    Endpoint(
        "DELETE",
        "/me/twofactor",
        "Turn two-factor login off",
        _end,
        Shape.EMPTY,
        204,
        body=PasswordBody,
        closed_by=_LOCKED,
        work=Work.OWN,
    ),
)
