"""Whether the files of the lab agree with what the phones saw."""

from __future__ import annotations

import csv
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

CSV_COLUMNS = 18
# Whole seconds in Master.csv, times cut off at both ends, and phones that hear of an answer a moment later.
TOLERANCE_S = 2
# Asterisk refuses these before it has a channel, so that no CDR can exist.
WITHOUT_CDR = {"internal unknown number", "inbound unknown number"}
# See `_likeness`. One late packet (20 ms) puts the rest of a sentence out of step: 0.66 was seen, and cannot be heard.
HEARD = 0.6

Call = dict[str, Any]
Row = list[str]


@dataclass(frozen=True)
class Made:
    """What the phones saw, and Asterisk's files. `spool` has its sound, `speech` what the phones played."""

    calls: list[Call]
    master: str
    short: str
    spool: Path
    speech: Path
    capture: bytes


def faults(made: Made) -> list[str]:
    rows = list(csv.reader(made.master.splitlines()))
    short = list(csv.reader(made.short.splitlines()))
    return [
        *(f"row of {len(row)} columns: {row}" for row in rows if len(row) != CSV_COLUMNS),
        *(["Master-short.csv is not Master.csv without two columns"] if short != [r[:16] for r in rows] else []),
        *(fault for call in made.calls for fault in _call_faults(call, made, rows)),
        *([] if sum(len(_rows_of(c, made.calls, rows)) for c in made.calls) == len(rows) else ["rows of no call"]),
    ]


def _call_faults(call: Call, made: Made, rows: list[Row]) -> Iterator[str]:
    name = f"{call['kind']}: "
    own = _rows_of(call, made.calls, rows)
    if bool(own) == (call["kind"] in WITHOUT_CDR):
        yield f"{name}{len(own)} rows in Master.csv"
    if own and any(row[14] == "ANSWERED" for row in own) != call["answered"] and not _queue(own):
        yield f"{name}answered is {call['answered']}, Master.csv has {[row[14] for row in own]}"
    if own and abs(_talk_s(own) - call["talk_s"]) > TOLERANCE_S:
        yield f"{name}{call['talk_s']} s, Master.csv has {_talk_s(own)} s"
    for leg in call["legs"]:
        if leg["call_id"].encode() not in made.capture:
            yield f"{name}{leg['call_id']} is not in the capture"
    for file in call["files"]:
        yield from (f"{name}{file} {fault}" for fault in _sound_faults(made.spool / file))
        for line in call["said"]:
            likeness = _likeness(_samples(made.spool / file), _samples(made.speech / line["speech"]))
            if likeness < HEARD:
                yield f"{name}{line['speech']} is not in {file}: {likeness:.2f}"


def _queue(rows: list[Row]) -> bool:
    """Asterisk answers before anybody does; who waits in vain has spoken with nobody, yet was answered."""
    return any(row[7] == "Queue" for row in rows)


def _rows_of(call: Call, calls: list[Call], rows: list[Row]) -> list[Row]:
    """The rows that began while this call was the one that ran."""
    later = [_second(other["started_at"]) for other in calls if other["started_at"] > call["started_at"]]
    begin, end = _second(call["started_at"]), min(later, default=datetime.max.replace(tzinfo=UTC))
    return [row for row in rows if begin <= _second(row[9]) < end]


def _second(text: str) -> datetime:
    at = datetime.fromisoformat(text).replace(microsecond=0)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _talk_s(rows: list[Row]) -> float:
    """From the first answer to the last end: what one phone sees when the far side changes."""
    spans = [(_second(row[10]), _second(row[11])) for row in rows if row[10]]
    return (max(end for _, end in spans) - min(begin for begin, _ in spans)).total_seconds() if spans else 0


def _sound_faults(file: Path) -> Iterator[str]:
    with wave.open(str(file)) as sound:
        if (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) != (8000, 2, 1):
            yield "is not 8 kHz, 16 bit, mono"
        if not 8 <= sound.getnframes() / 8000 <= 25:
            yield f"is {sound.getnframes() / 8000:.1f} s long"


def _samples(file: Path) -> np.ndarray:
    with wave.open(str(file)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2").astype(float)


def _likeness(recording: np.ndarray, sentence: np.ndarray) -> float:
    """Correlation of the sentence with the place of the recording that is most like it: 1 is the same."""
    size = len(recording) + len(sentence)
    product = np.fft.rfft(recording, size) * np.conj(np.fft.rfft(sentence, size))
    begin = int(np.fft.irfft(product, size)[: len(recording)].argmax())
    found = recording[begin : begin + len(sentence)]
    return float(np.corrcoef(found, sentence[: len(found)])[0, 1])
