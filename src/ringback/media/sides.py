"""Two recordings of one call, a side each, as one with two channels."""

import wave
from array import array
from pathlib import Path

_BLOCK_FRAMES = 1 << 16
_16_BIT = 2


def joined(left: Path, right: Path, target: Path) -> bool:
    """Writes a WAV of both; the shorter one is silent at its end. False, and nothing is written, where one is no WAV of
    16 bit PCM with one channel, or their sample rates differ."""
    try:
        with wave.open(str(left), "rb") as one, wave.open(str(right), "rb") as other:
            if not _fit(one, other):
                return False
            with wave.open(str(target), "wb") as file:
                file.setparams((2, _16_BIT, one.getframerate(), 0, "NONE", ""))
                while block := _block(one, other):
                    file.writeframes(block)
            return True
    except (wave.Error, EOFError):
        target.unlink(missing_ok=True)
        return False


def _fit(one: wave.Wave_read, other: wave.Wave_read) -> bool:
    shapes = {(each.getnchannels(), each.getsampwidth(), each.getframerate()) for each in (one, other)}
    return len(shapes) == 1 and next(iter(shapes))[:2] == (1, _16_BIT)


def _block(one: wave.Wave_read, other: wave.Wave_read) -> bytes:
    sides = [array("h", _whole(each.readframes(_BLOCK_FRAMES))) for each in (one, other)]
    frames = max(map(len, sides))
    both = array("h", bytes(2 * _16_BIT * frames))
    for place, side in enumerate(sides):
        both[place : 2 * len(side) : 2] = side
    return both.tobytes()


def _whole(data: bytes) -> bytes:
    """A file that was cut short may end within a sample."""
    return data[: len(data) // _16_BIT * _16_BIT]
