"""Who was forgotten stays forgotten when an older snapshot is put back."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ringback.backups.place import Place
from ringback.settings import Settings
from tests.backups.installation import Installation
from tests.conftest import POSTGRES
from tests.process import ringback
from tests.test_cdrs import call
from tests.test_erasures import asked
from tests.test_holds import added, inserted

AT = 1_700_000_000
BOB, OTHER = "442079460011", "442079460012"


def select(url: str, sql: str) -> list[tuple[object, ...]]:
    if POSTGRES:
        with psycopg.connect(url) as connection:
            return connection.execute(sql).fetchall()
    with closing(sqlite3.connect(url)) as database:
        return database.execute(sql).fetchall()


def filled(acme: Installation) -> None:
    api = acme.api
    mine, others = added(api, call(AT, src=BOB), call(AT + 1, src=OTHER, info="ask 020 7946 0011"))
    for cdr_id in (mine, others):
        key = f"{api.acme}/monitors/{cdr_id}.mp3"
        api.services.blobs.put(key, b"ID3 sound")
        inserted(api, "monitors", duration=1, size=9, timestamp=AT, cdr_id=cdr_id, blob_key=key, source_key=key)


def test_a_person_who_was_forgotten_does_not_come_back(acme: Installation, settings: Settings) -> None:
    filled(acme)
    assert ringback(settings, "backup", acme.where).returncode == 0
    asked(acme.api, number=BOB)
    assert ringback(settings, "backup", acme.where).returncode == 0
    first = min(each.name for each in (Path(acme.where) / "snapshots").iterdir())
    elsewhere = acme.folder / "elsewhere"
    elsewhere.mkdir()
    restored = replace(settings, data_dir=str(elsewhere), database=acme.target)
    result = ringback(restored, "restore", acme.where, "--snapshot", first)
    assert result.returncode == 0, result.stderr
    assert select(acme.target, "SELECT src, info FROM cdrs") == [(OTHER, "ask [erased]")]
    assert select(acme.target, "SELECT state, kind, user_name FROM erasures") == [("done", "number", "restore")]
    assert len(list((elsewhere / "blobs").rglob("*.mp3"))) == 1
    assert ringback(restored, "doctor").returncode == 0
    said = (
        "1 person was forgotten again by a restore: 1 cdrs removed, 1 monitors removed, 1 cdrs redacted."
        " Their records differ from the snapshot."
    )
    assert said in result.stdout
    compared = ringback(restored, "doctor", "verify", "--against", acme.where, "--snapshot", first)
    assert (compared.returncode, compared.stdout.splitlines()[-2]) == (1, said)


def test_a_snapshot_is_not_complete_before_its_tombstones_are_there(
    acme: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(acme.api, number=BOB)
    monkeypatch.setattr(Place, "put_manifest", pytest.fail)
    with pytest.raises(pytest.fail.Exception):
        acme.backup()
    assert len(acme.place().tombstones()) == 1


def test_calls_after_the_erasure_are_new_calls(acme: Installation, settings: Settings) -> None:
    """The snapshot knows of the erasure, so what it has came later."""
    asked(acme.api, number=BOB)
    added(acme.api, call(AT, src=BOB))
    assert ringback(settings, "backup", acme.where).returncode == 0
    elsewhere = acme.folder / "elsewhere"
    elsewhere.mkdir()
    restored = replace(settings, data_dir=str(elsewhere), database=acme.target)
    assert ringback(restored, "restore", acme.where).returncode == 0
    assert select(acme.target, "SELECT src FROM cdrs") == [(BOB,)]


def test_the_list_names_nobody_and_damage_to_it_is_told(acme: Installation, settings: Settings) -> None:
    asked(acme.api, number=BOB)
    assert ringback(settings, "backup", acme.where).returncode == 0
    path = Path(acme.where) / "tombstones.ndjson"
    assert BOB not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("{")
    assert "tombstones.ndjson is damaged" in ringback(settings, "restore", acme.where).stderr
