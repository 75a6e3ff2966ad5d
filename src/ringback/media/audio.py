"""What goes into encoding and what it answers. Free of codecs, so that the server can import it."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

SUFFIXES = frozenset({".wav", ".mp3", ".ogg", ".oga", ".opus", ".gsm", ".ulaw", ".alaw", ".sln", ".sln16", ".g722"})
"""Of files that may hold audio; for those without a header it says the format."""
_BLOCK_BYTES = 1 << 20
_LEAST_TIMEOUT_S, _TIMEOUT_S_PER_MIB = 60.0, 10.0


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


def timeout_s(size: int) -> float:
    """How long encoding a file of `size` bytes may take: twenty times what the slowest format needs."""
    return _LEAST_TIMEOUT_S + _TIMEOUT_S_PER_MIB * size / (1 << 20)


def content_hash(file: Path) -> str:
    digest = blake2b(digest_size=16)
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
