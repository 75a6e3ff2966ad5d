"""The folders of recordings and voicemail that a PBX shares: whether they can be read and changed here, and with which locks."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from ringback.connectors.asterisk.mailbox import Spool
from ringback.connectors.asterisk.session import Session
from ringback.connectors.asterisk.setup import sections
from ringback.connectors.folder import Folder
from ringback.connectors.link import Refused
from ringback.connectors.points import Point
from ringback.connectors.settings import Connector

_READ, _CHANGE = os.R_OK | os.X_OK, os.R_OK | os.W_OK | os.X_OK
MOST = 1_000
"""Mailboxes that are looked at."""


def points(session: Session, connector: Connector) -> Iterator[Point]:
    if connector.recordings:
        mode = _CHANGE if connector.remove_recordings else _READ
        yield _folder("recordings", Path(connector.recordings), mode)
    if connector.voicemail:
        found = _folder("voicemail", Path(connector.voicemail), _READ, _CHANGE)
        yield found
        if found.is_good:
            yield _mailboxes(Path(connector.voicemail))
        yield _locks(session)


def _folder(name: str, path: Path, mode: int, due: int = 0) -> Point:
    """`due`: what the command for it gives as well."""
    barred = next((each for each in reversed(path.parents) if not os.access(each, os.X_OK)), None)
    if barred is not None and barred.is_dir():
        text = f"{name}: {path} cannot be reached by this user: {barred} is closed to it"
        return Point(False, True, text, "shell", (f"setfacl -m u:{_user()}:x {barred}", *_rights(path, mode | due)))
    if not path.is_dir():
        return Point(False, True, f"{name}: there is no folder {path} on this machine")
    if not os.access(path, mode):
        what = "changed" if mode & os.W_OK else "read"
        return Point(False, True, f"{name}: {path} cannot be {what} by this user", "shell", _rights(path, mode | due))
    return Point(True, True, f"{name}: {path} can be {'changed' if mode & os.W_OK else 'read'}")


def _mailboxes(path: Path) -> Point:
    """Without the right to change them, messages come in, and cannot be moved from here."""
    boxes = [box for box, _ in zip(Spool(Folder(path)).mailboxes(), range(MOST), strict=False)]
    places = [place for box in boxes for place in (path / box, path / box / "INBOX") if place.is_dir()]
    closed = [place for place in places if not os.access(place, _CHANGE)]
    if closed:
        text = f"voicemail: {closed[0]} cannot be changed by this user: what the API moves stays where it is there"
        return Point(False, True, text, "shell", _rights(path, _CHANGE))
    return Point(True, True, f"voicemail: {len(boxes)} mailboxes, which can be changed")


def _rights(path: Path, mode: int) -> tuple[str, ...]:
    """Default entries are for what Asterisk makes later; and for Asterisk, what we make."""
    right = "rwX" if mode & os.W_OK else "rX"
    whose = [f"u:{_user()}:{right}", "u:asterisk:rwX"]
    return (f"setfacl -R -m {','.join([*whose, *(f'd:{each}' for each in whose)])} {path}",)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may have ids without names
        return str(os.geteuid())


def _locks(session: Session) -> Point:
    if lock_mode(session) == "flock":
        text = "voicemail: mailboxes are not changed from here while Asterisk has locks of another kind"
        return Point(False, True, text, "asterisk.conf", ("[options]", "lockmode = lockfile"))
    return Point(True, True, "voicemail: mailboxes are locked by files")


def lock_mode(session: Session) -> str:
    """How Asterisk locks mailboxes: `lockfile`, as it does without a word, or `flock`."""
    try:
        found = sections(session.ask("GetConfig", ("Filename", "asterisk.conf")))
    except Refused:
        return "lockfile"
    return found.get("options", {}).get("lockmode", "lockfile").lower()
