import os
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.media.audio import BrokenAudio
from ringback.media.encoder import Encoder, EncoderUnavailable, encode_isolated
from tests.media.sounds import heard, tone


@pytest.fixture
def encoder() -> Iterator[Encoder]:
    with Encoder() as one:
        yield one


@pytest.fixture
def short(tmp_path: Path) -> Path:
    return tone(tmp_path / "short.wav", seconds=0.5)


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Ten hours of silence, most of it a hole in the file: half a minute of work."""
    path = tmp_path / "endless.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    os.truncate(path, 36_000 * 16_000)
    with path.open("r+b") as content:
        content.seek(40)
        content.write((36_000 * 16_000).to_bytes(4, "little"))
    return path


def sync_safe(number: int) -> bytes:
    """The way ID3v2 writes lengths."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


@pytest.fixture
def greedy(short: Path, tmp_path: Path) -> Path:
    """An MP3 with a cover picture of 250 MB (a hole in the file), which FFmpeg would load."""
    encode_isolated(short, tmp_path / "sound.mp3", timeout_s=30)
    path, size = tmp_path / "greedy.mp3", 250_000_000
    with path.open("wb") as content:
        content.write(b"ID3\4\0\0" + sync_safe(size + 10))
        content.write(b"APIC" + sync_safe(size) + b"\0\0" + b"\0image/png\0\3\0" + b"\x89PNG\r\n\x1a\n")
        content.seek(20 + size)
        content.write((tmp_path / "sound.mp3").read_bytes())
    return path


def peak_memory_bytes(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmPeak")).split()[1]) * 1024


def test_a_single_file(short: Path, tmp_path: Path) -> None:
    audio = encode_isolated(short, tmp_path / "out.mp3", timeout_s=30)
    assert audio.duration_s == pytest.approx(0.5)
    (channel,), rate = heard(tmp_path / "out.mp3")
    assert len(channel) / rate == pytest.approx(0.5)


def test_the_server_itself_never_loads_a_codec() -> None:
    program = "import sys, ringback.media.encoder; print({'av', 'lameenc', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"


def test_many_files_share_one_child(encoder: Encoder, short: Path, tmp_path: Path) -> None:
    pids = set()
    for number in range(50):
        assert encoder.encode(short, tmp_path / f"{number}.mp3", timeout_s=30).duration_s == pytest.approx(0.5)
        pids.add(encoder.pid)
    assert len(pids) == 1


def test_names_may_hold_anything(encoder: Encoder, short: Path, tmp_path: Path) -> None:
    source = short.rename(tmp_path / os.fsdecode(b"a\nb \xff: http%20.wav"))
    assert encoder.encode(source, tmp_path / "c\nd.mp3", timeout_s=30).channels == 1


def test_broken_files_leave_the_child_alive(encoder: Encoder, short: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound here")
    encoder.encode(short, tmp_path / "1.mp3", timeout_s=30)
    pid = encoder.pid
    with pytest.raises(BrokenAudio, match="not readable"):
        encoder.encode(tmp_path / "text.wav", tmp_path / "2.mp3", timeout_s=30)
    encoder.encode(short, tmp_path / "3.mp3", timeout_s=30)
    assert encoder.pid == pid


def test_a_missing_source_and_a_missing_folder_are_told_apart_from_broken_audio(
    encoder: Encoder, short: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        encoder.encode(tmp_path / "none.wav", tmp_path / "out.mp3", timeout_s=30)
    with pytest.raises(FileNotFoundError):
        encoder.encode(short, tmp_path / "none" / "out.mp3", timeout_s=30)


def test_too_long_ends_the_file_and_nothing_else(encoder: Encoder, endless: Path, short: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokenAudio, match=r"longer than 0\.3 s"):
        encoder.encode(endless, tmp_path / "out.mp3", timeout_s=0.3)
    assert not (tmp_path / "out.mp3").exists()
    assert encoder.encode(short, tmp_path / "out.mp3", timeout_s=30).duration_s == pytest.approx(0.5)


def kill_when_written(encoder: Encoder, target: Path) -> None:
    while not target.exists() or not target.stat().st_size:
        pass
    assert encoder.pid
    os.kill(encoder.pid, signal.SIGSEGV)


def test_a_crash_ends_the_file_and_nothing_else(encoder: Encoder, endless: Path, short: Path, tmp_path: Path) -> None:
    killer = threading.Thread(target=kill_when_written, args=(encoder, tmp_path / "out.mp3"))
    killer.start()
    with pytest.raises(BrokenAudio, match="SIGSEGV"):
        encoder.encode(endless, tmp_path / "out.mp3", timeout_s=60)
    killer.join()
    assert not (tmp_path / "out.mp3").exists()
    assert encoder.encode(short, tmp_path / "out.mp3", timeout_s=30).duration_s == pytest.approx(0.5)


def test_a_child_killed_between_two_files_fails_neither(encoder: Encoder, short: Path, tmp_path: Path) -> None:
    encoder.encode(short, tmp_path / "1.mp3", timeout_s=30)
    pid = encoder.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    encoder.encode(short, tmp_path / "2.mp3", timeout_s=30)
    assert encoder.pid != pid


def test_no_file_gets_more_memory_than_the_limit(greedy: Path, tmp_path: Path) -> None:
    with Encoder(memory_bytes=200 << 20) as encoder:
        assert encoder.encode(greedy, tmp_path / "out.mp3", timeout_s=30).duration_s == pytest.approx(0.5, abs=0.2)
        assert peak_memory_bytes(encoder.pid) < 200 << 20


def most_memory_bytes(pid: int | str | None) -> int:
    """The most that it ever held in memory."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024


@pytest.mark.parametrize("channels", [1, 2])
def test_an_hour_takes_no_more_memory_than_a_second(encoder: Encoder, tmp_path: Path, channels: int) -> None:
    second = tone(tmp_path / "second.wav", (440, 700)[:channels], seconds=1)
    encoder.encode(second, tmp_path / "second.mp3", timeout_s=30)
    child, parent = most_memory_bytes(encoder.pid), most_memory_bytes("self")
    with wave.open(str(second), "rb") as once, wave.open(str(tmp_path / "hour.wav"), "wb") as hour:
        hour.setparams(once.getparams())
        sound = once.readframes(8000)
        for _ in range(3_600):
            hour.writeframesraw(sound)
    assert encoder.encode(tmp_path / "hour.wav", tmp_path / "hour.mp3", timeout_s=300).duration_s == 3_600
    assert most_memory_bytes(encoder.pid) - child < 12 << 20
    assert most_memory_bytes("self") - parent < 12 << 20


def test_a_child_that_cannot_start_blames_no_file(short: Path, tmp_path: Path) -> None:
    with Encoder(memory_bytes=40 << 20) as starved, pytest.raises(EncoderUnavailable):
        starved.encode(short, tmp_path / "out.mp3", timeout_s=30)


def test_nothing_runs_on_afterwards(short: Path, tmp_path: Path) -> None:
    with Encoder() as encoder:
        encoder.encode(short, tmp_path / "out.mp3", timeout_s=30)
        pid = encoder.pid
    assert pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
