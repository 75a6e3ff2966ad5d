"""What Asterisk tells of callbacks, as what happens in their course. A callback's channels have its first one's id as Linkedid.

The first party has answered when its channel is up. The second, when a Dial or a queue's
ringing was answered, or the first one's channel enters an application which talks by itself (menu, mailbox, conference). Why
somebody did not answer is what the last dialling ended with.
"""

from collections.abc import Callable
from concurrent.futures import Future

from ringback.calls.ordered import CALLBACK
from ringback.connectors.asterisk import orders
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.session import Session
from ringback.connectors.orders import Away, News, Origination
from ringback.connectors.settings import Connector
from ringback.services import Services

MOST = 10_000
_TALKING = {
    "background",
    "playback",
    "voicemail",
    "voicemailmain",
    "confbridge",
    "meetme",
    "read",
    "echo",
    "agi",
    "stasis",
}


class _Call:
    """`status`: what the last dialling ended with; it is forgotten when the first one has answered. `behind`: the channels behind the
    first one, where that is a half of a pair."""

    def __init__(self, channel_id: str) -> None:
        self.id = channel_id
        self.has_answered = self.has_dialled = False
        self.status = ""
        self.behind = {orders.second_half(channel_id)}


class Callbacks:
    """A part of a connection (`part.Part`), and what the desk has callbacks placed by (`connectors.orders.Caller`). `expect`: is told
    the first channel's id, the live id and the customer before anything is heard of them."""

    def __init__(self, services: Services, connector: Connector, expect: Callable[[str, int, int], None]) -> None:
        self._connector, self._expect = connector, expect
        self._tell = services.desk.news.put
        self._session: Session | None = None
        self._calls: dict[str, _Call] = {}
        services.desk.callers.append(self)

    # -- orders, from any thread

    @property
    def is_connected(self) -> bool:
        return self._session is not None

    def customers(self) -> set[int]:
        return self._connector.customers()

    def place(self, order: Origination) -> None:
        given, session = self._connector, self._online()
        self._expect(order.channel_id, order.live_id, order.customer_id)
        orders.originate(session, orders.through(order, given.outside_prefix), given, order.channel_id)

    def limit(self, channel_id: str, most_s: int) -> None:
        orders.limit(self._online(), channel_id, most_s)

    def cut(self, channel_id: str) -> None:
        orders.cut(self._online(), channel_id)

    def _online(self) -> Session:
        session = self._session
        if session is None:
            raise Away("The PBX is not connected.")
        return session

    # -- what is told

    def connected(self, session: Session) -> None:
        """What is up was maybe placed by a process that is gone, and has gone on meanwhile."""
        self._session = session
        session.send_list("CoreShowChannels").add_done_callback(self._listed)

    def _listed(self, found: Future[list[Message]]) -> None:
        if found.exception() is not None:
            return
        channels = found.result()
        bridges = [each.get("BridgeId", "") for each in channels]
        for each in channels:
            channel_id, bridge = each.get("Uniqueid", ""), each.get("BridgeId", "")
            is_first = channel_id.startswith(CALLBACK) and channel_id == each.get("Linkedid")
            if is_first and each.get("ChannelStateDesc") == "Up":
                self._call(channel_id).has_answered = True
                self._tell(News(channel_id, "answer"))
                if bridge and bridges.count(bridge) > 1:
                    self._tell(News(channel_id, "talk"))

    def lost(self) -> None:
        self._session = None

    def stop(self) -> None:
        self._session = None

    def heard(self, message: Message) -> None:
        hear = _HEARD.get(message.get("Event", ""))
        channel_id = _call_of(message) if hear is not None else ""
        if hear is None or not channel_id.startswith(CALLBACK):
            return
        event = hear(self._call(channel_id), message)
        if event:
            self._tell(News(channel_id, event, _why(message) if event == "fail" else ""))
        if hear is _hung_up and message.get("Uniqueid") == channel_id:
            self._calls.pop(channel_id, None)

    def _call(self, channel_id: str) -> _Call:
        if channel_id not in self._calls and len(self._calls) >= MOST:
            del self._calls[next(iter(self._calls))]
        return self._calls.setdefault(channel_id, _Call(channel_id))


def _call_of(message: Message) -> str:
    return message.get("Linkedid") or message.get("DestLinkedid") or message.get("LocalOneLinkedid", "")


def _changed(call: _Call, message: Message) -> str:
    is_up = message.get("ChannelStateDesc") == "Up" and message.get("Uniqueid") == call.id
    if not is_up or call.has_answered:
        return ""
    call.has_answered, call.status = True, ""
    return "answer"


def _paired(call: _Call, message: Message) -> str:
    if message.get("LocalOneUniqueid", "") in call.behind:
        call.behind.add(message.get("LocalTwoUniqueid", ""))
    return ""


def _dials(call: _Call, message: Message) -> str:
    caller, callee = message.get("Uniqueid", ""), message.get("DestUniqueid", "")
    if caller in call.behind:
        call.behind.add(callee)
    elif caller == call.id:
        call.has_dialled = True
    return ""


def _dialled(call: _Call, message: Message) -> str:
    """Halves of a pair are answered by the dial plan behind them; of the first one's own dialling `_changed` tells."""
    is_of_first = message.get("Uniqueid", "") in call.behind or message.get("DestUniqueid") == call.id
    if message.get("DestChannel", "").startswith("Local/") or (is_of_first and call.has_answered):
        return ""
    call.status = message.get("DialStatus", "")
    return "talk" if call.status == "ANSWER" and call.has_answered else ""


def _entered(call: _Call, message: Message) -> str:
    talks = message.get("Application", "").lower() in _TALKING
    return "talk" if talks and call.has_answered and message.get("Uniqueid") == call.id else ""


def _hung_up(call: _Call, message: Message) -> str:
    if message.get("Uniqueid") != call.id:
        return ""
    found = _STATUSES.get(call.status)
    if not call.has_answered:
        return found or _CAUSES.get(message.get("Cause", ""), "fail")
    return found or ("hang_up" if call.has_dialled or call.status else "fail")


def _why(message: Message) -> str:
    """The cause in words, where the PBX knows one."""
    return "" if message.get("Cause") in ("0", "16") else message.get("Cause-txt", "")


_STATUSES = {"BUSY": "busy", "NOANSWER": "no_answer", "CHANUNAVAIL": "fail", "CONGESTION": "fail"}
_CAUSES = {"16": "no_answer", "17": "busy", "18": "no_answer", "19": "no_answer", "21": "busy", "127": "no_answer"}
_HEARD: dict[str, Callable[[_Call, Message], str]] = {
    "Newstate": _changed,
    "LocalBridge": _paired,
    "DialBegin": _dials,
    "DialEnd": _dialled,
    "Newexten": _entered,
    "Hangup": _hung_up,
}
