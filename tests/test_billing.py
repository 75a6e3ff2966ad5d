"""What calls cost and the account: rates, charges, statement lines, and a balance that is exact whoever writes."""

import random
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ringback.calls.rating import Deck, Rate, parsed_price
from ringback.store import billing, rates, rows, schema
from ringback.store.database import Db
from tests.api import Api, Client
from tests.child import importing, killed_and_repeated
from tests.importers.master_csv import inbound, line, run, written
from tests.policies import team
from tests.test_cdrs import call
from tests.test_ingest import CALL, program, told

UK = Rate("44", "United Kingdom", parsed_price("0.012"), 60, 60)
MOBILE = Rate("447", "United Kingdom, mobile", parsed_price("0.1"), 30, 6)
DECK = Deck([UK, MOBILE])


def with_deck(api: Api, *deck: Rate, customer: int | None = None) -> None:
    api.write(lambda db: rates.put(db, customer or api.acme, deck or (UK, MOBILE)))


def unrated(at: int, dst: str = "447700900123", **changes: Any) -> dict[str, Any]:
    """An answered call that brings no price."""
    return call(at, **{"rate": None, "charge": None, "dst": dst, "dst_name": None, "billsec": 125, **changes})


def billed(api: Api, *cdrs: dict[str, Any], customer: int | None = None) -> list[int]:
    whose = customer or api.acme
    now = api.services.clock()
    ids: list[int] = api.write(lambda db: billing.insert(db, whose, cdrs, rates.deck(db, whose), now))
    return ids


def lines(client: Client) -> list[dict[str, Any]]:
    """The account from its first line."""
    return client.listed("/statements", limit=10_000)[::-1]


def balance(client: Client) -> Any:
    return client.get("/me").data["balance"]


def assert_account_is_exact(client: Client) -> None:
    """Each line's balance is that of the line before and its amount; the last one is the customer's."""
    found = lines(client)
    sums = [round(sum(each["amount"] for each in found[: n + 1]) * 10_000) for n in range(len(found))]
    assert [round(each["balance"] * 10_000) for each in found] == sums
    assert round(balance(client) * 10_000) == (sums or [0])[-1]


# -- one call --------------------------------------------------------------------------------------------------------


def test_an_outbound_call_gets_rate_charge_and_the_name_of_its_destination() -> None:
    rated = billing.rate(DECK, unrated(0))
    assert (rated["rate"], rated["charge"], rated["dst_name"]) == (1_000, 2_100, "United Kingdom, mobile")  # 126 s
    landline = billing.rate(DECK, unrated(0, dst="442079460000"))
    assert (landline["rate"], landline["charge"], landline["dst_name"]) == (120, 360, "United Kingdom")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "I"},
        {"type": "M"},
        {"context": "USER_LOCAL", "dst_id": "100002"},
        {"dst_id": "100002"},
        {"dst_id": "Queue3"},
        {"dst_id": "IVR3"},
        {"context": "VOICEMAIL"},
        {"dst": "101"},
        {"dst": "anonymous"},
        {"dst": "*97"},
        {"dst": None},
        {"billsec": 2**63 - 1},
        {"dst": "12025550123"},
        {"charge": 5},
        {"charge": 0, "rate": 7},
    ],
)
def test_other_calls_stay_as_they_are(changes: dict[str, Any]) -> None:
    given = unrated(0) | changes
    assert billing.rate(DECK, given) is given


def test_a_contact_is_charged_but_keeps_its_name() -> None:
    rated = billing.rate(DECK, unrated(0, dst_id="contact:5", dst_name="Shop"))
    assert (rated["charge"], rated["dst_name"]) == (2_100, "Shop")


def test_an_unanswered_call_costs_nothing_and_makes_no_line(api: Api) -> None:
    with_deck(api)
    (cdr_id,) = billed(api, unrated(1_000_000_000, billsec=0))
    cdr = api.admin.get(f"/cdrs/{cdr_id}").data
    assert (cdr["rate"], cdr["charge"], cdr["dst_name"]) == (0.1, 0, "United Kingdom, mobile")
    assert lines(api.admin) == []
    assert balance(api.admin) == 0


# -- the account -----------------------------------------------------------------------------------------------------


def test_a_charged_call_is_a_line_of_the_statement(api: Api) -> None:
    with_deck(api)
    (cdr_id,) = billed(api, unrated(1_000_000_000))
    (booked,) = lines(api.admin)
    assert booked == {
        "id": booked["id"],
        "created_at": "2001-09-09 01:47:45",
        "description": "Call to 447700900123 (United Kingdom, mobile), 2:05",
        "amount": -0.21,
        "balance": -0.21,
        "cdr_id": cdr_id,
    }
    assert balance(api.admin) == -0.21


def test_calls_are_booked_in_the_order_in_which_they_ended(api: Api) -> None:
    with_deck(api)
    ids = billed(api, *(unrated(1_000_000_000 + at) for at in (500, 0, 900, 100)))
    assert [each["cdr_id"] for each in lines(api.admin)] == [ids[n] for n in (1, 3, 0, 2)]
    assert_account_is_exact(api.admin)


def test_a_call_that_comes_late_is_booked_late(api: Api) -> None:
    with_deck(api)
    billed(api, unrated(1_000_000_000))
    billed(api, unrated(999_000_000))
    billed(api, unrated(1_000_000_100))
    dates = [each["created_at"] for each in lines(api.admin)]
    assert dates == ["2001-09-09 01:47:45", "2001-09-09 01:47:45", "2001-09-09 01:49:25"]
    assert_account_is_exact(api.admin)


def test_a_call_from_the_future_is_booked_now(api: Api) -> None:
    with_deck(api)
    billed(api, unrated(api.services.clock() + 10**8))
    billed(api, unrated(1_000_000_000))
    assert_account_is_exact(api.admin)
    assert len({each["created_at"] for each in lines(api.admin)}) == 1


def test_without_a_deck_nothing_is_touched(api: Api) -> None:
    ids = billed(api, unrated(1_000_000_000), call(1_000_000_100))
    without, with_price = (api.admin.get(f"/cdrs/{cdr_id}").data for cdr_id in ids)
    assert (without["rate"], without["charge"], without["dst_name"]) == (None, None, None)
    assert (with_price["rate"], with_price["charge"]) == (0.015, 0.015)
    assert lines(api.admin) == []
    assert balance(api.admin) is None


def test_a_call_that_brings_its_own_charge_makes_no_line(api: Api) -> None:
    with_deck(api)
    billed(api, call(1_000_000_000, dst="447700900123"))
    assert lines(api.admin) == []
    assert balance(api.admin) == 0


def test_the_deck_and_the_account_of_another_customer_are_left_alone(api: Api) -> None:
    with_deck(api)
    billed(api, unrated(1_000_000_000), customer=api.other)
    assert lines(api.stranger) == lines(api.admin) == []
    with_deck(api, customer=api.other)
    billed(api, unrated(1_000_000_000), customer=api.other)
    assert (balance(api.stranger), balance(api.admin)) == (-0.21, 0)


def test_where_billing_is_disabled_nothing_of_it_shows(api: Api) -> None:
    with_deck(api)
    (cdr_id,) = billed(api, unrated(1_000_000_000, user_id=api.ann.user_id))
    assert api.ann.get(f"/cdrs/{cdr_id}").data["charge"] == 0.21
    assert [each["cdr_id"] for each in lines(api.ann)] == [cdr_id]
    assert lines(api.bob) == []
    team(api, "No prices", api.ann, policies=("billing_disabled",))
    assert api.ann.get("/statements").status == 403
    assert api.ann.get(f"/cdrs/{cdr_id}").data["charge"] is None
    assert balance(api.ann) is None


def test_a_payment_is_a_line_too(api: Api) -> None:
    now = api.services.clock()
    assert api.write(lambda db: billing.credit(db, api.acme, 1_000_000, "Payment 7", now)) == 1_000_000
    with_deck(api)
    billed(api, unrated(1_000_000_000))
    assert [(each["description"], each["amount"], each["balance"]) for each in lines(api.admin)] == [
        ("Payment 7", 100, 100),
        ("Call to 447700900123 (United Kingdom, mobile), 2:05", -0.21, 99.79),
    ]
    assert balance(api.admin) == 99.79


# -- programs, imports ---------------------------------------------------------------------------------------------------------


def test_what_a_program_brings_is_billed_once_unless_it_brings_its_charge(api: Api) -> None:
    with_deck(api)
    client = program(api.admin)
    first = {**CALL, "dst": "07700900123", "billsec": 125}
    own = {**first, "key": "k2", "rate": 0.5, "charge": 1.5}
    for new in (2, 0):
        assert told(client, first, own)["new"] == new
    ours, theirs = api.admin.listed("/cdrs", sort="id", dir="ASC")
    assert (ours["rate"], ours["charge"], ours["dst_name"]) == (0.1, 0.21, "United Kingdom, mobile")
    assert (theirs["rate"], theirs["charge"]) == (0.5, 1.5)
    assert [each["cdr_id"] for each in lines(api.admin)] == [ours["id"]]
    assert balance(api.admin) == -0.21


def test_an_import_rates_and_bills_each_call_once(api: Api, tmp_path: Path) -> None:
    with_deck(api)
    path = written(tmp_path, line(), line(dst="07700900123", uniqueid="1795341601.1"), inbound(uniqueid="1795341700.1"))
    assert run(api, "asterisk-cdr", path).new == 3
    landline, mobile, incoming = api.admin.listed("/cdrs", sort="id", dir="ASC")
    assert (landline["rate"], landline["charge"], landline["dst_name"]) == (0.012, 0.012, "United Kingdom")
    assert (mobile["rate"], mobile["charge"]) == (0.1, 0.1)  # 55 s: 30, then 5 × 6
    assert (incoming["rate"], incoming["charge"]) == (None, None)
    before = lines(api.admin)
    assert [each["amount"] for each in before] == [-0.012, -0.1]
    assert run(api, "asterisk-cdr", path).known == 3
    assert lines(api.admin) == before
    assert balance(api.admin) == -0.112


def test_an_import_killed_on_its_way_bills_each_call_once(api: Api, tmp_path: Path, database_url: str) -> None:
    for customer in (api.acme, api.other):
        with_deck(api, customer=customer)
    n = 8_000
    calls = (line(uniqueid=f"{1795341600 + k}.1", dst=f"0770090{k:04}", billsec=str(k % 300)) for k in range(n))
    path = written(tmp_path, *calls)
    command = importing(database_url, tmp_path, api.acme, "asterisk-cdr", path)
    billed = partial(api.admin.get, "/statements", limit=1)
    killed_and_repeated(command, random.sample(range(n), 3), lambda: int(billed().json["total"]))
    run(api, "asterisk-cdr", path, customer=api.other)
    assert_account_is_exact(api.admin)
    told = [[(each["description"], each["amount"]) for each in lines(client)] for client in (api.admin, api.stranger)]
    assert told[0] == told[1]
    assert balance(api.admin) == balance(api.stranger)


def test_two_imports_at_once_leave_an_exact_balance(api: Api, tmp_path: Path) -> None:
    with_deck(api)
    first, second = (
        written(
            tmp_path,
            *(line(uniqueid=f"{1795341600 + n}.{name}", dst=f"0770090{n % 10_000:04}") for n in range(3_000)),
            name=f"Master{name}.csv",
        )
        for name in (1, 2)
    )
    at_once(*(partial(run, api, "asterisk-cdr", path) for path in (first, second, first, second)))
    assert api.admin.get("/cdrs", limit=1).json["total"] == 6_000
    assert_account_is_exact(api.admin)
    assert balance(api.admin) == -600


def test_200_calls_billed_at_once_leave_an_exact_balance(api: Api) -> None:
    with_deck(api)
    deck = Deck([UK, MOBILE])

    def bill(number: int) -> None:
        cdrs = [unrated(1_000_000_000 + number, billsec=number)]
        api.write(lambda db: billing.insert(db, api.acme, cdrs, deck, api.services.clock()))

    at_once(*(partial(each_of, bill, range(start, 200, 8)) for start in range(8)))
    assert len(lines(api.admin)) == 199  # the call of 0 seconds cost nothing
    assert_account_is_exact(api.admin)


def test_an_import_locks_the_customer_only_when_it_has_written_every_cdr(api: Api, tmp_path: Path) -> None:
    """As re-rating does; in the other order each would wait for the other one."""
    with_deck(api)
    run(api, "asterisk-cdr", written(tmp_path, line("", "1795341600.26", "1", uniqueid="1795341650.2")))
    late_root = partial(run, api, "asterisk-cdr", written(tmp_path, line("", "1795341600.26", "2")))
    importing = threading.Thread(target=late_root)

    def rerate(db: Db) -> None:
        rows.lock(db, schema.cdrs, api.acme, [row[0] for row in db.all("SELECT id FROM cdrs")])
        importing.start()
        if db.engine == "postgres":  # SQLite has one writer
            while not db.all(_WAITING):
                assert importing.is_alive()
            db.all("SELECT id FROM customers WHERE id = :customer FOR UPDATE NOWAIT", {"customer": api.acme})

    api.write(rerate)
    importing.join()
    assert api.admin.get("/cdrs", limit=1).json["total"] == 2
    assert_account_is_exact(api.admin)


_WAITING = """
    SELECT 1 FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE NOT l.granted AND a.datname = current_database()
"""


def each_of(work: Callable[[int], None], numbers: range) -> None:
    for number in numbers:
        work(number)


def at_once(*works: Callable[[], Any]) -> None:
    """Runs all in threads of their own; fails when one of them does."""
    failed: list[BaseException] = []

    def tried(work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=tried, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
