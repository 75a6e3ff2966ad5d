"""Programs send recordings and voice messages: kept before they are acknowledged, in flat memory, once each."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from ringback.errors import Unavailable
from ringback.rest import uploads
from ringback.settings import Settings
from ringback.store import cdrs
from tests.api import Answer, Api, Client
from tests.media.sounds import converted, tone
from tests.test_cdrs import call

UNIQUEID = "1795322203.3"
WAV = {"content-type": "audio/wav"}


@pytest.fixture
def pbx(api: Api) -> Client:
    return program(api.admin)


def program(client: Client) -> Client:
    answer = client.post("/apitokens", {"name": "PBX", "ingest": True})
    assert answer.status == 201, answer.body
    return replace(client, token=answer.data["token"], headers=WAV)


def put(pbx: Client, file: Path, uniqueid: str = UNIQUEID, **params: Any) -> Answer:
    return pbx.put(f"/ingest/recordings/{uniqueid}", file.read_bytes(), **params)


def test_a_recording_is_its_calls(api: Api, pbx: Client, tmp_path: Path) -> None:
    api.write(lambda db: cdrs.insert(db, api.acme, [call(1_795_322_200, uniqueid=UNIQUEID, user_id=api.ann.user_id)]))
    answer = put(pbx, tone(tmp_path / "tone.wav", seconds=2.6))
    assert (answer.status, answer.data["state"], answer.data["error"]) == (202, "waiting", None)
    api.run_jobs()
    (monitor,) = api.ann.listed("/monitors")
    assert (monitor["id"], monitor["duration"]) == (answer.data["id"], 3)
    assert api.ann.get(f"/monitors/{monitor['id']}.mp3").status == 200


def test_sent_again_it_is_the_same(api: Api, pbx: Client, tmp_path: Path) -> None:
    file = tone(tmp_path / "tone.wav")
    first = put(pbx, file).data
    assert put(pbx, file).data == first
    api.run_jobs()
    assert put(pbx, file).data == {**first, "state": "stored"}
    api.run_jobs()
    assert len(api.admin.listed("/monitors")) == 1
    assert put(pbx, tone(tmp_path / "other.wav", hz=(500,))).data["state"] == "waiting"
    assert put(pbx, file, "1795322204.4").data["state"] == "waiting"


def test_broken_audio_sent_again_is_told_of(api: Api, pbx: Client, tmp_path: Path) -> None:
    (tmp_path / "page.wav").write_text("<html>404</html>")
    assert put(pbx, tmp_path / "page.wav").status == 202
    api.run_jobs()
    again = put(pbx, tmp_path / "page.wav").data
    assert again["state"] == "broken"
    assert "not readable" in again["error"]


def test_a_recording_may_come_before_its_call(api: Api, pbx: Client, tmp_path: Path) -> None:
    put(pbx, tone(tmp_path / "tone.wav"), ext="103")
    api.run_jobs()
    (monitor,) = api.ann.listed("/monitors")
    assert (monitor["timestamp"], monitor["live_id"]) == ("2026-11-22 04:36:43", None)
    api.write(lambda db: cdrs.insert(db, api.acme, [call(1_795_322_200, uniqueid=UNIQUEID, user_id=api.bob.user_id)]))
    assert api.ann.listed("/monitors") == []
    (monitor,) = api.bob.listed("/monitors")
    assert (monitor["timestamp"], monitor["src"]) == ("2026-11-22 04:36:40", api.admin.listed("/cdrs")[0]["src"])


@pytest.mark.parametrize("at", ["1795322000", "2026-11-22 04:33:20"])
def test_when_it_was_is_the_programs_to_say(api: Api, pbx: Client, tmp_path: Path, at: str) -> None:
    put(pbx, tone(tmp_path / "tone.wav"), "3f1c-uuid", timestamp=at, user_id=api.ann.user_id)
    api.run_jobs()
    assert api.ann.listed("/monitors")[0]["timestamp"] == "2026-11-22 04:33:20"


def test_the_name_tells_the_format_of_audio_without_a_header(api: Api, pbx: Client, tmp_path: Path) -> None:
    wav = tone(tmp_path / "tone.wav", seconds=3)
    ulaw = converted(wav, tmp_path / "tone.ulaw", "pcm_mulaw", "mulaw").read_bytes()
    named = {"content-type": "application/octet-stream", "content-disposition": 'attachment; filename="call.ulaw"'}
    for number, (params, headers) in enumerate([({"name": "x.ulaw"}, WAV), ({}, named)]):
        assert pbx.call("PUT", f"/ingest/recordings/17953222{number}0.1", ulaw, params, headers).status == 202
    api.run_jobs()
    assert [each["duration"] for each in api.admin.listed("/monitors")] == [3, 3]


def test_what_is_wrong_with_the_query_is_told_at_once(pbx: Client, tmp_path: Path) -> None:
    file = tone(tmp_path / "tone.wav", seconds=0.1)
    answer = put(pbx, file, timestamp="yesterday", user_id="x", colour="red")
    assert (answer.status, sorted(map(str, answer.fields))) == (400, ["colour", "timestamp", "user_id"])
    assert put(pbx, file, ext="999").fields == ["ext"]
    assert put(pbx, file, user_id=999_999).fields == ["user_id"]
    assert put(pbx, file, user_id=pbx.user_id, ext="101").fields == ["user_id"]
    assert pbx.put(f"/ingest/recordings/{UNIQUEID}?ext=101&ext=102", file.read_bytes()).fields == ["ext"]
    assert pbx.put(f"/ingest/recordings/{UNIQUEID}", b"").status == 400
    assert pbx.post("/ingest/voicemails", file.read_bytes(), folder="Attic").fields == ["folder", "mailbox"]


def test_a_user_of_another_customer_cannot_be_named(api: Api, pbx: Client, tmp_path: Path) -> None:
    assert put(pbx, tone(tmp_path / "tone.wav"), user_id=api.stranger.user_id).status == 400


def test_who_may_not_is_told_before_the_body_is_read(api: Api, tmp_path: Path) -> None:
    """Each of these would be 413 otherwise."""
    huge = {**WAV, "content-length": str(uploads.MAX_FILE + 1)}
    path = f"/ingest/recordings/{UNIQUEID}"
    assert api.nobody.call("PUT", path, b"x", headers=huge).status == 401
    assert api.admin.call("PUT", path, b"x", headers=huge).status == 403
    pbx = program(api.admin)
    assert pbx.call("PUT", path, b"x", headers={**huge, "content-type": "application/json"}).status == 415
    assert pbx.call("PUT", path, b"x", headers=huge).status == 413
    assert pbx.get("/monitors").status == 403


def test_a_file_that_turns_out_too_large_is_refused(pbx: Client, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE", 1000)
    assert put(pbx, tone(tmp_path / "tone.wav")).status == 413


def test_what_cannot_be_kept_is_not_acknowledged(api: Api, pbx: Client, settings: Settings, tmp_path: Path) -> None:
    folder = Path(settings.blobs_url())
    away = folder.rename(folder.with_name("away"))
    file = tone(tmp_path / "tone.wav")
    answer = put(pbx, file)
    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert api.admin.listed("/audioinbox") == []
    away.rename(folder)
    assert put(pbx, file).status == 202


def test_a_full_disk_is_told_as_what_passes() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(Unavailable, match="No space"):  # noqa: PTH123
        uploads.write(cast(BinaryIO, full), b"x")


def test_a_voice_message_is_its_users(api: Api, pbx: Client, tmp_path: Path) -> None:
    file = tone(tmp_path / "msg0000.wav", seconds=3)
    asked = {"mailbox": "103", "callerid": '"Zoë" <02079460001>', "origtime": "1795322308", "exten": "02079460103"}
    answer = pbx.post("/ingest/voicemails", file.read_bytes(), **asked)
    assert (answer.status, answer.data["state"]) == (202, "waiting")
    assert pbx.post("/ingest/voicemails", file.read_bytes(), **asked).data == answer.data
    api.run_jobs()
    (message,) = api.ann.listed("/voicemessages")
    assert message == {
        "id": answer.data["id"],
        "caller": "442079460001",
        "callerid": '"Zoë" <02079460001>',
        "dialled": "442079460103",
        "duration": 3,
        "extension_id": api.ann.user_id,
        "folder": "INBOX",
        "is_new": True,
        "live_id": None,
        "origtime": "2026-11-22 04:38:28",
        "parent_live_id": None,
        "transcript": None,
        "size": message["size"],
    }
    answer = pbx.post("/ingest/voicemails", tone(file, hz=(500,)).read_bytes(), mailbox="103", folder="Old")
    api.run_jobs()
    old = api.ann.get(f"/voicemessages/{answer.data['id']}").data
    assert (old["folder"], old["is_new"], old["origtime"]) == ("Old", False, "2026-11-21 22:26:40")


def test_a_mailbox_without_a_user_is_refused(pbx: Client, tmp_path: Path) -> None:
    answer = pbx.post("/ingest/voicemails", tone(tmp_path / "t.wav").read_bytes(), mailbox="999")
    assert (answer.status, answer.fields) == (400, ["mailbox"])
    assert json.loads(answer.body)["message"] == "No user has the extension 999."
