"""Asterisk's voicemail spool: its folders, its envelopes, and what may be wrong with them."""

from pathlib import Path
from typing import Any

import pytest

from ringback.importers import Summary
from tests.api import Api
from tests.importers.master_csv import run
from tests.media.sounds import converted, tone


def message(folder: Path, number: int = 0, hz: int = 440, **envelope: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    audio = tone(folder / f"msg{number:04}.wav", (hz,), seconds=0.5)
    told = {"origmailbox": "103", "callerid": '"Zoë" <02079460001>', "origtime": 1795322308, **envelope}
    lines = "".join(f"{name}={value}\n" for name, value in told.items() if value is not None)
    audio.with_suffix(".txt").write_text(f";\n; Message Information file\n;\n[message]\n{lines}")
    return audio


def imported(api: Api, spool: Path) -> Summary:
    return run(api, "voicemail", spool)


def in_folders(api: Api) -> dict[str, tuple[int, bool]]:
    """How many messages each folder has, and whether the last of them is new."""
    found: dict[str, tuple[int, bool]] = {}
    for each in api.ann.listed("/voicemessages"):
        found[each["folder"]] = (found.get(each["folder"], (0, False))[0] + 1, each["is_new"])
    return found


def test_every_folder_of_asterisk_is_one_here(api: Api, tmp_path: Path) -> None:
    box = tmp_path / "default/103"
    names = [
        "INBOX",
        "Old",
        "Work",
        "Family",
        "Friends",
        "Cust1",
        "Cust2",
        "Cust3",
        "Cust4",
        "Cust5",
        "Urgent",
        "Deleted",
    ]
    for index, name in enumerate(names):
        message(box / name, hz=300 + index)
    assert imported(api, tmp_path).new == 12
    assert in_folders(api) == {name: (1, name in ("INBOX", "Urgent")) for name in names}


def test_urgent_ones_are_in_urgent_and_unknown_folders_in_old(api: Api, tmp_path: Path) -> None:
    message(tmp_path / "default/103/INBOX", flag="Urgent")
    message(tmp_path / "default/103/Urlaub", hz=500)
    summary = imported(api, tmp_path)
    assert summary.warnings == ["1 × a folder that is none of Asterisk's: its messages are in Old"]
    assert in_folders(api) == {"Urgent": (1, True), "Old": (1, False)}


def test_a_message_in_several_formats_is_one(api: Api, tmp_path: Path) -> None:
    audio = message(tmp_path / "default/103/INBOX")
    converted(audio, audio.with_suffix(".ulaw"), "pcm_mulaw", "mulaw")
    summary = imported(api, tmp_path)
    assert (summary.read, summary.new) == (1, 1)


def test_greetings_and_messages_being_recorded_are_passed_over(api: Api, tmp_path: Path) -> None:
    box = tmp_path / "default/103"
    message(box / "INBOX")
    for name in ("unavail", "busy", "greet", "temp", "tmp/aXb3c"):
        (box / name).parent.mkdir(exist_ok=True)
        tone(box / f"{name}.wav")
    summary = imported(api, tmp_path)
    assert (summary.read, summary.new, summary.refused) == (1, 1, [])


def test_a_message_that_was_moved_is_still_known(api: Api, tmp_path: Path) -> None:
    audio = message(tmp_path / "default/103/INBOX")
    imported(api, tmp_path)
    old = tmp_path / "default/103/Old"
    old.mkdir()
    for suffix in (".wav", ".txt"):
        audio.with_suffix(suffix).rename(old / f"msg0007{suffix}")
    summary = imported(api, tmp_path)
    assert (summary.new, summary.known) == (0, 1)


def test_a_message_without_origtime_has_the_date_for_people(api: Api, tmp_path: Path) -> None:
    message(tmp_path / "default/103/INBOX", origtime=None, origdate="Sun Nov  2 04:38:28 PM UTC 2026")
    assert imported(api, tmp_path).new == 1
    assert api.ann.listed("/voicemessages")[0]["origtime"] == "2026-11-02 16:38:28"


def test_more_than_asterisk_writes_disturbs_nothing(api: Api, tmp_path: Path) -> None:
    extra: dict[str, Any] = {
        "msg_id": "1795322308-00000000",
        "category": "",
        "duration": "0",
        "rdnis": None,
        "context": "macro:x = y",
    }
    audio = message(tmp_path / "default/103/INBOX", **extra)
    with audio.with_suffix(".txt").open("ab") as envelope:
        envelope.write(b"flag\ncallername=\xff\xfe\n[message]\npriority=2\n")
    assert imported(api, tmp_path).new == 1


WRONG: dict[str, dict[str, Any]] = {
    "says no time": {"origtime": "soon"},
    "says no time ": {"origtime": "-1"},
    "says  no time": {"origtime": "9" * 400},
    "is not as Asterisk writes it": {"x]\n[broken": "y\n= no key"},
}


@pytest.mark.parametrize("reason", WRONG)
def test_what_an_envelope_lacks_is_told(api: Api, tmp_path: Path, reason: str) -> None:
    message(tmp_path / "default/103/INBOX", **WRONG[reason])
    message(tmp_path / "default/103/Old", hz=500)
    summary = imported(api, tmp_path)
    (refusal,) = summary.refused
    assert " ".join(reason.split()) in refusal.reason
    assert summary.new == 1


def test_a_mailbox_of_nobody_is_told(api: Api, tmp_path: Path) -> None:
    message(tmp_path / "default/999/INBOX", origmailbox="../../101")
    (refusal,) = imported(api, tmp_path).refused
    assert "no user has the extension ../../101" in refusal.reason


def test_a_message_for_two_mailboxes_is_in_both(api: Api, tmp_path: Path) -> None:
    """`VoiceMail(103&104)`, or forwarded: the copy names the first mailbox."""
    message(tmp_path / "default/103/INBOX")
    message(tmp_path / "default/104/INBOX")
    assert imported(api, tmp_path).new == 2
    assert {each["extension_id"] for each in api.admin.listed("/voicemessages")} == {api.ann.user_id, api.bob.user_id}


def test_links_lead_nowhere(api: Api, tmp_path: Path) -> None:
    spool, outside = tmp_path / "spool", tmp_path / "outside"
    elsewhere = message(outside)
    audio = message(spool / "default/103/INBOX", hz=500)
    audio.with_suffix(".txt").unlink()
    audio.with_suffix(".txt").symlink_to(elsewhere.with_suffix(".txt"))
    (spool / "default/103/Old").symlink_to(outside, target_is_directory=True)
    reasons = sorted(each.reason for each in imported(api, spool).refused)
    assert reasons == ["a symbolic link", "its text file is a symbolic link"]
