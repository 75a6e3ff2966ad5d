"""`voicemail`: Asterisk's spool of messages (app_voicemail with files) becomes voice messages.

The spool is `<context>/<mailbox>/<folder>/msgNNNN.txt` beside the audio of the same name. A mailbox belongs to the user with
that extension.
"""

import re
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as NotReadable
from pathlib import Path
from typing import Any

from ringback.calls import numbers
from ringback.calls.mailboxes import FOLDERS, INBOX
from ringback.importers.audio import Keeper, Shelf, content_hash, refuse_nothing
from ringback.importers.audio import audio_files as files_below
from ringback.importers.importer import Importer, Options, Progress, Summary
from ringback.media.encoder import Encoder
from ringback.services import Services
from ringback.store import schema
from ringback.store.parties import parties

VOICEMESSAGES = Shelf(schema.voicemessages, "voicemessages")
LONGEST_ENVELOPE_BYTES = 65_536
_MESSAGE = re.compile(r"msg\d{4,}")

HELP = (
    "Asterisk's voicemail spool (/var/spool/asterisk/voicemail): msgNNNN.txt with the audio beside it. A mailbox belongs to "
    "the user with its number as extension."
)


class Unusable(Exception):
    """The envelope of a message says too little; the text says what is missing."""


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    messages = _messages(path, summary)
    refuse_nothing(messages, path, "message", summary)
    who = services.database.read(lambda db: parties(db, customer_id, options.country))
    progress.start(len(messages), "files")
    with Encoder() as encoder:
        keeper = Keeper(services, customer_id, VOICEMESSAGES, encoder, summary)
        for audio in messages:
            summary.read += 1
            _take(audio, who.extensions, options, keeper, summary)
            progress.advance(1)
    return summary


def _messages(path: Path, summary: Summary) -> list[Path]:
    """One file of each message, whichever formats Asterisk wrote it in; greetings are none."""
    found = {file.with_suffix(""): file for file in files_below(path, summary) if _MESSAGE.fullmatch(file.stem)}
    return list(found.values())


def _take(audio: Path, extensions: Mapping[str, int], options: Options, keeper: Keeper, summary: Summary) -> None:
    try:
        row = _row(audio, extensions, options.country)
    except Unusable as fault:
        summary.refuse(str(audio), str(fault))
        return
    source_key = f"voicemail:{row['extension_id']}/{row['origtime']}/{content_hash(audio)}"
    if keeper.is_known(source_key):
        summary.known += 1
    else:
        keeper.keep(audio, source_key, row)


def _row(audio: Path, extensions: Mapping[str, int], country: str | None) -> dict[str, Any]:
    envelope = _envelope(audio.with_suffix(".txt"))
    mailbox = envelope.get("origmailbox") or audio.parent.parent.name
    if mailbox not in extensions:
        raise Unusable(f"no user has the extension {numbers.clean(mailbox)}")
    if not envelope.get("origtime", "").isdecimal():
        raise Unusable("its text file says no time (origtime)")
    callerid = numbers.clean(envelope.get("callerid", ""))
    name, number = numbers.caller_id(callerid)
    folder = audio.parent.name if audio.parent.name in FOLDERS else INBOX
    dialled = envelope.get("exten", "")
    return {
        "callerid": numbers.normal(callerid) or None,
        "caller": numbers.digits(number or "", country) or number or name,
        "dialled": numbers.digits(dialled, country) or numbers.normal(dialled) or None,
        "extension_id": extensions[mailbox],
        "folder": folder,
        "is_new": int(folder == INBOX),
        "origtime": int(envelope["origtime"]),
    }


def _envelope(file: Path) -> Mapping[str, str]:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            text = opened.read(LONGEST_ENVELOPE_BYTES)
    except FileNotFoundError:
        raise Unusable("no text file stands beside it") from None
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except NotReadable as error:
        raise Unusable("its text file is not as Asterisk writes it") from error
    return parser["message"] if parser.has_section("message") else {}


VOICEMAIL = Importer("voicemail", HELP, run)
