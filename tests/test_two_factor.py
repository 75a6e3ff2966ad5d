"""Two-factor login: enrolment, app codes, mailed codes, recovery codes, and what an attacker meets."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyotp
import pytest

from ringback.store import rows, schema
from ringback.store.database import Db
from tests.api import Answer, Api, Client
from tests.clock import TestClock
from tests.people import PASSWORD, login, visitor
from tests.smtp import Mailbox


@dataclass
class Phone:
    """An enrolled authenticator app."""

    totp: pyotp.TOTP
    clock: TestClock
    recovery_codes: list[str]

    def code(self, steps: int = 0) -> str:
        return self.totp.at(self.clock.now + 30 * steps)


def enrol(api: Api, client: Client, clock: TestClock) -> Phone:
    begun = client.post("/me/twofactor", {"method": "app"})
    assert begun.status == 201
    assert begun.data["uri"].startswith("otpauth://totp/Ringback:")
    phone = Phone(pyotp.TOTP(begun.data["secret"]), clock, [])
    confirmed = client.post("/me/twofactor/confirm", {"code": phone.code()})
    assert confirmed.status == 200
    phone.recovery_codes = confirmed.data["recovery_codes"]
    clock.advance(30)
    return phone


def nonce(api: Api, name: str = "ann") -> str:
    answer = login(api, name)
    assert answer.status == 202
    assert answer.json.keys() == {"message", "nonce"}
    assert "two-factor" in answer.json["message"]
    text: str = answer.json["nonce"]
    return text


def second(api: Api, nonce_: str, code: str) -> Answer:
    return visitor(api).post("/login2fa", {"nonce": nonce_, "code": code, "remember_me": False})


def refused(answer: Answer) -> bool:
    return answer.status == 400 and answer.json["errors"][0]["code"] == "AU1003" and answer.fields == ["code"]


# -- the app ----------------------------------------------------------------------------------------------------------


def test_a_login_with_an_app_takes_two_steps(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    assert mailing.admin.get(f"/users/{mailing.ann.user_id}").data["two_factor_auth"] == 2
    answer = second(mailing, nonce(mailing), phone.code())
    assert answer.status == 200
    assert answer.json.keys() == {"message", "user_token", "user_id"}
    assert visitor(mailing, answer.json["user_token"]).get("/sessions").status == 200
    actions = [entry["action"] for entry in mailing.admin.listed("/auditlog")]
    assert actions == ["login", "two_factor_on"]


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_a_step(mailing: Api, clock: TestClock, steps: int, right: bool) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    clock.advance(300)
    assert (second(mailing, nonce(mailing), phone.code(steps)).status == 200) is right


def test_a_code_opens_once(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    code = phone.code()
    assert second(mailing, nonce(mailing), code).status == 200
    assert refused(second(mailing, nonce(mailing), code))
    assert refused(second(mailing, nonce(mailing), phone.code(-1)))
    clock.advance(30)
    assert second(mailing, nonce(mailing), phone.code()).status == 200


def test_the_code_of_the_enrolment_does_not_open(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    assert refused(second(mailing, nonce(mailing), phone.code(-1)))


def test_a_code_sent_many_times_at_once_opens_once(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    nonces = [nonce(mailing) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda each: second(mailing, each, phone.code()), nonces))
    assert [answer.status for answer in answers].count(200) == 1


def test_a_nonce_opens_once(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    used = nonce(mailing)
    with ThreadPoolExecutor(4) as pool:
        codes = [phone.code(), *phone.recovery_codes[:3]]
        answers = list(pool.map(lambda code: second(mailing, used, code), codes))
    assert [answer.status for answer in answers].count(200) == 1


def test_a_nonce_bears_five_tries_and_ten_minutes(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    tried = nonce(mailing)
    for _ in range(5):
        assert refused(second(mailing, tried, "000000"))
    assert refused(second(mailing, tried, phone.code()))
    old = nonce(mailing)
    clock.advance(600)
    assert refused(second(mailing, old, phone.code()))
    assert refused(second(mailing, "0" * 40, phone.code()))


def test_guessing_the_second_factor_is_throttled_whatever_the_nonce(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    for _ in range(2):
        tried = nonce(mailing)
        for _ in range(5):
            second(mailing, tried, "000000")
    answer = second(mailing, nonce(mailing), phone.code())
    assert refused(answer)
    assert answer.headers["retry-after"] == "30"
    clock.advance(30)
    assert second(mailing, nonce(mailing), phone.code()).status == 200


def test_recovery_codes_open_once_each_and_are_kept_as_hashes(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    assert len(set(phone.recovery_codes)) == 10
    first, *_, last = phone.recovery_codes
    assert second(mailing, nonce(mailing), first).status == 200
    assert refused(second(mailing, nonce(mailing), first))
    assert second(mailing, nonce(mailing), f" {last.upper().replace('-', ' ')}").status == 200
    kept = mailing.write(lambda db: db.all("SELECT hash FROM recovery_codes"))
    assert len(kept) == 8
    assert not {row[0] for row in kept} & set(phone.recovery_codes)
    assert refused(second(mailing, nonce(mailing, "ann"), "é" * 6))


def test_somebody_elses_codes_do_not_open(mailing: Api, clock: TestClock) -> None:
    enrol(mailing, mailing.ann, clock)
    bobs = enrol(mailing, mailing.bob, clock)
    assert refused(second(mailing, nonce(mailing, "ann"), bobs.code()))
    assert refused(second(mailing, nonce(mailing, "ann"), bobs.recovery_codes[0]))


def test_an_account_closed_between_the_steps_stays_closed(mailing: Api, clock: TestClock) -> None:
    phone = enrol(mailing, mailing.ann, clock)
    begun = nonce(mailing)
    mailing.write(lambda db: rows.update(db, schema.users, mailing.acme, mailing.ann.user_id, {"active": 0}))
    assert refused(second(mailing, begun, phone.code()))


# -- codes by mail ----------------------------------------------------------------------------------------------------


def enrol_by_mail(api: Api, mails: Mailbox) -> None:
    begun = api.ann.post("/me/twofactor", {"method": "email"})
    assert begun.json["data"] == {"method": "email", "secret": None, "uri": None}
    api.run_jobs()
    assert api.ann.post("/me/twofactor/confirm", {"code": mails.found(r"\b\d{6}\b")}).status == 200


def test_a_login_with_a_code_by_mail(mailing: Api, mails: Mailbox) -> None:
    enrol_by_mail(mailing, mails)
    assert mailing.ann.get(f"/users/{mailing.ann.user_id}").data["two_factor_auth"] == 1
    begun = nonce(mailing)
    mailing.run_jobs()
    assert mails.mails[-1]["To"] == "ann@customer1.example"
    assert mails.mails[-1]["From"] == "Ringback <ringback@pbx.example>"
    code = mails.found(r"\b\d{6}\b")
    assert refused(second(mailing, nonce(mailing), code))  # the code of one nonce is not that of another
    assert second(mailing, begun, code).status == 200
    assert refused(second(mailing, begun, code))


def test_no_code_stands_in_the_database(mailing: Api, mails: Mailbox) -> None:
    enrol_by_mail(mailing, mails)
    nonce(mailing)
    assert "code" not in mailing.write(lambda db: db.all("SELECT args FROM jobs"))[0][0]
    mailing.run_jobs()
    code = mails.found(r"\b\d{6}\b")
    assert code not in str(mailing.write(lambda db: db.all("SELECT hash, secret FROM challenges")))


def test_before_its_mail_is_sent_no_code_opens(mailing: Api, mails: Mailbox) -> None:
    enrol_by_mail(mailing, mails)
    begun = nonce(mailing)
    assert refused(second(mailing, begun, ""))
    assert refused(second(mailing, begun, "000000"))


def test_a_mail_that_fails_is_sent_later(mailing: Api, mails: Mailbox, clock: TestClock) -> None:
    enrol_by_mail(mailing, mails)
    sent = len(mails.mails)
    mails.refuses = True
    begun = nonce(mailing)
    mailing.run_jobs()
    assert len(mails.mails) == sent
    mails.refuses = False
    clock.advance(10)
    mailing.run_jobs()
    assert second(mailing, begun, mails.found(r"\b\d{6}\b")).status == 200


def test_mailed_codes_are_rationed(mailing: Api, mails: Mailbox) -> None:
    enrol_by_mail(mailing, mails)
    answers = [login(mailing, "ann") for _ in range(21)]
    assert [answer.status for answer in answers].count(202) == 19
    assert "retry-after" in answers[-1].headers


def test_without_smtp_codes_by_mail_are_refused(api: Api) -> None:
    answer = api.ann.post("/me/twofactor", {"method": "email"})
    assert (answer.status, answer.fields) == (400, ["method"])
    assert "mail" in answer.json["message"]


# -- turning it on and off --------------------------------------------------------------------------------------------


def test_nothing_is_on_before_the_first_right_code(mailing: Api, clock: TestClock) -> None:
    begun = mailing.ann.post("/me/twofactor", {"method": "app"})
    assert login(mailing, "ann").status == 200
    for _ in range(5):
        wrong = mailing.ann.post("/me/twofactor/confirm", {"code": "000000"})
        assert (wrong.status, wrong.fields) == (400, ["code"])
    totp = pyotp.TOTP(begun.data["secret"])
    assert mailing.ann.post("/me/twofactor/confirm", {"code": totp.at(clock.now)}).status == 400
    assert login(mailing, "ann").status == 200
    assert mailing.bob.post("/me/twofactor/confirm", {"code": totp.at(clock.now)}).status == 400


def test_what_is_on_cannot_be_replaced_without_the_password(mailing: Api, clock: TestClock) -> None:
    enrol(mailing, mailing.ann, clock)
    again = mailing.ann.post("/me/twofactor", {"method": "app"})
    assert (again.status, again.fields) == (400, ["method"])


def test_turning_off_needs_the_password(mailing: Api, clock: TestClock) -> None:
    enrol(mailing, mailing.ann, clock)
    wrong = mailing.ann.call("DELETE", "/me/twofactor", {"password": "wrong password"})
    assert (wrong.status, wrong.fields) == (400, ["password"])
    assert mailing.ann.call("DELETE", "/me/twofactor").fields == ["password"]
    assert mailing.ann.call("DELETE", "/me/twofactor", {"password": PASSWORD}).status == 204
    assert login(mailing, "ann").status == 200
    assert mailing.write(lambda db: db.all("SELECT hash FROM recovery_codes")) == []
    assert "two_factor_off" in [entry["action"] for entry in mailing.admin.listed("/auditlog")]


def test_an_administrator_turns_it_off_for_who_has_lost_the_phone(mailing: Api, clock: TestClock) -> None:
    enrol(mailing, mailing.ann, clock)
    path = f"/users/{mailing.ann.user_id}"
    for refused_value in (1, 3, None):
        assert mailing.admin.patch(path, {"two_factor_auth": refused_value}).fields == ["two_factor_auth"]
    assert mailing.admin.patch(path, mailing.admin.get(path).data).data["two_factor_auth"] == 2
    assert mailing.bob.patch(path, {"two_factor_auth": 0}).status == 403
    assert mailing.stranger.patch(path, {"two_factor_auth": 0}).status == 404
    assert mailing.admin.patch(path, {"two_factor_auth": 0}).data["two_factor_auth"] == 0
    assert login(mailing, "ann").status == 200
    assert mailing.write(lambda db: db.all("SELECT hash FROM recovery_codes")) == []
    (entry,) = [entry for entry in mailing.admin.listed("/auditlog") if entry["action"] == "two_factor_off"]
    assert (entry["user_id"], entry["object_id"]) == (mailing.admin.user_id, mailing.ann.user_id)


def test_only_the_root_user_turns_off_its_own(mailing: Api, clock: TestClock) -> None:
    enrol(mailing, mailing.admin, clock)
    path = f"/users/{mailing.admin.user_id}"
    assert mailing.admin.patch(f"/users/{mailing.bob.user_id}", {"roles": ["administrator"]}).status == 200
    assert mailing.bob.patch(path, {"two_factor_auth": 0}).status == 403
    assert mailing.bob.patch(path, {"two_factor_auth": 2}).status == 200
    assert mailing.admin.patch(path, {"two_factor_auth": 0}).data["two_factor_auth"] == 0


def test_a_new_user_has_none(mailing: Api) -> None:
    person = {"email": "carl@mailing.example", "first_name": "Carl", "last_name": "Jung", "ext": "150"}
    assert mailing.admin.post("/users", {**person, "two_factor_auth": 2}).fields == ["two_factor_auth"]
    assert mailing.admin.post("/users", {**person, "two_factor_auth": 0}).status == 201


def test_guessing_the_password_with_a_found_token_is_throttled(mailing: Api, clock: TestClock) -> None:
    enrol(mailing, mailing.ann, clock)
    for _ in range(5):
        mailing.ann.call("DELETE", "/me/twofactor", {"password": "wrong password"})
    blocked = mailing.ann.call("DELETE", "/me/twofactor", {"password": PASSWORD})
    assert (blocked.status, blocked.headers["retry-after"]) == (400, "30")


def test_a_policy_can_lock_it(mailing: Api) -> None:
    def lock(db: Db) -> None:
        (team,) = rows.insert(db, schema.usergroups, mailing.acme, [{"name": "T", "color": "#808080"}])
        policy = {"name": "P", "color": "#808080", "policies": json.dumps(["settings_locked"])}
        (policy_id,) = rows.insert(db, schema.usergrouppolicies, mailing.acme, [policy])
        rows.insert(db, schema.usergroup_users, mailing.acme, [{"usergroup_id": team, "user_id": mailing.ann.user_id}])
        link = {"usergrouppolicy_id": policy_id, "usergroup_id": team}
        rows.insert(db, schema.usergrouppolicy_usergroups, mailing.acme, [link])

    mailing.write(lock)
    assert mailing.ann.post("/me/twofactor", {"method": "app"}).status == 403
    assert mailing.ann.post("/me/twofactor/confirm", {"code": "1"}).status == 403
    assert mailing.ann.call("DELETE", "/me/twofactor", {"password": PASSWORD}).status == 403
    assert mailing.bob.post("/me/twofactor", {"method": "app"}).status == 201
    assert visitor(mailing).post("/me/twofactor", {"method": "app"}).status == 401
    assert mailing.bob.post("/me/twofactor", {"method": "sms"}).fields == ["method"]
