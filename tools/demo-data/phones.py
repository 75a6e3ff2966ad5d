"""SIP phones on pjsua2, driven from one thread: nothing happens unless somebody waits."""

from __future__ import annotations

import ctypes
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pjsua2 as pj

PBX = "192.0.2.10"
SIP_OK = 200
PATIENCE_S = 30
# Before somebody speaks: the first packets after an answer may be lost on their way into a recording.
BREATH_S = 0.5


@dataclass(frozen=True)
class Ringing:
    """How a phone meets a call: ring for `ring_s`, then reply `code`; None rings until the other side ends it."""

    ring_s: float = 1.5
    code: int | None = SIP_OK
    divert_to: str | None = None


class Leg(pj.Call):
    """One call as one phone sees it."""

    def __init__(self, phone: Phone, caller: str, number: str, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(phone, call_id)
        self.phone = phone
        self.caller = caller
        self.number = number
        self.direction = "in" if call_id != pj.PJSUA_INVALID_ID else "out"
        self.started_at = datetime.now(UTC)
        self.state = pj.PJSIP_INV_STATE_NULL
        self.sip_call_id = ""
        self.rang = self.answered = self.hung_up_here = False
        self.talk_s = 0.0
        self.code = 0
        self.reason = ""
        self.media_id = -1

    @property
    def ended(self) -> bool:
        return bool(self.state == pj.PJSIP_INV_STATE_DISCONNECTED)

    @property
    def talking(self) -> bool:
        return bool(self.state == pj.PJSIP_INV_STATE_CONFIRMED and self.media_id >= 0)

    def onCallState(self, _prm: pj.OnCallStateParam) -> None:  # noqa: N802
        info = self.getInfo()
        self.state, self.sip_call_id = info.state, info.callIdString
        self.rang |= info.state == pj.PJSIP_INV_STATE_EARLY
        self.answered |= info.state == pj.PJSIP_INV_STATE_CONFIRMED
        self.code, self.reason = info.lastStatusCode, info.lastReason
        if self.ended and self.answered:
            self.talk_s = info.connectDuration.sec + info.connectDuration.msec / 1000

    def onCallMediaState(self, _prm: pj.OnCallMediaStateParam) -> None:  # noqa: N802
        info = self.getInfo()  # its media die with it: no chaining
        active = [m.index for m in info.media if m.status == pj.PJSUA_CALL_MEDIA_ACTIVE]
        self.media_id = active[0] if active else -1

    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:  # noqa: N802
        if prm.finalNotify and prm.statusCode == SIP_OK:
            self.phone.exchange.later(0, lambda: self.ended or self.hang_up())

    def hang_up(self) -> None:
        self.hung_up_here = True
        self.hangup(pj.CallOpParam(True))

    def hold(self) -> None:
        self.setHold(pj.CallOpParam(True))

    def resume(self) -> None:
        options = pj.CallOpParam(True)
        options.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.reinvite(options)

    def transfer(self, number: str) -> None:
        """Send the other party to `number` without asking there first."""
        self.xfer(f"sip:{number}@{PBX}", pj.CallOpParam(True))

    def transfer_to(self, other: Leg) -> None:
        """Connect the other parties of these two calls, and be out of both."""
        self.xferReplaces(other, pj.CallOpParam(True))

    def seen(self) -> dict[str, object]:
        """What this phone can tell about the call; `talk_s` counts from answer to end, holds included."""
        return {
            "phone": self.phone.name,
            "direction": self.direction,
            "caller": self.caller,
            "number": self.number,
            "call_id": self.sip_call_id,
            "started_at": self.started_at.isoformat(timespec="milliseconds"),
            "rang": self.rang,
            "answered": self.answered,
            "talk_s": round(self.talk_s, 3),
            "code": self.code,
            "reason": self.reason,
            "hung_up_here": self.hung_up_here,
        }


class Phone(pj.Account):
    """A phone with an address of its own; `name` is its extension, or "carrier"."""

    def __init__(self, exchange: Exchange, name: str) -> None:
        super().__init__()
        self.exchange = exchange
        self.name = name
        self.meets = Ringing()
        self.registered = False

    def onRegState(self, prm: pj.OnRegStateParam) -> None:  # noqa: N802
        self.registered = prm.code == SIP_OK

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:  # noqa: N802
        leg = Leg(self, "", "", prm.callId)
        info = leg.getInfo()
        leg.caller, leg.number = _user(info.remoteUri), _user(info.localUri)
        self.exchange.legs.append(leg)
        meets = self.meets
        leg.answer(_reply(180))
        if meets.code is not None:
            reply = _reply(meets.code, meets.divert_to)
            self.exchange.later(meets.ring_s, lambda: leg.ended or leg.answer(reply))

    def call(self, number: str, caller: str | None = None, private: bool = False) -> Leg:
        """Call `number` at the PBX; a carrier says who `caller` is, `private` asks not to show it."""
        leg = Leg(self, "anonymous" if private else caller or self.name, number)
        self.exchange.legs.append(leg)
        options = pj.CallOpParam(True)
        if private:
            options.txOption.localUri = '"Anonymous" <sip:anonymous@anonymous.invalid>'
            options.txOption.headers.append(_header("Privacy", "id"))
        elif caller:
            options.txOption.localUri = f"sip:{caller}@198.51.100.20"
        leg.makeCall(f"sip:{number}@{PBX}", options)
        return leg


class Exchange:
    """The SIP stack of all phones, its clock, and every leg since the last `forget`."""

    def __init__(self) -> None:
        self.legs: list[Leg] = []
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._kept: list[pj.AudioMediaPlayer] = []
        _know_digests()
        self.stack = pj.Endpoint()
        self.stack.libCreate()
        self.stack.libInit(_stack_settings())
        self.stack.audDevManager().setNullDev()
        for codec in self.stack.codecEnum2():
            self.stack.codecSetPriority(codec.codecId, 128 if codec.codecId.startswith("PCM") else 0)
        self.stack.libStart()

    def plug_in(self, name: str, address: str, rtp_port: int, password: str | None) -> Phone:
        """A phone at `address`:5060; without a password it is the carrier, which does not register."""
        phone = Phone(self, name)
        phone.create(self._account(name, address, rtp_port, password), password is None)
        if password is not None:
            self.until(lambda: phone.registered, f"{name} registered")
        return phone

    def _account(self, name: str, address: str, rtp_port: int, password: str | None) -> pj.AccountConfig:
        transport = pj.TransportConfig()
        transport.boundAddress, transport.port = address, 5060
        account = pj.AccountConfig()
        account.idUri = f"sip:{name}@{address if password is None else PBX}"
        account.sipConfig.transportId = self.stack.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        account.mediaConfig.transportConfig.boundAddress = address
        account.mediaConfig.transportConfig.port = rtp_port
        account.natConfig.contactRewriteUse = 0
        if password is not None:
            account.regConfig.registrarUri = f"sip:{PBX}"
            account.regConfig.timeoutSec = 3600
            account.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", name, 0, password))
        return account

    def later(self, delay_s: float, action: Callable[[], object]) -> None:
        self._due.append((time.monotonic() + delay_s, action))

    def turn(self) -> None:
        """Handle what has arrived and what is due, in at most 20 ms."""
        self.stack.libHandleEvents(20)
        now = time.monotonic()
        due = [action for at, action in self._due if at <= now]
        self._due = [(at, action) for at, action in self._due if at > now]
        for action in due:
            action()

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()

    def until(self, happened: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not happened():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {PATIENCE_S} s: {what}")
            self.turn()

    def leg_at(self, name: str) -> Leg:
        """The newest call at that phone."""
        return next(leg for leg in reversed(self.legs) if leg.phone.name == name)

    def breathe(self, leg: Leg) -> None:
        """As one does before one speaks, and not before one is connected."""
        self.until(lambda: leg.talking, f"{leg.phone.name} talks")
        self.wait(BREATH_S)

    def play(self, leg: Leg, speech: Path) -> None:
        """Say `speech` into the call, to its end."""
        player = pj.AudioMediaPlayer()
        player.createPlayer(str(speech), pj.PJMEDIA_FILE_NO_LOOP)
        self._kept.append(player)
        player.startTransmit(leg.getAudioMedia(leg.media_id))
        with wave.open(str(speech)) as sound:
            self.wait(sound.getnframes() / sound.getframerate())

    def forget(self) -> None:
        """Between two calls: no action may reach into the next one."""
        self._due.clear()
        self._kept.clear()
        self.legs.clear()

    def close(self) -> None:
        self.forget()
        self.stack.libDestroy()


@contextmanager
def exchange() -> Iterator[Exchange]:
    opened = Exchange()
    try:
        yield opened
    finally:
        opened.close()


def _know_digests() -> None:
    """The wheel brings OpenSSL 1.0, which knows no MD5 until told so; then no phone could answer a challenge."""
    libraries = Path(pj.__file__).parent.parent / "pjsua2_python.libs"
    for crypto in libraries.glob("libcrypto-*"):
        ctypes.CDLL(str(crypto)).OpenSSL_add_all_digests()


def _stack_settings() -> pj.EpConfig:
    settings = pj.EpConfig()
    settings.uaConfig.threadCnt = 0
    settings.uaConfig.mainThreadOnly = True
    settings.uaConfig.maxCalls = 16
    settings.uaConfig.userAgent = "Ringback lab phone"
    settings.logConfig.level = settings.logConfig.consoleLevel = 1
    settings.medConfig.clockRate = settings.medConfig.sndClockRate = 8000
    settings.medConfig.noVad = True
    settings.medConfig.ecTailLen = 0
    return settings


def _user(uri: str) -> str:
    """101 of `"Alice" <sip:101@192.0.2.10>`."""
    return uri.partition("sip:")[2].partition("@")[0]


def _header(name: str, value: str) -> pj.SipHeader:
    header = pj.SipHeader()
    header.hName, header.hValue = name, value
    return header


def _reply(code: int, divert_to: str | None = None) -> pj.CallOpParam:
    reply = pj.CallOpParam(True)
    reply.statusCode = code
    if divert_to:
        reply.txOption.headers.append(_header("Contact", f"<sip:{divert_to}@{PBX}>"))
    return reply
