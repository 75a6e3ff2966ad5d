"""A new password by mail, and what a new password ends."""

import pytest

from ringback import mail
from ringback.errors import UsageError
from ringback.identity import accounts, passwords, tokens
from ringback.settings import Settings, load
from ringback.store import rows, schema
from tests.api import Answer, Api
from tests.clock import TestClock
from tests.people import PASSWORD, login, visitor
from tests.smtp import Mailbox

NEW = "another long password"


def forgot(api: Api, email: str = "ann@customer1.example", ip: str = "127.0.0.1") -> Answer:
    answer = visitor(api, ip=ip).post("/password/forgot", {"email": email})
    api.run_jobs()
    return answer


def reset(api: Api, token: str, password: str = NEW) -> Answer:
    return visitor(api).post("/password/reset", {"token": token, "password": password})


def mailed_token(api: Api, mails: Mailbox) -> str:
    forgot(api)
    return mails.found(r"\b[0-9a-f]{40}\b")


def test_a_mailed_code_sets_a_new_password_once_and_ends_all_sessions(mailing: Api, mails: Mailbox) -> None:
    made = mailing.ann.post("/apitokens", {"name": "crm"}).data["token"]
    token = mailed_token(mailing, mails)
    assert mails.mails[-1]["To"] == "ann@customer1.example"
    assert reset(mailing, token).status == 204
    assert mailing.ann.get("/sessions").status == 401
    assert mailing.bob.get("/sessions").status == 200
    assert visitor(mailing, made).get("/apitokens").status == 200
    assert login(mailing, "ann").status == 400
    assert login(mailing, "ann", NEW).status == 200
    again = reset(mailing, token)
    assert (again.status, again.fields) == (400, ["token"])
    assert "password_reset" in [entry["action"] for entry in mailing.admin.listed("/auditlog")]


def test_the_answer_tells_nothing_about_the_address(mailing: Api, mails: Mailbox) -> None:
    known, unknown = forgot(mailing), forgot(mailing, "nobody@example.org")
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert known.status == 202
    assert [each["To"] for each in mails.mails] == ["ann@customer1.example"]


def test_asking_often_answers_alike_but_sends_no_more(mailing: Api, mails: Mailbox) -> None:
    answers = {forgot(mailing, ip=f"203.0.113.{n}").body for n in range(8)}
    assert len(answers) == 1
    assert len(mails.mails) == 5


def test_a_code_is_good_for_an_hour_and_replaces_the_one_before(mailing: Api, mails: Mailbox, clock: TestClock) -> None:
    first = mailed_token(mailing, mails)
    second = mailed_token(mailing, mails)
    assert reset(mailing, first).status == 400
    clock.advance(3_600)
    assert reset(mailing, second).status == 400


def test_a_weak_password_is_refused_and_the_code_stays(mailing: Api, mails: Mailbox) -> None:
    token = mailed_token(mailing, mails)
    for weak in ("short", "ann@customer1.example", "x" * 1_001):
        answer = reset(mailing, token, weak)
        assert (answer.status, answer.fields) == (400, ["password"])
    assert visitor(mailing).post("/password/reset", {}).fields == ["token", "password"]
    assert reset(mailing, token).status == 204


def test_who_is_not_active_gets_no_mail(mailing: Api, mails: Mailbox) -> None:
    mailing.write(lambda db: rows.update(db, schema.users, mailing.acme, mailing.ann.user_id, {"active": 0}))
    assert forgot(mailing).status == 202
    assert mails.mails == []


def test_a_nonce_or_handle_resets_nothing(mailing: Api) -> None:
    handle = mailing.ann.listed("/sessions")[0]["token"]
    assert reset(mailing, handle).status == 400
    assert reset(mailing, mailing.ann.token or "").status == 400


def test_without_smtp_the_server_says_so_to_everybody(api: Api) -> None:
    for email in ("ann@customer1.example", "nobody@example.org"):
        answer = forgot(api, email)
        assert (answer.status, answer.fields) == (400, ["email"])


def test_a_changed_password_ends_the_users_other_sessions(mailing: Api) -> None:
    other = visitor(mailing, login(mailing, "ann").json["user_token"])
    kept = mailing.write(lambda db: db.all("SELECT hash FROM tokens WHERE user_id = :id", {"id": mailing.ann.user_id}))
    assert len(kept) == 2
    hashed, keep = passwords.hash_password(NEW), tokens.hash_of(other.token or "")
    mailing.write(lambda db: accounts.set_password(db, mailing.acme, mailing.ann.user_id, hashed, keep=keep))
    assert other.get("/sessions").status == 200
    assert mailing.ann.get("/sessions").status == 401
    assert mailing.bob.get("/sessions").status == 200
    assert login(mailing, "ann", PASSWORD).status == 400


@pytest.mark.parametrize("to", ["a@b.example\r\nBcc: c@d.example", ""])
def test_an_address_cannot_bring_headers(mails: Mailbox, to: str) -> None:
    settings = Settings(smtp_url=mails.url, mail_from="ringback@pbx.example")
    with pytest.raises(mail.MailError):
        mail.send(settings, to, "Hello", "text")
    assert mails.mails == []


def test_a_server_that_is_away_is_an_error_for_the_job() -> None:
    settings = Settings(smtp_url="smtp://127.0.0.1:1", mail_from="ringback@pbx.example")
    with pytest.raises(mail.MailError):
        mail.send(settings, "ann@customer1.example", "Hello", "text")
    with pytest.raises(mail.MailError):
        mail.send(Settings(), "ann@customer1.example", "Hello", "text")


def test_a_password_for_the_mail_server_never_goes_out_in_clear(
    mails: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "LOOPBACK", ())
    settings = Settings(smtp_url=mails.url.replace("//", "//user:secret@"), mail_from="ringback@pbx.example")
    with pytest.raises(mail.MailError):
        mail.send(settings, "ann@customer1.example", "Hello", "text")
    assert mails.mails == []


def test_mail_carries_any_letters(mails: Mailbox) -> None:
    settings = Settings(smtp_url=mails.url, mail_from="ringback@pbx.example")
    mail.send(settings, "ann@customer1.example", "Grüße", "Привет\n.\n..\n")
    assert mails.mails[0]["Subject"] == "Grüße"
    assert mails.text() == "Привет\n.\n..\n"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"RINGBACK_SMTP_URL": "mail.example:25", "RINGBACK_MAIL_FROM": "a@b.example"}, "smtp://"),
        ({"RINGBACK_SMTP_URL": "smtp://mail.example"}, "mail_from"),
    ],
)
def test_settings_that_cannot_send_mail_are_told_at_the_start(environment: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load(environment=environment)
