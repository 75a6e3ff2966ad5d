"""Sounds for the tests, made with the standard library and PyAV, and ears to hear what became of them."""

import math
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path

import av
from av.audio.stream import AudioStream

LEVEL = 12_000


def tone(path: Path, hz: Sequence[int] = (440,), *, seconds: float = 2.0, rate: int = 8000, level: int = LEVEL) -> Path:
    """A WAV of 16 bit PCM with one channel for every frequency; 0 Hz is silence."""
    pcm = array("h")
    for i in range(round(seconds * rate)):
        pcm.extend(round(level * math.sin(2 * math.pi * f * i / rate)) for f in hz)
    with wave.open(str(path), "wb") as file:
        file.setparams((len(hz), 2, rate, 0, "NONE", ""))
        file.writeframes(pcm.tobytes())
    return path


def click(path: Path, *, at_s: float, seconds: float = 2.0, rate: int = 8000) -> Path:
    """Silence but for 20 ms of tone."""
    samples = round(seconds * rate)
    first, last = round(at_s * rate), round((at_s + 0.02) * rate)
    loud = (round(LEVEL * math.sin(2 * math.pi * 1000 * i / rate)) for i in range(first, last))
    pcm = array("h", [0] * first) + array("h", loud) + array("h", [0] * (samples - last))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(pcm.tobytes())
    return path


def converted(source: Path, target: Path, codec: str, container: str | None = None, rate: int = 8000) -> Path:
    """`source` in another codec; `container` is needed where the suffix does not tell it."""
    with av.open(str(source)) as reader, av.open(str(target), "w", format=container) as writer:
        stream = writer.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "mono" if reader.streams.audio[0].channels == 1 else "stereo"
        for frame in reader.decode(audio=0):
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return target


def heard(path: Path) -> tuple[list[Sequence[float]], int]:
    """What a player makes of a file: the channels, from -1 to 1, and the sample rate."""
    with av.open(str(path)) as container:
        channels = [array("f") for _ in range(container.streams.audio[0].layout.nb_channels)]
        for frame in container.decode(audio=0):
            for channel, plane in zip(channels, frame.planes, strict=True):
                channel.frombytes(bytes(plane)[: frame.samples * 4])
        return [*channels], container.streams.audio[0].rate


def frequency(channel: Sequence[float], rate: int) -> float:
    """Hz, by upward zero crossings."""
    crossings = [i for i in range(1, len(channel)) if channel[i - 1] < 0 <= channel[i]]
    return (len(crossings) - 1) * rate / (crossings[-1] - crossings[0])


def loudness(channel: Sequence[float]) -> float:
    """RMS, where a 16 bit sample of 32,768 is 1."""
    return math.sqrt(sum(x * x for x in channel) / len(channel))


def peak_at_s(channel: Sequence[float], rate: int) -> float:
    return max(range(len(channel)), key=lambda i: abs(channel[i])) / rate
