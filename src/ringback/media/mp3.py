"""Any telephony audio to MP3 of constant bit rate, in flat memory.

Only the child process of `encoder` should call this: a C library that meets hostile bytes takes its process along.
LAME lowers the level by 0.45 dB (its scale of 0.95) to keep peaks from clipping, and lameenc has no way to say otherwise;
nothing else touches the loudness.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av
import lameenc
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from ringback.media import info_frame
from ringback.media.audio import Audio, BrokenAudio

_HEADERLESS = {
    ".gsm": ("gsm", {}),
    ".ulaw": ("mulaw", {"sample_rate": "8000"}),
    ".alaw": ("alaw", {"sample_rate": "8000"}),
    ".sln": ("s16le", {"sample_rate": "8000"}),
    ".sln16": ("s16le", {"sample_rate": "16000"}),
    ".g722": ("g722", {}),
}
# FFmpeg also reads playlists, which name other files and hosts. An upload must never make it do so.
_SAFE = {"format_whitelist": "wav,ogg,mp3,gsm,mulaw,alaw,s16le,g722", "protocol_whitelist": "file"}
# The MPEG-2 and 2.5 rates: all take 32 and 64 kbit/s, and have 576 samples a frame. Speech needs no more.
_RATES = (8000, 11025, 12000, 16000, 22050, 24000)
_KBIT_PER_CHANNEL = 32
_FASTEST = 7  # LAME's quality; 9 is no faster
_SILENT = "it holds no sound"


def encode(source: Path, target: Path) -> Audio:
    """Write `source` as MP3 to `target`: 32 kbit/s mono, 64 stereo; more channels are mixed down to stereo.

    The suffix names the format of a file without a header (.gsm .ulaw .alaw .sln .sln16 .g722); all others are
    recognised by content. A recording that was cut short, whose header lies about its length or that has damaged
    packets is encoded as far as it can be read. Rates above 24 kHz become 24 kHz. Raises BrokenAudio when nothing
    can be read and OSError when a disk fails; then no `target` remains.
    """
    try:
        with _opened(source) as container, target.open("w+b") as file:
            return _written(_frames(container), file)
    except BaseException as fault:
        target.unlink(missing_ok=True)
        if reason := _why_broken(fault):
            raise BrokenAudio(reason) from fault
        raise


def _why_broken(fault: BaseException) -> str | None:
    """None means that the fault says nothing about the source."""
    if isinstance(fault, OSError | BrokenAudio):
        return None
    if isinstance(fault, MemoryError):
        return "reading it takes too much memory"
    if isinstance(fault, av.FFmpegError):
        return f"not readable as audio: {fault.strerror}"
    if isinstance(fault, ValueError):  # PyAV, of a stream that changes its format midway
        return f"not readable as audio: {fault}"
    return None


def _opened(source: Path) -> InputContainer:
    name, options = _HEADERLESS.get(source.suffix.lower(), (None, {}))
    return av.open(f"file:{source}", "r", format=name, options={**_SAFE, **options})


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """The decoded audio. A damaged packet is left out, but noise that passes for audio here and there is refused."""
    if not container.streams.audio:
        raise BrokenAudio("it has no audio stream")
    good = bad = 0
    for packet in container.demux(container.streams.audio[0]):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            bad += 1
            continue
        good += len(frames)
        yield from frames
    if bad > good:
        raise BrokenAudio(f"{bad} of its {bad + good} packets are damaged" if good else "no packet can be decoded")


def _written(frames: Iterator[AudioFrame], file: BinaryIO) -> Audio:
    first = next(frames, None)
    if first is None:
        raise BrokenAudio(_SILENT)
    channels, rate = min(first.layout.nb_channels, 2), _rate_for(first.sample_rate)
    kbit = _KBIT_PER_CHANNEL * channels
    file.write(bytes(info_frame.length(rate, kbit)))
    lame = _lame(channels, rate, kbit)
    samples = 0
    for pcm in _pcm(chain((first,), frames), channels, rate):
        samples += len(pcm) // (2 * channels)
        file.write(lame.encode(pcm))
    if not samples:
        raise BrokenAudio(_SILENT)
    file.write(lame.flush())
    size = file.tell()
    info_frame.fill_in(file, samples, rate, kbit)
    return Audio(samples / rate, size, channels, rate)


def _rate_for(source_rate: int) -> int:
    return next((rate for rate in _RATES if rate >= source_rate), _RATES[-1])


def _lame(channels: int, rate: int, kbit: int) -> lameenc.Encoder:
    lame = lameenc.Encoder()
    lame.silence()
    lame.set_channels(channels)
    lame.set_in_sample_rate(rate)
    lame.set_out_sample_rate(rate)
    lame.set_bit_rate(kbit)
    lame.set_quality(_FASTEST)
    return lame


def _pcm(frames: Iterable[AudioFrame], channels: int, rate: int) -> Iterator[bytes]:
    """Interleaved signed 16 bit samples."""
    resampler = AudioResampler("s16", "mono" if channels == 1 else "stereo", rate)
    for frame in chain(frames, (None,)):
        for out in resampler.resample(frame):
            # The plane is padded for alignment.
            yield bytes(memoryview(out.planes[0])[: out.samples * channels * 2])
