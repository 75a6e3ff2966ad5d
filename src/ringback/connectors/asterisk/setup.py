"""What Asterisk's configuration must hold so that calls are told, and what of it is missing.

`timestampevents` is off in a stock Asterisk: without it, events do not say when they happened, and count from when they come. CEL is off
too; its file brings what happened while no server was connected.
"""

from collections.abc import Iterator, Mapping, Sequence

from ringback.connectors.asterisk import session as sessions
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Session
from ringback.connectors.link import Refused
from ringback.connectors.points import Point

READ = ("system", "call", "agent", "dialplan")
WRITE = ("system", "call", "agent", "user", "originate", "reporting", "config")
ACTIONS = {
    "CoreShowChannels": "reporting",
    "Getvar": "call",
    "Hangup": "call",
    "Redirect": "call",
    "BlindTransfer": "call",
    "AbsoluteTimeout": "call",
    "QueueAdd": "agent",
    "QueueRemove": "agent",
    "QueuePause": "agent",
    "DeviceStateList": "call",
    "PJSIPShowContacts": "system",
    "PJSIPShowEndpoint": "system",
    "Filter": "system",
    "Originate": "originate",
    "GetConfig": "config",
    "VoicemailRefresh": "user",
}
"""What is asked of Asterisk, and the privilege that opens it; CoreSettings has a point of its own (`_version`)."""
BROUGHT = {"VoicemailRefresh": ("UserEvent", "app_voicemail", "voicemail")}
"""Actions that are there only while a module runs: an action of the same privilege that always is, the module, and its use."""
EVENTS = (
    "CHAN_START,CHAN_END,ANSWER,HANGUP,BRIDGE_ENTER,BRIDGE_EXIT,BLINDTRANSFER,ATTENDEDTRANSFER,PICKUP,FORWARD,PARK_START"
    ",LINKEDID_END"
)
APPS = (
    "dial,retrydial,followme,page,queue,voicemail,voicemailmain,confbridge,bridgewait,background,waitexten,read,playback,echo"
    ",park,parkedcall,pickup,pickupchan,chanspy,bridge,busy,congestion,wait"
)
FILE_OF_EVENTS = "Master.csv => " + ",".join(
    f"${{CSV_QUOTE(${{{each}}})}}"
    for each in """
    eventtype eventtime CALLERID(name) CALLERID(num) CALLERID(ANI) CALLERID(RDNIS) CALLERID(DNID) CHANNEL(exten) CHANNEL(context)
    CHANNEL(channame) CHANNEL(appname) CHANNEL(appdata) CHANNEL(amaflags) CHANNEL(accountcode) CHANNEL(uniqueid) CHANNEL(linkedid)
    BRIDGEPEER CHANNEL(userfield) userdeftype eventextra
    """.split()  # noqa: SIM905 - a table reads better
)
"""The columns of Asterisk's sample."""
MODULES = {
    "func_devstate": "whether a phone is registered",
    "func_channel": "codecs and Call-IDs",
}
USEFUL_MODULES = {
    "cel_custom": "a file of what happens while no server is connected (not needed where CEL goes to a database)",
    "func_pjsip_contact": "user agents of phones that are called",
    "app_mixmonitor": "recordings",
    "app_voicemail": "voicemail",
    "res_hep": "captured signalling",
    "res_hep_pjsip": "captured signalling",
    "res_hep_rtcp": "the quality of calls",
}
_YES = {"yes", "true", "y", "t", "1", "on"}

Sections = Mapping[str, Mapping[str, str]]


def points(session: Session, user: str) -> Iterator[Point]:
    """What was looked at, one after the other."""
    yield from needed(session, user)
    yield from _cel(session)
    yield from _modules(session, USEFUL_MODULES, is_needed=False)
    yield from _hep(session)


def needed(session: Session, user: str) -> Iterator[Point]:
    """Without what calls are not told, or not all of them."""
    yield _version(session)
    yield from _privileges(session, user)
    yield from _manager(session, user)
    yield from _modules(session, MODULES, is_needed=True)


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
    away = {name for name, (always, *_) in BROUGHT.items() if name not in allowed and always in allowed}
    closed = sorted(name for name in ACTIONS if name not in allowed and name not in away)
    for name in away:
        yield _does_not_run(session, *BROUGHT[name][1:])
    if closed:
        yield _missing(f"{user} may not use {', '.join(closed)}", "manager.conf", ("write", WRITE), section=user)
    else:
        yield Point(True, True, f"{user} may use what is needed")


def _does_not_run(session: Session, module: str, use: str) -> Point:
    """Debian's package has Asterisk load `app_voicemail` and one for databases, which fails, and takes away what both bring."""
    for kind in ("odbc", "imap"):
        rival = f"{module}_{kind}"
        if _is_loaded(session, rival):
            text = f"there is no {use}: module {rival} has undone {module} when it failed to start"
            return Point(False, False, text, "modules.conf", ("[modules]", f"noload = {rival}.so"))
    return Point(False, False, f"module {module} does not run, so there is no {use}: its own file is missing or wrong")


def _manager(session: Session, user: str) -> Iterator[Point]:
    found = _config(session, "manager.conf")
    if found is None:
        yield _unseen("manager.conf")
        return
    if _is_yes(found, "general", "timestampevents"):
        yield Point(True, True, "events have exact times")
    else:
        lines = ("[general]", "timestampevents = yes")
        yield Point(False, True, "events do not say when they happened", "manager.conf", lines)
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
        yield Point(True, False, "channel events are logged (CEL), for the time of an outage")
    else:
        text = "not all channel events are logged (CEL): calls of an outage stay incomplete"
        yield Point(False, False, text, "cel.conf", CEL)


def _modules(session: Session, modules: Mapping[str, str], *, is_needed: bool) -> Iterator[Point]:
    for name, use in modules.items():
        if not _is_loaded(session, name):
            text = f"module {name} is not loaded: it brings {use}"
            yield Point(False, is_needed, text, "modules.conf", ("[modules]", f"load = {name}.so"))


def _hep(session: Session) -> Iterator[Point]:
    if not _is_loaded(session, "res_hep"):
        return
    general = (_config(session, "hep.conf") or {}).get("general", {})
    if general.get("enabled", "").lower() in _YES and general.get("uuid_type") == "call-id":
        where = general.get("capture_address", "nobody")
        yield Point(True, False, f"signalling is sent to {where}, if res_hep_pjsip is Running: module show like hep")
    else:
        yield Point(False, False, "no captured signalling (HEP), or not by Call-ID", "hep.conf", HEP)


def _is_loaded(session: Session, module: str) -> bool:
    try:
        session.ask("ModuleCheck", ("Module", module))
    except Refused:
        return False
    return True


def _unseen(file: str) -> Point:
    return Point(
        False, False, f"{file} cannot be looked at: {ACTIONS['GetConfig']} is missing in write, or there is none"
    )


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


CEL = ("[general]", "enable = yes", f"apps = {APPS}", "events = ALL")
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
    events = ("[mappings]", FILE_OF_EVENTS)
    return {"manager.conf": manager, "cel.conf": CEL, "cel_custom.conf": events, "hep.conf": HEP}
