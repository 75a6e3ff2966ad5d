"""Recordings of a connected Asterisk: each file is taken once, when it is complete, and is the monitor of the leg that was recorded."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.connectors.asterisk import recordings as part
from ringback.connectors.asterisk.connection import Connection
from ringback.connectors.settings import Rule
from ringback.errors import Unavailable
from ringback.jobs import encode
from tests.ami_server import AmiServer
from tests.api import Api
from tests.connected import BOTH, CALLEE, CALLER, UNTIL_TALK, Connected, connected, server, until
from tests.media.sounds import frequency, heard, tone
from tests.recorded import SPOOL, TALK, begins, call_recorded, hurried, monitors, part_of, spool, the_monitor, told

__all__ = ["connected", "hurried", "server", "spool"]


def sounds(api: Api, monitor: Any, tmp_path: Path) -> list[float]:
    """What is heard on each channel, in whole tens of Hz."""
    (tmp_path / "heard.mp3").write_bytes(api.admin.get(f"/monitors/{monitor['id']}.mp3").body)
    channels, rate = heard(tmp_path / "heard.mp3")
    return [round(frequency(channel, rate), -1) for channel in channels]


def settled(api: Api, connection: Connection) -> None:
    """Every file that is there has been looked at since."""
    recordings = part_of(connection)
    until(lambda: not recordings._untold and not recordings._notes.recordings)


# -- files become monitors


def test_a_recording_becomes_the_monitor_of_its_call(
    api: Api, server: AmiServer, connected: Connected, spool: Path, tmp_path: Path
) -> None:
    tone(spool / "one.wav", (440,), seconds=2.6)
    connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "one.wav")))
    monitor = the_monitor(api)
    (cdr,) = api.admin.listed("/cdrs")
    assert (monitor["live_id"], monitor["src"], monitor["dst"]) == (cdr["live_id"], "101", "102")
    assert (monitor["duration"], monitor["user_id"], monitor["type"]) == (3, api.ann.user_id, cdr["type"])
    assert sounds(api, monitor, tmp_path) == [440]
    assert (spool / "one.wav").exists()
    assert monitors(api, api.stranger) == []


def test_both_sides_are_kept_apart(
    api: Api, server: AmiServer, connected: Connected, spool: Path, tmp_path: Path
) -> None:
    tone(spool / "m.wav", (440,))
    tone(spool / "r.wav", (600,), seconds=2.0)
    tone(spool / "t.wav", (900,), seconds=2.0)
    connection = connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "m.wav", "m.wav,r(r.wav)t(t.wav)")))
    assert sounds(api, the_monitor(api), tmp_path) == [600, 900]
    settled(api, connection)
    assert len(monitors(api)) == 1


def test_one_file_of_two_channels_keeps_them(
    api: Api, server: AmiServer, connected: Connected, spool: Path, tmp_path: Path
) -> None:
    tone(spool / "two.wav", (600, 900))
    connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLEE, "two.wav")))
    assert sounds(api, the_monitor(api), tmp_path) == [600, 900]


def test_sides_that_cannot_be_joined_leave_what_is_mixed(
    api: Api, server: AmiServer, connected: Connected, spool: Path, tmp_path: Path
) -> None:
    tone(spool / "m.wav", (440,))
    tone(spool / "r.wav", (600,))
    tone(spool / "t.wav", (900,), rate=16_000)
    connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "m.wav", "m.wav,r(r.wav)t(t.wav)")))
    assert sounds(api, the_monitor(api), tmp_path) == [440]


def test_a_call_has_as_many_monitors_as_recordings(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    (spool / "2026").mkdir()
    tone(spool / "one.wav", (440,))
    tone(spool / "2026/two.wav", (880,))
    connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "one.wav") + begins(CALLEE, "2026/two.wav")))
    until(lambda: len(monitors(api)) == 2)
    assert len({each["live_id"] for each in monitors(api)}) == 1


def test_a_file_is_taken_when_nobody_writes_it_any_more(
    api: Api, server: AmiServer, connected: Connected, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "STILL_S", 0.3)
    whole = tone(spool.parent / "whole.wav", (440,), seconds=3.0).read_bytes()
    connected(recordings=str(spool))
    written = threading.Event()

    def write() -> None:
        with (spool / "slow.wav").open("wb", buffering=0) as file:
            for at in range(0, len(whole), 4_096):
                file.write(whole[at : at + 4_096])
                written.wait(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    server.tell(call_recorded(begins(CALLER, "slow.wav")))
    assert the_monitor(api)["duration"] == 3
    writer.join()


def test_a_file_that_comes_late_is_waited_for(api: Api, server: AmiServer, connected: Connected, spool: Path) -> None:
    connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "late.wav")))
    until(lambda: api.admin.listed("/cdrs"))
    tone(spool / "late.wav")
    assert the_monitor(api)["src"] == "101"


def test_a_recording_of_a_call_that_lasts_is_left_alone(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    connected(recordings=str(spool))
    server.tell(told(0, TALK) + begins(CALLER, f"{CALLER}.wav") + told(TALK, UNTIL_TALK))
    until(lambda: [row for row in api.admin.listed("/calls") if row["state"] == "CONNECTED"])
    tone(spool / f"{CALLER}.wav")
    assert not threading.Event().wait(0.5)
    assert monitors(api) == []
    server.tell(told(UNTIL_TALK))
    the_monitor(api)


def test_the_call_s_customer_owns_its_recording(api: Api, server: AmiServer, connected: Connected, spool: Path) -> None:
    tone(spool / "one.wav")
    connected(recordings=str(spool), customer=api.other, rules=(Rule(api.acme, context="internal"),))
    server.tell(call_recorded(begins(CALLER, "one.wav")))
    the_monitor(api)
    assert monitors(api, api.stranger) == []


def test_what_is_nobody_s_is_not_taken(api: Api, server: AmiServer, connected: Connected, spool: Path) -> None:
    tone(spool / "one.wav")
    connection = connected(recordings=str(spool), customer=None, rules=(Rule(api.acme, context="elsewhere"),))
    server.tell(call_recorded(begins(CALLER, "one.wav")))
    settled(api, connection)
    assert monitors(api) == []


# -- what nothing was told of


def test_a_file_that_nothing_was_told_of_is_found_by_the_id_in_its_name(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    connected(recordings=str(spool))
    server.tell(told(0))
    until(lambda: api.admin.listed("/cdrs"))
    (spool / "2026/11/22").mkdir(parents=True)
    tone(spool / f"2026/11/22/internal-102-101-20261122-114429-{CALLER}.wav")
    assert the_monitor(api)["dst"] == "102"


def test_its_call_may_come_in_later(api: Api, server: AmiServer, connected: Connected, spool: Path) -> None:
    connected(recordings=str(spool))
    tone(spool / f"q-600-101-20261122-114429-{CALLER}.wav")
    assert (the_monitor(api)["src"], the_monitor(api)["timestamp"]) == (None, "2026-11-22 11:44:29")
    server.tell(told(0))
    until(lambda: monitors(api)[0]["src"] == "101")


def test_among_several_customers_it_waits_for_its_call(
    api: Api, server: AmiServer, connected: Connected, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "AGAIN_S", 0.05)
    connected(recordings=str(spool), customer=api.other, rules=(Rule(api.acme, context="internal"),))
    tone(spool / f"{CALLER}.wav")
    server.tell(told(0))
    assert the_monitor(api)["src"] == "101"
    assert monitors(api, api.stranger) == []


def test_what_was_there_before_the_first_connection_is_left_alone(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    tone(spool / "1795322203.3.wav")
    os.utime(spool / "1795322203.3.wav", (1_795_322_203, 1_795_322_203))
    connection = connected(recordings=str(spool))
    tone(spool / "1795322204.4.wav")
    the_monitor(api)
    settled(api, connection)
    assert len(monitors(api)) == 1


# -- once, whatever happens


def test_a_file_is_taken_once_by_one_server_after_the_other(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    tone(spool / "one.wav")
    first = connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "one.wav")))
    monitor = the_monitor(api)
    first.stop()
    api.admin.delete(f"/monitors/{monitor['id']}")
    tone(spool / f"{CALLER}.wav", (880,))
    second = connected(recordings=str(spool))
    assert the_monitor(api)["id"] != monitor["id"]
    settled(api, second)
    assert len(monitors(api)) == 1


def test_what_ended_while_no_server_ran_is_taken_by_the_next_one(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    first = connected(recordings=str(spool))
    server.tell(told(0, TALK) + begins(CALLER, "no-id-at-all.wav") + told(TALK, UNTIL_TALK))
    until(lambda: [row for row in api.admin.listed("/calls") if row["state"] == "CONNECTED"])
    first.stop()
    tone(spool / "no-id-at-all.wav")
    connected(recordings=str(spool))
    assert the_monitor(api)["dst"] == "102"


def test_a_recording_that_began_while_no_server_ran_is_asked_for(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    first = connected(recordings=str(spool))
    server.tell(told(0, UNTIL_TALK))
    until(lambda: [row for row in api.admin.listed("/calls") if row["state"] == "CONNECTED"])
    first.stop()
    server.answers["CoreShowChannels"] = BOTH
    server.answers["Getvar MIXMONITOR_FILENAME"] = lambda fields: [
        {"Response": "Success", "Value": f"{SPOOL}/dyn.wav" if fields["Channel"].startswith("PJSIP/102") else ""}
    ]
    tone(spool / "dyn.wav")
    recordings = part_of(connected(recordings=str(spool)))
    until(lambda: recordings._notes.recordings)
    server.tell(told(UNTIL_TALK))
    assert the_monitor(api)["dst"] == "102"


def test_a_channel_that_ends_as_it_is_asked_about_keeps_no_recording_back(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    gone = {"Event": "CoreShowChannel", "Uniqueid": "1795000.9", "Linkedid": "1795000.9", "Channel": "PJSIP/103-9"}
    server.answers["CoreShowChannels"] = [BOTH[0], gone, BOTH[-1]]
    server.answers["Getvar MIXMONITOR_FILENAME"] = [{"Response": "Error", "Message": "No such channel"}]
    tone(spool / "one.wav")
    connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "one.wav")))
    assert the_monitor(api)["dst"] == "102"


def test_a_server_killed_before_it_has_noted_a_file_takes_it_once(
    api: Api, server: AmiServer, connected: Connected, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tone(spool / "one.wav")
    took = threading.Event()
    take = encode.take_in

    def killed(*given: Any) -> Any:
        take(*given)
        took.set()
        raise Unavailable("the process has ended here")

    monkeypatch.setattr(encode, "take_in", killed)
    first = connected(recordings=str(spool))
    server.tell(call_recorded(begins(CALLER, "one.wav")))
    assert took.wait(10)
    monkeypatch.setattr(encode, "take_in", take)
    first.stop()
    second = connected(recordings=str(spool))
    settled(api, second)
    assert len(monitors(api)) == 1


# -- removing


def test_the_original_goes_when_the_mp3_is_stored_and_not_before(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    files = [tone(spool / "m.wav"), tone(spool / "r.wav", (600,)), tone(spool / "t.wav", (900,))]
    connected(recordings=str(spool), remove_recordings=True)
    server.tell(call_recorded(begins(CALLER, "m.wav", "m.wav,r(r.wav)t(t.wav)")))
    until(lambda: api.admin.listed("/audioinbox"))
    assert not threading.Event().wait(0.3)
    assert all(file.exists() for file in files)
    the_monitor(api)
    until(lambda: not any(file.exists() for file in files))


def test_what_is_broken_is_shown_and_stays(api: Api, server: AmiServer, connected: Connected, spool: Path) -> None:
    (spool / "one.wav").write_bytes(b"this is no audio at all" * 50)
    connected(recordings=str(spool), remove_recordings=True)
    server.tell(call_recorded(begins(CALLER, "one.wav")))
    until(lambda: api.admin.listed("/audioinbox"))
    api.run_jobs()
    assert [each["state"] for each in api.admin.listed("/audioinbox")] == ["broken"]
    assert (spool / "one.wav").exists()


# -- hostile names


def test_names_of_an_attacker_are_no_trouble(api: Api, server: AmiServer, connected: Connected, spool: Path) -> None:
    connection = connected(recordings=str(spool))
    tone(spool / os.fsdecode(b"\xff\xfe;rm -rf 1795322203.3.wav"))
    evil: Callable[[str], str] = lambda path: begins(CALLER, path, f"{path},r({path})t(\0)", "")  # noqa: E731
    server.tell(call_recorded(evil("/../../../etc/passwd") + evil("x" * 5_000) + evil("a\tb")))
    the_monitor(api)
    assert connection.link.session
