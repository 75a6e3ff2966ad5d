"""What Asterisk's configuration must hold so that calls are told, and what of it is missing.

`cel_manager` is off in a stock Asterisk, and so is `timestampevents`: without that, events have whole seconds of local time.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ringback.connectors.asterisk import session as sessions
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Refused, Session

READ = ("system", "call", "agent", "dialplan")
WRITE = ("system", "call", "originate", "reporting", "config")
ACTIONS = {
    "CoreShowChannels": "reporting",
    "Getvar": "call",
    "Hangup": "call",
    "Redirect": "call",
    "BlindTransfer": "call",
    "Filter": "system",
    "Originate": "originate",
    "GetConfig": "config",
}
"""What is asked of Asterisk, and the privilege that opens it."""
EVENTS = (
    "CHAN_START,CHAN_END,ANSWER,HANGUP,BRIDGE_ENTER,BRIDGE_EXIT,BLINDTRANSFER,ATTENDEDTRANSFER,PICKUP,FORWARD,PARK_START"
    ",LINKEDID_END"
)
APPS = "dial,queue,voicemail,voicemailmain,confbridge,background,waitexten,read,playback,park,pickup,page,followme"
MODULES = {
    "cel_manager": "calls",
    "func_devstate": "whether a phone is registered",
    "func_channel": "codecs and Call-IDs",
}
USEFUL_MODULES = {
    "func_pjsip_contact": "user agents of phones that are called",
    "app_mixmonitor": "recordings",
    "res_hep": "captured signalling",
    "res_hep_pjsip": "captured signalling",
    "res_hep_rtcp": "the quality of calls",
}
_YES = {"yes", "true", "y", "t", "1", "on"}

Sections = Mapping[str, Mapping[str, str]]


class Point(NamedTuple):
    """`lines`: what has to stand in the file, its section first; empty where nothing is missing."""

    is_good: bool
    is_needed: bool
    text: str
    file: str = ""
    lines: tuple[str, ...] = ()


def points(session: Session, user: str) -> Iterator[Point]:
    """What was looked at, one after the other."""
    yield _version(session)
    yield from _privileges(session, user)
    yield from _manager(session, user)
    yield from _cel(session)
    yield from _modules(session)
    yield from _hep(session)


def _version(session: Session) -> Point:
    try:
        major = session.version()
    except Refused as error:
        return _missing(f"its version is not told: {error}", "manager.conf", ("write", WRITE))
    good = sessions.OLDEST <= major <= sessions.NEWEST
    tried = "" if good else f": tried are {sessions.OLDEST} to {sessions.NEWEST}"
    return Point(good, False, f"Asterisk {major}{tried}")


def _missing(text: str, file: str, *settings: tuple[str, Sequence[str]], section: str = "") -> Point:
    lines = [f"{name} = {','.join(values)}" for name, values in settings]
    return Point(False, True, text, file, (f"[{section}]", *lines) if section else tuple(lines))


def _privileges(session: Session, user: str) -> Iterator[Point]:
    allowed = session.ask("ListCommands")
    closed = sorted(name for name in ACTIONS if name not in allowed)
    if closed:
        yield _missing(f"{user} may not use {', '.join(closed)}", "manager.conf", ("write", WRITE), section=user)
    else:
        yield Point(True, True, f"{user} may use what is needed")


def _manager(session: Session, user: str) -> Iterator[Point]:
    found = _config(session, "manager.conf")
    if found is None:
        yield _unseen("manager.conf")
        return
    if _is_yes(found, "general", "timestampevents"):
        yield Point(True, True, "events have exact times")
    else:
        lines = ("[general]", "timestampevents = yes")
        yield Point(False, True, "events have whole seconds of local time", "manager.conf", lines)
    own = found.get(user)
    if own is None:
        yield Point(
            False, False, f"manager.conf has no section [{user}]: look yourself whether it may read {','.join(READ)}"
        )
        return
    read = {each.strip() for each in own.get("read", "").lower().split(",")}
    closed = [each for each in READ if each not in read and "all" not in read]
    if closed:
        text = f"{user} does not hear events of {', '.join(closed)}"
        yield _missing(text, "manager.conf", ("read", READ), section=user)
    else:
        yield Point(True, True, f"{user} hears what is needed")


def _cel(session: Session) -> Iterator[Point]:
    found = _config(session, "cel.conf")
    if found is None:
        yield _unseen("cel.conf")
        return
    wanted = EVENTS.split(",")
    said = {each.strip() for each in found.get("general", {}).get("events", "").upper().split(",")}
    has_events = "ALL" in said or said.issuperset(wanted)
    if _is_yes(found, "general", "enable") and has_events:
        yield Point(True, True, "channel events are logged (CEL)")
    else:
        lines = ("[general]", "enable = yes", f"apps = {APPS}", "events = ALL")
        yield Point(False, True, "not all channel events are logged (CEL)", "cel.conf", lines)
    if _is_yes(found, "manager", "enabled"):
        yield Point(True, True, "channel events are told to the manager interface")
    else:
        text = "channel events are not told to the manager interface"
        yield Point(False, True, text, "cel.conf", ("[manager]", "enabled = yes"))


def _modules(session: Session) -> Iterator[Point]:
    for needed, modules in ((True, MODULES), (False, USEFUL_MODULES)):
        for name, use in modules.items():
            if not _is_loaded(session, name):
                text = f"module {name} is not loaded: it brings {use}"
                yield Point(False, needed, text, "modules.conf", ("[modules]", f"load = {name}.so"))


def _hep(session: Session) -> Iterator[Point]:
    if not _is_loaded(session, "res_hep"):
        return
    general = (_config(session, "hep.conf") or {}).get("general", {})
    if general.get("enabled", "").lower() in _YES and general.get("uuid_type") == "call-id":
        yield Point(True, False, f"signalling is sent to {general.get('capture_address', 'nobody')}")
    else:
        yield Point(False, False, "no captured signalling (HEP), or not by Call-ID", "hep.conf", HEP)


def _is_loaded(session: Session, module: str) -> bool:
    try:
        session.ask("ModuleCheck", ("Module", module))
    except Refused:
        return False
    return True


def _unseen(file: str) -> Point:
    return Point(False, False, f"{file} cannot be looked at: {WRITE[-1]} is missing in write, or there is none")


def _is_yes(found: Sections, section: str, name: str) -> bool:
    return found.get(section, {}).get(name, "").lower() in _YES


def _config(session: Session, file: str) -> Sections | None:
    """A file as Asterisk reads it; None where it does not show it."""
    try:
        return sections(session.ask("GetConfig", ("Filename", file)))
    except Refused:
        return None


def sections(told: Message) -> dict[str, dict[str, str]]:
    """GetConfig's answer: `Category-000000: general`, `Line-000000-000000: enable=yes`. The last one of a name counts."""
    names = {key[9:]: name for key, name in told.items() if key.startswith("Category-")}
    found: dict[str, dict[str, str]] = {name: {} for name in names.values()}
    for key, line in told.items():
        number = key[5:].partition("-")[0]
        if key.startswith("Line-") and number in names:
            name, _, value = line.partition("=")
            found[names[number]][name.strip().lower()] = value.strip().removeprefix(">").strip()
    return found


HEP = (
    "[general]",
    "enabled = yes",
    "capture_address = 127.0.0.1:9060",
    "capture_password = KEY",
    "capture_id = 2001",
    "uuid_type = call-id",
)


def files(user: str, secret: str, permit: str) -> Mapping[str, Sequence[str]]:
    """A complete, minimal set, by file. `permit`: the address that the server connects from."""
    manager = (
        "[general]",
        "enabled = yes",
        "bindaddr = 127.0.0.1",
        "port = 5038",
        "timestampevents = yes",
        "",
        f"[{user}]",
        f"secret = {secret}",
        "deny = 0.0.0.0/0.0.0.0",
        f"permit = {permit}/255.255.255.255",
        f"read = {','.join(READ)}",
        f"write = {','.join(WRITE)}",
    )
    cel = ("[general]", "enable = yes", f"apps = {APPS}", "events = ALL", "", "[manager]", "enabled = yes")
    return {"manager.conf": manager, "cel.conf": cel, "hep.conf": HEP}
