"""`voicemail`: Asterisk's spool of messages (app_voicemail with files) becomes voice messages.

The spool is `<context>/<mailbox>/<folder>/msgNNNN.txt` beside the audio of the same name. A mailbox belongs to the user with
that extension; where nobody has it, its messages belong to the mailbox where they were left.
"""

import re
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as NotReadable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ringback.calls import mailboxes, numbers
from ringback.calls.mailboxes import FOLDERS, Folder
from ringback.importers.audio import Keeper, reason_of, refuse_nothing
from ringback.importers.audio import audio_files as files_below
from ringback.importers.importer import Importer, Options, Progress, Summary, Unusable
from ringback.media.audio import content_hash
from ringback.media.encoder import Encoder
from ringback.services import Services
from ringback.store.parties import parties

LONGEST_ENVELOPE_BYTES = 65_536
NO_SUCH_FOLDER = "a folder that is none of Asterisk's: its messages are in Old"
_MESSAGE = re.compile(r"msg\d{4,}", re.ASCII)
_FOLDERS: Mapping[str, Folder] = {name.lower(): name for name in FOLDERS}
_LATEST = 2**32
_DATE = "%a %b %d %I:%M:%S %p UTC %Y"

HELP = (
    "Asterisk's voicemail spool (/var/spool/asterisk/voicemail): msgNNNN.txt with the audio beside it, in all folders. A "
    "mailbox belongs to the user with its number as extension."
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    messages = _messages(path, summary)
    refuse_nothing(messages, path, "message", summary)
    who = services.database.read(lambda db: parties(db, customer_id, options.country))
    progress.start(len(messages), "files")
    with Encoder() as encoder:
        keeper = Keeper(services, customer_id, "voicemessages", encoder, summary)
        for audio in messages:
            summary.read += 1
            try:
                row = _row(audio, who.extensions, options.country, summary)
            except (Unusable, OSError) as fault:
                summary.refuse(str(audio), reason_of(fault))
            else:
                keeper.keep(audio, row)
            progress.advance(1)
    return summary


def _messages(path: Path, summary: Summary) -> list[Path]:
    """One file of each message, whichever formats Asterisk wrote it in; greetings are none."""
    found = {file.with_suffix(""): file for file in files_below(path, summary) if _MESSAGE.fullmatch(file.stem)}
    return list(found.values())


def _row(audio: Path, extensions: Mapping[str, int], country: str | None, summary: Summary) -> dict[str, Any]:
    envelope = read_envelope(audio.with_suffix(".txt"))
    mailbox = audio.parent.parent.name  # a message that was forwarded still names the mailbox where it was left
    if mailbox not in extensions:
        mailbox = envelope.get("origmailbox") or mailbox
    if mailbox not in extensions:
        raise Unusable(f"no user has the extension {numbers.clean(mailbox)}")
    texts = (envelope.get("callerid", ""), envelope.get("exten", ""))
    folder = _folder(audio.parent.name, envelope, summary)
    user_id, at = extensions[mailbox], origtime(envelope)
    row = mailboxes.message(user_id, *texts, folder=folder, origtime=at, country=country)
    return {**row, "source_key": mailboxes.source_key(row, content_hash(audio))}


def _folder(name: str, envelope: Mapping[str, str], summary: Summary) -> Folder:
    """A message that was marked as urgent and not heard is in Urgent, wherever an older Asterisk put it."""
    folder = _FOLDERS.get(name.lower())
    if folder is None:
        summary.noted[NO_SUCH_FOLDER] += 1
        return mailboxes.OLD
    is_urgent = folder == mailboxes.INBOX and envelope.get("flag", "").lower() == "urgent"
    return mailboxes.URGENT if is_urgent else folder


def origtime(envelope: Mapping[str, str]) -> int:
    """When the message was left. Seconds since 1970; else the date for people that Asterisk writes beside them, when that is in UTC."""
    text = envelope.get("origtime", "")
    if text.isascii() and text.isdecimal() and 0 < int(text[:11]) < _LATEST:
        return int(text[:11])
    try:
        at = datetime.strptime(envelope.get("origdate", ""), _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise Unusable("its text file says no time (origtime)") from None
    return int(at.timestamp())


def read_envelope(file: Path) -> Mapping[str, str]:
    """What the text file of a message says. Unusable; OSError."""
    if file.is_symlink():
        raise Unusable("its text file is a symbolic link")
    if not file.is_file():
        raise Unusable("no text file stands beside it")
    with file.open(encoding="utf-8", errors="replace") as opened:
        text = opened.read(LONGEST_ENVELOPE_BYTES)
    parser = ConfigParser(interpolation=None, strict=False, allow_no_value=True, delimiters=("=",))
    try:
        parser.read_string(text)
    except NotReadable as error:
        raise Unusable("its text file is not as Asterisk writes it") from error
    section = parser["message"] if parser.has_section("message") else {}
    return {name: text or "" for name, text in section.items()}


VOICEMAIL = Importer("voicemail", HELP, run)
