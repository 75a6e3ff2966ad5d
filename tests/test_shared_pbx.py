"""Several customers on one PBX: none rings, dials, sees or answers for what may be another one's.

Acme's Ann has 101 and Bob 102, as in tests/connected.py; the other customer's administrator has 101, too.
"""

from dataclasses import replace
from typing import Any

import pytest

from ringback.connectors import link
from ringback.connectors.asterisk.presence import owned
from ringback.connectors.asterisk.queues import extension
from ringback.connectors.freeswitch.connection import Connection
from ringback.connectors.phones import State
from ringback.connectors.settings import Connector, Rule
from ringback.store import rows, schema
from tests.ami_server import AmiServer
from tests.api import Api
from tests.connected import (
    BOTH,
    CALLER,
    TOLD,
    UNTIL_TALK,
    Connected,
    calls,
    cdrs,
    connected,
    placed,
    server,
    transcript,
    until,
    with_extensions,
)
from tests.freeswitch_server import SECRET, FreeSwitchServer

__all__ = ["connected", "server"]


def with_101(api: Api) -> None:
    """The other customer's administrator gives herself the extension of Ann."""
    change = {"ext": "101"}
    api.write(lambda db: rows.update(db, schema.users, api.other, api.stranger.user_id, change))


@pytest.mark.parametrize(
    "rule",
    [
        {"context": "other", "dial_context": "other"},
        {"endpoint": "10", "dial_context": "other"},
    ],
)
def test_a_phone_rings_only_for_the_customer_whose_it_is(
    api: Api, server: AmiServer, connected: Connected, rule: dict[str, str]
) -> None:
    """By its name it is Acme's, or, behind the other one's prefix, nobody's: 10101 is not there, and 101 is not rung."""
    with_101(api)
    connected(rules=(Rule(api.other, **rule),))
    if "endpoint" in rule:
        assert api.ann.post("/calls", {"to": "102"}).status == 412  # 101 is the other one's extension 1
    assert api.stranger.post("/calls", {"to": "102"}).status == 412
    assert api.stranger.post("/webcalls", {"from": "101", "to": "102"}).status == 412
    assert server.actions("Originate") == []


def test_numbers_are_not_dialled_among_the_phones_of_another_customer(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    connected(rules=(Rule(api.other, endpoint="other-"),))
    answer = api.stranger.post("/webcalls", {"from": "102", "to": "101"})
    assert (answer.status, answer.json["message"]) == (503, "The PBX has no dial_context for this customer.")
    assert server.actions("Originate") == []


def test_the_phone_of_a_rule_and_that_of_the_rest_are_two(api: Api, server: AmiServer, connected: Connected) -> None:
    with_101(api)
    connected(rules=(Rule(api.other, endpoint="other-", dial_context="other"),))
    server.answers["Getvar"] = [{"Response": "Success", "Value": "NOT_INUSE"}]
    placed(server)
    assert api.ann.post("/calls", {"to": "102"}).status == 201
    api.stranger.post("/calls", {"to": "102"})
    told = [(each["Channel"], each["Context"]) for each in server.actions("Originate")]
    assert told == [("PJSIP/101", "internal"), ("PJSIP/other-101", "other")]


def test_a_call_between_customers_has_one_party_of_each(api: Api, server: AmiServer, connected: Connected) -> None:
    """The other one's 101 calls Acme's 102, in a call of Acme's: the caller is not Ann, and Bob sends on the caller."""
    connected(customer=api.other, rules=(Rule(api.acme, endpoint="acme-", dial_context="internal"),))
    server.tell(transcript(0, UNTIL_TALK).replace("PJSIP/102", "PJSIP/acme-102"))
    live = until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])[0]
    assert (live["src_id"], live["dst_id"], calls(api.ann)) == ("0", str(api.bob.user_id), [])
    assert api.ann.patch(f"/calls/{live['id']}", {"dst": "103"}).status == 403
    assert api.bob.patch(f"/calls/{live['id']}", {"dst": "103"}).status == 200
    assert [each["Channel"] for each in server.actions("BlindTransfer")] == ["PJSIP/acme-102-00000001"]
    server.tell(transcript(UNTIL_TALK).replace("PJSIP/102", "PJSIP/acme-102"))
    (cdr,) = until(lambda: cdrs(api.admin))
    assert (cdr["type"], cdr["src_id"], cdr["dst_id"]) == ("I", "0", str(api.bob.user_id))


def test_a_call_whose_later_channel_says_whose_it_is_is_nobody_elses_any_more(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    """It comes in by a line that is Acme's as far as any rule says, until a phone of the other customer is dialled."""
    connected(rules=(Rule(api.other, endpoint="other-"),))
    told = [text.replace("PJSIP/101", "PJSIP/line").replace("PJSIP/102", "PJSIP/other-102") for text in TOLD]
    dialled = next(n for n, text in enumerate(told) if "PJSIP/other-102" in text)
    server.tell("".join(f"{text}\n\n" for text in told[:dialled]))
    before = until(lambda: calls(api.admin))[0]
    server.tell("".join(f"{text}\n\n" for text in told[dialled:UNTIL_TALK]))
    live = until(lambda: [row for row in calls(api.stranger) if row["state"] == "CONNECTED"])[0]
    assert (live["id"], calls(api.admin)) == (before["id"], [])
    assert api.admin.delete(f"/calls/{live['id']}").status == 404
    server.tell("".join(f"{text}\n\n" for text in told[UNTIL_TALK:] if text))
    until(lambda: cdrs(api.stranger) and not calls(api.stranger))
    assert cdrs(api.admin) == []


def test_a_call_is_of_whoever_has_ordered_it_whatever_it_goes_through(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    """From one number outside to another: no channel of it has a name that is the other customer's. Also for the next process."""
    rules = (Rule(api.other, endpoint="other-", dial_context="other"),)
    first = connected(rules=rules)
    placed(server)
    answer = api.stranger.post("/webcalls", {"from": "07700900456", "to": "07700900457"})
    assert (answer.status, [row["id"] for row in calls(api.stranger)]) == (201, [answer.data["id"]])
    assert calls(api.admin) == []
    channel = server.actions("Originate")[0]["ChannelId"]
    first.stop()
    server.answers["CoreShowChannels"] = [
        {name: text.replace(CALLER, channel) for name, text in each.items()} for each in BOTH
    ]
    connected(rules=rules)
    assert [row["id"] for row in until(lambda: calls(api.stranger))] == [answer.data["id"]]
    server.tell(transcript(UNTIL_TALK).replace(CALLER, channel))
    assert [row["live_id"] for row in until(lambda: cdrs(api.stranger))] == [answer.data["id"]]
    assert (calls(api.admin), cdrs(api.admin)) == ([], [])


@pytest.mark.parametrize(
    ("interface", "customer", "expected"),
    [
        ("PJSIP/101", 1, "101"),
        ("PJSIP/101", 2, None),
        ("PJSIP/acme-101", 2, "101"),
        ("PJSIP/acme-101", 1, None),
        ("Local/101@internal/n", 2, "101"),
        ("Local/acme-101@internal/n", 1, None),
        ("Local/acme-101@internal/n", 2, "101"),
    ],
)
def test_a_member_of_a_queue_is_its_customers(interface: str, customer: int, expected: str | None) -> None:
    assert extension(GIVEN, interface, customer) == expected


def test_a_phone_that_is_another_ones_by_its_name_comes_into_no_queue(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    made = api.admin.post("/queues", {"name": "support"}).data["id"]
    status = [{"Event": "QueueParams", "Queue": "support"}, {"Event": "QueueStatusComplete", "EventList": "Complete"}]
    server.answers["QueueStatus"] = [{"Response": "Success", "EventList": "start"}, *status]
    connected(rules=(Rule(api.other, endpoint="10"),))
    until(lambda: server.actions("QueueStatus"))
    answer = until(lambda: _refused(api.admin.patch(f"/queues/{made}", {"users": [api.ann.user_id]})))
    assert answer.json["message"] == "Nothing says that the phone 101 of the PBX is this customer's."
    assert server.actions("QueueAdd") == []


def _refused(answer: Any) -> Any:
    assert answer.status == 503
    return answer if "101" in answer.json["message"] else None


GIVEN = Connector("office", "asterisk", "u", "s", customer=1, rules=(Rule(2, endpoint="acme-"), Rule(3, context="c")))


@pytest.mark.parametrize(
    ("rules", "box", "expected"),
    [
        (
            (Rule(2, endpoint="a-", voicemail_context="all"), Rule(3, endpoint="b-", voicemail_context="all")),
            "b-101",
            3,
        ),
        (
            (Rule(2, endpoint="a-", voicemail_context="all"), Rule(3, endpoint="b-", voicemail_context="all")),
            "101",
            None,
        ),
        ((Rule(2, endpoint="a-", voicemail_context="all"),), "101", 2),
        ((Rule(2, endpoint="a-"),), "a-101", 2),
        ((Rule(2, endpoint="a-"),), "101", 1),
    ],
)
def test_a_mailbox_in_a_context_of_several_is_told_by_its_name(
    rules: tuple[Rule, ...], box: str, expected: int | None
) -> None:
    found = replace(GIVEN, rules=rules).mailbox_owner("all", box)
    assert found == (None if expected is None else (expected, "101"))


def test_presence_is_of_whose_the_endpoint_is() -> None:
    state = State("busy", 1)
    assert owned(GIVEN, {"101": state}) == {(1, "101"): state}
    assert owned(GIVEN, {"acme-101": state}) == {(2, "101"): state}
    assert owned(replace(GIVEN, customer=None), {"101": state}) == {}


# -- FreeSWITCH


def test_freeswitch_rings_no_phone_of_another_customer(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "FIRST_S", 0.05)
    with_extensions(api)
    with_101(api)
    switch = FreeSwitchServer()
    rules = (Rule(api.other, context="other", dial_context="other"),)
    given = Connector("office", "freeswitch", "", SECRET, port=switch.port, customer=api.acme, rules=rules)
    connection = Connection(api.services, given)
    api.services.desk.pbxs[:] = [connection]
    connection.start()
    until(lambda: connection.link.session)
    assert api.stranger.post("/calls", {"to": "102"}).status == 412
    assert not [each for each in switch.got if "originate" in each]
    connection.stop()
    switch.close()


# -- what a call may cost


@pytest.mark.parametrize(("to", "number"), [("9011448712345678", "1144871234567"), ("94112345678", "4112345678")])
def test_what_is_dialled_outside_is_what_is_priced(
    api: Api, server: AmiServer, connected: Connected, to: str, number: str
) -> None:
    """Sri Lanka (94) is cheap; behind the 9 for an outside line the same digits are a number in Switzerland."""
    connected(outside_prefix="9")
    for prefix, price in (("94", 0.01), ("90", 0.01), ("41", 2.0)):
        api.admin.post("/rates", {"prefix": prefix, "destination": prefix, "price": price})
    api.admin.patch(f"/customers/{api.acme}", {"max_call_rate": 0.15})
    answer = api.ann.post("/webcalls", {"from": "101", "to": to})
    assert answer.status == 400
    assert answer.json["message"].startswith("Maximum per minute call rate exceeded")
    assert server.actions("Originate") == []
