"""One login at a manager interface: what goes over the wire, what comes back, and how it ends."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Login, Session
from ringback.connectors.link import Lost, Refused
from tests.ami_server import SECRET, USER, AmiServer


@pytest.fixture
def server() -> Iterator[AmiServer]:
    made = AmiServer()
    made.booted.clear()
    yield made
    made.close()


class Ear:
    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.lost: list[str] = []
        self._changed = threading.Condition()

    def event(self, message: Message) -> None:
        with self._changed:
            self.heard.append(message)
            self._changed.notify_all()

    def loss(self, reason: str) -> None:
        with self._changed:
            self.lost.append(reason)
            self._changed.notify_all()

    def until(self, n: int = 0, lost: int = 0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= n and len(self.lost) >= lost, 10)


def opened(server: AmiServer, ear: Ear | None = None, **changed: Any) -> Session:
    ear = ear or Ear()
    return Session(
        Login(**{"host": "127.0.0.1", "port": server.port, "user": USER, "secret": SECRET, **changed}),
        ear.event,
        ear.loss,
    )


def test_the_secret_never_goes_over_the_wire(server: AmiServer) -> None:
    session = opened(server)
    assert session.version() == 22
    assert SECRET.encode() not in server.raw
    session.close()


def test_a_wrong_login_is_one_line(server: AmiServer) -> None:
    with pytest.raises(Lost, match=r"login as ringback refused \(Authentication failed\): check user, secret"):
        opened(server, secret="wrong")


def test_nobody_there_is_one_line(server: AmiServer) -> None:
    server.close()
    with pytest.raises(Lost, match=r"127\.0\.0\.1:\d+ cannot be reached: Connection refused"):
        opened(server)


def test_another_protocol_is_one_line() -> None:
    server = AmiServer(banner=b"220 mail.example ESMTP\r\n")
    with pytest.raises(Lost, match="is no manager interface of Asterisk"):
        opened(server)
    server.close()


def test_answers_are_told_from_each_other_and_events_from_answers(server: AmiServer) -> None:
    server.answers["Getvar"] = lambda fields: [{"Response": "Success", "Value": fields["Variable"].lower()}]
    ear = Ear()
    session = opened(server, ear)
    futures = [session.send("Getvar", ("Variable", name)) for name in ("A", "B", "C")]
    server.tell("Event: Newchannel\nChannel: PJSIP/101-1\nCallerIDName: Żółć\n\n")
    assert [future.result(5)[0]["Value"] for future in futures] == ["a", "b", "c"]
    ear.until(1)
    assert ear.heard[0]["CallerIDName"] == "Żółć"
    session.close()
    assert ear.lost == []


def test_a_list_is_one_answer(server: AmiServer) -> None:
    server.answers["CoreShowChannels"] = [
        {"Response": "Success", "EventList": "start"},
        {"Event": "CoreShowChannel", "Channel": "PJSIP/101-1"},
        {"Event": "CoreShowChannel", "Channel": "PJSIP/102-2"},
        {"Event": "CoreShowChannelsComplete", "EventList": "Complete", "ListItems": "2"},
    ]
    ear = Ear()
    session = opened(server, ear)
    assert [each["Channel"] for each in session.listed("CoreShowChannels")] == ["PJSIP/101-1", "PJSIP/102-2"]
    assert ear.heard == []
    session.close()


def test_what_asterisk_refuses_is_told_in_its_words(server: AmiServer) -> None:
    server.answers["Originate"] = [{"Response": "Error", "Message": "Permission denied"}]
    session = opened(server)
    with pytest.raises(Refused, match="Permission denied"):
        session.ask("Originate", ("Channel", "PJSIP/101"))
    session.close()


@pytest.mark.parametrize("value", ["PJSIP/1\r\nAction: Command", "a\nb", "a\rb", "a\0b", "x" * 2000])
def test_no_value_begins_another_action(server: AmiServer, value: str) -> None:
    session = opened(server)
    before = len(server.got)
    with pytest.raises(ValueError, match="Channel"):
        session.send("Hangup", ("Channel", value))
    assert session.version() == 22
    assert [each["Action"] for each in server.got[before:]] == ["CoreSettings"]
    session.close()


def test_a_lost_connection_fails_what_waits_and_is_told_once(server: AmiServer) -> None:
    ear = Ear()
    session = opened(server, ear)
    server.silent = True
    waiting = session.send("Status")
    server.drop()
    with pytest.raises(Lost):
        waiting.result(5)
    ear.until(lost=1)
    with pytest.raises(Lost):
        session.ask("Ping")
    assert len(ear.lost) == 1


def test_a_silent_connection_is_asked_and_then_given_up(server: AmiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "silent_s", 0.5)
    ear = Ear()
    session = opened(server, ear)
    server.until(lambda: len(server.actions("Ping")) > 1)
    assert ear.lost == []
    server.silent = True
    ear.until(lost=1)
    assert "timed out" in ear.lost[0]
    session.close()


def test_a_message_without_end_ends_the_connection(server: AmiServer) -> None:
    ear = Ear()
    opened(server, ear)
    server.tell("Event: X\nName: " + "a" * (2 << 20))
    ear.until(lost=1)
    assert ear.lost == ["sent a message that does not end"]


def test_what_cannot_be_taken_ends_the_connection_and_is_told(server: AmiServer) -> None:
    class Startled(Ear):
        def event(self, message: Message) -> None:
            raise ValueError(message)

    ear = Startled()
    session = opened(server, ear)
    server.tell("Event: X\n\n")
    ear.until(lost=1)
    assert ear.lost == [session.lost] == ["what it told was not understood: ValueError"]


def test_what_calls_itself_strangely_has_no_version(server: AmiServer) -> None:
    server.answers["CoreSettings"] = [{"Response": "Success", "AsteriskVersion": "GIT-master"}]
    session = opened(server)
    with pytest.raises(Refused, match="GIT-master"):
        session.version()
    server.answers["CoreSettings"] = [{"Response": "Success", "AsteriskVersion": "9" * 10_000}]
    assert session.version() == 9_999
    session.close()
