"""Registrations: why is this phone not registered? From captured REGISTERs to `GET /registrations`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback.sip import capture
from ringback.sip.packet import Packet
from ringback.store import registrations, schema
from ringback.store.registrations import MOST_OF_AOR, MOST_UNREGISTERED
from tests.api import Api, Client, filter_text
from tests.clock import TestClock
from tests.collecting import collecting, hep, send_tcp, until
from tests.importers.master_csv import run
from tests.keeping import retained, rules
from tests.lab_calls import KEY
from tests.sip.sip_registers import START_US, Line
from tests.test_lab_captures import frames

START = START_US // 1_000_000
ANN, BOB = Line(user="103"), Line(ip="192.0.2.104", user="104", call_id="reg-bob")
LOGIN = """
    0.00  R    1
    0.01  401  1
    0.02  R    2  auth
    0.03  200  2
"""
REFUSED = """
    0.00  R    1
    0.01  401  1
    0.02  R    2  auth
    0.03  401  2
"""
NAMES = (
    "id user_id aor contact src_ip src_port transport user_agent state registered_at expires_at last_at failures "
    "last_cause call_id"
)


def take(api: Api, packets: Iterable[Packet], customer: Client | None = None) -> None:
    who, now = customer or api.admin, api.services.clock()
    users = {"103": api.ann.user_id, "104": api.bob.user_id} if who is api.admin else {}
    seen = [(packet, 2001) for packet in packets]
    api.write(lambda db: registrations.take(db, who.customer_id, seen, users, now=now))


def states(api: Api) -> list[str]:
    return sorted(each["state"] for each in api.admin.listed("/registrations"))


def stored(api: Api) -> list[Any]:
    sql = f"SELECT {', '.join(schema.columns(schema.registrations))} FROM registrations ORDER BY id"
    rows: list[Any] = api.services.database.read(lambda db: db.all(sql))
    return rows


@pytest.fixture(autouse=True)
def at_that_time(clock: TestClock) -> None:
    clock.now = START + 60


def test_a_phone_that_is_registered(api: Api) -> None:
    take(api, ANN.flow(LOGIN))
    (found,) = api.admin.listed("/registrations")
    assert " ".join(found) == NAMES
    assert (found["user_id"], found["aor"]) == (api.ann.user_id, "sip:103@pbx.example")
    assert (found["src_ip"], found["src_port"], found["transport"]) == ("192.0.2.101", 5060, "UDP")
    assert (found["contact"], found["user_agent"]) == ("sip:103@192.0.2.101:5060", "Yealink T46")
    assert (found["state"], found["failures"], found["last_cause"]) == ("REGISTERED", 0, "200 OK")
    assert (found["registered_at"], found["expires_at"]) == ("2026-11-22 10:00:00", "2026-11-22 10:05:00")
    assert (found["last_at"], found["call_id"]) == ("2026-11-22 10:00:00", "reg-1@phone")
    assert api.admin.get(f"/registrations/{found['id']}").data == found


def test_a_registration_that_was_not_renewed_has_expired(api: Api, clock: TestClock) -> None:
    take(api, ANN.flow(LOGIN))
    clock.now = START + 299
    assert [each["state"] for each in api.admin.listed("/registrations")] == ["REGISTERED"]
    clock.now = START + 300
    assert [each["state"] for each in api.admin.listed("/registrations", ("state", "eq", "expired"))] == ["EXPIRED"]
    assert api.admin.listed("/registrations", ("state", "eq", "REGISTERED")) == []


def test_a_wrong_password_is_told_with_how_often(api: Api) -> None:
    take(api, ANN.flow(LOGIN))
    for n in (1, 2, 3):
        take(api, replace(ANN, call_id=f"again-{n}").flow(REFUSED.replace("0.0", f"{30 * n}.0")))
    (found,) = api.ann.listed("/registrations")
    assert (found["state"], found["failures"], found["last_cause"]) == ("FAILED", 3, "401 Unauthorized")
    assert (found["registered_at"], found["last_at"]) == ("2026-11-22 10:00:00", "2026-11-22 10:01:30")
    assert found["call_id"] == "again-3"


def test_the_same_messages_again_and_late_ones_change_nothing(api: Api) -> None:
    packets = [*ANN.flow(LOGIN), *BOB.flow(REFUSED)]
    take(api, packets)
    before = stored(api)
    take(api, packets)
    take(api, packets[1::-1])
    assert stored(api) == before


def test_messages_may_come_one_by_one_in_any_order(api: Api) -> None:
    whole = [*ANN.flow(LOGIN), *ANN.flow(REFUSED.replace("0.0", "40.0").replace("2", "4").replace("  1", "  3"))]
    for packet in whole[::-1]:
        take(api, [packet])
    backwards = api.admin.listed("/registrations")
    api.write(lambda db: db.run("DELETE FROM registrations"))
    take(api, whole)
    assert [{**each, "id": 0} for each in api.admin.listed("/registrations")] == [{**backwards[0], "id": 0}]


def test_a_star_from_one_phone_unregisters_all_of_the_address(api: Api) -> None:
    desk = replace(ANN, ip="192.0.2.55", call_id="desk")
    take(api, [*ANN.flow(LOGIN), *desk.flow(LOGIN)])
    assert {each["state"] for each in api.admin.listed("/registrations")} == {"REGISTERED"}
    take(api, desk.flow("20 R 9 contact=* expires=0\n 20.1 200 9 contact="))
    found = api.admin.listed("/registrations")
    assert [(each["state"], each["expires_at"]) for each in found] == [("UNREGISTERED", None)] * 2


def test_plain_users_see_their_own(api: Api) -> None:
    take(api, [*ANN.flow(LOGIN), *BOB.flow(REFUSED), *Line("203.0.113.9", user="nobody").flow(REFUSED)])
    take(api, ANN.flow(LOGIN), api.stranger)
    everything = api.admin.get("/registrations").json
    assert everything["total"] == 3
    assert api.reception.get("/registrations").status == api.reception.get("/msdrs").status
    assert api.reception.get("/registrations").json["total"] == api.reception.get("/msdrs").json["total"]
    for who, name in ((api.ann, "sip:103@pbx.example"), (api.bob, "sip:104@pbx.example")):
        (own,) = who.listed("/registrations")
        assert (own["aor"], own["user_id"]) == (name, who.user_id)
    (anns,) = api.ann.listed("/registrations")
    assert api.bob.get(f"/registrations/{anns['id']}").status == 403
    assert api.stranger.get(f"/registrations/{anns['id']}").status == 404
    assert [each["user_id"] for each in api.stranger.listed("/registrations")] == [None]
    assert api.nobody.get("/registrations").status == 401


def test_the_list_takes_every_filter_and_sort(api: Api) -> None:
    take(api, [*ANN.flow(LOGIN), *BOB.flow(REFUSED), *Line("203.0.113.9", user="nobody").flow(REFUSED)])
    for asked, n in [
        (("state", "eq", "FAILED"), 2),
        (("failures", "gte", 1), 2),
        (("aor", "like", "104@PBX"), 1),
        (("user_id", "eq", api.ann.user_id), 1),
        (("user_id", "ne", None), 2),
        (("src_ip", "eq", "203.0.113.9"), 1),
        (("user_agent", "like", "yealink"), 3),
        (("last_cause", "like", "401"), 2),
        (("last_at", "gte", "2026-11-22"), 3),
        (("call_id", "eq", "reg-bob"), 1),
    ]:
        answer = api.admin.get("/registrations", filter=filter_text(asked))
        assert (answer.json["total"], len(answer.data)) == (n, n), asked
    by_state = api.admin.listed("/registrations", sort="-state")
    assert [each["state"] for each in by_state] == ["REGISTERED", "FAILED", "FAILED"]
    (found,) = api.ann.listed("/registrations", include="user_id", **{"fields[user_id]": "id,first_name"})
    assert found["user_id"] == {"id": api.ann.user_id, "first_name": "Ann"}
    states = [each["id"] for each in api.nobody.get("/registrations/dictionaries").data[0]["values"]]
    assert states == ["REGISTERED", "UNREGISTERED", "EXPIRED", "FAILED"]


def test_a_scan_pushes_out_no_phone_that_registered(api: Api) -> None:
    take(api, [*ANN.flow(LOGIN), *BOB.flow(REFUSED)])
    for start in range(0, 10_000, 2_500):
        take(
            api,
            [
                packet
                for n in range(start, start + 2_500)
                for packet in Line("203.0.113.9", user=f"scan{n}", call_id=f"s{n}").flow(
                    f"{n / 100} R 1\n {n / 100} 404 1"
                )
            ],
        )
    assert api.admin.get("/registrations", limit=1).json["total"] == MOST_UNREGISTERED + 1
    left = [each["aor"] for each in api.admin.listed("/registrations", ("user_id", "ne", None))]
    assert sorted(left) == ["sip:103@pbx.example", "sip:104@pbx.example"]


def test_one_address_has_so_many_phones_and_no_more(api: Api) -> None:
    take(api, ANN.flow(LOGIN))
    for n in range(100):
        take(api, replace(ANN, ip=f"203.0.113.{n}", call_id=f"s{n}").flow(f"{n} R 1\n {n} 403 1"))
    found = api.admin.listed("/registrations")
    assert len(found) == MOST_OF_AOR
    assert [each["state"] for each in found].count("REGISTERED") == 1


def test_a_clock_that_runs_years_ahead_hides_nothing(api: Api) -> None:
    take(api, [packet._replace(at_us=packet.at_us + 10**15) for packet in ANN.flow(REFUSED)])
    take(api, ANN.flow(LOGIN))
    assert [each["state"] for each in api.admin.listed("/registrations")] == ["REGISTERED"]


@pytest.mark.parametrize("left_out", ["", "REGISTER, OPTIONS"])
def test_agents_report_them_even_where_the_messages_are_not_kept(api: Api, left_out: str) -> None:
    line = replace(ANN, user="101")  # the administrator's extension
    with collecting(api, hep_leave_out=left_out) as collector:
        send_tcp(collector, [hep(each) for each in line.flow(LOGIN)])
        until(lambda: states(api) == ["REGISTERED"])
        assert collector.counts.left_out == (4 if left_out else 0)
    (found,) = api.admin.listed("/registrations")
    assert (found["state"], found["user_id"]) == ("REGISTERED", api.admin.user_id)
    assert api.stranger.listed("/registrations") == []


def test_phones_of_the_lab_at_a_real_kamailio_and_a_real_asterisk(api: Api) -> None:
    packets = [*frames("registered"), *frames("wrong_password")]
    with collecting(api, f"customer={{acme}} key={KEY}") as collector:
        send_tcp(collector, packets)
        until(lambda: states(api) == ["FAILED", *["REGISTERED"] * 4])
    found = {each["aor"]: each for each in api.admin.listed("/registrations")}
    wrong = found.pop("sip:105@192.0.2.10")
    assert (wrong["state"], wrong["failures"], wrong["last_cause"]) == ("FAILED", 1, "401 Unauthorized")
    assert (wrong["src_ip"], wrong["user_agent"]) == ("192.0.2.115", "Lab phone 105x")
    assert set(found) == {f"sip:{n}@192.0.2.20" for n in (101, 102, 103, 104)}


def test_a_capture_file_tells_them_too(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "phones.pcap"
    file.write_bytes(b"".join(capture.write([*ANN.flow(REFUSED), *BOB.flow(LOGIN)])))
    for _ in (1, 2):
        assert run(api, "pcap", file).refused == []
        found = api.admin.listed("/registrations", sort="aor")
        assert [(each["state"], each["failures"], each["user_id"]) for each in found] == [
            ("FAILED", 1, api.ann.user_id),
            ("REGISTERED", 0, api.bob.user_id),
        ]


def test_retention_takes_those_of_which_nothing_was_heard(api: Api) -> None:
    take(api, [*ANN.flow(LOGIN), *BOB.flow("-180000 R 1\n -179999.9 403 1")])
    rules(api, sip=2)
    assert retained(api) == {"registrations": 1}
    assert [each["aor"] for each in api.admin.listed("/registrations")] == ["sip:103@pbx.example"]


def test_who_is_forgotten_has_no_registration(api: Api) -> None:
    take(api, [*Line(user="442079460011").flow(LOGIN), *BOB.flow(LOGIN)])
    assert api.admin.post("/erasures", {"number": "020 7946 0011"}).status == 202
    api.run_jobs()
    assert [each["aor"] for each in api.admin.listed("/registrations")] == ["sip:104@pbx.example"]
