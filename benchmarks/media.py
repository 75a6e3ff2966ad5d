"""Encoding audio to MP3: how many times faster than it sounds, by processor time of one core, beside LAME alone."""

import os
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import lameenc
from av.audio.stream import AudioStream

from ringback.media.encoder import Encoder

SECONDS = 600
RATE = 8_000
SPEECH = Path("src/ringback/demo/data/recordings/source")
FORMATS = (
    # name, suffix, codec, container, rate, channels
    ("WAV PCM", "wav", "pcm_s16le", "wav", RATE, 1),
    ("WAV µ-law", "wav", "pcm_mulaw", "wav", RATE, 1),
    ("WAV PCM stereo", "wav", "pcm_s16le", "wav", RATE, 2),
    ("Ogg Opus", "ogg", "libopus", "ogg", 48_000, 1),
    ("MP3", "mp3", "libmp3lame", "mp3", RATE, 1),
)


def measured(folder: Path) -> Iterator[tuple[int, str, float, float, str]]:
    for channels in (1, 2):
        _speech(folder / f"speech{channels}.wav", channels)
    with Encoder() as encoder:
        for name, suffix, codec, container, rate, channels in FORMATS:
            source = folder / f"source.{suffix}"
            _converted(folder / f"speech{channels}.wav", source, codec, container, rate)
            encoder.encode(source, folder / "out.mp3", timeout_s=600)
            before = _cpu_s(encoder.pid)
            encoder.encode(source, folder / "out.mp3", timeout_s=600)
            ours_s = _cpu_s(encoder.pid) - before
            bare_s = _bare_s(folder / f"speech{channels}.wav", channels)
            note = "bare: LAME alone, from samples in memory"
            yield SECONDS, f"encode {name}, × real time", SECONDS / ours_s, SECONDS / bare_s, note


def _speech(target: Path, channels: int) -> None:
    """The demo's voices one after the other until the time is over; on the second side a second later."""
    voices = b"".join(_samples(file) for file in sorted(SPEECH.glob("*.wav")))
    length = SECONDS * RATE * 2
    sides = [(voices * (length // len(voices) + 2))[side * RATE * 2 :][:length] for side in range(channels)]
    interleaved = bytearray(length * channels)
    for side, samples in enumerate(sides):
        for byte in (0, 1):
            interleaved[side * 2 + byte :: channels * 2] = samples[byte::2]
    with wave.open(str(target), "wb") as file:
        file.setparams((channels, 2, RATE, 0, "NONE", ""))
        file.writeframes(interleaved)


def _samples(file: Path) -> bytes:
    with wave.open(str(file), "rb") as opened:
        assert (opened.getnchannels(), opened.getsampwidth(), opened.getframerate()) == (1, 2, RATE)
        return opened.readframes(opened.getnframes())


def _converted(source: Path, target: Path, codec: str, container: str, rate: int) -> None:
    with av.open(str(source)) as reader, av.open(str(target), "w", format=container) as writer:
        stream = writer.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "mono" if reader.streams.audio[0].channels == 1 else "stereo"
        stream.bit_rate = 32_000
        for frame in reader.decode(audio=0):
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))


def _cpu_s(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _bare_s(source: Path, channels: int) -> float:
    with wave.open(str(source), "rb") as file:
        samples = file.readframes(file.getnframes())
    lame = lameenc.Encoder()
    lame.silence()
    lame.set_channels(channels)
    lame.set_in_sample_rate(RATE)
    lame.set_out_sample_rate(RATE)
    lame.set_bit_rate(32 * channels)
    lame.set_quality(7)
    began = time.process_time()
    lame.encode(samples)
    lame.flush()
    return time.process_time() - began
