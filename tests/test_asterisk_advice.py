"""What Asterisk's own configuration lacks is told in the server's log."""

import threading

import pytest
from structlog.testing import capture_logs

from ringback.connectors.asterisk import advice, setup
from tests.ami_server import USER, AmiServer
from tests.connected import Connected, connected, server, until

__all__ = ["connected", "server"]


@pytest.fixture
def closed(server: AmiServer) -> AmiServer:
    """Its manager account may not place calls."""
    allowed = {name: "…" for name in setup.ACTIONS if name != "Originate"}
    server.answers["ListCommands"] = [{"Response": "Success", **allowed}]
    return server


def is_looking() -> bool:
    return any(each.name == "advice-office" for each in threading.enumerate())


def test_what_is_lacking_is_told_once_however_often_it_connects(
    closed: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice, "LASTED_S", 0.1)
    with capture_logs() as logs:
        connected()
        for n in (1, 2):
            until(lambda n=n: len(closed.actions("ListCommands")) == n and not is_looking())  # type: ignore[misc]
            closed.drop()
    lacks = [each["lack"] for each in logs if each["event"] == "the pbx is not set up"]
    assert f"{USER} may not use Originate" in lacks
    assert len(set(lacks)) == len(lacks)


def test_a_wire_that_breaks_all_the_time_carries_no_such_questions(
    closed: AmiServer, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice, "LASTED_S", 3_600.0)
    made = connected()
    assert is_looking()
    for n in (2, 3):
        closed.drop()
        until(lambda n=n: len(closed.actions("CoreShowChannels")) == n)  # type: ignore[misc]
    made.stop()
    until(lambda: not is_looking())
    assert closed.actions("ListCommands") == []
