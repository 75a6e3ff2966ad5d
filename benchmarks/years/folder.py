"""What the office's PBX leaves behind, as a folder: Master.csv, recordings, voicemail, and lists of people and prices."""

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path

import av
from av.audio.stream import AudioStream

from benchmarks.years import office
from benchmarks.years.office import Known, Office, Talk

SOUNDS = Path("src/ringback/demo/data")
LOT = 20_000
FOLDERS = ("INBOX", "Old", "Work", "Urgent")
CONTACTS = 500


def written(folder: Path, calls: int, recordings: int, until: date) -> Known:
    """Makes the folder, unless it is there; what is true of it."""
    facts = folder / "known.json"
    if facts.exists():
        return Known.of_json(json.loads(facts.read_text()))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sounds = _Sounds(folder)
    people = Office(calls, until, recordings, lambda talk: _recording(folder, sounds, talk))
    with (folder / "Master.csv").open("wb") as out:
        for lot in _lots(people.lines()):
            out.write("".join(lot).encode(errors="surrogateescape"))
    known = people.known
    known.voicemails = _voicemail(folder, sounds, max(4, recordings // 10), until)
    _users(folder)
    known.contacts = _contacts(folder)
    shutil.copy(SOUNDS / "rates.csv", folder / "rates.csv")
    known.rates = len((folder / "rates.csv").read_text().splitlines()) - 1
    facts.write_text(json.dumps(known.as_json()))
    return known


def _lots(lines: Iterator[str]) -> Iterator[list[str]]:
    while lot := list(islice(lines, LOT)):
        yield lot


def _users(folder: Path) -> None:
    rows = [
        (f"user{ext}@office.example", *office.name(int(ext)).split(" ", 1), ext, "user") for ext in office.EXTENSIONS
    ]
    _table(folder / "users.csv", ("email", "first_name", "last_name", "ext", "role"), rows)


def _contacts(folder: Path) -> int:
    rows = [(*office.name(n).split(" ", 1), f"Customer {n}", office.outside(n)) for n in range(1, CONTACTS + 1)]
    _table(folder / "contacts.csv", ("first_name", "last_name", "company", "tel"), rows)
    return len(rows)


def _table(file: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([names, *rows])


class _Sounds:
    """Real telephone audio in the formats that PBXs keep, each copy with some samples of its own."""

    def __init__(self, folder: Path) -> None:
        made = folder / "sounds"
        made.mkdir()
        speech = sorted((SOUNDS / "recordings").glob("*.wav"))
        self._made = [(file.suffix, file.read_bytes()) for file in _formats(speech, made)]
        self.message = (SOUNDS / "voicemail/default/105/INBOX/msg0000.wav").read_bytes()
        self._n = 0

    def next(self) -> tuple[str, bytes]:
        """Suffix and content."""
        self._n += 1
        suffix, content = self._made[self._n % len(self._made)]
        return suffix, self.varied(content, self._n)

    def varied(self, content: bytes, n: int) -> bytes:
        middle = len(content) // 2 & ~3
        return content[:middle] + n.to_bytes(4, "big") + content[middle + 4 :]


def _formats(speech: Sequence[Path], made: Path) -> Iterator[Path]:
    for number, file in enumerate(speech):
        yield file
        yield _converted(file, made / f"{number}-mu.wav", "pcm_mulaw")
        yield _converted(file, made / f"{number}-a.wav", "pcm_alaw")
        yield _converted(file, made / f"{number}.ulaw", "pcm_mulaw", "mulaw")


def _converted(source: Path, target: Path, codec: str, container: str | None = None) -> Path:
    with av.open(str(source)) as reader, av.open(str(target), "w", format=container) as writer:
        stream = writer.add_stream(codec, rate=8000)
        assert isinstance(stream, AudioStream)
        mono = container is not None or reader.streams.audio[0].channels == 1
        stream.codec_context.layout = "mono" if mono else "stereo"
        for frame in reader.decode(audio=0):
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return target


def _recording(folder: Path, sounds: _Sounds, talk: Talk) -> None:
    """As FreePBX names it: `out-<called>-<caller>-date-time-uniqueid`, in a folder of the day."""
    when = office.wall(talk.at)
    day, time = when[:10], when[11:].replace(":", "")
    suffix, content = sounds.next()
    file = folder / "monitor" / day.replace("-", "/")
    file.mkdir(parents=True, exist_ok=True)
    called = f"{talk.direction}-{talk.dst}-{talk.src}-{day.replace('-', '')}-{time}-{talk.uniqueid}{suffix}"
    (file / called).write_bytes(content)


def _voicemail(folder: Path, sounds: _Sounds, messages: int, until: date) -> int:
    end_at = office.day_no(until) * office.DAY_S
    for n in range(messages):
        ext, kind = office.EXTENSIONS[n % office.PEOPLE], FOLDERS[n // office.PEOPLE % len(FOLDERS)]
        box = folder / "voicemail" / "default" / ext / kind
        box.mkdir(parents=True, exist_ok=True)
        number = n // (office.PEOPLE * len(FOLDERS))
        at = end_at - (n + 1) * office.DAYS * office.DAY_S // (messages + 1)
        (box / f"msg{number:04}.wav").write_bytes(sounds.varied(sounds.message, n))
        caller = f'"{office.name(n)}" <{office.outside(n)}>'
        text = f"[message]\norigmailbox={ext}\nexten={ext}\ncallerid={caller}\norigtime={at}\nduration=10\n"
        (box / f"msg{number:04}.txt").write_text(text, encoding="utf-8")
    return messages
