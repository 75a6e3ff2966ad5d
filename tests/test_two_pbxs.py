"""Two Asterisks of one customer: an order goes to the one where the phone is, and a call is controlled where it is."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ringback.calls.ordered import CALLBACK
from ringback.calls.rating import Rate
from ringback.connectors.asterisk import marks
from ringback.connectors.asterisk.connection import Connection
from ringback.connectors.settings import Connector
from ringback.store import rates
from tests.ami_server import SECRET, USER, AmiServer
from tests.api import Api
from tests.connected import Connected, calls, connected, placed, server, until
from tests.test_asterisk_staff import event, members, queue, with_queues

__all__ = ["connected", "server"]


def says(server: AmiServer, state: str) -> None:
    """Of every phone."""
    server.answers["Getvar"] = lambda fields: [{"Response": "Success", "Value": state}]


@pytest.fixture
def south() -> Iterator[AmiServer]:
    made = AmiServer()
    yield made
    made.close()


@pytest.fixture
def both(api: Api, connected: Connected, server: AmiServer, south: AmiServer) -> Iterator[Connection]:
    """The second one; the first is `office`, as ever. Each has a queue, and nobody in it."""
    with_queues(server)
    with_queues(south)
    first = connected()
    given = Connector("south", "asterisk", USER, SECRET, port=south.port, customer=api.acme, dial_context="internal")
    second = Connection(api.services, replace(given, mark="south"))
    api.services.desk.pbxs[:] = [first, second]
    second.start()
    until(lambda: second.link.session)
    yield second
    second.stop()


@pytest.mark.usefixtures("both")
def test_an_order_rings_the_phone_where_it_is_registered(api: Api, server: AmiServer, south: AmiServer) -> None:
    says(server, "UNAVAILABLE")
    says(south, "NOT_INUSE")
    placed(south)
    answer = api.ann.post("/calls", {"to": "102"})
    assert answer.status == 201
    assert (server.actions("Originate"), len(south.actions("Originate"))) == ([], 1)
    assert api.ann.delete(f"/calls/{answer.data['id']}").status == 204
    assert (server.actions("Hangup"), bool(south.actions("Hangup"))) == ([], True)


@pytest.mark.usefixtures("both")
def test_a_phone_that_is_registered_nowhere_is_told_at_once(api: Api, server: AmiServer, south: AmiServer) -> None:
    says(server, "UNAVAILABLE")
    says(south, "UNAVAILABLE")
    assert api.ann.post("/calls", {"to": "102"}).status == 412
    assert calls(api.admin) == []


def test_while_the_first_one_is_away_the_other_places_calls(
    api: Api, server: AmiServer, south: AmiServer, both: Connection
) -> None:
    says(south, "NOT_INUSE")
    placed(south)
    first: Any = api.services.desk.pbxs[0]
    server.close()
    until(lambda: first.link.session is None)
    assert api.ann.post("/calls", {"to": "102"}).status == 201
    south.close()
    until(lambda: both.link.session is None)
    answer = api.ann.post("/calls", {"to": "102"})
    assert (answer.status, answer.json["message"]) == (503, "The PBX is not connected.")


@pytest.mark.usefixtures("both")
def test_a_ceiling_counts_however_either_of_them_dials_out(api: Api, server: AmiServer, south: AmiServer) -> None:
    """What is cheap with the digits for an outside line may be dear without them."""
    api.write(
        lambda db: rates.put(db, api.acme, [Rate("44", "United Kingdom", 10_000), Rate("881", "Satellite", 9_000_000)])
    )
    api.admin.patch(f"/customers/{api.acme}", {"max_call_rate": 1})
    first: Any = api.services.desk.pbxs[0]
    first.connector = replace(first.connector, outside_prefix="00881")
    dear = api.ann.post("/webcalls", {"from": "00881442079460001", "to": "101"})
    assert (dear.status, "Maximum per minute call rate" in dear.json["message"]) == (400, True)
    assert server.actions("Originate") == south.actions("Originate") == []


def test_who_is_in_a_queue_of_either_is_in_the_queue(
    api: Api, server: AmiServer, south: AmiServer, connected: Connected, both: Connection
) -> None:
    queue_id = queue(api)
    paused = event("QueueMemberAdded", Queue="support", Interface="PJSIP/101", Paused="1")
    server.tell(paused)
    until(lambda: members(api, queue_id) == {api.ann.user_id: False})
    south.tell(event("QueueMemberAdded", Queue="support", Interface="PJSIP/102", Paused="0"))
    until(lambda: members(api, queue_id) == {api.ann.user_id: False, api.bob.user_id: True})
    south.tell(paused.replace("Paused: 1", "Paused: 0"))
    until(lambda: members(api, queue_id) == {api.ann.user_id: True, api.bob.user_id: True})
    server.tell(paused.replace("Added", "Removed"))
    south.tell(event("QueueMemberRemoved", Queue="support", Interface="PJSIP/102", Paused="0"))
    until(lambda: members(api, queue_id) == {api.ann.user_id: True})


def test_no_mark_is_put_before_the_id_of_a_callback() -> None:
    assert marks.named("south", f"{CALLBACK}1.2") == f"{CALLBACK}1.2"
