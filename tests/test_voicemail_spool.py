"""The files of a voicemail spool, who listens to its mailboxes, and which side has moved a message."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ringback.connectors.asterisk import mailbox
from ringback.connectors.asterisk.listeners import Listeners
from ringback.connectors.asterisk.mailbox import Busy, Spool, locked
from ringback.connectors.folder import Folder
from ringback.connectors.mailbox_sync import Do, Step, decide
from tests.media.sounds import tone
from tests.spool import BOX, GONE, leave, listening, names, numbers


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "voicemail").mkdir()
    return tmp_path / "voicemail"


# -- who has moved it


@pytest.mark.parametrize(
    ("base", "there", "here", "do"),
    [
        ("INBOX", "INBOX", "INBOX", Do(Step.NOTHING)),
        ("INBOX", "Old", "INBOX", Do(Step.MOVE_HERE, "Old")),
        ("INBOX", "INBOX", "Work", Do(Step.MOVE_THERE, "Work")),
        ("INBOX", "Old", "Work", Do(Step.MOVE_THERE, "Work")),
        ("INBOX", "Old", "Old", Do(Step.AGREE, "Old")),
        ("INBOX", None, "INBOX", Do(Step.MOVE_HERE, "Deleted")),
        ("INBOX", None, "Work", Do(Step.FORGET)),
        ("Deleted", None, "Deleted", Do(Step.FORGET)),
        ("INBOX", "INBOX", None, Do(Step.REMOVE_THERE)),
        ("INBOX", "Old", None, Do(Step.REMOVE_THERE)),
        ("Urgent", "Old", None, Do(Step.REMOVE_THERE)),
        ("INBOX", "Work", None, Do(Step.FORGET)),
        ("Old", "INBOX", None, Do(Step.FORGET)),
        ("INBOX", None, None, Do(Step.FORGET)),
    ],
)
def test_what_each_side_has_done_to_a_message(base: str, there: str | None, here: str | None, do: Do) -> None:
    assert decide(base, there, here) == do


def test_nothing_that_one_side_has_moved_is_deleted_by_the_other() -> None:
    for base in ("INBOX", "Old", "Work"):
        for folder in ("Family", "Cust1"):
            assert decide(base, folder, None).step is not Step.REMOVE_THERE
            assert decide(base, None, folder).step is Step.FORGET


# -- files


def test_messages_are_complete_with_their_text() -> None:
    found = ["msg0000.txt", "msg0000.wav", "msg0001.wav", "msg0003.txt", "msg0003.gsm", "busy.wav", ".lock", "msg1.txt"]
    assert (mailbox.messages(found), mailbox.following(found), mailbox.shifts(found)) == ([0, 3], 4, [(3, 1)])
    assert mailbox.audio_of(0, ["msg0000.WAV", "msg0000.gsm", "msg0000.wav", "msg0000intro.wav"]) == "msg0000.wav"


def test_a_message_moves_with_all_its_files_and_leaves_no_gap(spool: Path) -> None:
    for number in range(3):
        leave(spool, 440 + number, number=number)
        tone(spool / BOX / f"INBOX/msg{number:04}.gsm")
    tone(spool / BOX / "INBOX/msg0001intro.wav")
    leave(spool, 900, "Work")
    tone(spool / BOX / "Work/msg0001.gsm")  # left over from something
    made = Spool(Folder(spool))
    inode = (spool / BOX / "INBOX/msg0001.wav").stat().st_ino
    made.move(BOX, made.read(BOX)["INBOX"][1], "Work")
    assert names(spool, "INBOX") == [f"msg000{n}.{kind}" for n in (0, 1) for kind in ("gsm", "txt", "wav")]
    assert numbers(spool, "Work") == [0, 1]
    assert "msg0001intro.wav" in names(spool, "Work")
    assert (spool / BOX / "Work/msg0001.wav").stat().st_ino == inode
    assert "msg_id=1795322308-00000442" in (spool / BOX / "INBOX/msg0001.txt").read_text()
    made.remove(BOX, made.read(BOX)["INBOX"][0])
    assert numbers(spool, "INBOX") == [0]


def test_a_message_moves_where_there_are_no_links(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(spool)
    link = os.link

    def only_locks(source: str, target: str, **given: Any) -> None:
        if target != mailbox.LOCK:
            raise PermissionError(1, "not permitted")
        link(source, target, **given)

    monkeypatch.setattr(os, "link", only_locks)
    made = Spool(Folder(spool))
    made.move(BOX, made.read(BOX)["INBOX"][0], "Old")
    assert (names(spool, "INBOX"), names(spool, "Old")) == ([], ["msg0000.txt", "msg0000.wav"])


def test_who_has_the_lock_is_not_disturbed(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "PATIENCE_S", 0.05)
    leave(spool)
    made = Spool(Folder(spool))
    (message,) = made.read(BOX)["INBOX"]
    (spool / BOX / "INBOX/.lock").touch()
    for work in (lambda: made.read(BOX), lambda: made.move(BOX, message, "Old"), lambda: made.remove(BOX, message)):
        with pytest.raises(Busy):
            work()
    assert names(spool, "INBOX") == [".lock", "msg0000.txt", "msg0000.wav"]


def test_a_lock_that_a_killed_server_left_is_removed_and_no_other_one(spool: Path) -> None:
    leave(spool)
    leave(spool, folder="Old")
    with Folder(spool).folder(f"{BOX}/INBOX") as place, locked(place, 1.0):
        os.link(".lock", "kept", src_dir_fd=place, dst_dir_fd=place)
    (spool / BOX / "INBOX/kept").rename(spool / BOX / "INBOX/.lock")
    (spool / BOX / "Old/.lock").touch()
    Spool(Folder(spool)).unlock_ours(BOX)
    assert (".lock" in names(spool, "INBOX"), ".lock" in names(spool, "Old")) == (False, True)


def test_another_message_under_the_same_number_is_left_alone(spool: Path) -> None:
    leave(spool)
    made = Spool(Folder(spool))
    (message,) = made.read(BOX)["INBOX"]
    leave(spool, 880)
    with pytest.raises(Busy):
        made.remove(BOX, message)
    assert numbers(spool, "INBOX") == [0]


def test_links_are_no_mailboxes(spool: Path, tmp_path: Path) -> None:
    """FreePBX has each mailbox under the name of its device, too."""
    leave(spool)
    (spool / "device").mkdir()
    (spool / "device/101").symlink_to(spool / BOX)
    (spool / "default/evil").symlink_to(tmp_path)
    assert list(Spool(Folder(spool)).mailboxes()) == [BOX]


@pytest.mark.parametrize("told", ["../../etc@x", "101@..", "@", "101@a/b", "", "1\0@x", ".lock@default"])
def test_what_is_no_mailbox_is_none(told: str) -> None:
    assert mailbox.named(told) is None
    assert (mailbox.named("101@sales"), mailbox.named("*97")) == ("sales/101", "default/*97")


# -- who listens


def fields(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition(": ") for line in text.splitlines())}


def test_a_phone_listens_until_it_does_something_else() -> None:
    made = Listeners()
    made.begin([{"Uniqueid": "1.1", "Application": "VoiceMailMain", "ApplicationData": "102@default"}])
    made.heard(fields(listening()))
    assert (made.any_at(BOX), made.any_at("default/102"), made.any_at("default/103")) == (True, True, False)
    assert made.heard(fields(listening("Playback", "x")))
    assert not made.any_at(BOX)
    made.heard(fields(listening(data="")))
    assert made.any_at("sales/7")
    assert made.heard(fields(GONE))
    made.end()
    made.heard(fields(GONE))
    made.begin([{"Uniqueid": "9.9", "Application": "VoiceMailMain", "ApplicationData": "101@default"}])
    assert not made.any_at(BOX)


def test_who_hangs_up_while_the_channels_are_read_listens_no_more() -> None:
    """The snapshot is read in one thread, and events in another."""
    made = Listeners()

    class Channel(dict[str, str]):
        def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
            if name == "ApplicationData":
                reader = threading.Thread(target=made.heard, args=[fields(GONE)])
                reader.start()
                reader.join(10)
            return super().get(name, default)

    made.begin([Channel(Uniqueid="9.9", Application="VoiceMailMain", ApplicationData="")])
    assert not made.any_at(BOX)
