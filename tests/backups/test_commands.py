"""The commands as an operator meets them: a server that runs, a backup beside it, a restore, a comparison."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ringback.backups import postgres as programs
from ringback.errors import UsageError
from ringback.settings import Settings
from tests.backups.installation import Installation
from tests.conftest import POSTGRES
from tests.process import COMMAND, Process, ringback


def test_backup_beside_a_server_restore_and_compare(acme: Installation, settings: Settings) -> None:
    acme.fill()
    server = Process((*COMMAND, "serve", "--port", "0"), settings)
    try:
        made = ringback(settings, "backup", acme.where, "--verify")
    finally:
        assert server.end() == 0
    assert (made.returncode, made.stderr) == (0, "")
    assert "4 new files of audio and packets copied" in made.stdout
    assert made.stdout.splitlines()[-1].endswith("is sound: every file was read back")
    elsewhere = acme.folder / "elsewhere"
    elsewhere.mkdir()
    restored = replace(settings, data_dir=str(elsewhere), database=acme.target)
    assert "restored; " in ringback(restored, "restore", acme.where).stdout
    compared = ringback(restored, "doctor", "verify", "--against", acme.where)
    assert (compared.returncode, compared.stdout.startswith("no difference to ")) == (0, True)
    next((elsewhere / "blobs").rglob("*.mp3")).unlink()
    compared = ringback(restored, "doctor", "verify", "--against", acme.where)
    assert (compared.returncode, compared.stdout.splitlines()[-1][:12]) == (1, "1 difference")
    assert ringback(restored, "restore", acme.where).returncode == 2


def test_old_snapshots_go_with_keep(acme: Installation, settings: Settings) -> None:
    acme.backup()
    made = ringback(settings, "backup", acme.where, "--verify", "--keep", "1")
    assert made.returncode == 0, made
    assert made.stdout.splitlines()[-1] == "old snapshots removed: 1; 0 files that no snapshot has any more, 0.0 MiB"
    assert len(acme.place().names()) == 1
    assert ringback(settings, "backup", acme.where, "--keep", "0").returncode == 2


def test_damage_is_an_exit_code(acme: Installation, settings: Settings) -> None:
    acme.backup()
    assert ringback(settings, "verify-backup", acme.where).returncode == 0
    next(Path(acme.where).rglob("blobs.ndjson.gz")).unlink()
    result = ringback(settings, "verify-backup", acme.where)
    assert (result.returncode, result.stdout.splitlines()[-1][-9:]) == (1, ": 1 fault")


def test_a_database_that_is_not_there_is_not_backed_up(acme: Installation, settings: Settings) -> None:
    if POSTGRES:
        return
    result = ringback(replace(settings, database=str(acme.folder / "other.db")), "backup", acme.where)
    assert (result.returncode, "There is no database" in result.stderr) == (2, True)
    assert not Path(acme.where).exists()


def test_pg_dump_has_to_be_there_and_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"pg_dump is not on PATH. Install .* version 16 or newer \(Debian: postgresql-client-16\)"
    ):
        programs._program("pg_dump", 16)
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.4 (Debian 15.4-1)'")
    old.chmod(0o755)
    with pytest.raises(UsageError, match=r"is of version 15\.4, the server of 16"):
        programs._program("pg_dump", 16)
    assert programs._program("pg_dump", 15) == str(old)


def test_a_password_is_no_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$@" "$PGPASSWORD" > {said}')
    program.chmod(0o755)
    with programs._started(str(program), "postgresql://me:s3cret@db/x", ["--x"]) as process:
        process.wait()
    arguments, _, password = said.read_text().strip().rpartition(" ")
    assert "s3cret" not in arguments
    assert (password, os.environ.get("PGPASSWORD")) == ("s3cret", None)


def test_the_password_of_a_key_is_no_argument_either(tmp_path: Path) -> None:
    said, program = tmp_path / "said", tmp_path / "program"
    program.write_text(f'#!/bin/sh\n(echo "$@"; echo "$PGSERVICE"; cat "$PGSERVICEFILE") > {said}')
    program.chmod(0o755)
    with programs._started(str(program), "postgresql://me:s3cret@db/x?sslpassword=s%20e%3Dcret", []) as process:
        process.wait()
    arguments, service, *file = said.read_text().splitlines()
    assert ("cret" in arguments, service) == (False, "ringback")
    assert file == ["[ringback]", "sslpassword=s e=cret"]


def test_a_backup_needs_no_secret_in_an_argument(acme: Installation) -> None:
    if not POSTGRES:
        return
    acme.url += ("&" if "?" in acme.url else "?") + "sslpassword=unused"
    acme.fill()
    acme.backup()
    assert acme.faults() == []


def test_a_url_that_cannot_be_read_is_not_repeated_with_its_password(settings: Settings, tmp_path: Path) -> None:
    wrong = replace(settings, database="postgresql://me:s3cret@[::1/x")
    result = ringback(wrong, "backup", str(tmp_path / "backup"))
    assert result.returncode == 2
    assert "this is no valid URL" in result.stderr
    assert "s3cret" not in result.stdout + result.stderr
