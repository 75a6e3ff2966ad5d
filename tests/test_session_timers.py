"""A call whose BYE was lost ends when its session timer has run out (RFC 4028), and goes on when something is heard."""

from ringback.sip.message import scan
from ringback.store import captured_calls, signalling, slices
from ringback.store.captures import Seen
from tests.api import Api
from tests.sip.sip_flows import CALL_ID, flow
from tests.test_captures import START

TALK = """
    0  alice > bob    INVITE      1
    4  bob   > alice  200/INVITE  1  Session-Expires=90;refresher=uac
    5  alice > bob    ACK         1  to-tag
"""
REFRESHED = "200 alice > bob UPDATE 2 to-tag\n 201 bob > alice 200/UPDATE 2 Session-Expires=90"


def heard(api: Api, calls: captured_calls.Calls, table: str) -> None:
    span = slices.span(START, None)
    given = [captured_calls.message(CALL_ID, Seen(each, None), "", scan(each.payload), span) for each in flow(table)]
    api.write(lambda db: signalling.store(db, api.acme, given, {}, calls))


def swept(api: Api, calls: captured_calls.Calls, at_s: int) -> str:
    api.write(lambda db: signalling.close_lost(db, api.acme, START + at_s, {}, calls))
    (session,) = api.admin.listed("/mediasessions")
    return str(session["status"])


def test_a_session_that_nobody_refreshes_ends_with_its_timer(api: Api) -> None:
    calls = captured_calls.Calls()
    heard(api, calls, TALK)
    assert swept(api, calls, 100) == "CONNECTED"
    assert swept(api, calls, 160) == "ENDED"
    (msdr,) = api.admin.listed("/msdrs")
    assert (msdr["t_cause"], msdr["duration"]) == ("Recovery on timer expiry", 90)
    heard(api, calls, REFRESHED)
    assert swept(api, calls, 220) == "CONNECTED"


def test_what_is_no_longer_in_memory_ends_later_but_as_of_then(api: Api) -> None:
    heard(api, captured_calls.Calls(), TALK)
    calls = captured_calls.Calls()
    assert swept(api, calls, 160) == "CONNECTED"
    assert swept(api, calls, signalling.ANSWERED_S + 10) == "ENDED"
    (msdr,) = api.admin.listed("/msdrs")
    assert (msdr["t_cause"], msdr["duration"]) == ("Recovery on timer expiry", 90)
