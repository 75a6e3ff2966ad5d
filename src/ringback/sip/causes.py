"""Why a call ended, in the words of ITU-T Q.850 (clause 2.2.7), as call records have them."""

import re

from ringback.sip.message import SipMessage

NORMAL_CLEARING = "Normal Clearing"

Q850 = {
    1: "Unallocated number",
    2: "No route to specified transit network",
    3: "No route to destination",
    6: "Channel unacceptable",
    7: "Call awarded and being delivered in an established channel",
    16: NORMAL_CLEARING,
    17: "User busy",
    18: "No user responding",
    19: "No answer",
    20: "Subscriber absent",
    21: "Call Rejected",
    22: "Number changed",
    23: "Redirected to new destination",
    25: "Exchange routing error",
    26: "Answered elsewhere",
    27: "Destination out of order",
    28: "Invalid number format",
    29: "Facility rejected",
    30: "Response to status enquiry",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    41: "Temporary failure",
    42: "Switching equipment congestion",
    43: "Access information discarded",
    44: "Requested channel not available",
    47: "Resource unavailable, unspecified",
    50: "Facility not subscribed",
    52: "Outgoing call barred",
    54: "Incoming call barred",
    55: "Incoming calls barred within closed user group",
    57: "Bearer capability not authorized",
    58: "Bearer capability not available",
    63: "Service or option not available, unspecified",
    65: "Bearer capability not implemented",
    66: "Channel not implemented",
    69: "Facility not implemented",
    79: "Service or option not implemented, unspecified",
    81: "Invalid call reference value",
    87: "User not member of closed user group",
    88: "Incompatible destination",
    95: "Invalid message, unspecified",
    96: "Mandatory information element is missing",
    97: "Message type nonexistent",
    98: "Wrong message",
    99: "Information element nonexistent or not implemented",
    100: "Invalid information element contents",
    101: "Message not compatible with call state",
    102: "Recovery on timer expiry",
    103: "Mandatory information element length error",
    111: "Protocol error, unspecified",
    127: "Interworking, unspecified",
}

EXPIRED = Q850[102]
UNKNOWN = Q850[31]
"""Of a call that failed in a message that was not captured."""
REPLACED = "Replaced by another call"
"""No Q.850 cause says it: another dialog took this one's place (RFC 3891)."""

SIP_TO_Q850 = {
    # RFC 3398 section 8.2.6.1.
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127,
    415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17,
    500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1,
    # Not in that table. 487 follows a CANCEL or a BYE: somebody hung up. 488 and 606 are about the media; 607 and
    # 608 are refusals (RFC 8197, RFC 8688); 200 in a Reason says that another phone took the call (RFC 3326).
    200: 26, 487: 16, 488: 58, 606: 58, 607: 21, 608: 21,
}  # fmt: skip

_REASON = re.compile(r"\s*(Q\.850|SIP)\s*;", re.I)
_CAUSE = re.compile(r";\s*cause\s*=\s*(\d{1,3})(?!\d)", re.I | re.A)
_TEXT = re.compile(r';\s*text\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]+))', re.I | re.S)


def of_response(message: SipMessage) -> str:
    """The cause that a final failure stands for: its Reason header, else its status, else its own phrase.

    A Reason of normal clearing is none for a refusal: cause 16 is of who asked for the call to be cleared (ITU-T Q.850 table 1),
    and some PBXs send it with every failure. Then the status counts.
    """
    reason = of_reason(message.reason)
    if reason and reason != NORMAL_CLEARING:
        return reason
    return of_status(message.status) or message.reason_phrase or reason or str(message.status)


def of_request(message: SipMessage) -> str:
    """The cause of a BYE or CANCEL: its Reason header, else that somebody hung up."""
    return of_reason(message.reason) or NORMAL_CLEARING


def of_status(status: int) -> str:
    """Of a SIP final response; 3xx are redirections; empty when it has no Q.850 cause."""
    return Q850[23] if 300 <= status < 400 else Q850.get(SIP_TO_Q850.get(status, 0), "")


def of_reason(header: str) -> str:
    """Of a Reason header (RFC 3326): a Q.850 cause before a SIP one, the table before its own text; else empty."""
    if not header:
        return ""
    values = [found for found in map(_reason, _values(header)) if found is not None]
    return min(values, default=(2, ""))[1]


def _reason(value: str) -> tuple[int, str] | None:
    protocol = _REASON.match(value)
    if protocol is None:
        return None
    cause, text = _CAUSE.search(value), _TEXT.search(value)
    number = int(cause[1]) if cause else 0
    spoken = (text[1] or text[2] or "") if text else ""
    if protocol[1].upper() == "SIP":
        return (1, of_status(number) or spoken) if of_status(number) or spoken else None
    known = Q850.get(number) or spoken or (f"Cause {number}" if number else "")
    return (0, known) if known else None


def _values(header: str) -> list[str]:
    """Split at the commas that stand outside quotes."""
    return [found[0] for found in re.finditer(r'(?:[^",]|"(?:[^"\\]|\\.)*"|")+', header, re.S)]
