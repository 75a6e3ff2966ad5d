"""Media that both sides cannot agree on (RFC 3264 section 6)."""

from collections.abc import Iterator

from ringback.sip import sdp
from ringback.sip.diagnosis.agreements import agreements
from ringback.sip.diagnosis.call import Call, Message
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.diagnosis.outcomes import failures

REFUSED = Kind(
    "codec-mismatch",
    Severity.ERROR,
    "The call was refused because of its media (415, 488, 606): no codec, transport or encryption that both sides have.",
    "Compare the codecs and the media transport (RTP or SRTP) of the offer with what the other side allows.",
)
NONE_COMMON = Kind(
    "codec-none-common",
    Severity.ERROR,
    "The answer accepts the audio without any codec of the offer: the sides hear nothing or noise.",
    "Look at the codec settings of the side that answered, and of a server between that rewrites SDP.",
)
NOT_OFFERED = Kind(
    "codec-not-offered",
    Severity.WARNING,
    "The answer prefers a codec that was not offered; the other side may not understand it.",
    "Look at the codec settings of the side that answered, and of a server between that rewrites SDP.",
)
KINDS = (REFUSED, NONE_COMMON, NOT_OFFERED)
_STATUSES = frozenset({415, 488, 606})
_NO_VOICE = frozenset({"TELEPHONE-EVENT", "CN", "RED"})


def find(call: Call) -> Iterator[Finding]:
    for failure in failures(call):
        if failure.response.sip.status in _STATUSES and not failure.is_rescued:
            yield _refused(failure.hop.request, failure.response)
    for leg in call.calls:
        for each in agreements(leg):
            yield from _compared(each.offer, each.answer)


def _refused(offer: Message | None, response: Message) -> Finding:
    says = f"{response.packet.src} refused the media with {response.sip.status} {response.sip.reason_phrase}."
    if offer is not None and offer.has_sdp:
        says += f" Offered: {_listed(offer)}."
    if response.has_sdp:
        says += f" It could do: {_listed(response)}."
    warning = response.first("warning")
    look = f"The response says: {warning[:300]}." if warning else ""
    return finding(REFUSED, says, [offer, response], look=look)


def _compared(offer: Message, answer: Message) -> Iterator[Finding]:
    if offer.audio is None or answer.audio is None:
        return
    offered = {name.upper() for stream in offer.streams if stream.kind == "audio" for name in stream.codecs}
    if any(name.isdecimal() for name in (*offered, *answer.audio.codecs)):
        return  # formats that nobody names: nothing can be said of them
    voices = [name for name in answer.audio.codecs if name.upper() not in _NO_VOICE]
    common = [name for name in voices if name.upper() in offered]
    proofs = [offer, answer]
    offers, answers = ", ".join(offer.audio.codecs[:20]), ", ".join(answer.audio.codecs[:20])
    told = f"Offered were {offers or 'no codecs'}; {answer.packet.src} answered {answers or 'none'}."
    if not common and offered - _NO_VOICE:
        yield finding(NONE_COMMON, told, proofs)
    elif voices and voices[0].upper() not in offered:
        yield finding(NOT_OFFERED, told, proofs)


def _listed(message: Message) -> str:
    return "; ".join(map(_stream, message.streams[:4])) or "no media"


def _stream(stream: sdp.Media) -> str:
    return f"{stream.kind} {', '.join(stream.codecs[:20])}"
