"""Audio that comes in is kept before it is acknowledged, becomes what it shall be, and is never lost or doubled."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback import doctor
from ringback.jobs import encode, queue
from ringback.media.encoder import Encoder
from ringback.settings import Settings
from ringback.store import cdrs, inbox
from tests.api import Api
from tests.media.sounds import tone
from tests.test_cdrs import call

HOUR_S = 3_600
UNIQUEID = "1795322203.3"


def row(source: str = "recording:1/a", **columns: Any) -> dict[str, Any]:
    return {"source_key": source, "timestamp": 1_795_322_203, "uniqueid": UNIQUEID, **columns}


def take_in(api: Api, file: Path, source: str = "recording:1/a", **columns: Any) -> int | None:
    return encode.take_in(api.services, api.acme, "monitors", file, file.name, row(source, **columns))


def blobs(api: Api) -> list[str]:
    return sorted(stored.key for stored in api.services.blobs.list())


def job_states(api: Api) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = api.services.database.read(
        lambda db: db.all("SELECT kind, state FROM jobs ORDER BY id")
    )
    return found


def entries(api: Api) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = api.services.database.read(lambda db: db.all("SELECT name, state FROM audio_inbox"))
    return found


def pass_time(api: Api, seconds: int) -> None:
    api.services.clock.advance(seconds)  # type: ignore[attr-defined]


def noise(tmp_path: Path, name: str = "noise.wav") -> Path:
    (tmp_path / name).write_bytes(b"this is no audio at all" * 50)
    return tmp_path / name


def test_audio_waits_as_it_came_and_becomes_a_recording(api: Api, tmp_path: Path) -> None:
    monitor_id = take_in(api, tone(tmp_path / "tone.wav", seconds=2.6))
    (waiting,) = api.admin.listed("/audioinbox")
    assert waiting == {
        "id": waiting["id"],
        "name": "tone.wav",
        "becomes": "monitors",
        "state": "waiting",
        "error": None,
        "created_at": "2026-11-21 22:26:40",
    }
    assert blobs(api) == [f"{api.acme}/incoming/{waiting['id']}.wav"]
    api.run_jobs()
    (monitor,) = api.admin.listed("/monitors")
    assert (monitor["id"], monitor["duration"]) == (monitor_id, 3)
    assert len(api.admin.get(f"/monitors/{monitor_id}.mp3").body) == monitor["size"]
    assert api.admin.listed("/audioinbox") == []
    assert blobs(api) == [f"{api.acme}/monitors/{monitor_id}.mp3"]
    assert job_states(api) == []


def test_the_same_source_comes_in_once(api: Api, tmp_path: Path) -> None:
    file = tone(tmp_path / "tone.wav")
    assert take_in(api, file) is not None
    assert take_in(api, file) is None
    api.run_jobs()
    assert take_in(api, file) is None
    api.run_jobs()
    assert len(blobs(api)) == len(api.admin.listed("/monitors")) == 1


def test_a_call_that_comes_later_has_its_recording(api: Api, tmp_path: Path) -> None:
    take_in(api, tone(tmp_path / "tone.wav"), user_id=api.bob.user_id)
    api.run_jobs()
    assert [each["user_id"] for each in api.bob.listed("/monitors")] == [api.bob.user_id]
    rang = call(1_795_322_200, uniqueid=UNIQUEID, disposition="RINGING", billsec=0, user_id=api.bob.user_id)
    api.write(lambda db: cdrs.insert(db, api.acme, [rang, call(1_795_322_200, uniqueid="9.9", src="999")]))
    talked = call(1_795_322_206, uniqueid=UNIQUEID, src="101", billsec=60, user_id=api.ann.user_id)
    (cdr_id,) = api.write(lambda db: cdrs.insert(db, api.acme, [talked]))
    (cdr,) = api.admin.listed("/cdrs", ("id", "eq", cdr_id))
    (monitor,) = api.ann.listed("/monitors")
    assert (monitor["timestamp"], monitor["live_id"], monitor["caller"]) == (cdr["calldate"], cdr["live_id"], "101")
    assert api.bob.listed("/monitors") == []


def test_a_recording_finds_the_call_that_came_while_it_waited(api: Api, tmp_path: Path) -> None:
    take_in(api, tone(tmp_path / "tone.wav"))
    api.write(lambda db: cdrs.insert(db, api.acme, [call(1_795_322_200, uniqueid=UNIQUEID, user_id=api.ann.user_id)]))
    api.run_jobs()
    assert len(api.ann.listed("/monitors")) == 1


def test_a_call_of_another_customer_is_not_its_call(api: Api, tmp_path: Path) -> None:
    take_in(api, tone(tmp_path / "tone.wav"))
    api.run_jobs()
    api.write(lambda db: cdrs.insert(db, api.other, [call(1_795_322_200, uniqueid=UNIQUEID)]))
    assert api.admin.listed("/monitors")[0]["live_id"] is None


def test_broken_audio_is_marked_and_blocks_nothing(api: Api, tmp_path: Path) -> None:
    take_in(api, noise(tmp_path), "recording:1/broken")
    take_in(api, tone(tmp_path / "tone.wav"), "recording:1/good")
    api.run_jobs()
    assert len(api.admin.listed("/monitors")) == 1
    (broken,) = api.admin.listed("/audioinbox", ("state", "eq", "broken"))
    assert "not readable as audio" in broken["error"]
    assert job_states(api) == []
    pass_time(api, 10 * HOUR_S)
    queue.try_again(api.services.database, [encode.KIND], api.services.clock())
    api.run_jobs()
    assert entries(api) == [("noise.wav", "broken")]
    scraper = replace(api.nobody, headers={"authorization": "Bearer metrics-secret"})
    assert b'ringback_audio_inbox{state="broken"} 1.0' in scraper.get("//metrics").body
    (found,) = doctor.of_audio_inbox(api.services)
    assert found.text.startswith("1 audio file broken")
    assert "each with its record" in "".join(each.text for each in doctor.of_blobs(api.services))


def test_an_administrator_has_broken_audio_tried_again_or_deletes_it(api: Api, tmp_path: Path) -> None:
    take_in(api, noise(tmp_path))
    api.run_jobs()
    (broken,) = api.admin.listed("/audioinbox")
    path = f"/audioinbox/{broken['id']}"
    key = f"{api.acme}/incoming/{broken['id']}.wav"
    api.services.blobs.put_file(key, tone(tmp_path / "tone.wav"))  # as if a new version could read it
    answer = api.admin.post(f"{path}/retry")
    assert (answer.status, answer.data["state"], answer.data["error"]) == (200, "waiting", None)
    assert api.admin.post(f"{path}/retry").status == 200
    api.run_jobs()
    assert len(api.admin.listed("/monitors")) == 1

    take_in(api, noise(tmp_path), "recording:1/b")
    api.run_jobs()
    (broken,) = api.admin.listed("/audioinbox")
    assert api.admin.delete(f"/audioinbox/{broken['id']}").status == 204
    api.run_jobs()
    assert api.admin.listed("/audioinbox") == []
    assert len(blobs(api)) == 1


def test_only_administrators_see_it(api: Api, tmp_path: Path) -> None:
    take_in(api, noise(tmp_path))
    (entry,) = api.admin.listed("/audioinbox")
    for client in (api.reception, api.ann):
        assert client.get("/audioinbox").status == 403
        assert client.delete(f"/audioinbox/{entry['id']}").status == 403
        assert client.post(f"/audioinbox/{entry['id']}/retry").status == 403
    assert api.stranger.listed("/audioinbox") == []
    assert api.stranger.get(f"/audioinbox/{entry['id']}").status == 404
    assert api.stranger.delete(f"/audioinbox/{entry['id']}").status == 404
    assert api.stranger.post(f"/audioinbox/{entry['id']}/retry").status == 404


def test_while_the_object_store_is_away_it_waits_however_long(api: Api, settings: Settings, tmp_path: Path) -> None:
    take_in(api, tone(tmp_path / "tone.wav"))
    folder = Path(settings.blobs_url())
    away = folder.rename(folder.with_name("away"))
    for _ in range(queue.ATTEMPTS):
        api.run_jobs()
        pass_time(api, 100)
    assert job_states(api) == [("encode_audio", "dead")]
    assert entries(api) == [("tone.wav", "waiting")]
    for _ in range(3):  # one try an hour
        pass_time(api, HOUR_S + 200)
        assert queue.try_again(api.services.database, [encode.KIND], api.services.clock()) == 1
        api.run_jobs()
        assert job_states(api) == [("encode_audio", "dead")]
    away.rename(folder)
    assert queue.try_again(api.services.database, [encode.KIND], api.services.clock()) == 0
    pass_time(api, HOUR_S + 200)
    queue.try_again(api.services.database, [encode.KIND], api.services.clock())
    api.run_jobs()
    assert entries(api) == job_states(api) == []
    assert len(blobs(api)) == 1


def test_what_was_given_up_can_be_had_tried_at_once(api: Api, settings: Settings, tmp_path: Path) -> None:
    take_in(api, tone(tmp_path / "tone.wav"))
    (entry,) = api.admin.listed("/audioinbox")
    folder = Path(settings.blobs_url())
    away = folder.rename(folder.with_name("away"))
    for _ in range(queue.ATTEMPTS):
        api.run_jobs()
        pass_time(api, 100)
    away.rename(folder)
    assert api.admin.post(f"/audioinbox/{entry['id']}/retry").data["state"] == "waiting"
    api.run_jobs()
    assert len(api.admin.listed("/monitors")) == 1


def test_deleted_while_it_is_being_encoded_it_leaves_nothing(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(api, tone(tmp_path / "tone.wav"))
    (entry,) = api.admin.listed("/audioinbox")
    encoded = Encoder.encode

    def and_deleted(encoder: Encoder, *files: Path, timeout_s: float) -> Any:
        assert api.admin.delete(f"/audioinbox/{entry['id']}").status == 204
        return encoded(encoder, *files, timeout_s=timeout_s)

    monkeypatch.setattr(Encoder, "encode", and_deleted)
    api.run_jobs()
    assert blobs(api) == []
    assert api.admin.listed("/monitors") == []


def test_two_workers_that_have_the_same_job_make_one_recording(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(api, tone(tmp_path / "tone.wav"))
    encoded = Encoder.encode
    job = api.write(lambda db: queue.claim(db, api.services.clock()))

    def with_another(encoder: Encoder, *files: Path, timeout_s: float) -> Any:
        monkeypatch.setattr(Encoder, "encode", encoded)
        encode.Encoding().run(api.services, job)  # the lease of the first had run out
        return encoded(encoder, *files, timeout_s=timeout_s)

    monkeypatch.setattr(Encoder, "encode", with_another)
    encode.Encoding().run(api.services, job)
    api.write(lambda db: queue.finish(db, job.id))
    api.run_jobs()
    (monitor,) = api.admin.listed("/monitors")
    assert blobs(api) == [f"{api.acme}/monitors/{monitor['id']}.mp3"]


def test_a_child_that_hangs_costs_its_file_only(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_in(api, tone(tmp_path / "hangs.wav", hz=(500,)), "recording:1/hangs")
    take_in(api, tone(tmp_path / "tone.wav"), "recording:1/good")
    encoded = Encoder.encode
    monkeypatch.setattr(encode, "timeout_s", lambda _: 0.5)

    def stopped(encoder: Encoder, *files: Path, timeout_s: float) -> Any:
        monkeypatch.setattr(Encoder, "encode", encoded)
        encoded(encoder, *files, timeout_s=10)
        assert encoder.pid
        os.kill(encoder.pid, signal.SIGSTOP)
        return encoded(encoder, *files, timeout_s=timeout_s)

    monkeypatch.setattr(Encoder, "encode", stopped)
    began = time.monotonic()
    api.run_jobs()
    assert time.monotonic() - began < 20
    assert len(api.admin.listed("/monitors")) == 1
    (broken,) = api.admin.listed("/audioinbox")
    assert (broken["name"], broken["error"]) == ("hangs.wav", "encoding took longer than 0.5 s")


def test_what_was_stored_but_never_acknowledged_goes_after_an_hour(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inbox, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        take_in(api, tone(tmp_path / "tone.wav"))
    assert len(blobs(api)) == 1
    api.run_jobs()
    assert len(blobs(api)) == 1
    pass_time(api, encode.RESERVED_S)
    api.run_jobs()
    assert blobs(api) == []


def test_a_worker_keeps_its_child_for_the_next_file(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = set()
    encoded = Encoder.encode

    def noted(encoder: Encoder, *files: Path, timeout_s: float) -> Any:
        audio = encoded(encoder, *files, timeout_s=timeout_s)
        pids.add(encoder.pid)
        return audio

    monkeypatch.setattr(Encoder, "encode", noted)
    for number in range(5):
        take_in(api, tone(tmp_path / "tone.wav", hz=(400 + number,)), f"recording:1/{number}")
    api.run_jobs()
    assert len(pids) == 1
