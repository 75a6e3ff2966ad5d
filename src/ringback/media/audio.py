"""What encoding answers. Free of codecs, so that the server can import it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Audio:
    """A finished MP3: seconds of sound, bytes on disk, 1 or 2 channels, sample rate in Hz."""

    duration_s: float
    size: int
    channels: int
    sample_rate: int


class BrokenAudio(Exception):
    """The source holds no audio that can be read. Trying again does not help; `reason` is a text for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
