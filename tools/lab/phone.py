"""One SIP phone as a process: `phone.py '{"name": "101", "address": "192.0.2.101", "registrar": "192.0.2.20", …}'`.

Takes commands as lines of JSON, tells what happens and every message that it sends or gets in the same way. It knows nothing
of the system under test: what it tells is what the tests expect.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pjsua2 as pj

SIP_PORT = 5060
_MESSAGE = re.compile(r"(TX|RX) \d+ bytes .*? (?:to|from) (\w+) (\S+):\r?\n(.*?)\r?\n?--end msg--", re.S)
TRANSPORTS = {
    ("UDP", False): pj.PJSIP_TRANSPORT_UDP,
    ("UDP", True): pj.PJSIP_TRANSPORT_UDP6,
    ("TCP", False): pj.PJSIP_TRANSPORT_TCP,
    ("TCP", True): pj.PJSIP_TRANSPORT_TCP6,
}


# The stack prints to the standard output before it has heard of our log.
TELLS = os.fdopen(os.dup(1), "w", buffering=1)


def tell(event: str, **facts: object) -> None:
    TELLS.write(json.dumps({"event": event, "at": time.time(), **facts}) + "\n")


class Log(pj.LogWriter):
    """The stack's log at level 4 has every message with its bytes, written while it is sent or has just been read."""

    def write(self, entry: pj.LogEntry) -> None:
        found = _MESSAGE.search(entry.msg)
        if found:
            way, transport, peer, text = found.groups()
            tell("message", sent=way == "TX", peer=f"{transport} {peer}", text=text)


class Leg(pj.Call):
    """One call as this phone sees it."""

    def __init__(self, phone: Phone, number: int, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(phone, call_id)
        self.number = number
        self.phone = phone

    def onCallState(self, _prm: pj.OnCallStateParam) -> None:  # noqa: N802
        info = self.getInfo()
        tell(
            "state",
            leg=self.number,
            state=info.stateText,
            call_id=info.callIdString,
            code=info.lastStatusCode,
            reason=info.lastReason,
        )

    def onCallMediaState(self, _prm: pj.OnCallMediaStateParam) -> None:  # noqa: N802
        info = self.getInfo()  # its media die with it: no chaining
        states = [media.status for media in info.media]
        tell("media", leg=self.number, states=states)

    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:  # noqa: N802
        prm.newCall = self.phone.new_leg()

    def onCallReplaceRequest(self, prm: pj.OnCallReplaceRequestParam) -> None:  # noqa: N802
        prm.newCall = self.phone.new_leg()

    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:  # noqa: N802
        tell("transfer", leg=self.number, code=prm.statusCode, final=prm.finalNotify)


class Phone(pj.Account):
    """`meets`: the code that it answers a call with, and after how many seconds of ringing; None rings on."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = settings
        self.legs: list[Leg] = []
        self.voices: list[pj.ToneGenerator] = []
        self.ears: list[pj.AudioMediaRecorder] = []
        self.meets: tuple[int | None, float] = (200, 0.5)
        self.due: list[tuple[float, Callable[[], object]]] = []

    def onRegState(self, prm: pj.OnRegStateParam) -> None:  # noqa: N802
        tell("registered", code=prm.code, expires=prm.expiration)

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:  # noqa: N802
        leg = self.new_leg(prm.callId)
        tell("incoming", leg=leg.number, call_id=leg.getInfo().callIdString)
        leg.answer(_reply(180))
        code, ring_s = self.meets
        if code is not None:
            self.due.append((time.monotonic() + ring_s, lambda: leg.isActive() and leg.answer(_reply(code))))

    def new_leg(self, call_id: int = pj.PJSUA_INVALID_ID) -> Leg:
        self.legs.append(Leg(self, len(self.legs), call_id))
        return self.legs[-1]

    # -- commands

    def do_meet(self, code: int | None, after_s: float) -> None:
        self.meets = code, after_s

    def do_register(self) -> None:
        self.setRegistration(True)

    def do_unregister(self) -> None:
        self.setRegistration(False)

    def do_call(self, uri: str) -> None:
        leg = self.new_leg()
        leg.makeCall(uri, pj.CallOpParam(True))

    def do_hangup(self, leg: int) -> None:
        self.legs[leg].hangup(pj.CallOpParam(True))

    def do_hold(self, leg: int) -> None:
        self.legs[leg].setHold(pj.CallOpParam(True))

    def do_resume(self, leg: int) -> None:
        options = pj.CallOpParam(True)
        options.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.legs[leg].reinvite(options)

    def do_prefer(self, names: list[str]) -> None:
        """Offers these codecs alone from now on."""
        prefer(*names)

    def do_codec(self, leg: int, names: list[str]) -> None:
        prefer(*names)
        options = pj.CallOpParam(True)
        options.opt.flag = pj.PJSUA_CALL_REINIT_MEDIA
        self.legs[leg].reinvite(options)

    def do_tone(self, leg: int, hz: int) -> None:
        """The party of this call hears a tone from now on."""
        sound, voice = pj.ToneDesc(), pj.ToneGenerator()
        sound.freq1, sound.on_msec, sound.off_msec = hz, 1_000, 0
        voice.createToneGenerator(8_000, 1)
        voice.play(pj.ToneDescVector([sound]), True)
        voice.startTransmit(self.legs[leg].getAudioMedia(-1))
        self.voices.append(voice)

    def do_hear(self, leg: int, path: str) -> None:
        """What the party of this call says goes into a WAV from now on."""
        ear = pj.AudioMediaRecorder()
        ear.createRecorder(path)
        self.legs[leg].getAudioMedia(-1).startTransmit(ear)
        self.ears.append(ear)

    def do_heard(self) -> None:
        """The files are complete."""
        self.ears.clear()

    def do_refer(self, leg: int, uri: str) -> None:
        self.legs[leg].xfer(uri, pj.CallOpParam(True))

    def do_join(self, leg: int, other: int) -> None:
        """Connects the other parties of the two calls."""
        self.legs[leg].xferReplaces(self.legs[other], pj.CallOpParam(True))


def _reply(code: int) -> pj.CallOpParam:
    reply = pj.CallOpParam(True)
    reply.statusCode = code
    return reply


def prefer(*codecs: str) -> None:
    stack = pj.Endpoint.instance()
    for codec in stack.codecEnum2():
        stack.codecSetPriority(codec.codecId, 128 if codec.codecId.startswith(codecs) else 0)


def know_digests() -> None:
    """The wheel brings OpenSSL 1.0, which knows no MD5 until told so; then no phone could answer a challenge."""
    libraries = Path(pj.__file__).parent.parent / "pjsua2_python.libs"
    for crypto in libraries.glob("libcrypto-*"):
        ctypes.CDLL(str(crypto)).OpenSSL_add_all_digests()


def stack_settings(name: str, log: Log) -> pj.EpConfig:
    settings = pj.EpConfig()
    settings.uaConfig.threadCnt = 0
    settings.uaConfig.mainThreadOnly = True
    settings.uaConfig.userAgent = f"Lab phone {name}"
    settings.logConfig.level = settings.logConfig.consoleLevel = 4
    settings.logConfig.writer = log
    settings.medConfig.clockRate = settings.medConfig.sndClockRate = 8000
    settings.medConfig.noVad = True
    settings.medConfig.ecTailLen = 0
    return settings


def account(stack: pj.Endpoint, settings: dict[str, Any]) -> pj.AccountConfig:
    address, registrar, is_v6 = settings["address"], settings["registrar"], ":" in settings["address"]
    transport = pj.TransportConfig()
    transport.boundAddress, transport.port = address, SIP_PORT
    host = f"[{registrar}]" if ":" in registrar else registrar
    made = pj.AccountConfig()
    made.idUri = f"sip:{settings['user']}@{host}"
    made.sipConfig.transportId = stack.transportCreate(TRANSPORTS[settings["transport"], is_v6], transport)
    made.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", settings["user"], 0, settings["password"]))
    made.regConfig.registrarUri = f"sip:{host};transport={settings['transport'].lower()}"
    made.regConfig.registerOnAdd = False
    made.regConfig.timeoutSec = 600
    made.regConfig.retryIntervalSec = 0
    made.natConfig.contactRewriteUse = 0
    made.mediaConfig.transportConfig.boundAddress = address
    made.mediaConfig.transportConfig.port = settings["rtp_port"]
    if is_v6:
        made.mediaConfig.ipv6Use = pj.PJSUA_IPV6_ENABLED
    return made


def commands(phone: Phone, lines: IO[bytes]) -> bool:
    """Those that have come; False when there will be no more."""
    while select.select([lines], [], [], 0)[0]:
        line = lines.readline()
        if not line:
            return False
        given = json.loads(line)
        try:
            getattr(phone, "do_" + given.pop("do"))(**given)
        except pj.Error as error:
            tell("failed", why=error.info())
        tell("done")
    return True


def main() -> None:
    os.dup2(2, 1)
    settings = json.loads(sys.argv[1])
    know_digests()
    log = Log()
    stack = pj.Endpoint()
    stack.libCreate()
    stack.libInit(stack_settings(settings["name"], log))
    stack.audDevManager().setNullDev()
    prefer("PCM")
    made = account(stack, settings)
    stack.libStart()
    phone = Phone(settings)
    phone.create(made)
    tell("ready")
    lines = os.fdopen(0, "rb", buffering=0)  # what is buffered, select does not see
    while commands(phone, lines):
        stack.libHandleEvents(10)
        now = time.monotonic()
        due = [action for at, action in phone.due if at <= now]
        phone.due = [(at, action) for at, action in phone.due if at > now]
        for action in due:
            action()
    os._exit(0)  # no unregistering, no hanging up: the test is over


if __name__ == "__main__":
    main()
