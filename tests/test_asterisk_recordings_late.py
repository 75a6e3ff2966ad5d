"""Recordings of a connected Asterisk where a file is slow or cannot be taken, and where channels come and go meanwhile."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.connectors.asterisk import recordings as part
from ringback.connectors.asterisk import worker
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.connection import Connection
from ringback.connectors.folder import Folder, Look, TooLarge
from ringback.connectors.settings import Connector
from ringback.jobs import encode
from tests.ami_server import AmiServer
from tests.api import Api
from tests.connected import CALLEE, CALLER, UNTIL_TALK, Connected, connected, server, until, up
from tests.media.sounds import tone
from tests.recorded import SPOOL, TALK, begins, call_recorded, hurried, monitors, part_of, spool, the_monitor, told

__all__ = ["connected", "hurried", "server", "spool"]

# -- files that cannot be taken


def test_a_file_that_cannot_be_taken_keeps_no_other_one_back(
    api: Api, server: AmiServer, connected: Connected, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Folder.copy

    def refused(folder: Folder, name: str, target: Path) -> Look:
        if name.startswith("bad"):
            raise TooLarge(f"{name} has more than 512 MiB")
        return copy(folder, name, target)

    monkeypatch.setattr(Folder, "copy", refused)
    connected(recordings=str(spool))
    for name in ("bad.wav", "good.wav", f"bad-{LONE}.wav", f"good-{LONE}.wav"):
        tone(spool / name)
    server.tell(call_recorded(begins(CALLER, "bad.wav") + begins(CALLEE, "good.wav")))
    until(lambda: len(monitors(api)) == 2)


# -- what is told while files are slow


def test_whatever_is_told_the_thread_that_reads_does_not_wait(api: Api, spool: Path) -> None:
    made = part.Recordings(api.services, Connector("office", "asterisk", "", "", recordings=str(spool)))
    begun = {"Event": "VarSet", "Variable": "MIXMONITOR_FILENAME", "Value": "a.wav"}

    def tell() -> None:
        for number in range(100_001):
            made.heard({**begun, "Uniqueid": str(number)})

    reader = threading.Thread(target=tell, daemon=True)
    reader.start()
    reader.join(60)
    assert not reader.is_alive()
    made.stop()


# -- channels that come and go while nobody has time to see to them

LONE = "1795322204.9"
GONE = f"Event: Hangup\nChannel: PJSIP/103-00000009\nUniqueid: {LONE}\nLinkedid: {LONE}\nCause: 16\n\n"


class Held:
    """What takes files is kept from going on with the first one. `taking`: it has begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taking, self.go_on = threading.Event(), threading.Event()
        self._take = encode.take_in
        monkeypatch.setattr(encode, "take_in", self._slowly)

    def _slowly(self, *given: Any) -> Any:
        self.taking.set()
        assert self.go_on.wait(30)
        return self._take(*given)


@pytest.fixture
def held(
    server: AmiServer, connected: Connected, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Held, Connection]]:
    """A file is being taken, and the connection is lost meanwhile."""
    made = Held(monkeypatch)
    tone(spool / "first.wav")
    connection = connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "first.wav")))
    assert made.taking.wait(30)
    yield made, connection
    made.go_on.set()


def ended_unseen(api: Api, server: AmiServer, connection: Connection) -> None:
    """The new connection has found a channel that ended at once; another call is over since."""
    server.answers["CoreShowChannels"] = up((LONE, "PJSIP/103-00000009", "{}"))
    before = connection.link.session
    server.drop()
    until(lambda: connection.link.session not in (None, before))
    server.tell(GONE + told(0).replace("1795347869", "1795347890"))
    until(lambda: [cdr for cdr in api.admin.listed("/cdrs") if cdr["dst"] == "102"][1:])


def test_a_channel_that_ended_before_the_snapshot_was_understood_keeps_no_file_back(
    api: Api, server: AmiServer, held: tuple[Held, Connection], spool: Path
) -> None:
    ended_unseen(api, server, held[1])
    tone(spool / f"{LONE}.wav")
    held[0].go_on.set()
    until(lambda: len(monitors(api)) == 2)


def test_a_recording_that_was_asked_for_and_ended_before_the_answer_was_understood_is_taken(
    api: Api, server: AmiServer, held: tuple[Held, Connection], spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "UNSTORED_S", 0.1)
    server.answers["Getvar MIXMONITOR_FILENAME"] = [{"Response": "Success", "Value": f"{SPOOL}/dyn.wav"}]
    ended_unseen(api, server, held[1])
    tone(spool / "dyn.wav")
    held[0].go_on.set()
    until(lambda: len(monitors(api)) == 2)


def test_a_server_that_does_not_wait_for_a_slow_file_notes_it_all_the_same_and_takes_no_other_one(
    api: Api, held: tuple[Held, Connection], spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PATIENCE_S", 0.01)
    slow, connection = held
    tone(spool / f"{LONE}.wav")
    connection.stop()
    notes = Path(api.services.settings.data_dir) / "connectors" / "office.recordings"
    slow.go_on.set()
    until(lambda: '["taken","first.wav"' in notes.read_text())
    part_of(connection)._worker._thread.join(30)
    assert len(monitors(api)) == 1


def test_what_is_told_as_a_server_ends_is_known_to_the_next_one(
    api: Api, server: AmiServer, connected: Connected, held: tuple[Held, Connection], spool: Path
) -> None:
    slow, connection = held
    second = told(0, TALK) + begins(CALLER, "second.wav") + told(TALK, UNTIL_TALK)
    server.tell(second.replace("1795347869", "1795347890"))
    until(lambda: "1795347890.0" in part_of(connection)._open)
    ending = threading.Thread(target=connection.stop)
    ending.start()
    assert part_of(connection)._worker.stopping.wait(30)
    slow.go_on.set()
    ending.join(30)
    tone(spool / "second.wav")
    connected(recordings=str(spool))
    until(lambda: [each["dst"] for each in monitors(api)] == ["102", "102"])


def test_what_begins_while_channels_are_asked_about_has_not_ended(
    server: AmiServer, connected: Connected, spool: Path
) -> None:
    def getvar(_: Any) -> Any:
        server.tell(f"Event: Newchannel\nChannel: PJSIP/103-9\nUniqueid: {LONE}\n\n" + begins(LONE, "new.wav"))
        return [{"Response": "Success", "Value": f"{SPOOL}/old.wav"}]

    server.answers["CoreShowChannels"] = up((CALLER, "PJSIP/101-00000000", "{}"))
    server.answers["Getvar MIXMONITOR_FILENAME"] = getvar
    notes = part_of(connected(recordings=str(spool)))._notes
    until(lambda: len(notes.recordings) == 2)
    assert not threading.Event().wait(0.1)
    assert [each.ended_us for each in notes.recordings.values()] == [None, None]


def test_a_call_that_is_stored_before_its_last_end_is_heard_has_its_recording(
    api: Api, server: AmiServer, connected: Connected, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book, which hears everything first, may be the faster one."""
    hear = part.Recordings.heard

    def late(recordings: part.Recordings, message: Message) -> None:
        if (message["Event"], message.get("Uniqueid")) == ("Hangup", CALLER):
            until(lambda: not recordings._open)
        hear(recordings, message)

    monkeypatch.setattr(part.Recordings, "heard", late)
    tone(spool / "one.wav")
    connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "one.wav")))
    the_monitor(api)
