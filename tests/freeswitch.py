"""What a FreeSWITCH tells of calls, as its documentation shows the events: a transcript in the language of the event socket.

Not recorded: the headers are those of published events (CHANNEL_* of `switch_channel.c`, `conference::maintenance`,
`valet_parking::info`), as many of them as a connector reads, and some that it must not mind.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.ledger.tables import BASE_US

CORE = "78e8c87b-5648-47af-b339-3a3e9a31d55f"
CAUSES = {"NORMAL_CLEARING": 16, "USER_BUSY": 17, "NO_ANSWER": 19, "ORIGINATOR_CANCEL": 487, "CALL_REJECTED": 21}
Headers = dict[str, str]


@dataclass(eq=False)
class Channel:
    """`caller`: the channel that had it called."""

    uuid: str
    name: str
    number: str
    display: str
    dialled: str
    caller: "Channel | None" = None
    is_called: bool = False
    answered_us: int = 0
    variables: Headers = field(default_factory=dict)


class Switch:
    """Time goes on by `wait`. `events`: what was told until now."""

    def __init__(self, core: str = CORE) -> None:
        self.events: list[Headers] = []
        self._core, self._now_us, self._channels = core, BASE_US, 0

    def wait(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)

    def comes(self, number: str, dialled: str, name: str = "", at: str = "internal") -> Channel:
        """A call comes in: from a phone, or at the profile `external` from outside."""
        made = self._channel(f"sofia/{at}/{number}@pbx.example.com", number, name, dialled)
        if at == "internal":
            made.variables["user_name"] = number
        self._tell("CHANNEL_CREATE", made)
        return made

    def calls(self, caller: Channel | None, number: str, gateway: str = "", **variables: str) -> Channel:
        """The PBX calls a phone, or somebody by a gateway: for a channel, or of its own accord."""
        profile, host = ("external", "sip.example.net") if gateway else ("internal", "10.0.0.9:5060")
        made = self._channel(f"sofia/{profile}/{number}@{host}", number, "", number, caller)
        made.variables |= {"sip_gateway_name": gateway} if gateway else {"dialed_user": number}
        made.variables |= variables
        made.is_called = True
        self._tell("CHANNEL_CREATE", made)
        self._tell("CHANNEL_ORIGINATE", made)
        return made

    def loopback(self, caller: Channel, number: str) -> tuple[Channel, Channel]:
        """The two halves of a call that enters the dial plan again."""
        a = self._channel(f"loopback/{number}-a", number, "", number, caller)
        b = self._channel(f"loopback/{number}-b", caller.number, caller.display, number)
        a.is_called = True
        a.variables["other_loopback_leg_uuid"], b.variables["other_loopback_leg_uuid"] = b.uuid, a.uuid
        self._tell("CHANNEL_CREATE", a)
        self._tell("CHANNEL_CREATE", b)
        return a, b

    def rings(self, channel: Channel) -> None:
        self._tell("CHANNEL_PROGRESS", channel)

    def answers(self, channel: Channel) -> None:
        channel.answered_us = self._now_us
        self._tell("CHANNEL_ANSWER", channel, **{"Channel-Read-Codec-Name": "PCMA"})

    def bridges(self, one: Channel, other: Channel) -> None:
        self._tell("CHANNEL_BRIDGE", one, **{"Bridge-A-Unique-ID": one.uuid, "Bridge-B-Unique-ID": other.uuid})

    def parts(self, one: Channel, other: Channel) -> None:
        self._tell("CHANNEL_UNBRIDGE", one, **{"Bridge-A-Unique-ID": one.uuid, "Bridge-B-Unique-ID": other.uuid})

    def connects(self, caller: Channel, callee: Channel) -> None:
        """The callee answers, and with it the caller."""
        self.answers(callee)
        self.answers(caller)
        self.bridges(caller, callee)

    def executes(self, channel: Channel, application: str, data: str = "") -> None:
        self._tell("CHANNEL_EXECUTE", channel, **{"Application": application, "Application-Data": data})

    def completes(self, channel: Channel, application: str) -> None:
        self._tell("CHANNEL_EXECUTE_COMPLETE", channel, Application=application)

    def holds(self, channel: Channel) -> None:
        self._tell("CHANNEL_HOLD", channel)

    def resumes(self, channel: Channel) -> None:
        self._tell("CHANNEL_UNHOLD", channel)

    def sends(self, channel: Channel, number: str) -> None:
        """The partner of the channel has sent it on: a blind transfer."""
        channel.dialled = number
        channel.variables["transfer_source"] = f"1795341600:{self._uuid()}:bl_xfer:{number}/default/XML"

    def ends(self, channel: Channel, cause: str = "NORMAL_CLEARING", how: str = "send_bye") -> None:
        """`how`: `recv_bye` where the party itself hung up."""
        channel.variables |= {"hangup_cause": cause, "hangup_cause_q850": str(CAUSES.get(cause, 0))}
        channel.variables["sip_hangup_disposition"] = how
        self._tell("CHANNEL_HANGUP_COMPLETE", channel, **{"Hangup-Cause": cause})
        self._tell("CHANNEL_DESTROY", channel, **{"Hangup-Cause": cause})

    def custom(self, subclass: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.events.append(self._common("CUSTOM") | {"Event-Subclass": subclass} | named)

    def _channel(self, name: str, number: str, display: str, dialled: str, caller: Channel | None = None) -> Channel:
        return Channel(self._uuid(), name, number, display, dialled, caller)

    def _uuid(self) -> str:
        self._channels += 1
        return f"{self._channels:08x}-0000-4000-8000-000000000000"

    def _common(self, kind: str) -> Headers:
        return {"Event-Name": kind, "Core-UUID": self._core, "Event-Date-Timestamp": str(self._now_us)}

    def _tell(self, kind: str, channel: Channel, **more: str) -> None:
        caller = channel.caller
        told = self._common(kind) | {
            "Channel-Name": channel.name,
            "Unique-ID": channel.uuid,
            "Call-Direction": "outbound" if channel.is_called else "inbound",
            "Channel-Call-UUID": caller.uuid if caller else channel.uuid,
            "Caller-Caller-ID-Name": caller.display if caller else channel.display,
            "Caller-Caller-ID-Number": caller.number if caller else channel.number,
            "Caller-Destination-Number": channel.dialled,
            "Caller-Context": "default",
            "Caller-Channel-Answered-Time": str(channel.answered_us),
            "variable_sip_call_id": f"{channel.uuid[:8]}@10.0.0.9",
            "variable_sip_auth_password": "never to be kept",
        }
        if caller:
            told |= {"Caller-Callee-ID-Number": channel.number, "Other-Type": "originator"}
            told |= {"Other-Leg-Unique-ID": caller.uuid, "Other-Leg-Channel-Name": caller.name}
        self.events.append(told | {f"variable_{name}": value for name, value in channel.variables.items()} | more)


def plain(headers: Headers) -> bytes:
    """An event as the event socket sends it."""
    body = "".join(f"{name}: {quote(value)}\n" for name, value in headers.items()).encode() + b"\n"
    return f"Content-Length: {len(body)}\nContent-Type: text/event-plain\n\n".encode() + body


def transcript(events: Iterable[Headers]) -> bytes:
    return b"".join(plain(each) for each in events)
