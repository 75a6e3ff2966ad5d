"""Snapshots: what is in them, how they are checked, how they come back."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from ringback import app as composition
from ringback import doctor
from ringback.backups.manifest import BackupBroken
from ringback.backups.place import Place
from ringback.errors import UsageError
from ringback.opening import open_services
from ringback.settings import Settings
from ringback.store import migrate
from tests.api import Api
from tests.backups.installation import Installation
from tests.bucket import s3_server
from tests.conftest import POSTGRES
from tests.recordings import add_monitor, key
from tests.test_captures import stored as capture
from tests.test_captures import talk


def found_by_doctor(acme: Installation) -> list[str]:
    """What the doctor has to say of the restored database and audio, once a server could start there."""
    folder = str(acme.folder / "restored-blobs")
    services = open_services(Settings(data_dir=str(acme.folder), database=acme.target, blobs=folder))
    try:
        findings = [*doctor.of_counters(services), *doctor.of_blobs(services)]
    finally:
        services.database.close()
    return [text for level, text in findings if level is not doctor.Level.OK]


def test_what_is_restored_has_no_difference(acme: Installation) -> None:
    acme.fill()
    made = acme.backup()
    assert acme.faults() == []
    assert (made.copied, made.manifest.blobs, made.missing) == (4, 4, [])
    assert made.manifest.tables["cdrs"].rows == 3
    assert acme.restore().copied == 4
    assert acme.differences() == []
    assert found_by_doctor(acme) == []


def test_captured_packets_come_back_with_their_calls(acme: Installation) -> None:
    capture(acme.api, talk())
    acme.backup()
    acme.restore()
    assert (acme.faults(), acme.differences()) == ([], [])
    (msdr,) = acme.api.admin.listed("/msdrs")
    there = acme.api.admin.get(f"/msdrs/{msdr['id']}.pcap").body
    settings = Settings(data_dir=str(acme.folder), database=acme.target)
    api = Api(composition.build(open_services(settings, acme.api.services.clock)))
    assert api.admin.get(f"/msdrs/{msdr['id']}.pcap").body == there
    api.services.database.close()


def test_ids_go_on_after_a_restore(acme: Installation) -> None:
    acme.fill()
    acme.backup()
    acme.restore()
    services = open_services(Settings(data_dir=str(acme.folder), database=acme.target))
    fresh = services.database.write(lambda db: db.new_ids("cdrs", 1))
    services.database.close()
    assert fresh == acme.api.write(lambda db: db.new_ids("cdrs", 1))


def test_audio_that_the_backup_has_is_not_copied_again(acme: Installation) -> None:
    acme.fill()
    acme.backup()
    first = {each.key: each.modified_at for each in acme.place().blobs.list("blobs")}
    assert (acme.backup().copied, acme.faults()) == (0, [])
    add_monitor(acme.api, b"another sound")
    assert acme.backup().copied == 1
    later = {each.key: each.modified_at for each in acme.place().blobs.list("blobs")}
    assert {key: later[key] for key in first} == first
    assert len(acme.place().names()) == 3


def test_audio_that_is_replaced_is_copied_anew_and_the_eldest_snapshot_has_the_old_one(acme: Installation) -> None:
    recording = add_monitor(acme.api, b"before")
    acme.backup()
    acme.api.services.blobs.put(key(acme.api.acme, "monitors", recording), b"after!")
    assert acme.backup().copied == 1
    eldest = acme.place().names()[0]
    acme.restore(eldest)
    assert b"".join(acme.restored_blobs.read(key(acme.api.acme, "monitors", recording))) == b"before"


def test_audio_that_is_deleted_meanwhile_is_named(acme: Installation) -> None:
    acme.fill()
    gone = key(acme.api.acme, "monitors", 1)
    acme.api.services.blobs.delete(gone)
    made = acme.backup()
    assert (made.manifest.missing, made.missing, acme.faults()) == (1, [gone], [])
    assert acme.restore().lost == [gone]


def test_only_the_owner_can_read_a_backup(acme: Installation) -> None:
    acme.fill()
    acme.backup()
    for path in Path(acme.where).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


@contextmanager
def writing(acme: Installation) -> Iterator[threading.Event]:
    """Calls and recordings come in all the time. The event is set when the first has come."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        while not stop.is_set():
            acme.add_cdrs(2)
            add_monitor(acme.api, b"live" * 10)
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield begun
    finally:
        stop.set()
        writer.join()


def test_a_snapshot_is_one_moment_of_a_server_that_goes_on(acme: Installation) -> None:
    with writing(acme) as begun:
        assert begun.wait(30)
        names = [acme.backup().name for _ in range(3)]
    for name in names:
        assert acme.faults(name) == []
    acme.restore(names[-1])
    assert acme.differences() == []
    assert found_by_doctor(acme) == []


# -- damage -----------------------------------------------------------------------------------------------------------


def files(acme: Installation) -> dict[str, Path]:
    """The files of the only snapshot by what they are, and one blob."""
    paths = {path.name.partition(".")[0]: path for path in Path(acme.where, "snapshots").rglob("*.*") if path.is_file()}
    blob = next(path for path in sorted(Path(acme.where, "blobs").rglob("*")) if path.is_file())
    return {**paths, "blob": blob}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("what", ["rows", "blobs", "blob"])
def test_damage_is_found_named_and_not_restored(acme: Installation, what: str, damage: str) -> None:
    acme.fill()
    acme.backup()
    path = files(acme)[what]
    DAMAGES[damage](path)
    (fault,) = acme.faults()
    assert path.name in fault
    with pytest.raises(BackupBroken):
        acme.restore()
    assert not Path(acme.target).exists()


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_manifest_is_found(acme: Installation, damage: str) -> None:
    acme.fill()
    acme.backup()
    DAMAGES[damage](files(acme)["manifest"])
    (fault,) = acme.faults()
    assert "manifest.json is damaged" in fault
    with pytest.raises(BackupBroken, match=r"manifest\.json is damaged"):
        acme.restore()


def test_a_manifest_that_was_changed_by_hand_is_found(acme: Installation) -> None:
    acme.fill()
    acme.backup()
    path = files(acme)["manifest"]
    path.write_text(path.read_text().replace('"blobs": 4', '"blobs": 3'))
    assert "not what its own hash says" in acme.faults()[0]


def test_damaged_audio_is_put_right_by_deleting_it_and_a_new_backup(acme: Installation) -> None:
    acme.fill()
    acme.backup()
    blob = files(acme)["blob"]
    flip(blob)
    blob.unlink()
    assert acme.backup().copied == 1
    assert [acme.faults(name) for name in acme.place().names()] == [[], []]


def test_the_rest_can_be_restored_without_the_damaged_audio(acme: Installation) -> None:
    acme.fill()
    acme.backup()
    flip(files(acme)["blob"])
    with pytest.raises(BackupBroken, match="1 files of audio and packets are missing or damaged"):
        acme.restore()
    lost = acme.restore(accept_loss=True).lost
    assert len(lost) == 1
    assert [difference for difference in acme.differences() if lost[0] not in difference] == []


# -- where it goes ----------------------------------------------------------------------------------------------------


def test_nothing_is_overwritten(acme: Installation) -> None:
    acme.fill()
    acme.backup()
    acme.restore()
    with pytest.raises(UsageError, match="overwritten"):
        acme.restore()
    acme.target = acme.url
    with pytest.raises(UsageError, match="overwritten"):
        acme.restore()


def test_other_audio_under_a_key_is_not_overwritten(acme: Installation) -> None:
    acme.fill()
    acme.backup()
    acme.restored_blobs.put(key(acme.api.acme, "monitors", 1), b"something else")
    with pytest.raises(UsageError, match=r"monitors/1\.mp3 already, and nothing is ever overwritten"):
        acme.restore()
    assert not Path(acme.target).exists()


def test_the_log_of_another_database_is_not_played_into_the_restored_one(acme: Installation) -> None:
    acme.backup()
    if POSTGRES:
        return
    left = Path(f"{acme.target}-wal")
    left.parent.mkdir()
    left.write_bytes(b"of a database that was moved away")
    with pytest.raises(UsageError, match=r"ringback\.db-wal already"):
        acme.restore()


def test_a_bucket_holds_backups(acme: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    acme.fill()
    with s3_server("backups") as endpoint:
        acme.where = f"s3://backups/here?region=us-east-1&endpoint={endpoint}"
        assert (acme.backup().copied, acme.backup().copied) == (4, 0)
        assert acme.faults() == []
        acme.restore()
        assert acme.differences() == []
        acme.place().blobs.delete(next(iter(acme.place().blobs.list("blobs"))).key)
        assert "missing" in acme.faults()[0]


def test_there_has_to_be_a_snapshot(acme: Installation) -> None:
    with pytest.raises(UsageError, match="There is no complete snapshot"):
        acme.restore()
    made = acme.backup()
    with pytest.raises(UsageError, match=f"There is no snapshot yesterday; there are {made.name}"):
        acme.restore("yesterday")
    with pytest.raises(UsageError, match="There is no folder"):
        Place(str(acme.folder / "elsewhere"))


# -- schemas ----------------------------------------------------------------------------------------------------------


def test_a_backup_of_an_older_schema_is_migrated_when_it_is_restored(
    acme: Installation,
) -> None:
    with older(acme) as url:
        acme.url = url
        assert acme.backup().manifest.schema == "0001"
    assert acme.faults() == []
    acme.restore()
    migrate.check(acme.target)


@contextmanager
def older(acme: Installation) -> Iterator[str]:
    if POSTGRES:
        from tests import postgres

        with postgres.empty_beside(acme.url) as url:
            migrate.upgrade(url, "0001")
            yield url
    else:
        url = str(acme.folder / "older.db")
        migrate.upgrade(url, "0001")
        yield url


def test_a_backup_of_a_newer_schema_is_refused(acme: Installation) -> None:
    made = acme.backup()
    acme.place().put_manifest(made.name, structs.replace(made.manifest, schema="9999", sha256=""))
    with pytest.raises(UsageError, match="newer than this Ringback"):
        acme.restore()


def test_a_backup_of_the_other_engine_is_refused(acme: Installation) -> None:
    made = acme.backup()
    other = "sqlite" if POSTGRES else "postgres"
    acme.place().put_manifest(made.name, structs.replace(made.manifest, engine=other, sha256=""))
    with pytest.raises(UsageError, match=f"The snapshot is of {other}"):
        acme.restore()
