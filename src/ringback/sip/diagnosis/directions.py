"""Media that SDP lets go one way or no way (RFC 3264 sections 5.1, 6.1, 8)."""

from collections.abc import Iterator

from ringback.sip.diagnosis.agreements import Agreement, agreements
from ringback.sip.diagnosis.call import Call, Leg, Message, party
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding

ONE_WAY = Kind(
    "media-one-way",
    Severity.WARNING,
    "From its answer on and never otherwise, audio was agreed in one direction only (sendonly, recvonly).",
    "See which side set the direction, and why: a hold that was never taken back, paging, a recorder, a fault of its SDP.",
)
NONE = Kind(
    "media-none",
    Severity.ERROR,
    "From its answer on and never otherwise, no audio was agreed: inactive, port 0, or the address 0.0.0.0.",
    "See which side refused the audio, and why; compare with a call that works.",
)
KINDS = (ONE_WAY, NONE)
_SENDS, _HEARS = frozenset({"sendrecv", "sendonly"}), frozenset({"sendrecv", "recvonly"})
_NOWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- nothing listens there


def find(call: Call) -> Iterator[Finding]:
    for leg in call.calls:
        agreed = [each for each in agreements(leg) if b"application/rs-metadata" not in each.offer.sip.body]
        if agreed and not any(all(_ways(each)) or _has_no_audio_line(each.offer) for each in agreed):
            yield _told(leg, agreed[0])


def _told(leg: Leg, first: Agreement) -> Finding:
    offerer, answerer = _sides(leg, first)
    forth, back = _ways(first)
    proofs = [first.offer, first.answer]
    if not forth and not back:
        says = (
            f"No audio was agreed: {offerer} offered {_state(first.offer)}, {answerer} answered {_state(first.answer)}."
        )
        return finding(NONE, says, proofs)
    sender, silent = (offerer, answerer) if forth else (answerer, offerer)
    says = f"Only {sender} may send audio; {silent} may not: offered {_state(first.offer)}, answered {_state(first.answer)}."
    return finding(ONE_WAY, says, proofs)


def _sides(leg: Leg, agreement: Agreement) -> tuple[str, str]:
    asker = party(leg, agreement.exchange.tag)
    other = "the callee" if asker == "the caller" else "the caller"
    return (asker, other) if agreement.offer.sip.is_request else (other, asker)


def _ways(agreement: Agreement) -> tuple[bool, bool]:
    """Whether audio may go from who offers to who answers, and back. Other media in place of audio (fax) count as both."""
    offer, answer = agreement.offer, agreement.answer
    if answer.audio is None and any(each.kind == "image" for each in answer.streams):
        return True, True
    if offer.audio is None or answer.audio is None or _is_nowhere(offer, answer):
        return False, False
    there, here = offer.audio.direction, answer.audio.direction
    return there in _SENDS and here in _HEARS, there in _HEARS and here in _SENDS


def _is_nowhere(offer: Message, answer: Message) -> bool:
    return any(each.audio is not None and each.audio.rtp.ip in _NOWHERE for each in (offer, answer))


def _has_no_audio_line(offer: Message) -> bool:
    return b"m=audio" not in offer.sip.body


def _state(message: Message) -> str:
    if message.audio is None:
        return "no audio (port 0)" if b"m=audio" in message.sip.body else "no audio"
    nowhere = f" at {message.audio.rtp.ip}" if message.audio.rtp.ip in _NOWHERE else ""
    return message.audio.direction + nowhere
