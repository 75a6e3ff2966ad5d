"""The silent first frame of an MP3 that tells players its exact length.

An encoder adds silence at both ends: 0.14 to 0.22 s at 8 kHz. Players cut it off when this frame names the amounts
(the "Info" tag of LAME, http://gabriel.mp3-tech.org/mp3infotag.html); without it a recording seems too long and its
transcript's times are late.
"""

from struct import pack
from typing import BinaryIO

_SAMPLES_PER_FRAME = 576  # of MPEG-2 and 2.5
_ENCODER_DELAY = 576  # LAME's; players add the 529 samples of their own
_FRAMES_AND_BYTES = 3
_PADDING_BIT = 0x02
_CONSTANT_BIT_RATE = 1


def length(rate: int, kbit_s: int) -> int:
    """Bytes of one frame without padding."""
    return 72_000 * kbit_s // rate


def fill_in(file: BinaryIO, samples: int, rate: int, kbit_s: int) -> None:
    """Write the frame into the empty place of `length` at the start of a finished `file` of `samples` a channel."""
    place = length(rate, kbit_s)
    size = file.tell()
    file.seek(place)
    header = file.read(4)
    file.seek(0)
    file.write(_frame(header, place, size, samples, _frames(size - place, rate, kbit_s)))


def _frames(stream_bytes: int, rate: int, kbit_s: int) -> int:
    return round(stream_bytes * rate / (72_000 * kbit_s))


def _frame(header: bytes, place: int, size: int, samples: int, frames: int) -> bytes:
    mono = header[3] >> 6 == 3
    unpadded = bytes((header[0], header[1], header[2] & ~_PADDING_BIT, header[3]))
    side_information = bytes(9 if mono else 17)
    tag = unpadded + side_information + pack(">4sIII", b"Info", _FRAMES_AND_BYTES, frames, size)
    tag += _lame_part(frames * _SAMPLES_PER_FRAME - _ENCODER_DELAY - samples, size)
    return (tag + pack(">H", _crc16(tag))).ljust(place, b"\0")


def _lame_part(padding: int, size: int) -> bytes:
    delays = (_ENCODER_DELAY << 12 | padding).to_bytes(3, "big")
    unknown_levels, unknown_preset, unknown_crc = bytes(11), bytes(4), bytes(2)
    return (
        pack(">9sB", b"LAME3.100", _CONSTANT_BIT_RATE)
        + unknown_levels
        + delays
        + unknown_preset
        + pack(">I", size)
        + unknown_crc
    )


def _crc16(data: bytes) -> int:
    """CRC-16/ARC."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc
