"""What the PBX's applications do with a caller, as far as it makes a difference to a record of the call."""

from enum import Enum


class Kind(Enum):
    """`DIAL` and `QUEUE` call others. `MENU` listens to the caller. `SERVICE` is the PBX itself talking, or waiting: a hop only
    where the caller reached nothing else. `TAKE` fetches somebody else's call."""

    DIAL = "dial"
    QUEUE = "queue"
    VOICEMAIL = "voicemail"
    MAILBOX = "mailbox"
    CONFERENCE = "conference"
    MENU = "menu"
    TEST = "test"
    SERVICE = "service"
    PARK = "park"
    TAKE = "take"


_NAMES = {
    Kind.DIAL: "dial retrydial followme page",
    Kind.QUEUE: "queue callcenter fifo",
    Kind.VOICEMAIL: "voicemail minivmrecord",
    Kind.MAILBOX: "voicemailmain minivmgreet minivmaccmess",
    Kind.CONFERENCE: "confbridge meetme conference",
    Kind.MENU: "background waitexten read directory ivr ivrdemo backgrounddetect play_and_get_digits",
    Kind.TEST: "echo milliwatt delay_echo",
    Kind.SERVICE: "playback controlplayback saydigits saynumber sayalpha sayunixtime chanspy extenspy bridgewait"
    " musiconhold startmusiconhold wait busy congestion playtones ringing record dictate bridge",
    Kind.PARK: "park parkandannounce",
    Kind.TAKE: "parkedcall pickup pickupchan intercept",
}
KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
CALLED = frozenset(("appdial", "appqueue", "appdial2"))
"""What Asterisk writes of a channel that the PBX has called: the other side's application."""

CONTEXTS = {
    Kind.QUEUE: "QUEUE",
    Kind.VOICEMAIL: "VOICEMAIL",
    Kind.MAILBOX: "VOICEMAIL",
    Kind.CONFERENCE: "CONFERENCE",
    Kind.MENU: "IVR",
    Kind.SERVICE: "IVR",
    Kind.TEST: "TEST_CALL",
}
"""The API's word for the hop; PSTN_CALL for all others."""
