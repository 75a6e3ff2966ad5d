"""Files of recordings: what MixMonitor's arguments name, which hop one is of, two sides as one; and a folder that nobody is trusted with."""

import os
import wave
from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.calls.ledger.recorded import hop_of
from ringback.connectors.asterisk import mixmonitor
from ringback.connectors.folder import Folder
from ringback.connectors.recording_notes import Notes
from ringback.media import sides
from tests.media.sounds import tone


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "monitor").mkdir()
    return tmp_path / "monitor"


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ("a.wav", ("a.wav", "", "")),
        ("/x/a.wav49,b", ("/x/a.WAV", "", "")),
        ("a.wav,br(r.wav)t(t.wav)n,/bin/true ^{X},y", ("a.wav", "r.wav", "t.wav")),
        (",r(r.wav)t(t.wav)", ("", "r.wav", "t.wav")),
        ("a.gsm,W(2)i(ID),mail r(no.wav)", ("a.gsm", "", "")),
        ("a.wav,m(101@default,102@default)t(t.wav)", ("a.wav", "", "t.wav")),
        ("", ("", "", "")),
        ("a.wav,r(", ("a.wav", "", "")),
    ],
)
def test_the_arguments_of_mixmonitor_name_its_files(data: str, files: tuple[str, str, str]) -> None:
    assert mixmonitor.files(data) == files


def test_a_recording_is_of_the_hop_that_talked_while_it_was_made() -> None:
    hop = _hop("a", ("A", "B"), 0, 5, 10)
    later = _hop("b", ("A", "C"), 10, 12, 60)
    other = _hop("c", ("D", "E"), 0, 0, 99)
    assert hop_of([hop, later, other], "A", 0, 10_000_000).key == "a"
    assert hop_of([hop, later, other], "A", 0, 60_000_000).key == "b"
    assert hop_of([hop, later, other], "B", 0, 60_000_000).key == "a"
    assert hop_of([hop, later, other], "Z", 0, 99_000_000).key == "c"


def _hop(key: str, channels: tuple[str, ...], start_s: int, answer_s: int, end_s: int) -> Any:
    us = 1_000_000
    return SimpleNamespace(
        key=key, channels=channels, started_us=start_s * us, answered_us=answer_s * us, ended_us=end_s * us,
        talk_us=(end_s - answer_s) * us,
    )  # fmt: skip


def test_the_shorter_side_is_silent_at_its_end(tmp_path: Path) -> None:
    one, other = tone(tmp_path / "one.wav", seconds=0.5), tone(tmp_path / "other.wav", seconds=0.3)
    assert sides.joined(one, other, tmp_path / "both.wav")
    with wave.open(str(tmp_path / "both.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8_000, 4_000)
        both = array("h", file.readframes(4_000))
    assert max(both[0::2]) == max(both[1:4_800:2]) > 10_000
    assert set(both[4_801::2]) == {0}
    assert not sides.joined(one, Path(__file__), tmp_path / "none.wav")


def test_notes_survive_a_line_that_is_torn(tmp_path: Path) -> None:
    first = Notes(tmp_path / "notes", 1)
    first.begun(mixmonitor.Recording("1.1", "1.1", "/a.wav", "", "", 5))
    first.close()
    with (tmp_path / "notes").open("ab") as file:
        file.write(b'["ended","1.1"]\n[7]\n["taken"\nnull\n["began","2.2"')
    second = Notes(tmp_path / "notes", 2)
    assert (second.since_ns, [each.mixed for each in second.recordings.values()]) == (1, ["/a.wav"])
    second.close()


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "//etc/passwd",
        "../secret.wav",
        "link.wav",
        "folder/secret.wav",
        "pipe.wav",
        "a/../../secret.wav",
        ".",
        "/",
    ],
)
def test_a_name_leads_out_of_no_folder(spool: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    tone(tmp_path / "secret.wav")
    tone(tmp_path / "outside/secret.wav")
    (spool / "link.wav").symlink_to(tmp_path / "secret.wav")
    (spool / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(spool / "pipe.wav")
    folder = Folder(spool)
    assert folder.located(name) is None
    with pytest.raises(OSError, match=r"file|link|directory|loop|symbolic"):
        folder.copy(name, tmp_path / "copy.wav")
    assert set(folder.audio()) <= {"link.wav", "pipe.wav"}
    assert all(folder.look(each) is None for each in folder.audio())


def test_a_file_that_is_too_large_is_refused(spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.connectors.folder.LARGEST_BYTES", 1_000)
    tone(spool / "large.wav")
    with pytest.raises(OSError, match="more than"):
        Folder(spool).copy("large.wav", tmp_path / "copy.wav")


def test_the_same_again_is_no_other_file(spool: Path) -> None:
    tone(spool / "one.wav")
    folder = Folder(spool)
    look = folder.look("one.wav")
    assert look is not None
    tone(spool / "one.wav", seconds=1)
    assert not folder.remove("one.wav", look)
    assert (spool / "one.wav").exists()
