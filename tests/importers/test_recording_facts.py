"""Which call a recording belongs to: names of FreePBX and FusionPBX, JSON beside the audio, numbers and time."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ringback.importers import Options, Summary
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from ringback.importers.recording_facts import LONGEST_JSON_BYTES, Facts, facts
from ringback.importers.wall_clock import WallClock
from ringback.store import cdrs
from tests.api import Api
from tests.media.sounds import tone
from tests.test_cdrs import call

AT = 1_795_342_500  # 2026-11-22 10:15:00 UTC
UUID = "3f2b1c4e-5d6a-4b7c-8d9e-0f1a2b3c4d5e"
UTC = WallClock("UTC")


def imported(api: Api, folder: Path, **options: Any) -> Summary:
    return IMPORTERS["recordings"].run(api.services, api.acme, folder, Options(country="GB", **options), Unwatched())


def add(api: Api, *calls: dict[str, Any]) -> list[int]:
    made: list[int] = api.write(lambda db: cdrs.insert(db, api.acme, calls))
    return made


def outbound(at: int = AT, **columns: Any) -> dict[str, Any]:
    return call(at, **{"src": "101", "dst": "442079460000", "uniqueid": None, "billsec": 9, **columns})


def linked(api: Api) -> list[int | None]:
    found = api.services.database.read(lambda db: db.all("SELECT cdr_id FROM monitors ORDER BY id"))
    return [row[0] for row in found]


@pytest.mark.parametrize(
    ("name", "caller", "called"),
    [
        ("out-02079460000-101-20261122-101500-1795342500.3.wav", "101", "02079460000"),
        ("internal-102-101-20261122-101500-1795342500.3.wav", "101", "102"),
        ("external-102-02079460000-20261122-101500-1795342500.3.wav", "02079460000", "102"),
        ("exten-102-02079460000-20261122-101500-1795342500.3.WAV", "02079460000", "102"),
        ("q-600-+442079460000-20261122-101500-1795342500.3.wav", "+442079460000", "600"),
        ("rg-600-anonymous-20261122-101500-1795342500.3.mp3", "anonymous", "600"),
    ],
)
def test_names_of_freepbx(tmp_path: Path, name: str, caller: str, called: str) -> None:
    found = facts(tmp_path / name, UTC)
    assert found.uniqueids[1] == "1795342500.3"
    assert (found.caller, found.called, found.earliest, found.latest) == (caller, called, AT - 60, AT + 5)


def test_names_of_other_systems(tmp_path: Path) -> None:
    assert facts(tmp_path / "archive/2026/Nov/22" / f"{UUID}.wav", UTC) == Facts((UUID,))
    assert facts(tmp_path / f"101_{UUID}.wav", UTC).uniqueids[1] == UUID
    assert facts(tmp_path / "out-1-2-20261399-101500.wav", UTC).earliest == 0
    assert facts(tmp_path / "out-1-2-20261122-101500.wav", WallClock("Europe/Berlin")).earliest == AT - 3_600 - 60


def test_a_fusionpbx_archive_is_linked_by_its_uuids(api: Api, tmp_path: Path) -> None:
    (cdr_id,) = add(api, outbound(uniqueid=UUID))
    folder = tmp_path / "recordings/example.com/archive/2026/Nov/22"
    folder.mkdir(parents=True)
    tone(folder / f"{UUID}.wav", (440, 500))
    assert imported(api, tmp_path / "recordings").new == 1
    assert linked(api) == [cdr_id]


def test_without_a_uniqueid_numbers_and_time_tell_the_call(api: Api, tmp_path: Path) -> None:
    ours, _, _ = add(api, outbound(AT - 20), outbound(AT - 3_000), outbound(AT - 20, dst="442079460001"))
    tone(tmp_path / "out-02079460000-101-20261122-101500.wav")
    assert imported(api, tmp_path).new == 1
    assert linked(api) == [ours]
    assert imported(api, tmp_path).known == 1


def test_numbers_that_are_dialled_with_a_prefix_are_the_same(api: Api, tmp_path: Path) -> None:
    add(api, outbound())
    tone(tmp_path / "out-902079460000-101-20261122-111500.wav")
    assert imported(api, tmp_path, outside_prefix="9", time_zone="Europe/Berlin").new == 1


def test_of_two_calls_that_fit_neither_is_taken(api: Api, tmp_path: Path) -> None:
    add(api, outbound(AT - 20), outbound(AT - 1))
    tone(tmp_path / "out-02079460000-101-20261122-101500.wav")
    (refusal,) = imported(api, tmp_path).refused
    assert "no one call alone has its numbers at its time" in refusal.reason


def test_a_json_file_names_the_call(api: Api, tmp_path: Path) -> None:
    (cdr_id,) = add(api, outbound(uniqueid="pbx-77"))
    tone(tmp_path / "anything.wav")
    (tmp_path / "anything.json").write_text(json.dumps({"uniqueid": "pbx-77", "colour": ["red"]}))
    assert imported(api, tmp_path).new == 1
    assert linked(api) == [cdr_id]


@pytest.mark.parametrize("who", [{"ext": "103"}, {"user": "Ann@customer1.example"}])
def test_a_json_file_that_says_when_brings_its_recording_in_before_the_call(
    api: Api, tmp_path: Path, who: dict[str, str]
) -> None:
    tone(tmp_path / "x.wav")
    told = {"uniqueid": "pbx-77", "src": "103", "dst": "02079460000", "start": "2026-11-22 11:15:00", **who}
    (tmp_path / "x.json").write_text(json.dumps(told))
    assert imported(api, tmp_path, time_zone="Europe/Berlin").new == 1
    (monitor,) = api.ann.listed("/monitors")
    assert (monitor["timestamp"], monitor["caller"], monitor["called"]) == ("2026-11-22 10:15:00", "103", "02079460000")
    (cdr_id,) = add(api, outbound(uniqueid="pbx-77"))
    assert linked(api) == [cdr_id]
    assert imported(api, tmp_path).known == 1


@pytest.mark.parametrize("start", [AT, str(AT), "2026-11-22T10:15:00Z", "2026-11-22 11:15:00", "2026-11-22T11:15:00"])
def test_the_start_may_be_written_in_several_ways(tmp_path: Path, start: str | int) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"start": start}))
    assert facts(tmp_path / "x.wav", WallClock("Europe/Berlin")).start == AT


BAD: dict[str, bytes] = {
    "no JSON": b"{",
    "no object": b"[1]",
    "no text for start": b'{"start": [1]}',
    "no time that there is": b'{"start": "2026-13-45 10:00:00"}',
    "too large": b'{"x": "' + bytes(LONGEST_JSON_BYTES) + b'"}',
    "no JSON ": b"[" * 60_000,
    "no  JSON": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("reason", BAD)
def test_a_json_file_that_cannot_be_used_is_told(api: Api, tmp_path: Path, reason: str) -> None:
    tone(tmp_path / "x.wav", seconds=0.1)
    (tmp_path / "x.json").write_bytes(BAD[reason])
    (refusal,) = imported(api, tmp_path).refused
    assert " ".join(reason.split()) in refusal.reason


def test_nothing_leads_out_of_the_folder_or_blocks(api: Api, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    tone(outside / "1795342500.1.wav")
    (folder / "linked").symlink_to(outside, target_is_directory=True)
    os.mkfifo(folder / "1795342500.2.wav")
    tone(folder / "1795342500.3.wav")
    (outside / "secret.json").write_text("{}")
    (folder / "1795342500.3.json").symlink_to(outside / "secret.json")
    tone(folder / os.fsdecode(b"1795342500.4-\xff.wav"))
    add(api, *(outbound(uniqueid=f"1795342500.{n}") for n in range(1, 5)))
    summary = imported(api, folder)
    assert (summary.read, summary.new) == (2, 1)
    reasons = sorted(each.reason for each in summary.refused)
    assert reasons == ["a symbolic link", "its JSON file is a symbolic link", "no regular file"]


def test_broken_audio_is_encoded_once_and_told_each_time(api: Api, tmp_path: Path) -> None:
    add(api, outbound(uniqueid="1795342500.1"))
    (tmp_path / "1795342500.1.wav").write_text("<html>404</html>" * 10)
    (first,) = imported(api, tmp_path).refused
    (entry,) = api.admin.listed("/audioinbox")
    assert (entry["name"], entry["state"], entry["error"]) == ("1795342500.1.wav", "broken", first.reason)
    (again,) = imported(api, tmp_path).refused
    assert again.reason.startswith(f"broken, as an earlier run found ({first.reason})")
    assert api.admin.post(f"/audioinbox/{entry['id']}/retry").status == 400
    assert api.admin.delete(f"/audioinbox/{entry['id']}").status == 204
    (third,) = imported(api, tmp_path).refused
    assert third.reason == first.reason
    tone(tmp_path / "1795342500.1.wav")
    assert imported(api, tmp_path).new == 1
