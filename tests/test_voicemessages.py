"""Voice messages: listed, played, moved between folders, deleted with their audio."""

import pytest

from tests import recordings
from tests.api import Api

PAGE = "id caller callerid dialled duration extension_id folder is_new live_id origtime parent_live_id transcript size"


@pytest.fixture(scope="session")
def audio(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return recordings.mp3(tmp_path_factory.mktemp("voicemessages"), seconds=1.0)


def test_a_user_has_the_own_mailbox(api: Api, audio: bytes) -> None:
    mine = recordings.add_voicemessage(api, audio)
    bobs = recordings.add_voicemessage(api, audio, extension_id=api.bob.user_id)
    (message,) = api.ann.listed("/voicemessages")
    assert " ".join(message) == PAGE
    assert (message["id"], message["folder"], message["is_new"]) == (mine, "INBOX", True)
    assert message["size"] == len(audio)
    assert len(api.admin.listed("/voicemessages")) == 2
    for path in (f"/voicemessages/{bobs}", f"/voicemessages/{bobs}.mp3"):
        assert api.ann.get(path).status == 403
        assert api.stranger.get(path).status == 404


def test_listening_changes_nothing(api: Api, audio: bytes) -> None:
    message_id = recordings.add_voicemessage(api, audio)
    before = api.ann.get(f"/voicemessages/{message_id}").data
    answer = api.ann.get(f"/voicemessages/{message_id}.mp3")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, audio, "audio/mpeg")
    assert api.ann.get(f"/voicemessages/{message_id}").data == before


def test_a_caller_id_that_is_a_number_is_found_however_it_is_written(api: Api, audio: bytes) -> None:
    recordings.add_voicemessage(api, audio, callerid="493023125789")
    recordings.add_voicemessage(api, audio, callerid='"Zoë" <+493023125789>')
    assert len(api.ann.listed("/voicemessages", ("callerid", "eq", "+49 30 2312-5789"))) == 1
    assert len(api.ann.listed("/voicemessages", ("callerid", "like", "ZOË"))) == 1


def test_out_of_the_inbox_a_message_is_no_longer_new_and_stays_so(api: Api, audio: bytes) -> None:
    message_id = recordings.add_voicemessage(api, audio)
    whole = api.ann.get(f"/voicemessages/{message_id}").data
    moved = api.ann.patch("/voicemessages", [{**whole, "folder": "Work"}])
    assert moved.status == 200
    assert (moved.data[0]["folder"], moved.data[0]["is_new"]) == ("Work", False)
    back = api.ann.patch("/voicemessages", [{"id": message_id, "folder": "INBOX"}]).data[0]
    assert (back["folder"], back["is_new"]) == ("INBOX", False)
    assert api.ann.patch("/voicemessages", [{"id": message_id, "is_new": True}]).data[0]["is_new"] is True
    stayed = api.ann.patch("/voicemessages", [{"id": message_id, "folder": "INBOX"}]).data[0]
    assert stayed["is_new"] is True


def test_a_bulk_change_answers_in_the_order_of_the_request(api: Api, audio: bytes) -> None:
    one, two = recordings.add_voicemessage(api, audio), recordings.add_voicemessage(api, audio)
    answer = api.admin.patch("/voicemessages", [[], {"id": two, "folder": "Old"}, {}, {"id": one}])
    assert [(row["id"], row["folder"]) for row in answer.data] == [(two, "Old"), (one, "INBOX")]
    assert answer.json["total"] == 2


def test_a_bulk_change_is_all_or_nothing(api: Api, audio: bytes) -> None:
    mine = recordings.add_voicemessage(api, audio)
    bobs = recordings.add_voicemessage(api, audio, extension_id=api.bob.user_id)
    move = {"id": mine, "folder": "Old"}
    assert api.ann.patch("/voicemessages", [move, {"id": bobs, "folder": "Old"}]).status == 403
    assert api.ann.patch("/voicemessages", [move, {"id": 999_999, "folder": "Old"}]).status == 404
    wrong = api.ann.patch("/voicemessages", [move, {"id": mine}, {"folder": "Old"}, {"id": bobs, "folder": "abcd"}])
    assert (wrong.status, wrong.fields) == (400, ["[1].id", "[2].id", "[3].folder"])
    assert api.ann.get(f"/voicemessages/{mine}").data["folder"] == "INBOX"


def test_the_owner_or_an_administrator_deletes(api: Api, audio: bytes) -> None:
    one, two, three = (recordings.add_voicemessage(api, audio) for _ in range(3))
    assert api.bob.delete(f"/voicemessages/{one}").status == 403
    assert api.stranger.delete(f"/voicemessages/{one}").status == 404
    assert api.ann.delete(f"/voicemessages/{one},{one}").status == 204
    assert api.admin.delete(f"/voicemessages/{two}").status == 204
    assert api.ann.delete(f"/voicemessages/{two}").status == 404
    api.run_jobs()
    assert [stored.key for stored in api.services.blobs.list()] == [recordings.key(api.acme, "voicemessages", three)]


def test_a_wipe_is_for_administrators(api: Api, audio: bytes) -> None:
    recordings.add_voicemessage(api, audio)
    assert api.ann.delete("/voicemessages").status == 403
    assert api.admin.delete("/voicemessages").status == 202
    api.run_jobs()
    assert api.admin.get("/voicemessages").json == {"data": [], "total": 0}
    assert list(api.services.blobs.list()) == []
