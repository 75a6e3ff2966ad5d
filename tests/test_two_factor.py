"""Two-factor login: enrolment, app codes, mailed codes, recovery codes, and what an attacker meets."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyotp
import pytest

from ringback.store import rows, schema
from ringback.store.database import Db
from tests.api import Answer, Api, Client
from tests.clock import TestClock
from tests.people import PASSWORD, give_password, login, visitor
from tests.smtp import Mailbox, mailbox


@pytest.fixture
def mails() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture
def acme(start: Callable[..., Api], mails: Mailbox) -> Api:
    api = start(smtp_url=mails.url, mail_from="Ringback <ringback@pbx.example>")
    give_password(api, api.ann, api.bob)
    return api


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


def test_a_login_with_an_app_takes_two_steps(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    assert acme.admin.get(f"/users/{acme.ann.user_id}").data["two_factor_auth"] == 2
    answer = second(acme, nonce(acme), phone.code())
    assert answer.status == 200
    assert answer.json.keys() == {"message", "user_token", "user_id"}
    assert visitor(acme, answer.json["user_token"]).get("/sessions").status == 200
    actions = [entry["action"] for entry in acme.admin.listed("/auditlog")]
    assert actions == ["login", "two_factor_on"]


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_a_step(acme: Api, clock: TestClock, steps: int, right: bool) -> None:
    phone = enrol(acme, acme.ann, clock)
    clock.advance(300)
    assert (second(acme, nonce(acme), phone.code(steps)).status == 200) is right


def test_a_code_opens_once(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    code = phone.code()
    assert second(acme, nonce(acme), code).status == 200
    assert refused(second(acme, nonce(acme), code))
    assert refused(second(acme, nonce(acme), phone.code(-1)))
    clock.advance(30)
    assert second(acme, nonce(acme), phone.code()).status == 200


def test_the_code_of_the_enrolment_does_not_open(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    assert refused(second(acme, nonce(acme), phone.code(-1)))


def test_a_code_sent_many_times_at_once_opens_once(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    nonces = [nonce(acme) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda each: second(acme, each, phone.code()), nonces))
    assert [answer.status for answer in answers].count(200) == 1


def test_a_nonce_opens_once(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    used = nonce(acme)
    with ThreadPoolExecutor(4) as pool:
        codes = [phone.code(), *phone.recovery_codes[:3]]
        answers = list(pool.map(lambda code: second(acme, used, code), codes))
    assert [answer.status for answer in answers].count(200) == 1


def test_a_nonce_bears_five_tries_and_ten_minutes(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    tried = nonce(acme)
    for _ in range(5):
        assert refused(second(acme, tried, "000000"))
    assert refused(second(acme, tried, phone.code()))
    old = nonce(acme)
    clock.advance(600)
    assert refused(second(acme, old, phone.code()))
    assert refused(second(acme, "0" * 40, phone.code()))


def test_guessing_the_second_factor_is_throttled_whatever_the_nonce(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    for _ in range(2):
        tried = nonce(acme)
        for _ in range(5):
            second(acme, tried, "000000")
    answer = second(acme, nonce(acme), phone.code())
    assert refused(answer)
    assert answer.headers["retry-after"] == "30"
    clock.advance(30)
    assert second(acme, nonce(acme), phone.code()).status == 200


def test_recovery_codes_open_once_each_and_are_kept_as_hashes(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    assert len(set(phone.recovery_codes)) == 10
    first, *_, last = phone.recovery_codes
    assert second(acme, nonce(acme), first).status == 200
    assert refused(second(acme, nonce(acme), first))
    assert second(acme, nonce(acme), f" {last.upper().replace('-', ' ')}").status == 200
    kept = acme.write(lambda db: db.all("SELECT hash FROM recovery_codes"))
    assert len(kept) == 8
    assert not {row[0] for row in kept} & set(phone.recovery_codes)
    assert refused(second(acme, nonce(acme, "ann"), "é" * 6))


def test_somebody_elses_codes_do_not_open(acme: Api, clock: TestClock) -> None:
    enrol(acme, acme.ann, clock)
    bobs = enrol(acme, acme.bob, clock)
    assert refused(second(acme, nonce(acme, "ann"), bobs.code()))
    assert refused(second(acme, nonce(acme, "ann"), bobs.recovery_codes[0]))


def test_an_account_closed_between_the_steps_stays_closed(acme: Api, clock: TestClock) -> None:
    phone = enrol(acme, acme.ann, clock)
    begun = nonce(acme)
    acme.write(lambda db: rows.update(db, schema.users, acme.acme, acme.ann.user_id, {"active": 0}))
    assert refused(second(acme, begun, phone.code()))


# -- codes by mail ----------------------------------------------------------------------------------------------------


def enrol_by_mail(api: Api, mails: Mailbox) -> None:
    begun = api.ann.post("/me/twofactor", {"method": "email"})
    assert begun.json["data"] == {"method": "email", "secret": None, "uri": None}
    api.run_jobs()
    assert api.ann.post("/me/twofactor/confirm", {"code": mails.found(r"\b\d{6}\b")}).status == 200


def test_a_login_with_a_code_by_mail(acme: Api, mails: Mailbox) -> None:
    enrol_by_mail(acme, mails)
    assert acme.ann.get(f"/users/{acme.ann.user_id}").data["two_factor_auth"] == 1
    begun = nonce(acme)
    acme.run_jobs()
    assert mails.mails[-1]["To"] == "ann@customer1.example"
    assert mails.mails[-1]["From"] == "Ringback <ringback@pbx.example>"
    code = mails.found(r"\b\d{6}\b")
    assert refused(second(acme, nonce(acme), code))  # the code of one nonce is not that of another
    assert second(acme, begun, code).status == 200
    assert refused(second(acme, begun, code))


def test_no_code_stands_in_the_database(acme: Api, mails: Mailbox) -> None:
    enrol_by_mail(acme, mails)
    nonce(acme)
    assert "code" not in acme.write(lambda db: db.all("SELECT args FROM jobs"))[0][0]
    acme.run_jobs()
    code = mails.found(r"\b\d{6}\b")
    assert code not in str(acme.write(lambda db: db.all("SELECT hash, secret FROM challenges")))


def test_before_its_mail_is_sent_no_code_opens(acme: Api, mails: Mailbox) -> None:
    enrol_by_mail(acme, mails)
    begun = nonce(acme)
    assert refused(second(acme, begun, ""))
    assert refused(second(acme, begun, "000000"))


def test_a_mail_that_fails_is_sent_later(acme: Api, mails: Mailbox, clock: TestClock) -> None:
    enrol_by_mail(acme, mails)
    sent = len(mails.mails)
    mails.refuses = True
    begun = nonce(acme)
    acme.run_jobs()
    assert len(mails.mails) == sent
    mails.refuses = False
    clock.advance(10)
    acme.run_jobs()
    assert second(acme, begun, mails.found(r"\b\d{6}\b")).status == 200


def test_mailed_codes_are_rationed(acme: Api, mails: Mailbox) -> None:
    enrol_by_mail(acme, mails)
    answers = [login(acme, "ann") for _ in range(21)]
    assert [answer.status for answer in answers].count(202) == 19
    assert "retry-after" in answers[-1].headers


def test_without_smtp_codes_by_mail_are_refused(api: Api) -> None:
    answer = api.ann.post("/me/twofactor", {"method": "email"})
    assert (answer.status, answer.fields) == (400, ["method"])
    assert "mail" in answer.json["message"]


# -- turning it on and off --------------------------------------------------------------------------------------------


def test_nothing_is_on_before_the_first_right_code(acme: Api, clock: TestClock) -> None:
    begun = acme.ann.post("/me/twofactor", {"method": "app"})
    assert login(acme, "ann").status == 200
    for _ in range(5):
        wrong = acme.ann.post("/me/twofactor/confirm", {"code": "000000"})
        assert (wrong.status, wrong.fields) == (400, ["code"])
    totp = pyotp.TOTP(begun.data["secret"])
    assert acme.ann.post("/me/twofactor/confirm", {"code": totp.at(clock.now)}).status == 400
    assert login(acme, "ann").status == 200
    assert acme.bob.post("/me/twofactor/confirm", {"code": totp.at(clock.now)}).status == 400


def test_what_is_on_cannot_be_replaced_without_the_password(acme: Api, clock: TestClock) -> None:
    enrol(acme, acme.ann, clock)
    again = acme.ann.post("/me/twofactor", {"method": "app"})
    assert (again.status, again.fields) == (400, ["method"])


def test_turning_off_needs_the_password(acme: Api, clock: TestClock) -> None:
    enrol(acme, acme.ann, clock)
    wrong = acme.ann.call("DELETE", "/me/twofactor", {"password": "wrong password"})
    assert (wrong.status, wrong.fields) == (400, ["password"])
    assert acme.ann.call("DELETE", "/me/twofactor").fields == ["password"]
    assert acme.ann.call("DELETE", "/me/twofactor", {"password": PASSWORD}).status == 204
    assert login(acme, "ann").status == 200
    assert acme.write(lambda db: db.all("SELECT hash FROM recovery_codes")) == []
    assert "two_factor_off" in [entry["action"] for entry in acme.admin.listed("/auditlog")]


def test_an_administrator_turns_it_off_for_who_has_lost_the_phone(acme: Api, clock: TestClock) -> None:
    enrol(acme, acme.ann, clock)
    path = f"/users/{acme.ann.user_id}"
    for refused_value in (1, 3, None):
        assert acme.admin.patch(path, {"two_factor_auth": refused_value}).fields == ["two_factor_auth"]
    assert acme.admin.patch(path, acme.admin.get(path).data).data["two_factor_auth"] == 2
    assert acme.bob.patch(path, {"two_factor_auth": 0}).status == 403
    assert acme.stranger.patch(path, {"two_factor_auth": 0}).status == 404
    assert acme.admin.patch(path, {"two_factor_auth": 0}).data["two_factor_auth"] == 0
    assert login(acme, "ann").status == 200
    assert acme.write(lambda db: db.all("SELECT hash FROM recovery_codes")) == []
    (entry,) = [entry for entry in acme.admin.listed("/auditlog") if entry["action"] == "two_factor_off"]
    assert (entry["user_id"], entry["object_id"]) == (acme.admin.user_id, acme.ann.user_id)


def test_only_the_root_user_turns_off_its_own(acme: Api, clock: TestClock) -> None:
    enrol(acme, acme.admin, clock)
    path = f"/users/{acme.admin.user_id}"
    assert acme.admin.patch(f"/users/{acme.bob.user_id}", {"roles": ["administrator"]}).status == 200
    assert acme.bob.patch(path, {"two_factor_auth": 0}).status == 403
    assert acme.bob.patch(path, {"two_factor_auth": 2}).status == 200
    assert acme.admin.patch(path, {"two_factor_auth": 0}).data["two_factor_auth"] == 0


def test_a_new_user_has_none(acme: Api) -> None:
    person = {"email": "carl@acme.example", "first_name": "Carl", "last_name": "Jung", "ext": "150"}
    assert acme.admin.post("/users", {**person, "two_factor_auth": 2}).fields == ["two_factor_auth"]
    assert acme.admin.post("/users", {**person, "two_factor_auth": 0}).status == 201


def test_guessing_the_password_with_a_found_token_is_throttled(acme: Api, clock: TestClock) -> None:
    enrol(acme, acme.ann, clock)
    for _ in range(5):
        acme.ann.call("DELETE", "/me/twofactor", {"password": "wrong password"})
    blocked = acme.ann.call("DELETE", "/me/twofactor", {"password": PASSWORD})
    assert (blocked.status, blocked.headers["retry-after"]) == (400, "30")


def test_a_policy_can_lock_it(acme: Api) -> None:
    def lock(db: Db) -> None:
        (team,) = rows.insert(db, schema.usergroups, acme.acme, [{"name": "T", "color": "#808080"}])
        policy = {"name": "P", "color": "#808080", "policies": json.dumps(["settings_locked"])}
        (policy_id,) = rows.insert(db, schema.usergrouppolicies, acme.acme, [policy])
        rows.insert(db, schema.usergroup_users, acme.acme, [{"usergroup_id": team, "user_id": acme.ann.user_id}])
        link = {"usergrouppolicy_id": policy_id, "usergroup_id": team}
        rows.insert(db, schema.usergrouppolicy_usergroups, acme.acme, [link])

    acme.write(lock)
    assert acme.ann.post("/me/twofactor", {"method": "app"}).status == 403
    assert acme.ann.post("/me/twofactor/confirm", {"code": "1"}).status == 403
    assert acme.ann.call("DELETE", "/me/twofactor", {"password": PASSWORD}).status == 403
    assert acme.bob.post("/me/twofactor", {"method": "app"}).status == 201
    assert visitor(acme).post("/me/twofactor", {"method": "app"}).status == 401
    assert acme.bob.post("/me/twofactor", {"method": "sms"}).fields == ["method"]
