"""A connected Asterisk says who is in which queue, whose phone is registered and who talks, and is told by the API."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringback.connectors.asterisk import inquiry
from ringback.connectors.asterisk import presence as phones
from ringback.connectors.asterisk.presence import Heard
from ringback.connectors.settings import Rule
from ringback.store import rows, schema
from tests.ami_server import AmiServer
from tests.api import Api
from tests.connected import Connected, connected, server, until
from tests.policies import team
from tests.test_book import away, refused

__all__ = ["connected", "server"]


def member(queue: str, interface: str, paused: str = "0", key: str = "Location") -> dict[str, str]:
    return {"Event": "QueueMember", "Queue": queue, key: interface, "Paused": paused}


def listing(*found: Mapping[str, str], name: str) -> list[Mapping[str, str]]:
    return [{"Response": "Success", "EventList": "start"}, *found, {"Event": name, "EventList": "Complete"}]


def with_queues(server: AmiServer, *members: Mapping[str, str], queues: tuple[str, ...] = ("support",)) -> None:
    params = [{"Event": "QueueParams", "Queue": each} for each in queues]
    server.answers["QueueStatus"] = listing(*params, *members, name="QueueStatusComplete")


def with_phones(server: AmiServer, states: Mapping[str, str], contacts: tuple[str, ...]) -> None:
    told = [{"Event": "DeviceStateChange", "Device": each, "State": state} for each, state in states.items()]
    uris = [{"Event": "ContactList", "Endpoint": each, "Uri": f"sip:{each}@192.0.2.1"} for each in contacts]
    server.answers["DeviceStateList"] = listing(*told, name="DeviceStateListComplete")
    server.answers["PJSIPShowContacts"] = listing(*uris, name="ContactListComplete")


def event(name: str, **fields: str) -> str:
    return "".join(f"{key}: {value}\n" for key, value in {"Event": name, **fields}.items()) + "\n"


def queue(api: Api, **given: Any) -> int:
    found: int = api.admin.post("/queues", {"name": "Support", **given}).data["id"]
    return found


def members(api: Api, queue_id: int) -> dict[int, bool]:
    found = api.admin.get(f"/queues/{queue_id}", include="users").data["users"]
    return {each["id"]: each["status"] for each in found}


def presence(api: Api, user_id: int) -> tuple[Any, Any]:
    found = api.admin.get(f"/users/{user_id}").data
    return found["presence"], found["nb_sip_locations"]


REFUSED = [{"Response": "Error", "Message": "Invalid/unknown command: DeviceStateList."}]
TORN = [{"Response": "Success", "EventList": "start"}, {"Event": "DeviceStateChange", "Device": "PJSIP/104"}]


def not_at_first(server: AmiServer, action: str, first: Sequence[Mapping[str, str]]) -> None:
    """Asked for it the first two times, the PBX says that; an empty answer is none."""
    given = server.answers[action]

    def answer(fields: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
        return first if len(server.actions(action)) < 3 else given  # type: ignore[return-value]

    server.answers[action] = answer


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come is asked for again soon."""
    monkeypatch.setattr(inquiry, "ANSWER_S", 0.2)
    monkeypatch.setattr(inquiry, "FIRST_S", 0.05)


# -- queues


def test_the_members_of_a_queue_are_those_that_asterisk_has(api: Api, server: AmiServer, connected: Connected) -> None:
    queue_id = queue(api, users=[api.bob.user_id])
    with_queues(server, member("support", "PJSIP/101"), member("support", "PJSIP/outside"))
    connected()
    until(lambda: members(api, queue_id) == {api.ann.user_id: True})
    server.tell(event("QueueMemberPause", Queue="support", Interface="PJSIP/101", Paused="1"))
    until(lambda: members(api, queue_id) == {api.ann.user_id: False})
    server.tell(event("QueueMemberAdded", Queue="support", Interface="Local/102@from-queue/n", Paused="0"))
    until(lambda: members(api, queue_id) == {api.ann.user_id: False, api.bob.user_id: True})
    server.tell(event("QueueMemberRemoved", Queue="support", Interface="PJSIP/101", Paused="1"))
    until(lambda: members(api, queue_id) == {api.bob.user_id: True})


def test_members_are_logged_in_and_out_and_paused_by_the_api(api: Api, server: AmiServer, connected: Connected) -> None:
    queue_id = queue(api)
    with_queues(server, member("support", "PJSIP/101"), member("support", "PJSIP/outside"))
    connected()
    until(lambda: members(api, queue_id) == {api.ann.user_id: True})
    wanted = [{"id": api.ann.user_id, "status": False}, {"id": api.bob.user_id}]
    assert api.admin.patch(f"/queues/{queue_id}", {"users": wanted}).status == 200
    (paused,), (added,) = server.actions("QueuePause"), server.actions("QueueAdd")
    assert (paused["Queue"], paused["Interface"], paused["Paused"]) == ("support", "PJSIP/101", "true")
    assert (added["Queue"], added["Interface"], added["Paused"]) == ("support", "PJSIP/102", "false")
    assert api.admin.patch(f"/queues/{queue_id}", {"users": []}).status == 200
    assert [each["Interface"] for each in server.actions("QueueRemove")] == ["PJSIP/101"]


def test_a_queue_is_known_by_its_number_too_and_other_changes_order_nothing(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    queue_id = queue(api, name="Sales", number="400")
    with_queues(server, queues=("400",))
    connected()
    until(lambda: server.actions("QueueStatus"))
    assert api.admin.patch(f"/queues/{queue_id}", {"ring_time": 20}).status == 200
    assert server.actions("QueueAdd") == []
    assert until(lambda: api.admin.patch(f"/queues/{queue_id}", {"users": [api.ann.user_id]}).status == 200)
    assert [each["Queue"] for each in server.actions("QueueAdd")] == ["400"]


def test_what_asterisk_refuses_changes_nothing(api: Api, server: AmiServer, connected: Connected) -> None:
    queue_id = queue(api)
    with_queues(server, member("support", "PJSIP/101"))
    server.answers["QueueRemove"] = [{"Response": "Error", "Message": "Unable to remove interface: Member not dynamic"}]
    connected()
    until(lambda: members(api, queue_id) == {api.ann.user_id: True})
    answer = api.admin.patch(f"/queues/{queue_id}", {"users": []})
    assert answer.status == 503
    assert "can be paused, not removed" in answer.json["message"]
    assert members(api, queue_id) == {api.ann.user_id: True}


def test_without_a_connection_nobody_is_logged_in_or_out(api: Api, server: AmiServer, connected: Connected) -> None:
    queue_id = queue(api)
    connection = connected()
    server.close()
    until(lambda: connection.link.session is None)
    answer = api.admin.patch(f"/queues/{queue_id}", {"users": [api.ann.user_id]})
    assert (answer.status, members(api, queue_id)) == (503, {})
    assert api.admin.patch(f"/queues/{queue_id}", {"name": "Help"}).status == 200


def test_a_queue_of_one_customer_is_none_of_the_other(api: Api, server: AmiServer, connected: Connected) -> None:
    ours, theirs = queue(api), api.stranger.post("/queues", {"name": "acme-support"}).data["id"]
    with_queues(server, member("acme-support", "PJSIP/acme-101"), queues=("acme-support", "support"))
    connected(customer=api.other, rules=(Rule(api.acme, endpoint="acme-"),))
    until(lambda: members(api, ours) == {api.ann.user_id: True})
    assert api.stranger.patch(f"/queues/{theirs}", {"users": [api.stranger.user_id]}).status == 200
    assert server.actions("QueueAdd") == []
    api.admin.patch(f"/queues/{ours}", {"users": [api.bob.user_id]})
    assert [each["Interface"] for each in server.actions("QueueAdd")] == ["PJSIP/acme-102"]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("first", [REFUSED, [], TORN], ids=["refused", "no answer", "no end"])
def test_queues_are_asked_for_until_they_are_told(
    api: Api, server: AmiServer, connected: Connected, first: Sequence[Mapping[str, str]]
) -> None:
    queue_id = queue(api)
    with_queues(server, member("support", "PJSIP/101"))
    not_at_first(server, "QueueStatus", first)
    connected()
    until(lambda: members(api, queue_id) == {api.ann.user_id: True})
    assert api.admin.patch(f"/queues/{queue_id}", {"users": [api.bob.user_id]}).status == 200


@pytest.mark.parametrize(
    "ext", ["102\r\nAction: Command", "10 2", "102,x", "trunk/sip:900@192.0.2.9", "102@elsewhere", "../102"]
)
def test_no_member_carries_a_command(api: Api, server: AmiServer, connected: Connected, ext: str) -> None:
    """An extension that no check of ours let through."""
    queue_id = queue(api)
    with_queues(server)
    connected()
    api.write(lambda db: rows.update(db, schema.users, api.acme, api.bob.user_id, {"ext": ext}))
    until(lambda: server.actions("QueueStatus"))
    assert api.admin.patch(f"/queues/{queue_id}", {"users": [api.bob.user_id]}).status == 503
    assert server.actions("QueueAdd") == []


# -- presence


def test_presence_and_phones_follow_asterisk(api: Api, server: AmiServer, connected: Connected) -> None:
    assert presence(api, api.ann.user_id) == (None, None)
    with_phones(server, {"PJSIP/101": "NOT_INUSE", "PJSIP/102": "UNAVAILABLE"}, ("101", "101"))
    connection = connected()
    until(lambda: presence(api, api.ann.user_id) == ("available", 1))
    assert presence(api, api.bob.user_id) == ("offline", 0)
    second = {"URI": "sip:101@192.0.2.2", "EndpointName": "101", "AOR": "101"}
    server.tell(event("ContactStatus", ContactStatus="NonQualified", **second))
    server.tell(event("DeviceStateChange", Device="PJSIP/101", State="INUSE"))
    until(lambda: presence(api, api.ann.user_id) == ("busy", 2))
    server.tell(event("ContactStatus", ContactStatus="Removed", **second))
    server.tell(event("DeviceStateChange", Device="PJSIP/101", State="RINGING"))
    until(lambda: presence(api, api.ann.user_id) == ("ringing", 1))
    server.close()
    until(lambda: connection.link.session is None)
    until(lambda: presence(api, api.ann.user_id) == (None, None))


def test_while_no_phone_is_registered_each_is_offline(api: Api, server: AmiServer, connected: Connected) -> None:
    """Asterisk refuses an empty list of contacts."""
    with_phones(server, {"PJSIP/101": "UNAVAILABLE"}, ())
    server.answers["PJSIPShowContacts"] = [{"Response": "Error", "Message": "No Contacts found\n"}]
    connected()
    until(lambda: presence(api, api.ann.user_id) == ("offline", 0))
    assert len(server.actions("PJSIPShowContacts")) == 1


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("first", [REFUSED, [], TORN], ids=["refused", "no answer", "no end"])
@pytest.mark.parametrize("action", ["DeviceStateList", "PJSIPShowContacts"])
def test_presence_is_asked_for_until_it_is_told(
    api: Api, server: AmiServer, connected: Connected, action: str, first: Sequence[Mapping[str, str]]
) -> None:
    with_phones(server, {"PJSIP/101": "NOT_INUSE"}, ("101",))
    not_at_first(server, action, first)
    connected()
    until(lambda: presence(api, api.ann.user_id) == ("available", 1))
    assert len(server.actions(action)) == 3


@pytest.mark.usefixtures("hurried")
def test_nothing_is_asked_for_again_where_the_connection_is_lost(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    with_phones(server, {"PJSIP/101": "NOT_INUSE"}, ("101",))
    given, server.answers["DeviceStateList"] = server.answers["DeviceStateList"], []
    connection = connected()
    until(lambda: len(server.actions("DeviceStateList")) == 2)
    server.answers["DeviceStateList"] = given
    server.drop()
    until(lambda: connection.book.logins == 2)
    until(lambda: presence(api, api.ann.user_id) == ("available", 1))


def test_a_server_that_stops_leaves_no_presence(api: Api, server: AmiServer, connected: Connected) -> None:
    with_phones(server, {"PJSIP/101": "NOT_INUSE"}, ())
    connection = connected()
    until(lambda: presence(api, api.ann.user_id) == ("available", 0))
    connection.stop()
    assert presence(api, api.ann.user_id) == (None, None)


def test_presence_that_cannot_be_taken_back_keeps_nothing_from_stopping(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    with_phones(server, {"PJSIP/101": "NOT_INUSE"}, ())
    connection = connected()
    until(lambda: presence(api, api.ann.user_id) == ("available", 0))
    with away(api):
        connection.stop()
    assert not api.services.desk.staffs


def test_a_part_that_does_not_stop_keeps_no_other_from_stopping(
    api: Api, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connected()
    stop = connection.parts[0].stop
    monkeypatch.setattr(connection.parts[0], "stop", refused)
    connection.stop()
    assert not api.services.desk.staffs
    stop()


def test_of_more_phones_than_are_kept_those_that_are_known_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phones, "MOST", 2)
    heard = Heard()

    def told(ext: int, state: str, contact: str) -> tuple[bool, bool]:
        device = {"Event": "DeviceStateChange", "Device": f"PJSIP/{ext}", "State": state}
        uri = {"Event": "ContactStatus", "EndpointName": str(ext), "URI": "sip:x", "ContactStatus": contact}
        return heard.take(device), heard.take(uri)

    assert [told(ext, "NOT_INUSE", "Reachable") for ext in (101, 102, 103)] == [
        (True, True),
        (True, True),
        (False, False),
    ]
    assert heard.endpoints() == {"101": ("available", 1), "102": ("available", 1)}
    assert told(101, "INUSE", "Removed") == (True, True)
    assert heard.endpoints() == {"101": ("busy", 0), "102": ("available", 1)}


def test_a_list_of_which_nothing_can_be_made_is_told_in_the_log() -> None:
    answer: Future[list[dict[str, str]]] = Future()
    session: Any = SimpleNamespace(send_list=lambda _action: answer, lost="")
    with capture_logs() as told:
        inquiry.Inquiry(session, "DeviceStateList", refused, "office")
        answer.set_result([])
        until(lambda: [each for each in told if each.get("part") == "asks-DeviceStateList"])


def test_a_policy_hides_phones_with_presence(api: Api, server: AmiServer, connected: Connected) -> None:
    with_phones(server, {"PJSIP/101": "NOT_INUSE"}, ("101",))
    connected()
    until(lambda: presence(api, api.ann.user_id) == ("available", 1))
    team(api, "Desk", api.reception, policies=("presence_disabled",))
    seen = api.reception.get(f"/users/{api.ann.user_id}").data
    assert (seen["presence"], seen["nb_sip_locations"]) == (None, None)


# -- what a phone logs in with


def with_password(server: AmiServer) -> None:
    auth = {"Event": "AuthDetail", "Username": "101", "Password": "of-the-phone"}
    server.answers["PJSIPShowEndpoint"] = listing({"Event": "EndpointDetail"}, auth, name="EndpointDetailComplete")


def test_a_user_reads_the_password_of_the_own_phone_where_the_configuration_says_so(
    api: Api, server: AmiServer, connected: Connected
) -> None:
    with_password(server)
    connected(sip_domain="pbx.example", sip_passwords=True)
    me = api.ann.get("/me").data
    assert (me["sip_domain"], me["sip_password"]) == ("pbx.example", "of-the-phone")
    assert server.actions("PJSIPShowEndpoint")[-1]["Endpoint"] == "101"
    assert api.admin.get("/me").data["sip_password"] is None


def test_no_password_is_asked_for_unless_told_to(api: Api, server: AmiServer, connected: Connected) -> None:
    with_password(server)
    connected(sip_domain="pbx.example")
    me = api.ann.get("/me").data
    assert (me["sip_domain"], me["sip_password"]) == ("pbx.example", None)
    assert server.actions("PJSIPShowEndpoint") == []
