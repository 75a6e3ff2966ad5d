"""What happens in a PBX, in the words of the field and of no maker: what connectors and importers translate to.

A *channel* is one party's connection to the PBX; a *bridge* joins channels so that they hear each other; an *application*
is what the PBX does with a channel meanwhile (dial somebody, queue, mailbox, menu). A channel that is started for another
one, or because of it, shares its *linked id*, which is the id of the first channel of the call.

A channel whose name ends with `;1` or `;2` is one half of a pair inside the PBX (Asterisk's Local, FreeSWITCH's loopback):
what enters one half comes out of the other. `;1` is the half that is called, `;2` the one that calls on.
"""

from typing import NamedTuple


class Started(NamedTuple):
    """A channel is there. `number`, `caller_name`: of its own party, empty when unknown. `dialled`: what that party dialled;
    `s` or empty where it dialled nothing, because the PBX calls it."""

    number: str = ""
    caller_name: str = ""
    dialled: str = ""
    context: str = ""


class Ringing(NamedTuple):
    """The channel's own phone rings."""


class Answered(NamedTuple):
    """The channel was answered: by its party when the PBX called it, else by the PBX."""


class Identified(NamedTuple):
    """The channel's party has another number or name now."""

    number: str
    caller_name: str


class ApplicationEntered(NamedTuple):
    """`application`: Asterisk's name of it, in any case. `data`: its arguments. `number`: the extension in whose plan it runs.
    `is_late`: nobody told when it entered, only that it is there."""

    application: str
    data: str = ""
    number: str = ""
    context: str = ""
    is_late: bool = False


class ApplicationLeft(NamedTuple):
    application: str


class Dialled(NamedTuple):
    """The channel has another one called. `callee`: the id of that."""

    callee: str


class DialEnded(NamedTuple):
    """`status`: ANSWER, BUSY, NOANSWER, CANCEL, CONGESTION, CHANUNAVAIL."""

    callee: str
    status: str


class BridgeEntered(NamedTuple):
    """`bridge`: its id; empty when unknown, then `peers`, names of channels that are in it, tell which it is.
    `is_holding`: those in it hear music, not each other (parking)."""

    bridge: str
    is_holding: bool = False
    peers: tuple[str, ...] = ()


class BridgeLeft(NamedTuple):
    bridge: str


class Held(NamedTuple):
    """The channel's party has put the other one on hold."""


class Resumed(NamedTuple):
    """And goes on."""


class BlindTransferred(NamedTuple):
    """The channel's party sends the one that it talks to elsewhere. `transferee`: the id of that one's channel, or empty."""

    number: str
    context: str = ""
    transferee: str = ""


class AttendedTransferred(NamedTuple):
    """The channel's party joins two calls of its own. `second`: its channel in the other call; `transferee`, `target`: the
    channels that talk from now on. Ids, empty when unknown."""

    second: str = ""
    transferee: str = ""
    target: str = ""


class Parked(NamedTuple):
    """`space`: where; empty when unknown."""

    space: str = ""


class PickedUp(NamedTuple):
    """Somebody else takes the call that rings at the channel. `by`: the id of that one's channel."""

    by: str


class Forwarded(NamedTuple):
    """The channel wanted to reach one who sends its calls on. `by`: that one's number, or empty."""

    number: str
    by: str = ""


class Described(NamedTuple):
    """What the signalling of the channel says; empty is unknown."""

    codec: str = ""
    user_agent: str = ""
    call_id: str = ""


class PartyHungUp(NamedTuple):
    """The channel's own party hangs up, not the PBX or the other one; the end of the channel is told by itself."""


class HungUp(NamedTuple):
    """`cause`: Q.850, 0 when unknown. `dial_status`: how the channel's last dialling ended, or empty. `by_party`: the channel's own
    party hung up, not the PBX or the other one."""

    cause: int = 0
    dial_status: str = ""
    by_party: bool = False


class Ended(NamedTuple):
    """The channel is gone."""


class Unheard(NamedTuple):
    """Something that happened to the channel was not heard; what is told next was found to be so."""


class CallEnded(NamedTuple):
    """No channel has the event's linked id any more."""


class Restarted(NamedTuple):
    """The PBX has begun anew: whatever was there is gone. Such an event has no channel."""


Fact = (
    Started
    | Ringing
    | Answered
    | Identified
    | ApplicationEntered
    | ApplicationLeft
    | Dialled
    | DialEnded
    | BridgeEntered
    | BridgeLeft
    | Held
    | Resumed
    | BlindTransferred
    | AttendedTransferred
    | Parked
    | PickedUp
    | Forwarded
    | Described
    | PartyHungUp
    | HungUp
    | Ended
    | Unheard
    | CallEnded
    | Restarted
)


class Event(NamedTuple):
    """`at_us`: UTC microseconds, of whatever resolution the source has: the order of events is that of their arrival.

    `channel`: its id, never used twice. `linked_id`: of the call, as the PBX sees it at this moment; may be empty. `name`: the
    channel's name, such as `PJSIP/101-0000001a`; may be empty, and change.
    """

    at_us: int
    channel: str
    linked_id: str
    name: str
    fact: Fact
