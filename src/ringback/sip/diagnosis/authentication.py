"""Challenges that credentials do not meet (RFC 3261 section 22, RFC 7616)."""

from collections.abc import Iterator

from ringback.sip.diagnosis.call import CHALLENGES, Call, Exchange, Leg, Message
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.diagnosis.headers import parameter

LOOP = Kind(
    "authentication-loop",
    Severity.ERROR,
    "Credentials are refused again and again by the same challenge, each time with a fresh nonce.",
    "Compare user name, password and realm on both sides; the user name in Authorization shows which account is meant.",
)
REJECTED = Kind(
    "authentication-rejected",
    Severity.ERROR,
    "Credentials were refused, and the side that sent them gave up.",
    "Compare user name, password and realm on both sides; see the log of the server that refused.",
)
UNANSWERED = Kind(
    "authentication-unanswered",
    Severity.ERROR,
    "A request was challenged (401, 407) and never sent again with credentials.",
    "See whether the account has a password for that realm, and whether the sender supports the algorithm of the challenge.",
)
KINDS = (LOOP, REJECTED, UNANSWERED)
_CHALLENGE = ("www-authenticate", "proxy-authenticate")
_CREDENTIALS = ("authorization", "proxy-authorization")
_NOT_CHALLENGED = frozenset({"ACK", "CANCEL", "OPTIONS"})


def find(call: Call) -> Iterator[Finding]:
    for leg in call.legs:
        asked = [each for each in leg.exchanges if each.method not in _NOT_CHALLENGED]
        for tag, realm in dict.fromkeys(_challengers(asked)):
            yield from _refused([each for each in asked if each.tag == tag], realm)
        yield from _unanswered(call, leg, asked)


def _challengers(asked: list[Exchange]) -> Iterator[tuple[str, str]]:
    for each in asked:
        for value in _challenges(each):
            yield each.tag, parameter(value, "realm")


def _refused(asked: list[Exchange], realm: str) -> Iterator[Finding]:
    refused = list(_rejections(asked, realm))
    if not refused:
        return
    proofs = [each for exchange in refused for each in (exchange.hop.request, exchange.hop.final) if each]
    user = parameter(_credentials(refused[0], realm), "username")
    whose = f"The credentials of {user or 'an unnamed user'} for {realm or 'an unnamed realm'}"
    if len(refused) > 1:
        yield finding(LOOP, f"{whose} were refused {len(refused)} times by {refused[0].hop.dst}.", proofs)
    elif refused[0] is asked[-1] or all(each.hop.status in CHALLENGES for each in asked[asked.index(refused[0]) :]):
        yield finding(REJECTED, f"{whose} were refused by {refused[0].hop.dst}, and no other attempt followed.", proofs)


def _rejections(asked: list[Exchange], realm: str) -> Iterator[Exchange]:
    """A nonce that was not issued in this call may be out of date, whatever the challenge says."""
    issued: set[str] = set()
    for each in asked:
        challenge = next((value for value in _challenges(each) if parameter(value, "realm") == realm), "")
        if not challenge:
            continue
        given = _credentials(each, realm)
        is_stale = parameter(challenge, "stale").lower() == "true"
        if given and not is_stale and parameter(given, "nonce") in issued:
            yield each
        issued.add(parameter(challenge, "nonce"))


def _unanswered(call: Call, leg: Leg, asked: list[Exchange]) -> Iterator[Finding]:
    tried = {(each.tag, each.method) for each in asked if _all_credentials(each)}
    last = {(each.tag, each.method): each for each in asked}
    for key, each in last.items():
        challenge = each.hop.final
        if each.hop.status in CHALLENGES and key not in tried and challenge and not _began_anew(call, leg, challenge):
            says = (
                f"{each.method} was challenged ({each.hop.status}) by {each.hop.dst}, and never sent with credentials."
            )
            failed = each.is_initial and not call.is_answered
            severity = Severity.ERROR if failed else Severity.WARNING
            yield finding(UNANSWERED, says, [each.hop.request, challenge], severity)


def _began_anew(call: Call, leg: Leg, challenge: Message) -> bool:
    """Whether the same end tried again with another Call-ID."""
    later = (other.messages[0] for other in call.legs if other is not leg)
    return any(each.place > challenge.place and each.packet.src == challenge.packet.dst for each in later)


def _challenges(exchange: Exchange) -> list[str]:
    final = exchange.hop.final
    if final is None or final.sip.status not in CHALLENGES:
        return []
    return [value for name in _CHALLENGE for value in final.all(name)]


def _all_credentials(exchange: Exchange) -> list[str]:
    request = exchange.hop.request
    return [value for name in _CREDENTIALS for value in request.all(name)] if request else []


def _credentials(exchange: Exchange, realm: str) -> str:
    return next((value for value in _all_credentials(exchange) if parameter(value, "realm") == realm), "")
