"""A voicemail spool as an Asterisk has it, and a phone that listens to a mailbox of it."""

from pathlib import Path

from ringback.connectors.asterisk import mailbox
from tests.media.sounds import tone

BOX = "default/101"
GONE = "Event: Hangup\nChannel: PJSIP/101-0000000a\nUniqueid: 9.9\nCause: 16\n\n"


def leave(spool: Path, hz: int = 440, folder: str = "INBOX", number: int = 0, box: str = BOX, at: int = 0) -> Path:
    """As Asterisk does: the audio, then the text. `at`: when it was left; different for each sound."""
    place = spool / box / folder
    place.mkdir(parents=True, exist_ok=True)
    tone(place / f"msg{number:04}.wav", (hz,), seconds=1.2)
    text = place / f"msg{number:04}.txt"
    text.with_suffix(".part").write_text(
        f";\n[message]\norigmailbox={box[-3:]}\ncontext=internal\nexten=201\ncallerchan=PJSIP/102-00000001\n"
        f'callerid="Bob" <102>\norigtime={at or 1_795_322_000 + hz}\nmsg_id=1795322308-{hz:08}\nflag=\nduration=1\n'
    )
    text.with_suffix(".part").rename(text)
    return text


def names(spool: Path, folder: str) -> list[str]:
    place = spool / BOX / folder
    return sorted(each.name for each in place.iterdir()) if place.is_dir() else []


def numbers(spool: Path, folder: str) -> list[int]:
    return mailbox.messages(names(spool, folder))


def listening(app: str = "VoiceMailMain", data: str = "101@default,s") -> str:
    return f"Event: Newexten\nChannel: PJSIP/101-0000000a\nUniqueid: 9.9\nApplication: {app}\nAppData: {data}\n\n"
