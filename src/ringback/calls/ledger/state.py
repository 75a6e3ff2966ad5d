"""What is known of calls that are up: channels with their way through the PBX. Changed by the fold alone."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ringback.calls.ledger.applications import Kind


@dataclass(slots=True, eq=False)
class Step:
    """A channel in an application, whose name is in lower case. `callees`: the channels that it has called from there. `left_us`: None while it is there.
    `is_guess`: nobody said which application; the channel was seen to call."""

    kind: Kind
    application: str
    data: str
    number: str
    entered_us: int
    is_guess: bool = False
    left_us: int | None = None
    callees: list["Leg"] = field(default_factory=list)
    transferred_by: "Leg | None" = None


@dataclass(slots=True, eq=False)
class Leg:
    """A channel. `caller`: the one that had it called. `peer`: the other half of a pair. `taken`: by whose channel it was
    replaced while it rang. `forwarded_from`: the leg in whose place it is called. `consults_for`: the same party's leg in the call
    that is to be transferred. `sent_by`, `sent_to`: the transfer that the channel has not come to the end of."""

    id: str
    name: str
    linked_id: str
    started_us: int
    order: int
    call: "Call"
    number: str = ""
    caller_name: str = ""
    dialled: str = ""
    is_begun: bool = False
    is_called: bool = False
    is_doubtful: bool = False
    """Its caller was guessed without any sign."""
    rang: bool = False
    is_held: bool = False
    was_on_hold: bool = False
    answered_us: int | None = None
    ended_us: int | None = None
    cause: int = 0
    dial_status: str = ""
    hung_up: bool = False
    codec: str = ""
    user_agent: str = ""
    call_id: str = ""
    steps: list[Step] = field(default_factory=list)
    step: Step | None = None
    caller: "Leg | None" = None
    caller_step: Step | None = None
    peer: "Leg | None" = None
    taken_by: "Leg | None" = None
    forwarded_from: "Leg | None" = None
    consults_for: "Leg | None" = None
    sent_by: "Leg | None" = None
    sent_to: str = ""
    bridge: str = ""
    was_bridged: bool = False
    is_silent: bool = False
    """Since the end of its call was told, nothing was heard of it."""

    @property
    def endpoint(self) -> str:
        return endpoint(self.name)

    @property
    def is_half(self) -> bool:
        return self.name.endswith((";1", ";2"))


class Move(NamedTuple):
    """A channel is in that bridge from now on; in none where it is empty."""

    at_us: int
    leg: Leg
    bridge: str


@dataclass(slots=True, eq=False)
class Call:
    """Legs by the channel's id, in order of arrival. `linked_id`: under which it began; it is the `id` too, unless a call of that id
    had ended before. `senders`: who has transferred, one after the other. `faults`: what was not seen."""

    id: str
    linked_id: str
    order: int
    legs: dict[str, Leg] = field(default_factory=dict)
    linked_ids: set[str] = field(default_factory=set)
    moves: list[Move] = field(default_factory=list)
    senders: list[Leg] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    nb_open: int = 0
    last_us: int = 0
    parked: str | None = None
    faults: list[str] = field(default_factory=list)

    def note(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)


def endpoint(name: str) -> str:
    """`101` of `PJSIP/101-0000001a`, `Local/101@office-0000001a;1`, `SIP/101-0000001a<ZOMBIE>` and `sofia/internal/101@office`."""
    technology, _, slashed = name.partition("/")
    if technology == "sofia":  # without a serial number
        return slashed.partition("/")[2].partition("@")[0]
    front = (slashed or name).partition("<")[0].partition(";")[0]
    plain, dash, serial = front.rpartition("-")
    return (plain if dash and not serial.strip(_HEX) else front).partition("@")[0]


_HEX = "0123456789abcdefABCDEF"
