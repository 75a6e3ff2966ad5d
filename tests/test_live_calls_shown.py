"""What a connected PBX tells of a call while it is up: when somebody answered, and what it costs."""

from typing import Any

from ringback.calls.rating import Rate
from ringback.connectors import shown
from ringback.importers.call_rows import CallRow
from ringback.store import rates
from ringback.store.parties import Parties
from tests.ami_server import AmiServer
from tests.api import Api
from tests.connected import UNTIL_TALK, Connected, calls, connected, server, transcript, until

__all__ = ["connected", "server"]

NOBODY = Parties({}, {}, {}, {})
MOBILE = "07700900456"


def hop(**changed: Any) -> CallRow:
    usual = {
        **{"line_no": 0, "key": "1.1", "uniqueid": "1.1", "linked_id": "1.1", "started_at": 100, "answered_at": 103},
        **{"ended_at": 110, "duration_s": 10, "billsec": 7, "src": "101", "src_name": None, "dst": "201", "clid": None},
        **{"src_endpoint": "101", "dst_endpoint": None, "disposition": "CONNECTED", "t_cause": "", "human": True},
        **{"context": "PSTN_CALL", "info": None, "warnings": ()},
    }
    return CallRow(**{**usual, **changed})


def seen(row: CallRow) -> tuple[Any, Any]:
    (cdr,) = shown.columns([row], NOBODY)
    found = shown.row(row, cdr, NOBODY, is_held=False)
    return found["state"], found["connected_at"]


def test_who_talks_to_a_mailbox_is_connected_since_it_answered() -> None:
    assert seen(hop()) == ("CONNECTED", 103)
    assert seen(hop(disposition="VM", context="VOICEMAIL", human=False)) == ("CONNECTED", 103)


def test_where_only_the_pbx_itself_has_answered_it_rings() -> None:
    """A queue, a menu."""
    assert seen(hop(disposition="RINGING", context="QUEUE", human=False)) == ("RINGING", None)
    assert seen(hop(disposition="INITIAL", answered_at=None)) == ("INITIAL", None)


def test_a_call_to_the_outside_says_what_it_costs(api: Api, server: AmiServer, connected: Connected) -> None:
    """By the deck, as its CDR will. Who is called from outside pays nothing."""
    deck = [Rate("44", "United Kingdom", 12_000), Rate("447", "United Kingdom, mobile", 100_000, 30, 6)]
    api.write(lambda db: rates.put(db, api.acme, deck))
    connected()
    server.tell(transcript(0, UNTIL_TALK).replace("102", MOBILE))
    live = until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])[0]
    assert (live["dst"], live["dst_rate"], live["min_charge"], live["src_rate"]) == ("447700900456", 0.1, 0.05, None)
    assert live["dst_name"] == "United Kingdom, mobile"
    server.tell(transcript(UNTIL_TALK).replace("102", MOBILE))
    cdr = until(lambda: api.admin.listed("/cdrs"))[0]
    assert (cdr["rate"], cdr["charge"], cdr["dst_name"]) == (0.1, 0.05, "United Kingdom, mobile")


def test_a_call_between_colleagues_costs_nothing(api: Api, server: AmiServer, connected: Connected) -> None:
    api.write(lambda db: rates.put(db, api.acme, [Rate("1", "Everywhere", 12_000)]))
    connected()
    server.tell(transcript(0, UNTIL_TALK))
    live = until(lambda: [row for row in calls(api.admin) if row["state"] == "CONNECTED"])[0]
    assert (live["dst_rate"], live["min_charge"], live["src_rate"]) == (None, None, None)
