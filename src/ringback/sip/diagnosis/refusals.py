"""Calls that were refused: 3xx that nobody follows, 4xx, 5xx, 6xx, in words (RFC 3261 section 21 and its successors)."""

from collections.abc import Iterator

from ringback.sip import causes
from ringback.sip.diagnosis.call import Call, Message
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.diagnosis.outcomes import Failure, failures, lost_branches

REDIRECT = Kind(
    "redirect-not-followed",
    Severity.ERROR,
    "The call was redirected (3xx), and nobody called the new address.",
    "See whether the side that called may follow redirections, and whether the address in Contact can be called.",
)
FORBIDDEN = Kind(
    "call-forbidden",
    Severity.ERROR,
    "The call was refused by rule (402, 403): no right to call there, no credit, wrong caller number, unknown sender.",
    "Look at the dial plan, the balance and the allowed caller numbers at the side that refused; its log says which rule.",
)
UNKNOWN = Kind(
    "number-unknown",
    Severity.ERROR,
    "The number does not exist at the side that was asked (404, 410, 416, 485, 604), or has no route.",
    "Compare the number in the first line with what that side expects: country prefix, leading zero or plus, domain.",
)
INCOMPLETE = Kind(
    "number-incomplete",
    Severity.ERROR,
    "The number has too few or too many digits (484).",
    "Compare the number in the first line with what was dialled; look at dial plan and digit time-out of the phone.",
)
UNREACHABLE = Kind(
    "callee-unreachable",
    Severity.ERROR,
    "The called phone is not registered, or does not want to be disturbed (480 without ringing).",
    "Look at the registrations of that user (GET /registrations), and for do-not-disturb on the phone.",
)
TIMED_OUT = Kind(
    "call-timed-out",
    Severity.ERROR,
    "A server gave up waiting for the next one (408, 504).",
    "Look at the hop behind the one that answered: it was not reached, or was too slow.",
)
UNAVAILABLE = Kind(
    "service-unavailable",
    Severity.ERROR,
    "A server takes no calls now (503): overload, no free channel, trunk down. A warning where another way was found.",
    "Look at the load, the channel limit and the trunk state of the server that answered; Retry-After says how long.",
)
SERVER = Kind(
    "server-error",
    Severity.ERROR,
    "A server failed (500, 501, 502, 505, 513, other 5xx). A warning where another way was found.",
    "Look at the log of the server that answered, at the time of the response.",
)
REQUEST = Kind(
    "request-not-understood",
    Severity.ERROR,
    "The request itself was refused: bad syntax, method or content (400, 405, 406, 413, 414 and others).",
    "Look at the Warning and Reason headers of the response and at what is unusual in the request.",
)
EXTENSION = Kind(
    "extension-required",
    Severity.ERROR,
    "One side demands an extension that the other does not have (420, 421), such as 100rel.",
    "Compare Require and Supported of the request with Unsupported or Require of the response; switch the extension off.",
)
INTERVAL = Kind(
    "session-interval-refused",
    Severity.ERROR,
    "The session timer was refused as too short (422), and the caller did not try again with a longer one.",
    "Set the caller's Session-Expires to at least the Min-SE of the response.",
)
IDENTITY = Kind(
    "identity-refused",
    Severity.ERROR,
    "The caller's identity was refused: anonymous (433), or its signature is missing or wrong (428, 429, 436 to 438).",
    "Look at From, P-Asserted-Identity, Privacy and Identity of the INVITE, and at what the other side demands.",
)
BLOCKED = Kind(
    "call-blocked",
    Severity.WARNING,
    "A filter on the way blocked the call as unwanted (608).",
    "See the Call-Info of the response for whom to complain to, and the reputation of the caller's number.",
)
TERMINATED = Kind(
    "ended-without-cancel",
    Severity.NOTICE,
    "The call was ended with 487, though no CANCEL was captured.",
    "Look for a capture point that saw only one side, or for a server that ends calls on its own.",
)
KINDS = (
    REDIRECT, FORBIDDEN, UNKNOWN, INCOMPLETE, UNREACHABLE, TIMED_OUT, UNAVAILABLE, SERVER, REQUEST, EXTENSION, INTERVAL,
    IDENTITY, BLOCKED, TERMINATED,
)  # fmt: skip
_BY_STATUS = {
    402: FORBIDDEN, 403: FORBIDDEN,
    404: UNKNOWN, 410: UNKNOWN, 416: UNKNOWN, 485: UNKNOWN, 604: UNKNOWN,
    484: INCOMPLETE,
    480: UNREACHABLE,
    408: TIMED_OUT, 504: TIMED_OUT,
    503: UNAVAILABLE,
    420: EXTENSION, 421: EXTENSION,
    422: INTERVAL,
    428: IDENTITY, 429: IDENTITY, 433: IDENTITY, 436: IDENTITY, 437: IDENTITY, 438: IDENTITY,
    608: BLOCKED,
    487: TERMINATED,
}  # fmt: skip
ELSEWHERE = frozenset({415, 482, 483, 488, 491, 606})
"""What the other families of findings tell of."""


def find(call: Call) -> Iterator[Finding]:
    refused = list(failures(call))
    for failure in refused:
        if failure.response.sip.status not in ELSEWHERE and not _is_settled(call, failure):
            yield _told(failure)
    if call.is_answered or not refused:
        yield from (_told(each) for each in lost_branches(call))


def _is_settled(call: Call, failure: Failure) -> bool:
    """Of a call that was answered all the same only a server that failed is worth a word."""
    status = failure.response.sip.status
    if status < 400:
        return any(leg.messages[0].place > failure.response.place for leg in call.calls)
    is_server = status in {408, *range(500, 600)}
    # Another leg was cancelled: phones that ring together.
    is_ended = status == 487 and (failure.leg.bye is not None or len(call.calls) > 1)
    return is_ended or (failure.is_rescued and not is_server)


def _told(failure: Failure) -> Finding:
    sip = failure.response.sip
    kind = _kind(sip.status)
    asked = failure.hop.request
    says = f"{failure.hop.dst} {_done(sip.status)} the call{_number(asked)} with {_status(failure.response)}"
    if failure.is_own:
        says += "; it had passed the call on, and this answer is its own"
    proofs = [asked, failure.response, *(each for each in failure.exchange.messages)]
    severity = Severity.WARNING if failure.is_rescued and kind.severity is Severity.ERROR else None
    return finding(kind, f"{says}.", proofs[:6], severity, _words(failure.response))


def _done(status: int) -> str:
    return "redirected" if status < 400 else "ended" if status == 487 else "refused"


def _status(response: Message) -> str:
    """`404 Not Found (Unallocated number)`; of a redirection where it leads."""
    told = f"{response.sip.status} {response.sip.reason_phrase}".rstrip()
    if response.sip.status < 400:
        return f"{told} to {response.sip.contact.user or response.sip.contact.uri or 'nowhere'}"
    cause = causes.of_response(response.sip)
    return told if cause in told else f"{told} ({cause})"


def _kind(status: int) -> Kind:
    if status < 400:
        return REDIRECT
    return _BY_STATUS.get(status) or (SERVER if 500 <= status < 600 else REQUEST)


def _number(asked: Message | None) -> str:
    return f" to {asked.sip.to.user or asked.sip.request_uri}" if asked is not None else ""


def _words(response: Message) -> str:
    """What the response says of itself."""
    told = [f"{name.title()}: {value}" for name in ("warning", "reason", "unsupported", "require", "retry-after") for value in
            response.all(name)]  # fmt: skip
    return f"The response says: {'; '.join(told)[:300]}." if told else ""
