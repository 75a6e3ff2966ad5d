"""A connected PBX, and the call that its server tells: fixtures `server`, `connected` of an Asterisk, and what is asked of the API.

What is told was told by an Asterisk 22: 101 calls 102, who answers after half a second; 101 hangs up after 2.8 s.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ringback.connectors import link
from ringback.connectors.asterisk.connection import Connection
from ringback.connectors.connection import Connection as AnyConnection
from ringback.connectors.settings import Connector
from ringback.store import rows, schema
from ringback.store.database import Db
from tests.ami_server import SECRET, USER, AmiServer
from tests.api import Api

TOLD = (Path(__file__).parent / "ami/answered_internal.txt").read_text().split("\n\n")
CALLER, CALLEE = "1795347869.0", "1795347869.1"
UNTIL_TALK = next(n for n, text in enumerate(TOLD) if "Event: BridgeLeave" in text)
PATIENCE_S = 10.0

Connected = Callable[..., Connection]
C = TypeVar("C", bound=AnyConnection[Any])


def transcript(first: int = 0, last: int | None = None) -> str:
    return "".join(f"{text}\n\n" for text in TOLD[first:last] if text)


def until(happened: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + PATIENCE_S
    while not (found := happened()):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return found


def up(*channels: tuple[str, str, str]) -> list[dict[str, str]]:
    """CoreShowChannels: (uniqueid, name, what else)."""
    found = [
        {"Event": "CoreShowChannel", "Uniqueid": uniqueid, "Linkedid": CALLER, "Channel": name, **json.loads(more)}
        for uniqueid, name, more in channels
    ]
    end = {"Event": "CoreShowChannelsComplete", "EventList": "Complete"}
    return [{"Response": "Success", "EventList": "start"}, *found, end]


BOTH = up((CALLER, "PJSIP/101-00000000", "{}"), (CALLEE, "PJSIP/102-00000001", "{}"))


@pytest.fixture
def server() -> Iterator[AmiServer]:
    made = AmiServer()
    variables = {
        "CHANNEL(audionativeformat)": "(ulaw)",
        "CHANNEL(pjsip,call-id)": "abc@192.0.2.1",
        "PJSIP_AOR(102,contact)": "102;@0123abcd",
        "PJSIP_CONTACT(102;@0123abcd,user_agent)": "Desk phone 2",
        "DEVICE_STATE(PJSIP/101)": "NOT_INUSE",
        "DEVICE_STATE(PJSIP/102)": "UNAVAILABLE",
    }

    def getvar(fields: Any) -> Any:
        is_caller = fields.get("Channel", "").startswith("PJSIP/101")
        value = (
            "Desk phone 1" if is_caller and "HEADER" in fields["Variable"] else variables.get(fields["Variable"], "")
        )
        return [{"Response": "Success", "Value": value}]

    made.answers["Getvar"] = getvar
    yield made
    made.close()


def with_extensions(api: Api) -> None:
    """Ann has 101, Bob 102, and nobody else has one."""

    def work(db: Db) -> None:
        db.run("UPDATE users SET ext = NULL WHERE customer_id = :customer", {"customer": api.acme})
        for client, ext in ((api.ann, "101"), (api.bob, "102")):
            rows.update(db, schema.users, api.acme, client.user_id, {"ext": ext})

    api.services.database.write(work)


@contextmanager
def connecting(
    api: Api, kind: Callable[..., C], given: Connector, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., C]]:
    """Connections for Acme, with extensions for Ann and Bob; a second one goes on where the first one was."""
    monkeypatch.setattr(link, "FIRST_S", 0.05)
    with_extensions(api)
    begun: list[C] = []

    def connect(**changes: Any) -> C:
        made = kind(api.services, replace(given, **changes))
        monkeypatch.setattr(made, "stop", cache(made.stop))  # a test may stop it; at the end all are
        begun.append(made)
        api.services.desk.pbxs[:] = [made]
        made.start()
        until(lambda: made.link.session)
        return made

    yield connect
    for each in begun:
        each.stop()


@pytest.fixture
def connected(api: Api, server: AmiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connected]:
    given = Connector("office", "asterisk", USER, SECRET, port=server.port, customer=api.acme, dial_context="internal")
    with connecting(api, Connection, given, monkeypatch) as connect:
        yield connect


def cdrs(client: Any) -> Any:
    return client.listed("/cdrs", sort='[{"property":"live_id","direction":"ASC"}]')


def calls(client: Any) -> Any:
    return client.listed("/calls")


def placed(server: AmiServer) -> None:
    """An order to call is the call that the server tells."""

    def originate(fields: Any) -> Any:
        server.tell(transcript(0, UNTIL_TALK).replace(CALLER, fields["ChannelId"]))
        return [{"Response": "Success", "Message": "Originate successfully queued"}]

    server.answers["Originate"] = originate
