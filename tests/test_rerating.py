"""A period is rated anew: differences are booked once, whatever stops the work in between."""

import subprocess
import sys
import time
from typing import Any

import pytest

from ringback.calls.rating import Rate, parsed_price
from ringback.jobs import queue, rerate
from ringback.jobs.queue import LEASE_S
from ringback.settings import Settings
from ringback.store import rerating
from ringback.store.database import Db, value
from tests.api import Api
from tests.process import COMMAND, environment, ringback
from tests.test_billing import MOBILE, UK, assert_account_is_exact, balance, billed, lines, unrated, with_deck
from tests.test_cdrs import add, call

START = 1_000_000_000  # 2001-09-09 01:46:40
PERIOD = {"from": "2001-09-09", "to": "2001-09-10"}
DEARER = MOBILE._replace(price_micro=parsed_price("0.2"), minimum_s=0, increment_s=1)


def rerated(api: Api, **period: str) -> dict[str, Any]:
    """Asks for it, lets it run, and returns what the audit log says of it."""
    answer = api.admin.post("/rates/rerate", period or PERIOD)
    assert answer.status == 202, answer.body
    api.run_jobs()
    (told,) = api.admin.listed("/auditlog", ("object_id", "eq", answer.data["id"]), ("action", "eq", "rerate"))
    details: dict[str, Any] = told["details"]
    return details


def charges(api: Api) -> list[Any]:
    return [row["charge"] for row in api.admin.listed("/cdrs", sort="calldate", limit=10_000)]


def test_the_difference_of_each_changed_call_is_a_line(api: Api) -> None:
    with_deck(api)
    cdr_id, landline = billed(api, unrated(START), unrated(START + 60, dst="442079460000"))
    with_deck(api, DEARER)
    assert rerated(api) == {
        "from": "2001-09-09 00:00:00",
        "to": "2001-09-10 00:00:00",
        "calls": 2,
        "changed": 1,
        "difference": -0.2067,
    }
    cdr = api.admin.get(f"/cdrs/{cdr_id}").data
    assert (cdr["rate"], cdr["charge"]) == (0.2, 0.4167)  # 125 s
    assert [(each["description"], each["amount"], each["cdr_id"]) for each in lines(api.admin)] == [
        ("Call to 447700900123 (United Kingdom, mobile), 2:05", -0.21, cdr_id),
        ("Call to 442079460000 (United Kingdom), 2:05", -0.036, landline),
        ("Re-rated: Call to 447700900123 (United Kingdom, mobile), 2:05", -0.2067, cdr_id),
    ]
    assert_account_is_exact(api.admin)


def test_a_second_time_changes_nothing(api: Api) -> None:
    with_deck(api)
    billed(api, unrated(START))
    with_deck(api, DEARER)
    rerated(api)
    before = lines(api.admin)
    again = rerated(api)
    assert (again["calls"], again["changed"], again["difference"]) == (1, 0, 0)
    assert lines(api.admin) == before


def test_what_became_cheaper_is_given_back(api: Api) -> None:
    with_deck(api)
    billed(api, unrated(START))
    with_deck(api, MOBILE._replace(price_micro=0))
    assert rerated(api)["difference"] == 0.21
    assert balance(api.admin) == 0
    assert_account_is_exact(api.admin)


def test_calls_from_before_the_deck_are_rated_for_the_first_time(api: Api) -> None:
    (cdr_id,) = billed(api, unrated(START))
    with_deck(api)
    assert rerated(api)["difference"] == -0.21
    cdr = api.admin.get(f"/cdrs/{cdr_id}").data
    assert (cdr["rate"], cdr["charge"], cdr["dst_name"]) == (0.1, 0.21, "United Kingdom, mobile")


def test_only_the_period_and_only_calls_with_a_rate_are_touched(api: Api) -> None:
    with_deck(api)
    add(
        api,
        unrated(START - 7_000),
        unrated(START, dst="12025550123"),
        unrated(START, type="I"),
        unrated(START, dst_id="100002", context="USER_LOCAL"),
        call(START, dst="12025550123"),
        unrated(START + 86_400),
    )
    add(api, unrated(START), customer=api.other)
    assert rerated(api)["changed"] == 0
    assert charges(api) == [None, None, None, None, 0.015, None]
    assert lines(api.admin) == lines(api.stranger) == []


def test_the_bounds_are_from_and_before(api: Api) -> None:
    with_deck(api)
    add(api, unrated(START), unrated(START + 60))
    assert rerated(api, **{"from": "2001-09-09 01:46:40", "to": "2001-09-09 01:47:40"})["calls"] == 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["from", "to"]),
        ({"from": "2001-02-30", "to": "never"}, ["from", "to"]),
        ({"from": "2001-09-09", "to": "2001-09-09"}, ["to"]),
        ({"from": 1, "to": None}, ["from", "to"]),
    ],
)
def test_a_period_that_is_none_is_refused(api: Api, body: dict[str, Any], fields: list[str]) -> None:
    answer = api.admin.post("/rates/rerate", body)
    assert (answer.status, answer.fields) == (400, fields)


def test_only_administrators_re_rate(api: Api) -> None:
    assert api.ann.post("/rates/rerate", PERIOD).status == 403
    assert api.reception.post("/rates/rerate", PERIOD).status == 403


def test_many_calls_go_in_steps_in_their_order(api: Api) -> None:
    with_deck(api)
    n = 2 * rerating.STEP + 10
    add(api, *(unrated(START + n % 97, billsec=60) for n in range(n)))
    assert rerated(api) == {
        "from": "2001-09-09 00:00:00",
        "to": "2001-09-10 00:00:00",
        "calls": n,
        "changed": n,
        "difference": round(-0.1 * n, 4),
    }
    assert charges(api) == [0.1] * n
    assert_account_is_exact(api.admin)


def test_two_workers_with_one_job_do_each_step_once(api: Api) -> None:
    with_deck(api)
    add(api, *(unrated(START + n) for n in range(2 * rerating.STEP)))
    job = api.write(lambda db: asked(db, api))
    first, second = rerate.steps(api.services, job), rerate.steps(api.services, job)
    seen = [next(first).calls, next(second).calls, next(first).calls]
    assert seen == [rerating.STEP, 2 * rerating.STEP, 2 * rerating.STEP]
    assert list(second) == []
    assert_account_is_exact(api.admin)
    assert len(lines(api.admin)) == 2 * rerating.STEP


def asked(db: Db, api: Api) -> queue.Job:
    return rerate.enqueue(db, api.acme, START - 10**6, START + 10**6, {}, now=api.services.clock())


# -- the command line ------------------------------------------------------------------------------------------------

ARGUMENTS = ("rerate", "--from", "2001-09-09", "--to", "2001-09-10", "--customer")


def test_the_command_tells_what_it_did(api: Api, settings: Settings) -> None:
    with_deck(api)
    add(api, unrated(START), unrated(START, dst="101"))
    done = ringback(settings, *ARGUMENTS, str(api.acme))
    assert (done.returncode, done.stdout) == (0, "2 calls: 1 changed, difference -0.2100\n"), done.stderr
    (told,) = api.admin.listed("/auditlog", ("action", "eq", "rerate"))
    assert (told["user_name"], told["details"]["changed"]) == ("command line", 1)
    assert ringback(settings, *ARGUMENTS, str(api.acme)).stdout == "2 calls: 0 changed, difference 0.0000\n"


@pytest.mark.parametrize(("first", "before"), [("2001-09-09", "2001-09-09"), ("yesterday", "2001-09-09")])
def test_the_command_refuses_what_is_no_period(api: Api, settings: Settings, first: str, before: str) -> None:
    refused = ringback(settings, "rerate", "--from", first, "--to", before, "--customer", str(api.acme))
    assert refused.returncode == 2
    assert "--" in refused.stderr


def test_a_payment_is_entered_by_command(api: Api, settings: Settings) -> None:
    arguments = ("customer", "credit", "--description", "Bank transfer")
    assert ringback(settings, *arguments, str(api.acme), "12.5").stdout == "balance  12.5000\n"
    assert ringback(settings, *arguments, str(api.acme), "--", "-0.0001").stdout == "balance  12.4999\n"
    assert [(each["description"], each["balance"]) for each in lines(api.admin)] == [
        ("Bank transfer", 12.5),
        ("Bank transfer", 12.4999),
    ]
    assert balance(api.stranger) is None
    told = api.admin.listed("/auditlog", ("action", "eq", "credit"), sort="id")
    assert [each["details"] for each in told] == [
        {"amount": 12.5, "description": "Bank transfer"},
        {"amount": -0.0001, "description": "Bank transfer"},
    ]


@pytest.mark.parametrize("amount", ["0", "0.00", "x", "1.00001", "1e3", "", "9999999999", "٣"])
def test_what_is_no_amount_is_refused(api: Api, settings: Settings, amount: str) -> None:
    refused = ringback(settings, "customer", "credit", "--description", "x", str(api.acme), amount)
    assert refused.returncode == 2
    assert balance(api.admin) is None


def test_killed_again_and_again_every_call_is_re_rated_once(api: Api, settings: Settings) -> None:
    """By the command, killed three times on its way; the jobs that it left are finished by a worker, and once more."""
    n = 6 * rerating.STEP
    for customer in (api.acme, api.other):
        with_deck(api, UK, MOBILE, customer=customer)
        billed(api, *(unrated(START + k, billsec=k % 300) for k in range(n)), customer=customer)
        with_deck(api, DEARER, Rate("44", "UK", 0), customer=customer)
    command = [*COMMAND, *ARGUMENTS, str(api.acme)]
    for enough in (500, 2_500, 4_500):
        process = subprocess.Popen(command, env=environment(settings), stdout=subprocess.DEVNULL, stderr=sys.stderr)
        while process.poll() is None and booked(api) < enough:
            pass
        process.kill()
        process.wait()
    later = int(time.time()) + 2 * LEASE_S - api.services.clock()
    api.services.clock.advance(max(later, 0))  # type: ignore[attr-defined]
    api.run_jobs()
    undisturbed = ringback(settings, *ARGUMENTS, str(api.other))
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert accounts(api, api.acme) == accounts(api, api.other)
    found, total = accounts(api, api.acme)
    assert total == sum(amount for _, amount, *_ in found) == -charged(api)


def booked(api: Api) -> int:
    sql = "SELECT count(*) FROM statements WHERE customer_id = :customer AND description LIKE 'Re-rated%'"
    return int(api.services.database.read(lambda db: value(db, sql, {"customer": api.acme})))


def accounts(api: Api, customer: int) -> Any:
    """Every line with its call and that call's charge, and the balance."""
    sql = """
        SELECT s.description, s.amount, c.calldate, c.rate, c.charge
        FROM statements s JOIN cdrs c ON c.customer_id = s.customer_id AND c.id = s.cdr_id
        WHERE s.customer_id = :customer ORDER BY c.calldate, s.id
    """
    total = "SELECT balance FROM customers WHERE id = :customer"
    bound = {"customer": customer}
    return api.services.database.read(lambda db: (db.all(sql, bound), value(db, total, bound)))


def charged(api: Api) -> int:
    sql = "SELECT sum(charge) FROM cdrs WHERE customer_id = :customer"
    return int(api.services.database.read(lambda db: value(db, sql, {"customer": api.acme})))
