"""The files of a voicemail spool (`apps/app_voicemail.c`): `CONTEXT/MAILBOX/FOLDER/msgNNNN.txt`, with the audio in one or several formats
beside it, and maybe an introduction (`msgNNNNintro.wav`).

A folder is changed under its lock, `.lock`, as Asterisk does (`ast_lock_path`, `main/app.c`: a file of another name is linked to
it). The numbers of a folder have no gap: the next message gets the number of messages. A message is linked into its new place
before it leaves the old one, so that a process that is killed leaves it twice, never torn.
"""

import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import NamedTuple

from ringback.calls.mailboxes import FOLDERS
from ringback.connectors.folder import Folder, Look
from ringback.media.audio import SUFFIXES

LOCK = ".lock"
MARK = b"ringback\n"
"""What our locks hold: Asterisk's are empty."""
PATIENCE_S = 3.0
MOST_MESSAGES = 9_999
_FILE = re.compile(r"msg(\d{4})((?:intro)?\.[A-Za-z0-9]{1,8})", re.ASCII)
_WORD = re.compile(r"(?!\.)[A-Za-z0-9_+*#.-]{1,79}", re.ASCII)


class Busy(Exception):
    """Somebody else has the lock, or has just changed the folder."""


class Message(NamedTuple):
    """`text`, `audio`: names below the spool, and how the files looked."""

    folder: str
    number: int
    text: str
    text_look: Look
    audio: str
    audio_look: Look


class Spool:
    """Used by one thread. A mailbox is named by `CONTEXT/MAILBOX`."""

    def __init__(self, folder: Folder) -> None:
        self.files = folder

    def mailboxes(self) -> Iterator[str]:
        """Links are none: some have a mailbox under several names. OSError where the spool cannot be read."""
        for context in sorted(_folders(self.files.path)):
            with suppress(OSError):
                yield from (f"{context}/{box}" for box in sorted(_folders(self.files.path / context)))

    def changed(self, mailbox: str) -> tuple[tuple[str, int], ...]:
        """Another value when something was changed in one of its folders."""
        place = self.files.path / mailbox
        found = []
        for name in FOLDERS:
            with suppress(OSError):
                told = (place / name).lstat()
                if stat.S_ISDIR(told.st_mode):
                    found.append((name, told.st_mtime_ns))
        return tuple(found)

    def read(self, mailbox: str) -> dict[str, list[Message]]:
        """The messages by their folders; a folder that is not there is not among them. Busy; OSError."""
        before = self.changed(mailbox)
        found = {name: self._messages(f"{mailbox}/{name}", name) for name, _ in before}
        if self.changed(mailbox) != before:
            raise Busy
        return found

    def _messages(self, place: str, folder: str) -> list[Message]:
        with self.files.folder(place) as opened:
            names = _names(opened)
        if LOCK in names:
            raise Busy
        return [each for number in messages(names) if (each := self._message(place, folder, number, names)) is not None]

    def _message(self, place: str, folder: str, number: int, names: Iterable[str]) -> Message | None:
        audio, text = audio_of(number, names), f"msg{number:04}.txt"
        if audio is None:
            return None
        looks = self.files.look(f"{place}/{text}"), self.files.look(f"{place}/{audio}")
        if looks[0] is None or looks[1] is None:
            return None
        return Message(folder, number, f"{place}/{text}", looks[0], f"{place}/{audio}", looks[1])

    def unlock_ours(self, mailbox: str) -> None:
        """Locks that an earlier process of ours left as it was killed."""
        for name, _ in self.changed(mailbox):
            with suppress(OSError), self.files.folder(f"{mailbox}/{name}") as place:
                file = os.open(LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
                try:
                    is_ours = os.read(file, len(MARK) + 1) == MARK
                finally:
                    os.close(file)
                if is_ours:
                    os.unlink(LOCK, dir_fd=place)

    def move(self, mailbox: str, message: Message, folder: str) -> None:
        """Busy; OSError."""
        with suppress(FileExistsError), self.files.folder(mailbox) as place:
            os.mkdir(folder, 0o777, dir_fd=place)
        with (
            self.files.folder(f"{mailbox}/{message.folder}") as source,
            self.files.folder(f"{mailbox}/{folder}") as target,
            locked(source, PATIENCE_S),
            locked(target, 0.0),
        ):
            names = _names_of(source, message)
            number = following(_names(target))
            if number > MOST_MESSAGES:
                raise OSError(f"{mailbox}/{folder} is full")
            _shift(source, names, target, number)
            close_gaps(source)

    def remove(self, mailbox: str, message: Message) -> None:
        """Busy; OSError."""
        with self.files.folder(f"{mailbox}/{message.folder}") as source, locked(source, PATIENCE_S):
            _remove(source, _names_of(source, message))
            close_gaps(source)


# -- names


def named(mailbox: str) -> str | None:
    """`101@default`, as events say, as the spool has it; None for what is no mailbox."""
    name, _, context = mailbox.partition("@")
    words = (context or "default", name)
    return "/".join(words) if all(map(_WORD.fullmatch, words)) else None


def messages(names: Iterable[str]) -> list[int]:
    """The numbers of those that are complete: the text comes last."""
    return sorted({int(found[1]) for name in names if (found := _FILE.fullmatch(name)) and found[2] == ".txt"})


def audio_of(number: int, names: Iterable[str]) -> str | None:
    """Of several formats the one that an import takes: the last by name."""
    own = [name for name in names if name.startswith(f"msg{number:04}.")]
    return max((name for name in own if PurePath(name).suffix.lower() in SUFFIXES), default=None)


def following(names: Iterable[str]) -> int:
    """The number of the next message."""
    return max(messages(names), default=-1) + 1


def renumbered(name: str, number: int) -> str:
    return f"msg{number:04}{name[7:]}"


def shifts(names: Iterable[str]) -> list[tuple[int, int]]:
    """Which numbers become which others, in that order, so that there is no gap."""
    return [(number, place) for place, number in enumerate(messages(names)) if number != place]


def _of(number: int, names: Iterable[str]) -> list[str]:
    return [name for name in names if (found := _FILE.fullmatch(name)) and int(found[1]) == number]


def _text_last(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name.endswith(".txt"), name))


# -- files of an opened folder


def close_gaps(place: int) -> None:
    """What has no text is left over from something that was interrupted, and gives way."""
    for old, new in shifts(_names(place)):
        _shift(place, _of(old, _names(place)), place, new)


def _shift(source: int, names: Iterable[str], target: int, number: int) -> None:
    """A message gets a number that no message has."""
    _remove(target, _of(number, _names(target)))
    for name in _text_last(names):
        _linked(source, name, target, renumbered(name, number))
    _remove(source, names)


def _names(place: int) -> list[str]:
    return os.listdir(place)


def _names_of(place: int, message: Message) -> list[str]:
    """Its files; Busy where another message has its number by now."""
    name = message.audio.rpartition("/")[2]
    try:
        found = os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        raise Busy from None
    if Look(found.st_size, found.st_mtime_ns, found.st_ino) != message.audio_look:
        raise Busy
    return _of(message.number, _names(place))


def _remove(place: int, names: Iterable[str]) -> None:
    """The text first: without it there is no message."""
    for name in reversed(_text_last(names)):
        os.unlink(name, dir_fd=place)


def _linked(source: int, name: str, target: int, new: str) -> None:
    """The file under another name, too; a copy where the file system knows no links, or they are not allowed."""
    try:
        os.link(name, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError:
        _copied(source, name, target, new)


def _copied(source: int, name: str, target: int, new: str) -> None:
    part = f".{secrets.token_hex(4)}"
    read = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source)
    written = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=target)
    with os.fdopen(read, "rb") as one, os.fdopen(written, "wb") as other:
        shutil.copyfileobj(one, other)
        told = os.fstat(one.fileno())
        os.utime(other.fileno(), ns=(told.st_atime_ns, told.st_mtime_ns))
    os.rename(part, new, src_dir_fd=target, dst_dir_fd=target)


@contextmanager
def locked(place: int, patience_s: float) -> Iterator[None]:
    """Busy where somebody else holds it so long; OSError where there can be no lock."""
    own = f"{LOCK}-{secrets.token_hex(4)}"
    file = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=place)
    try:
        os.write(file, MARK)
        _lock(place, own, time.monotonic() + patience_s)
    finally:
        os.close(file)
        os.unlink(own, dir_fd=place)
    try:
        yield
    finally:
        os.unlink(LOCK, dir_fd=place)


def _lock(place: int, own: str, until: float) -> None:
    while True:
        try:
            os.link(own, LOCK, src_dir_fd=place, dst_dir_fd=place)
            return
        except FileExistsError:
            if time.monotonic() >= until:
                raise Busy from None
        time.sleep(0.005)


def _folders(place: os.PathLike[str]) -> list[str]:
    with os.scandir(place) as entries:
        return [each.name for each in entries if each.is_dir(follow_symlinks=False) and _WORD.fullmatch(each.name)]
