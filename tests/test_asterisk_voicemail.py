"""Voicemail of a connected Asterisk: messages of the spool come in, and folders follow each other, whichever side moves a message."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ringback.connectors.asterisk import voicemail, worker
from ringback.connectors.asterisk.mailbox import Spool
from ringback.connectors.folder import Folder
from ringback.connectors.settings import Rule
from ringback.importers.importer import Options, Unwatched
from ringback.importers.voicemail import VOICEMAIL
from ringback.jobs import encode
from ringback.store import spooled
from tests.ami_server import AmiServer
from tests.api import Api
from tests.connected import Connected, connected, server, until
from tests.spool import BOX, GONE, leave, listening, names, numbers

__all__ = ["connected", "server"]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "TICK_S", 0.02)
    for name, seconds in {"LOOK_S": 0.1, "SURE_S": 0.1, "USERS_S": 0.1}.items():
        monkeypatch.setattr(voicemail, name, seconds)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "voicemail").mkdir()
    return tmp_path / "voicemail"


def waiting(box: str = "101@default") -> str:
    return f"Event: MessageWaiting\nMailbox: {box}\nWaiting: 1\nNew: 1\nOld: 0\n\n"


def rows(api: Api, client: Any = None) -> Any:
    api.run_jobs()
    return (client or api.admin).listed("/voicemessages", sort='[{"property":"origtime","direction":"ASC"}]')


def folders(api: Api) -> list[str]:
    return [each["folder"] for each in rows(api)]


# -- both sides


def test_a_message_that_is_left_is_a_voice_message(
    api: Api, server: AmiServer, connected: Connected, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(voicemail=str(spool))
    monkeypatch.setattr(voicemail, "LOOK_S", 3_600.0)
    leave(spool)
    server.tell(waiting())
    (message,) = until(lambda: rows(api))
    assert (message["folder"], message["is_new"], message["extension_id"]) == ("INBOX", True, api.ann.user_id)
    assert (message["callerid"], message["dialled"], message["duration"]) == ('"Bob" <102>', "201", 1)
    assert rows(api, api.stranger) == []


def test_what_nobody_told_of_is_found(api: Api, connected: Connected, spool: Path) -> None:
    leave(spool)
    connected(voicemail=str(spool))
    until(lambda: rows(api))
    leave(spool, 880, "Urgent")
    until(lambda: folders(api) == ["INBOX", "Urgent"])


@pytest.fixture
def two(api: Api, server: AmiServer, connected: Connected, spool: Path) -> list[int]:
    """The ids of two messages in Ann's INBOX, both known."""
    leave(spool, 440)
    leave(spool, 880, number=1)
    connected(voicemail=str(spool))
    until(lambda: len(rows(api)) == 2)
    agreed(api, 2)
    return [each["id"] for each in rows(api)]


def agreed(api: Api, count: int) -> bool:
    """So many messages are known on both sides."""

    def known() -> bool:
        read = api.services.database.read
        return (
            len([each for each in read(lambda db: spooled.of_place(db, api.acme, "office", BOX)) if each.was_here])
            == count
        )

    until(known)
    return True


def test_what_is_heard_on_the_phone_is_old_here(api: Api, server: AmiServer, two: list[int], spool: Path) -> None:
    made = Spool(Folder(spool))
    made.move(BOX, made.read(BOX)["INBOX"][0], "Old")
    server.tell(waiting())
    until(lambda: folders(api) == ["Old", "INBOX"])
    assert [each["is_new"] for each in rows(api)] == [False, True]
    assert [each["id"] for each in rows(api)] == two


def test_what_is_moved_here_moves_in_the_spool(api: Api, server: AmiServer, two: list[int], spool: Path) -> None:
    assert api.admin.patch("/voicemessages", [{"id": two[0], "folder": "Family"}]).status == 200
    until(lambda: (numbers(spool, "INBOX"), numbers(spool, "Family")) == ([0], [0]))
    assert "msg_id=1795322308-00000440" in (spool / BOX / "Family/msg0000.txt").read_text()
    (told,) = until(lambda: server.actions("VoicemailRefresh"))
    assert (told["Context"], told["Mailbox"]) == ("default", "101")
    agreed(api, 2)
    assert folders(api) == ["Family", "INBOX"]


def test_what_is_deleted_here_goes_from_the_spool(api: Api, server: AmiServer, two: list[int], spool: Path) -> None:
    assert api.ann.delete(f"/voicemessages/{two[0]}").status == 204
    until(lambda: names(spool, "INBOX") == ["msg0000.txt", "msg0000.wav"])
    assert "msg_id=1795322308-00000880" in (spool / BOX / "INBOX/msg0000.txt").read_text()
    until(lambda: server.actions("VoicemailRefresh"))
    agreed(api, 1)
    assert [each["id"] for each in rows(api)] == two[1:]


def test_many_go_at_once(api: Api, connected: Connected, spool: Path) -> None:
    for number in range(6):
        leave(spool, 300 + 50 * number, number=number)
    connected(voicemail=str(spool))
    until(lambda: len(rows(api)) == 6)
    agreed(api, 6)
    assert api.admin.delete("/voicemessages").status == 202
    until(lambda: rows(api) == [] and names(spool, "INBOX") == [])


def test_what_is_deleted_on_the_phone_is_in_deleted_here(api: Api, two: list[int], spool: Path) -> None:
    made = Spool(Folder(spool))
    made.remove(BOX, made.read(BOX)["INBOX"][0])
    until(lambda: folders(api) == ["Deleted", "INBOX"])
    assert api.admin.get(f"/voicemessages/{two[0]}.mp3").status == 200


def test_a_spool_that_is_away_takes_nothing_along(api: Api, connected: Connected, two: list[int], spool: Path) -> None:
    spool.rename(spool.with_name("away"))
    spool.mkdir()
    assert not _happens(lambda: folders(api) != ["INBOX", "INBOX"])
    spool.rmdir()
    spool.with_name("away").rename(spool)
    leave(spool, 660, number=2)
    until(lambda: len(rows(api)) == 3)
    assert folders(api) == ["INBOX", "INBOX", "INBOX"]


def _happens(what: Any, patience_s: float = 0.6) -> bool:
    until_s = time.monotonic() + patience_s
    while time.monotonic() < until_s:
        if what():
            return True
        threading.Event().wait(0.02)
    return False


def test_while_a_phone_listens_its_mailbox_is_left_alone(
    api: Api, server: AmiServer, two: list[int], spool: Path
) -> None:
    server.tell(listening())
    server.tell(waiting("102@default"))
    api.admin.patch("/voicemessages", [{"id": two[0], "folder": "Work"}])
    api.admin.delete(f"/voicemessages/{two[1]}")
    assert not _happens(lambda: numbers(spool, "INBOX") != [0, 1])
    server.tell(GONE)
    until(lambda: (numbers(spool, "INBOX"), numbers(spool, "Work")) == ([], [0]))


def test_what_was_moved_on_both_sides_is_where_it_was_ordered(
    api: Api, server: AmiServer, two: list[int], spool: Path
) -> None:
    server.tell(listening())
    assert not _happens(lambda: False, 0.1)
    api.admin.patch("/voicemessages", [{"id": two[0], "folder": "Work"}])
    api.admin.delete(f"/voicemessages/{two[1]}")
    made = Spool(Folder(spool))
    made.move(BOX, made.read(BOX)["INBOX"][0], "Old")
    made.move(BOX, made.read(BOX)["INBOX"][0], "Friends")
    server.tell(GONE)
    until(lambda: (numbers(spool, "Work"), numbers(spool, "Friends")) == ([0], [0]))
    until(lambda: folders(api) == ["Work", "Friends"])
    assert names(spool, "Old") == []


def test_what_was_imported_is_known(api: Api, server: AmiServer, connected: Connected, spool: Path) -> None:
    leave(spool)
    VOICEMAIL.run(api.services, api.acme, spool, Options(), Unwatched())
    (imported,) = rows(api)
    connected(voicemail=str(spool))
    agreed(api, 1)
    assert [each["id"] for each in rows(api)] == [imported["id"]]
    assert VOICEMAIL.run(api.services, api.acme, spool, Options(), Unwatched()).known == 1
    api.admin.patch("/voicemessages", [{"id": imported["id"], "folder": "Work"}])
    until(lambda: numbers(spool, "Work") == [0])


def test_a_message_twice_after_a_kill_stays_where_it_is_wanted(
    api: Api, server: AmiServer, two: list[int], spool: Path
) -> None:
    api.admin.patch("/voicemessages", [{"id": two[0], "folder": "Work"}])
    until(lambda: numbers(spool, "Work") == [0])
    agreed(api, 2)
    for kind in ("wav", "txt"):
        os.link(spool / BOX / f"Work/msg0000.{kind}", spool / BOX / f"INBOX/msg0001.{kind}")
    server.tell(waiting())
    until(lambda: (numbers(spool, "INBOX"), numbers(spool, "Work")) == ([0], [0]))
    assert folders(api) == ["Work", "INBOX"]


def test_a_new_server_goes_on_where_the_last_one_was(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    leave(spool)
    leave(spool, 880, number=1)
    first = connected(voicemail=str(spool))
    until(lambda: len(rows(api)) == 2)
    agreed(api, 2)
    first.stop()
    ids = [each["id"] for each in rows(api)]
    api.admin.delete(f"/voicemessages/{ids[0]}")
    made = Spool(Folder(spool))
    made.move(BOX, made.read(BOX)["INBOX"][1], "Old")
    connected(voicemail=str(spool))
    until(lambda: (numbers(spool, "INBOX"), numbers(spool, "Old")) == ([], [0]))
    until(lambda: folders(api) == ["Old"])


def test_a_mailbox_is_of_the_customer_that_a_rule_says(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    leave(spool, box="acme/101")
    leave(spool, 880, box="default/acme-101")
    leave(spool, 660, box="default/999")
    rules = (Rule(api.acme, context="a", voicemail_context="acme"), Rule(api.acme, endpoint="acme-"))
    connected(voicemail=str(spool), customer=api.other, rules=rules)
    until(lambda: len(rows(api)) == 2)
    assert {each["extension_id"] for each in rows(api)} == {api.ann.user_id}
    assert rows(api, api.stranger) == []


def test_messages_of_somebody_who_is_entered_later_come_then(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    leave(spool, box="default/777")
    connected(voicemail=str(spool))
    assert not _happens(lambda: rows(api), 0.3)
    api.admin.patch(f"/users/{api.bob.user_id}", {"ext": "777"})
    (message,) = until(lambda: rows(api))
    assert message["extension_id"] == api.bob.user_id


def test_broken_messages_are_shown_and_stay(api: Api, server: AmiServer, connected: Connected, spool: Path) -> None:
    leave(spool)
    (spool / BOX / "INBOX/msg0000.wav").write_bytes(b"this is no audio at all" * 50)
    text = leave(spool, 880, number=1)
    text.write_text("no envelope")
    leave(spool, 660, number=2)
    connected(voicemail=str(spool))
    until(lambda: rows(api))
    assert [each["state"] for each in api.admin.listed("/audioinbox")] == ["broken"]
    assert numbers(spool, "INBOX") == [0, 1, 2]
    (entry,) = api.admin.listed("/audioinbox")
    assert api.admin.delete(f"/audioinbox/{entry['id']}").status == 204
    until(lambda: [each for each in api.admin.listed("/audioinbox") if each["id"] != entry["id"]])
    assert numbers(spool, "INBOX") == [0, 1, 2]


def test_a_mailbox_that_is_not_understood_keeps_back_no_other(
    api: Api, connected: Connected, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in = encode.take_in

    def failing(services: Any, customer_id: int, shelf: Any, audio: Path, name: str, row: Any) -> Any:
        if row["extension_id"] == api.ann.user_id:
            raise ValueError("not foreseen")
        return take_in(services, customer_id, shelf, audio, name, row)

    monkeypatch.setattr(encode, "take_in", failing)
    leave(spool)
    leave(spool, 880, box="default/102")
    connected(voicemail=str(spool))
    (message,) = until(lambda: rows(api))
    assert message["extension_id"] == api.bob.user_id


def test_without_the_right_to_write_nothing_is_lost(
    api: Api, server: AmiServer, two: list[int], spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere: so the lock is refused here."""
    opened = os.open

    def refusing(path: Any, flags: int, *given: Any, **named: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(".lock"):
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, *given, **named)

    monkeypatch.setattr(os, "open", refusing)
    api.admin.patch("/voicemessages", [{"id": two[0], "folder": "Work"}])
    assert not _happens(lambda: numbers(spool, "INBOX") != [0, 1])
    monkeypatch.setattr(os, "open", opened)
    until(lambda: (numbers(spool, "INBOX"), numbers(spool, "Work")) == ([0], [0]))
    assert folders(api) == ["Work", "INBOX"]


def test_nothing_is_changed_under_locks_of_another_kind(
    api: Api, server: AmiServer, connected: Connected, spool: Path
) -> None:
    told = {"Category-000000": "options", "Line-000000-000000": "lockmode=flock"}
    server.answers["GetConfig"] = [{"Response": "Success", **told}]
    leave(spool)
    connected(voicemail=str(spool))
    (message,) = until(lambda: rows(api))
    agreed(api, 1)
    api.admin.patch("/voicemessages", [{"id": message["id"], "folder": "Work"}])
    assert not _happens(lambda: numbers(spool, "INBOX") != [0])
    assert folders(api) == ["Work"]
