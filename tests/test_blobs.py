import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.blobs import BlobMissing, Blobs, BlobsUnavailable, FolderBlobs, open_blobs
from tests.bucket import s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server("calls") as address:
        yield address


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, folder: Path, s3: str) -> Blobs:
    if request.param == "folder":
        return open_blobs(str(folder))
    return open_blobs(f"s3://calls/{secrets.token_hex(4)}/deep?endpoint={s3}&region=eu-central-1")


def content(blobs: Blobs, key: str) -> bytes:
    return b"".join(blobs.read(key))


# --- Folder and bucket alike -----------------------------------------------------------------------------------------


def test_what_is_put_is_there(blobs: Blobs) -> None:
    blobs.put("monitors/12/34.mp3", b"sound")
    assert blobs.size("monitors/12/34.mp3") == 5
    assert content(blobs, "monitors/12/34.mp3") == b"sound"


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    blobs.put("empty", b"")
    assert (blobs.size("empty"), content(blobs, "empty")) == (0, b"")


def test_a_file_of_many_parts(blobs: Blobs, tmp_path: Path) -> None:
    data = secrets.token_bytes(11_000_001)
    (tmp_path / "capture").write_bytes(data)
    assert blobs.put_file("captures/1.pcap", tmp_path / "capture") == len(data)
    assert content(blobs, "captures/1.pcap") == data
    assert (tmp_path / "capture").read_bytes() == data


def test_a_missing_source_is_the_callers_fault(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        blobs.put_file("a", tmp_path / "none")


def test_putting_again_replaces(blobs: Blobs) -> None:
    blobs.put("a", b"longer than the other")
    blobs.put("a", b"short")
    assert content(blobs, "a") == b"short"


RANGES = [(0, None), (0, 0), (0, 1), (5, 10), (0, 26), (20, 100), (25, None), (26, None), (99, None), (99, 5), (7, 7)]


@pytest.mark.parametrize(("start", "length"), RANGES)
@pytest.mark.parametrize("chunk", [1, 7, 26, 1000])
def test_a_range_is_read_in_chunks(blobs: Blobs, start: int, length: int | None, chunk: int) -> None:
    alphabet = b"abcdefghijklmnopqrstuvwxyz"
    blobs.put("alphabet", alphabet)
    pieces = [*blobs.read("alphabet", start, length, chunk)]
    assert b"".join(pieces) == alphabet[start : None if length is None else start + length]
    assert all(len(piece) == chunk for piece in pieces[:-1])
    assert all(pieces)


def test_a_range_far_inside(blobs: Blobs) -> None:
    data = secrets.token_bytes(5_000_000)
    blobs.put("large", data)
    assert b"".join(blobs.read("large", 1_234_567, 2_345_678)) == data[1_234_567:3_580_245]


@pytest.mark.parametrize("wrong", [{"start": -1}, {"length": -1}, {"chunk": 0}])
def test_a_range_that_is_none(blobs: Blobs, wrong: dict[str, int]) -> None:
    blobs.put("a", b"x")
    with pytest.raises(ValueError, match="range"):
        blobs.read("a", **wrong)


def test_a_missing_blob(blobs: Blobs) -> None:
    assert blobs.size("none") is None
    with pytest.raises(BlobMissing, match="none"):
        blobs.read("none")  # at once, before anybody was promised bytes


def test_a_blob_deleted_before_it_is_read(blobs: Blobs) -> None:
    blobs.put("a", b"x")
    pieces = blobs.read("a")
    blobs.delete("a")
    with pytest.raises(BlobMissing, match="a"):
        next(pieces)


def test_deleting_twice_is_deleting(blobs: Blobs) -> None:
    blobs.put("a/b", b"x")
    for _ in range(2):
        blobs.delete("a/b")
        assert blobs.size("a/b") is None
    blobs.delete("never/was")


def test_a_folder_is_no_blob(blobs: Blobs) -> None:
    blobs.put("a/b/c", b"x")
    assert blobs.size("a/b") is None
    assert blobs.size("a/b/c/d") is None
    with pytest.raises(BlobMissing):
        blobs.read("a")


def test_a_listing_is_of_a_folder_and_all_below_it(blobs: Blobs) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "4"):
        blobs.put(key, b"x" * 3)
    assert {stored.key for stored in blobs.list()} == {"a/1", "a/b/2", "ab/3", "4"}
    assert {stored.key for stored in blobs.list("a")} == {"a/1", "a/b/2"}
    assert {stored.key for stored in blobs.list("a/b/")} == {"a/b/2"}
    assert [*blobs.list("none")] == [*blobs.list("a/1")] == []
    (stored,) = blobs.list("ab")
    assert stored.size == 3
    assert abs(stored.modified_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_long_listing(blobs: Blobs) -> None:
    keys = {f"many/{number}" for number in range(1100)}
    for key in keys:
        blobs.put(key, b"")
    assert {stored.key for stored in blobs.list("many")} == keys


def test_a_listing_is_not_disturbed_by_deletion(blobs: Blobs) -> None:
    for number in range(20):
        blobs.put(f"{number % 3}/{number}", b"")
    for stored in blobs.list():
        blobs.delete(stored.key)
    assert [*blobs.list()] == []


WRONG_KEYS = [
    "", "/", "/etc/passwd", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a", "a/.", "a b", "a\n", "ä", "a\\b",
    "~incoming/x", "a%2e", "a\0", "C:a", "x" * 201,
]  # fmt: skip


@pytest.mark.parametrize("key", WRONG_KEYS)
def test_a_key_that_is_none(blobs: Blobs, key: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match="key"):
        blobs.put(key, b"")
    with pytest.raises(ValueError, match="key"):
        blobs.put_file(key, tmp_path / "file")
    with pytest.raises(ValueError, match="key"):
        blobs.size(key)
    with pytest.raises(ValueError, match="key"):
        blobs.read(key)
    with pytest.raises(ValueError, match="key"):
        blobs.delete(key)


@pytest.mark.parametrize("key", ["x" * 200, "a/.b", "A-Z_0.9", "a/b/c/d/e", "...", "-"])
def test_unusual_keys(blobs: Blobs, key: str) -> None:
    blobs.put(key, b"x")
    assert content(blobs, key) == b"x"
    assert [stored.key for stored in blobs.list()] == [key]


def test_a_check_leaves_nothing_behind(blobs: Blobs) -> None:
    blobs.check()
    assert [*blobs.list()] == []
    assert blobs.sweep() == 0


def test_many_writers_of_one_key_leave_one_of_their_blobs(blobs: Blobs) -> None:
    candidates = [bytes([number]) * 300_000 for number in range(8)]
    writers = [threading.Thread(target=blobs.put, args=("contested", data)) for data in candidates]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert content(blobs, "contested") in candidates


# --- The folder ------------------------------------------------------------------------------------------------------


def test_nobody_else_may_read(folder: Path) -> None:
    old = os.umask(0)
    try:
        open_blobs(str(folder)).put("a/b/c", b"x")
    finally:
        os.umask(old)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_dir()}
    assert modes | {stat.S_IMODE(folder.stat().st_mode)} == {0o700}
    assert stat.S_IMODE((folder / "a/b/c").stat().st_mode) == 0o600


STORE = """
import sys
from pathlib import Path
from ringback.blobs import open_blobs
open_blobs(sys.argv[1]).put_file("monitors/1.mp3", Path(sys.argv[2]))
"""


@pytest.fixture
def half_stored(folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has written 2 MiB and waits for the rest of its source."""
    os.mkfifo(tmp_path / "source")
    with subprocess.Popen([sys.executable, "-c", STORE, folder, tmp_path / "source"]) as writer:
        with (tmp_path / "source").open("wb") as source:
            source.write(bytes(3 << 20))
            yield writer
        writer.kill()


def test_kill_9_leaves_no_half_blob_and_is_swept(half_stored: subprocess.Popen[bytes], folder: Path) -> None:
    half_stored.send_signal(signal.SIGKILL)
    half_stored.wait()
    (leftover,) = (folder / "~incoming").iterdir()
    assert leftover.stat().st_size > 0
    blobs = open_blobs(str(folder))
    assert blobs.size("monitors/1.mp3") is None
    assert [*blobs.list()] == []
    assert not leftover.exists()


def test_a_sweep_spares_what_is_being_written(half_stored: subprocess.Popen[bytes], folder: Path) -> None:
    blobs = open_blobs(str(folder))
    assert blobs.sweep() == 0
    (incoming,) = (folder / "~incoming").iterdir()
    assert [*blobs.list()] == []
    half_stored.send_signal(signal.SIGKILL)
    half_stored.wait()
    assert blobs.sweep() == 1
    assert not incoming.exists()


FILL = """
import resource, sys
from pathlib import Path
from ringback.blobs import BlobsUnavailable, open_blobs
blobs = open_blobs(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    blobs.put("a", bytes(2 << 20))
except BlobsUnavailable as fault:
    print(fault)
"""


def test_a_full_disk_harms_nothing_that_is_there(folder: Path) -> None:
    blobs = open_blobs(str(folder))
    blobs.put("a", b"the old one")
    told = subprocess.check_output([sys.executable, "-c", FILL, folder], text=True)
    assert "make room" in told
    assert str(folder) in told
    assert content(blobs, "a") == b"the old one"
    assert [*(folder / "~incoming").iterdir()] == []


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BlobsUnavailable, match="check the disk"):
        open_blobs(str(tmp_path / "file"))


def test_an_unmounted_disk_is_noticed(folder: Path, tmp_path: Path) -> None:
    blobs = open_blobs(str(folder))
    folder.rename(tmp_path / "away")
    with pytest.raises(BlobsUnavailable, match="check the disk"):
        blobs.check()


def test_probes_of_killed_checks_are_swept_after_an_hour(folder: Path) -> None:
    blobs = open_blobs(str(folder))
    for name, age_s in (("old", 4000), ("young", 3000)):
        blobs.put(f".probes/{name}", b"x")
        os.utime(folder / ".probes" / name, (time.time() - age_s,) * 2)
    assert blobs.sweep() == 1
    assert blobs.size(".probes/young") == 1


# --- The place -------------------------------------------------------------------------------------------------------


def test_a_file_url_is_a_folder(folder: Path) -> None:
    open_blobs(f"file://{folder}").put("a", b"x")
    assert isinstance(open_blobs(str(folder)), FolderBlobs)
    assert (folder / "a").exists()


@pytest.mark.parametrize(
    "place",
    [
        "ftp://host/a", "s3://", "s3:///prefix", "s3://key:secret@bucket", "s3://bucket?retries=3", "s3://bucket#a",
        "gs://bucket?region=x", "file://host/folder", "s3://bucket?endpoint",
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_understood(place: str) -> None:
    with pytest.raises(ValueError, match=r".") as told:
        open_blobs(place)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("place", ["gs://bucket/prefix", "az://container/prefix?account=ringback"])
def test_other_providers_by_the_same_url(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    assert isinstance(open_blobs(place), Blobs)


# --- The bucket ------------------------------------------------------------------------------------------------------


def every_method_is_unavailable(blobs: Blobs, source: Path) -> None:
    source.write_bytes(b"x")
    calls = (
        lambda: blobs.put("a", b""),
        lambda: blobs.put_file("a", source),
        lambda: blobs.size("a"),
        lambda: blobs.read("a"),
        lambda: blobs.delete("a"),
        lambda: [*blobs.list()],
        blobs.check,
        blobs.sweep,
    )
    for call in calls:
        with pytest.raises(BlobsUnavailable, match="check the network"):
            call()


def test_a_store_that_is_down_is_unavailable_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_below:
        port = closed_below.getsockname()[1]
    start = time.monotonic()
    every_method_is_unavailable(open_blobs(f"s3://calls?endpoint=http://127.0.0.1:{port}"), tmp_path / "source")
    assert time.monotonic() - start < 8 * 5


@pytest.mark.parametrize("method", ["check", "put_file"])
def test_a_store_that_hangs_is_unavailable_within_five_seconds(tmp_path: Path, method: str) -> None:
    (tmp_path / "source").write_bytes(bytes(6 << 20))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        blobs = open_blobs(f"s3://calls?endpoint=http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(BlobsUnavailable, match="does not answer"):
            blobs.check() if method == "check" else blobs.put_file("a", tmp_path / "source")
        assert time.monotonic() - start < 5


def test_a_bucket_that_does_not_exist(s3: str) -> None:
    with pytest.raises(BlobsUnavailable, match="make the bucket"):
        open_blobs(f"s3://elsewhere?endpoint={s3}").check()


def test_a_folder_that_is_emptied_goes_and_comes_again(tmp_path: Path) -> None:
    """Also while others put blobs into it."""
    blobs = FolderBlobs(tmp_path)

    def put_and_delete(name: int) -> None:
        for n in range(25):
            blobs.put(f"7/monitors/{name}-{n}.mp3", b"x")
            blobs.delete(f"7/monitors/{name}-{n}.mp3")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put_and_delete, range(4)))
    assert not (tmp_path / "7").exists()
    blobs.put("7/monitors/1.mp3", b"x")
    assert [stored.key for stored in blobs.list()] == ["7/monitors/1.mp3"]
