"""Folders of audio into recordings and voice messages."""

import errno
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ringback.importers.reservations import RESERVED_S
from ringback.media.audio import content_hash
from ringback.store import cdrs
from tests.api import Api
from tests.child import importing
from tests.importers.master_csv import inbound, line, run, written
from tests.media.sounds import converted, frequency, heard, tone

UNIQUEID = "1795341600.26"


def call(api: Api, folder: Path, *lines: str) -> list[dict[str, Any]]:
    run(api, "asterisk-cdr", written(folder, *(lines or (line(),))))
    return api.admin.listed("/cdrs", sort="id", dir="ASC")


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    (folder / "2026").mkdir(parents=True)
    return folder


def blobs(api: Api) -> list[str]:
    return sorted(stored.key for stored in api.services.blobs.list())


def test_a_recording_is_its_calls(api: Api, tmp_path: Path) -> None:
    (cdr,) = call(api, tmp_path)
    folder = folder_of(tmp_path)
    tone(folder / "2026" / f"out-02079460000-101-{UNIQUEID}.wav", seconds=2.6)
    summary = run(api, "recordings", folder)
    assert (summary.read, summary.new, summary.known, summary.refused) == (1, 1, 0, [])
    (monitor,) = api.admin.listed("/monitors")
    assert monitor["timestamp"] == cdr["calldate"]
    assert (monitor["caller"], monitor["called"], monitor["duration"]) == ("101", "442079460000", 3)
    for name in ("user_id", "live_id", "type", "context", "src", "src_id", "src_name", "dst", "dst_id", "dst_name"):
        assert monitor[name] == cdr[name], name
    mp3 = api.admin.get(f"/monitors/{monitor['id']}.mp3")
    assert len(mp3.body) == monitor["size"]
    (tmp_path / "got.mp3").write_bytes(mp3.body)
    channels, rate = heard(tmp_path / "got.mp3")
    assert abs(len(channels[0]) / rate - 2.6) < 0.1
    assert abs(frequency(channels[0][rate // 2 : rate * 2], rate) - 440) < 2


def test_the_whole_name_may_be_the_uniqueid_of_a_named_pbx(api: Api, tmp_path: Path) -> None:
    call(api, tmp_path, line(uniqueid="pbx1-1795341600.26"))
    folder = folder_of(tmp_path)
    tone(folder / "pbx1-1795341600.26.wav")
    assert run(api, "recordings", folder).new == 1


def test_of_several_hops_the_one_that_talked_has_the_recording(api: Api, tmp_path: Path) -> None:
    rang = inbound(disposition="NO ANSWER", answer="", billsec="0")
    _, talked = call(api, tmp_path, rang, inbound(dstchannel="PJSIP/104-00000003", uniqueid=UNIQUEID))
    folder = folder_of(tmp_path)
    tone(folder / f"{UNIQUEID}.wav")
    run(api, "recordings", folder)
    assert api.admin.listed("/monitors")[0]["live_id"] == talked["live_id"]


def test_every_format_comes_in_once(api: Api, tmp_path: Path) -> None:
    call(api, tmp_path)
    folder = folder_of(tmp_path)
    wav = tone(tmp_path / "tone.wav")
    converted(wav, folder / f"a-{UNIQUEID}.mp3", "libmp3lame")
    converted(wav, folder / f"b-{UNIQUEID}.ogg", "libopus", rate=48000)
    tone(folder / f"c-{UNIQUEID}.WAV", hz=(600,))
    assert run(api, "recordings", folder).new == 3
    (folder / f"renamed-{UNIQUEID}.wav").write_bytes((folder / f"c-{UNIQUEID}.WAV").read_bytes())
    again = run(api, "recordings", folder)
    assert (again.read, again.new, again.known) == (4, 0, 4)
    assert len(blobs(api)) == 3


def test_what_cannot_be_used_is_told_and_stops_nothing(api: Api, tmp_path: Path) -> None:
    call(api, tmp_path)
    folder = folder_of(tmp_path)
    (folder / f"1-{UNIQUEID}.wav").write_bytes(b"RIFF, or so it says")
    tone(folder / "2-1700000000.1.wav")
    tone(folder / "3-nameless.wav")
    (folder / f"4-{UNIQUEID}.wav").symlink_to(tone(tmp_path / "elsewhere.wav"))
    (folder / "notes.txt").write_text("no audio")
    tone(folder / f"9-{UNIQUEID}.wav")
    summary = run(api, "recordings", folder)
    assert (summary.read, summary.new) == (4, 1)
    reasons = {Path(refusal.where).name[0]: refusal.reason for refusal in summary.refused}
    assert reasons.keys() == {"1", "2", "3", "4"}
    assert "1700000000.1" in reasons["2"]
    assert "link" in reasons["4"]
    assert len(blobs(api)) == 1


def test_what_may_not_be_read_is_told_and_stops_nothing(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, who may read everything."""
    call(api, tmp_path)
    folder = folder_of(tmp_path)
    locked = tone(folder / f"1-{UNIQUEID}.wav", hz=(300,))
    tone(folder / f"2-{UNIQUEID}.wav")
    (folder / "closed").mkdir()

    def allowed(path: Any, known: Callable[[Any], Any]) -> Any:
        if str(path) in (str(locked), str(folder / "closed")):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return known(path)

    monkeypatch.setattr("ringback.importers.recordings.content_hash", partial(allowed, known=content_hash))
    monkeypatch.setattr("os.scandir", partial(allowed, known=os.scandir))
    summary = run(api, "recordings", folder)
    assert (summary.read, summary.new) == (2, 1)
    assert sorted((each.where, each.reason) for each in summary.refused) == [
        (str(each), "it cannot be read: Permission denied") for each in (locked, folder / "closed")
    ]


def test_a_folder_with_nothing_to_read_is_refused(api: Api, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "notes.txt").write_text("no audio")
    for kind, what in {"recordings": "audio", "voicemail": "message"}.items():
        (refusal,) = run(api, kind, folder).refused
        assert (refusal.where, refusal.reason) == (str(folder), f"there is no {what} in this folder or below it")


def test_a_recording_whose_call_was_deleted_is_the_calls_again_once_that_is_imported_anew(
    api: Api, tmp_path: Path
) -> None:
    (cdr,) = call(api, tmp_path)
    folder = folder_of(tmp_path)
    tone(folder / f"{UNIQUEID}.wav")
    run(api, "recordings", folder)
    api.services.database.write(lambda db: cdrs.delete(db, api.acme, [cdr["id"]]))
    (anew,) = call(api, tmp_path)
    summary = run(api, "recordings", folder)
    assert (summary.new, summary.known) == (0, 1)
    sql = "SELECT cdr_id, live_id FROM monitors WHERE customer_id = :customer"
    linked = api.services.database.read(lambda db: db.all(sql, {"customer": api.acme}))
    assert linked == [(anew["id"], anew["live_id"])]
    assert anew["id"] != cdr["id"]


def test_calls_of_another_customer_are_not_found(api: Api, tmp_path: Path) -> None:
    call(api, tmp_path)
    folder = folder_of(tmp_path)
    tone(folder / f"{UNIQUEID}.wav")
    assert run(api, "recordings", folder, customer=api.other).refused_in_all == 1


KILLED_BEFORE_THE_ROW = """
import os
from ringback.blobs import FolderBlobs
put = FolderBlobs.put_file
def put_and_die(blobs, key, path):
    put(blobs, key, path)
    os.kill(os.getpid(), 9)
FolderBlobs.put_file = put_and_die
"""


def killed(api: Api, tmp_path: Path, database_url: str, folder: Path) -> None:
    command = importing(database_url, tmp_path, api.acme, "recordings", folder, before=KILLED_BEFORE_THE_ROW)
    assert subprocess.run(command, check=False).returncode == -9
    assert api.admin.listed("/monitors") == []
    assert len(blobs(api)) == 1


def test_audio_of_a_killed_run_is_taken_up_by_the_next(api: Api, tmp_path: Path, database_url: str) -> None:
    call(api, tmp_path)
    folder = folder_of(tmp_path)
    tone(folder / f"{UNIQUEID}.wav")
    killed(api, tmp_path, database_url, folder)
    assert run(api, "recordings", folder).new == 1
    (monitor,) = api.admin.listed("/monitors")
    assert blobs(api) == [f"{api.acme}/monitors/{monitor['id']}.mp3"]
    api.app.services.clock.advance(2 * RESERVED_S)  # type: ignore[attr-defined]
    api.run_jobs()
    assert len(blobs(api)) == 1


def test_audio_of_a_killed_run_that_nobody_repeats_goes(api: Api, tmp_path: Path, database_url: str) -> None:
    call(api, tmp_path)
    folder = folder_of(tmp_path)
    tone(folder / f"{UNIQUEID}.wav")
    killed(api, tmp_path, database_url, folder)
    api.app.services.clock.advance(10 * 365 * 86_400)  # type: ignore[attr-defined]
    api.run_jobs()
    assert blobs(api) == []


def test_voice_messages_come_with_their_envelopes(api: Api, tmp_path: Path) -> None:
    inbox, old = tmp_path / "spool/default/103/INBOX", tmp_path / "spool/default/103/Old"
    for folder in (inbox, old, tmp_path / "spool/default/999/INBOX"):
        folder.mkdir(parents=True)
        tone(folder / "msg0000.wav", hz=(300 + 10 * len(folder.name),), seconds=3.0)
        (folder / "msg0000.txt").write_text(ENVELOPE.format(mailbox=folder.parent.name))
    tone(inbox / "msg0001.wav", hz=(700,))
    tone(inbox.parent / "greet.wav")
    summary = run(api, "voicemail", tmp_path / "spool")
    assert (summary.read, summary.new) == (4, 2)
    assert sorted(refusal.reason for refusal in summary.refused) == [
        "no text file stands beside it",
        "no user has the extension 999",
    ]
    new, kept = sorted(api.ann.listed("/voicemessages"), key=lambda message: message["folder"])
    assert (new["folder"], new["is_new"], kept["folder"], kept["is_new"]) == ("INBOX", True, "Old", False)
    assert (new["caller"], new["dialled"], new["duration"]) == ("493023125789", "442079460105", 3)
    assert new["extension_id"] == api.ann.user_id
    assert new["callerid"] == '"50% off" <+493023125789>'
    assert new["origtime"] == "2026-11-22 04:38:28"
    assert len(api.ann.get(f"/voicemessages/{new['id']}.mp3").body) == new["size"]
    again = run(api, "voicemail", tmp_path / "spool")
    assert (again.new, again.known) == (0, 2)


ENVELOPE = """;
; Message Information file
;
[message]
origmailbox={mailbox}
exten=+442079460105
callerid="50% off" <+493023125789>
origtime=1795322308
duration=10
"""
