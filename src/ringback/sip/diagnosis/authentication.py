"""Challenges that credentials do not meet (RFC 3261 section 22, RFC 7616)."""

from collections.abc import Iterator
from typing import NamedTuple

from ringback.sip.diagnosis.call import CHALLENGES, Call, Exchange, Leg, Message
from ringback.sip.diagnosis.finding import Finding, Kind, Severity, finding
from ringback.sip.headers import parameter

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


class _Challenge(NamedTuple):
    """What a request was challenged for, and the credentials for that realm which it had; empty without any."""

    exchange: Exchange
    realm: str
    nonce: str
    is_stale: bool
    given: str


def find(call: Call) -> Iterator[Finding]:
    for leg in call.legs:
        asked = [each for each in leg.exchanges if each.method not in _NOT_CHALLENGED]
        passed = {each.tag: each.place for each in asked if each.hop.status not in CHALLENGES}
        challenged: dict[tuple[str, str], list[_Challenge]] = {}
        for challenge in (one for each in asked for one in _challenges(each)):
            challenged.setdefault((challenge.exchange.tag, challenge.realm), []).append(challenge)
        for (tag, _), challenges in challenged.items():
            yield from _refused(challenges, passed.get(tag, 0))
        yield from _unanswered(call, leg, asked)


def _refused(challenges: list[_Challenge], passed: int) -> Iterator[Finding]:
    """``passed``: the place of the side's last request that was not challenged."""
    refused = list(_rejections(challenges))
    if not refused:
        return
    shown = [each for one in refused for each in (one.exchange.hop.request, one.exchange.hop.final)]
    first = refused[0]
    user = parameter(first.given, "username") or "an unnamed user"
    whose = f"The credentials of {user} for {first.realm or 'an unnamed realm'}"
    if len(refused) > 1:
        yield finding(LOOP, f"{whose} were refused {len(refused)} times by {first.exchange.hop.dst}.", shown)
    elif passed < first.exchange.place:
        says = f"{whose} were refused by {first.exchange.hop.dst}, and no other attempt followed."
        yield finding(REJECTED, says, shown)


def _rejections(challenges: list[_Challenge]) -> Iterator[_Challenge]:
    """A nonce that was not issued in this call may be out of date, whatever the challenge says."""
    issued: set[str] = set()
    for each in challenges:
        if each.given and not each.is_stale and parameter(each.given, "nonce") in issued:
            yield each
        issued.add(each.nonce)


def _unanswered(call: Call, leg: Leg, asked: list[Exchange]) -> Iterator[Finding]:
    tried = [each for each in asked if _credentials(each)]
    last = {(each.tag, each.method): each for each in asked}
    for each in last.values():
        challenge = each.hop.final
        is_tried = any(_is_again(one, each) for one in tried)
        if each.hop.status in CHALLENGES and challenge and not is_tried and not _began_anew(call, leg, challenge):
            says = (
                f"{each.method} was challenged ({each.hop.status}) by {each.hop.dst}, and never sent with credentials."
            )
            failed = each.is_initial and not call.is_answered
            severity = Severity.ERROR if failed else Severity.WARNING
            yield finding(UNANSWERED, says, [each.hop.request, challenge], severity)


def _is_again(one: Exchange, other: Exchange) -> bool:
    """Whether both are requests of one side; some begin an INVITE with credentials with another From tag."""
    is_same_side = one.tag == other.tag or (one.is_initial and other.is_initial and one.hop.src.ip == other.hop.src.ip)
    return one.method == other.method and is_same_side


def _began_anew(call: Call, leg: Leg, challenge: Message) -> bool:
    """Whether the same end tried again with another Call-ID."""
    later = (other.messages[0] for other in call.legs if other is not leg)
    return any(each.place > challenge.place and each.packet.src == challenge.packet.dst for each in later)


def _challenges(exchange: Exchange) -> Iterator[_Challenge]:
    final = exchange.hop.final
    if final is None or final.sip.status not in CHALLENGES:
        return
    given = {parameter(value, "realm"): value for value in _credentials(exchange)}
    for value in (value for name in _CHALLENGE for value in final.all(name)):
        realm, is_stale = parameter(value, "realm"), parameter(value, "stale").lower() == "true"
        yield _Challenge(exchange, realm, parameter(value, "nonce"), is_stale, given.get(realm, ""))


def _credentials(exchange: Exchange) -> list[str]:
    request = exchange.hop.request
    return [value for name in _CREDENTIALS for value in request.all(name)] if request else []
