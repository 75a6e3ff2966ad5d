import math
import os
import random
import struct
from contextlib import suppress
from pathlib import Path

import av
import pytest
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ringback.media.audio import BrokenAudio
from ringback.media.encoder import Encoder
from ringback.media.mp3 import encode
from tests.media.sounds import LEVEL, click, converted, frequency, heard, loudness, peak_at_s, tone


def wav_gsm(path: Path, seconds: float) -> Path:
    """What Asterisk calls wav49, here of silent frames: FFmpeg reads GSM but does not write it."""
    block = bytes(65)
    data = block * round(seconds * 50 / 2)
    form = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    return path


CODECS = [
    # suffix, codec, container where the suffix does not tell it, rate, rate of the MP3
    ("wav", "pcm_s16le", None, 8000, 8000),
    ("wav", "pcm_mulaw", None, 8000, 8000),
    ("wav", "pcm_alaw", None, 8000, 8000),
    ("wav", "pcm_s16le", None, 16000, 16000),
    ("wav", "pcm_s16le", None, 44100, 24000),
    ("ogg", "libopus", None, 48000, 24000),
    ("mp3", "libmp3lame", None, 16000, 16000),
    ("ulaw", "pcm_mulaw", "mulaw", 8000, 8000),
    ("alaw", "pcm_alaw", "alaw", 8000, 8000),
    ("sln", "pcm_s16le", "s16le", 8000, 8000),
    ("sln16", "pcm_s16le", "s16le", 16000, 16000),
    ("g722", "g722", "g722", 16000, 16000),
]


@pytest.mark.parametrize(("suffix", "codec", "container", "rate", "mp3_rate"), CODECS)
def test_a_tone_comes_out_as_it_went_in(
    tmp_path: Path, suffix: str, codec: str, container: str | None, rate: int, mp3_rate: int
) -> None:
    source = converted(tone(tmp_path / "tone.wav", rate=rate), tmp_path / f"in.{suffix}", codec, container, rate)
    audio = encode(source, tmp_path / "out.mp3")

    (channel,), heard_rate = heard(tmp_path / "out.mp3")
    assert (audio.channels, audio.sample_rate, heard_rate) == (1, mp3_rate, mp3_rate)
    assert audio.duration_s == pytest.approx(2.0, abs=0.1)
    assert len(channel) / heard_rate == pytest.approx(audio.duration_s, abs=0.01)
    middle = channel[len(channel) // 4 : len(channel) * 3 // 4]
    assert frequency(middle, heard_rate) == pytest.approx(440, abs=2)
    # LAME takes 0.45 dB off, and a codec before it its own bit.
    assert loudness(middle) == pytest.approx(LEVEL / 32768 / math.sqrt(2), rel=0.1)


@pytest.mark.parametrize("seconds", [0.01, 0.3, 1.0, 7.777])
@pytest.mark.parametrize("rate", [4000, 8000, 11025, 22050, 48000])
def test_players_see_the_true_duration_before_they_decode(tmp_path: Path, rate: int, seconds: float) -> None:
    audio = encode(tone(tmp_path / "in.wav", seconds=seconds, rate=rate), tmp_path / "out.mp3")
    assert audio.duration_s == pytest.approx(seconds, abs=0.005)
    assert audio.size == (tmp_path / "out.mp3").stat().st_size
    with av.open(str(tmp_path / "out.mp3")) as container:
        assert (container.duration or 0) / 1e6 == pytest.approx(seconds, abs=0.005)


def test_nothing_is_shifted_in_time(tmp_path: Path) -> None:
    encode(click(tmp_path / "in.wav", at_s=1.25), tmp_path / "out.mp3")
    (channel,), rate = heard(tmp_path / "out.mp3")
    assert peak_at_s(channel, rate) == pytest.approx(1.26, abs=0.01)


def test_the_two_sides_of_a_call_stay_apart(tmp_path: Path) -> None:
    audio = encode(tone(tmp_path / "in.wav", (440, 0)), tmp_path / "left.mp3")
    (left, right), _ = heard(tmp_path / "left.mp3")
    assert audio.channels == 2
    assert loudness(left) > 50 * loudness(right)

    encode(tone(tmp_path / "in.wav", (440, 1000)), tmp_path / "both.mp3")
    (left, right), rate = heard(tmp_path / "both.mp3")
    assert frequency(left[4000:12000], rate) == pytest.approx(440, abs=2)
    assert frequency(right[4000:12000], rate) == pytest.approx(1000, abs=2)


@pytest.mark.parametrize("level", [300, 3_000, 12_000, 30_000])
def test_the_loudness_of_either_side_stays_within_half_a_decibel(tmp_path: Path, level: int) -> None:
    source = tone(tmp_path / "in.wav", (440, 1000), level=level)
    encode(source, tmp_path / "out.mp3")
    for side in heard(tmp_path / "out.mp3")[0]:
        change_db = 20 * math.log10(loudness(side[4000:12000]) / (level / 32768 / math.sqrt(2)))
        assert abs(change_db) < 0.5


def test_a_side_that_is_silent_stays_silent(tmp_path: Path) -> None:
    encode(tone(tmp_path / "in.wav", (0, 440)), tmp_path / "out.mp3")
    (left, right), _ = heard(tmp_path / "out.mp3")
    assert loudness(left) < loudness(right) / 1_000


def test_more_than_two_channels_become_two(tmp_path: Path) -> None:
    assert encode(tone(tmp_path / "in.wav", (440, 500, 600, 700)), tmp_path / "out.mp3").channels == 2


@pytest.mark.parametrize(("channels", "bytes_per_s"), [(1, 4000), (2, 8000)])
def test_the_bit_rate_is_constant(tmp_path: Path, channels: int, bytes_per_s: int) -> None:
    audio = encode(tone(tmp_path / "in.wav", (440,) * channels, seconds=20), tmp_path / "out.mp3")
    assert audio.size == pytest.approx(20 * bytes_per_s, rel=0.03)
    with av.open(str(tmp_path / "out.mp3")) as container:
        rates = {packet.size for packet in container.demux(audio=0) if packet.size}
    assert rates == {bytes_per_s * 576 // 8000}


def test_gsm_with_and_without_header(tmp_path: Path) -> None:
    expected = pytest.approx(3.0, abs=0.1)
    assert encode(wav_gsm(tmp_path / "in.WAV", 3), tmp_path / "out.mp3").duration_s == expected
    (tmp_path / "in.gsm").write_bytes((b"\xd0" + bytes(32)) * 150)
    audio = encode(tmp_path / "in.gsm", tmp_path / "out.mp3")
    assert (audio.duration_s, audio.channels, audio.sample_rate) == (3.0, 1, 8000)


def test_content_counts_more_than_a_wrong_name(tmp_path: Path) -> None:
    ogg = converted(tone(tmp_path / "tone.wav"), tmp_path / "in.ogg", "libopus", rate=48000)
    assert encode(ogg.rename(tmp_path / "in.wav"), tmp_path / "out.mp3").duration_s == pytest.approx(2.0, abs=0.1)


def test_a_recording_cut_short_is_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    source = tone(tmp_path / "in.wav")
    os.truncate(source, source.stat().st_size // 2)
    assert encode(source, tmp_path / "out.mp3").duration_s == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("claimed", [0, 1 << 20, 0xFFFFFFFF])
def test_a_header_that_lies_about_the_length(tmp_path: Path, claimed: int) -> None:
    """A recorder that was killed leaves 0 or the largest length there."""
    source = tone(tmp_path / "in.wav")
    content = bytearray(source.read_bytes())
    struct.pack_into("<I", content, 4, claimed)
    struct.pack_into("<I", content, 40, claimed)
    source.write_bytes(content)
    assert encode(source, tmp_path / "out.mp3").duration_s == pytest.approx(2.0, abs=0.01)


def test_damaged_packets_are_left_out(tmp_path: Path) -> None:
    source = converted(tone(tmp_path / "tone.wav", seconds=10), tmp_path / "in.mp3", "libmp3lame")
    content = bytearray(source.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = random.Random(1).randbytes(400)
    source.write_bytes(content)
    assert encode(source, tmp_path / "out.mp3").duration_s == pytest.approx(10, abs=1)


WAV_HEADER = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0"
BROKEN = {
    "empty.wav": b"",
    "empty.ulaw": b"",
    "no_samples.wav": WAV_HEADER,
    "half_a_header.wav": WAV_HEADER[:20],
    "no_channels.wav": WAV_HEADER[:22] + b"\0\0" + WAV_HEADER[24:] + bytes(4000),
    "no_rate.wav": WAV_HEADER[:24] + bytes(4) + WAV_HEADER[28:] + bytes(4000),
    "unknown_codec.wav": WAV_HEADER[:20] + b"\x77\x66" + WAV_HEADER[22:] + bytes(4000),
    "noise.wav": random.Random(7).randbytes(50_000),
    "noise.mp3": random.Random(8).randbytes(500_000),
    "noise.ogg": b"OggS" + random.Random(9).randbytes(50_000),
    "text.wav": b"<html><body>404 not found</body></html>\n" * 200,
    "playlist.mp3": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "list.wav": b"ffconcat version 1.0\nfile /etc/passwd\n",
}


def wav(channels: int, rate: int, data: bytes, claimed: int | None = None) -> bytes:
    """A WAV whose header says what it is told to."""
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 & 0xFFFFFFFF, channels * 2 & 0xFFFF, 16)
    size = len(data) if claimed is None else claimed
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", min(36 + size, 0xFFFFFFFF)) + head + data


ODD = {
    "192 kHz": wav(1, 192_000, bytes(192_000 * 2)),
    "4 GB claimed": wav(1, 8000, bytes(16_000), 0xFFFFFFFF),
    "100 channels": wav(100, 8000, bytes(16_000 * 100)),
    "65,535 channels": wav(65_535, 8000, bytes(16_000)),
    "a rate of 4 GHz": wav(1, 0xFFFFFFFF, bytes(16_000)),
    "a rate of 1 Hz": wav(1, 1, bytes(100)),
}


@pytest.mark.parametrize("what", ODD)
def test_what_no_telephone_makes_is_read_or_refused_at_once(tmp_path: Path, what: str) -> None:
    (tmp_path / "odd.wav").write_bytes(ODD[what])
    with Encoder() as encoder:
        encoder.encode(tone(tmp_path / "tone.wav", seconds=0.1), tmp_path / "tone.mp3", timeout_s=20)
        pid = encoder.pid
        with suppress(BrokenAudio):
            audio = encoder.encode(tmp_path / "odd.wav", tmp_path / "out.mp3", timeout_s=20)
            assert audio.channels <= 2
            assert 0 < audio.duration_s <= 200
        assert encoder.encode(tmp_path / "tone.wav", tmp_path / "tone.mp3", timeout_s=20).channels == 1
        assert encoder.pid == pid, "it crashed or hung"


def test_a_video_is_no_recording_even_with_sound(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    with av.open(str(film), "w") as writer:
        picture, sound = writer.add_stream("mpeg4", rate=5), writer.add_stream("aac", rate=8000)
        assert isinstance(picture, VideoStream)
        assert isinstance(sound, AudioStream)
        picture.width = picture.height = 64
        sound.codec_context.layout = "mono"
        silence = AudioFrame("fltp", "mono", 1024)
        silence.sample_rate = 8000
        silence.planes[0].update(bytes(silence.planes[0].buffer_size))
        for number in range(5):
            frame = VideoFrame(64, 64, "yuv420p")
            frame.pts = number
            writer.mux(picture.encode(frame))
            writer.mux(sound.encode(silence))
        writer.mux(picture.encode(None))
        writer.mux(sound.encode(None))
    with pytest.raises(BrokenAudio):
        encode(film.rename(tmp_path / "film.wav"), tmp_path / "out.mp3")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_audio_is_refused_with_a_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(BrokenAudio) as refused:
        encode(tmp_path / name, tmp_path / "out.mp3")
    assert refused.value.reason
    assert not (tmp_path / "out.mp3").exists()


def test_a_missing_file_is_no_broken_audio(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        encode(tmp_path / "none.wav", tmp_path / "out.mp3")
