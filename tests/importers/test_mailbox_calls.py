"""Voice messages and the calls that left them, whichever comes in first."""

from pathlib import Path
from typing import Any

import pytest

from ringback.store import cdrs
from tests.api import Api
from tests.importers.test_voicemail import imported, message

AT = 1_795_322_308
CALLER = "442079460001"


def left(api: Api, at: int = AT - 30, **more: Any) -> int:
    """A call that the mailbox of Ann (103) answered; returns its live id."""
    row = {"calldate": at, "duration": 60, "billsec": 35, "type": "M", "disposition": "VM", "destination": "in"}
    row |= {"context": "VOICEMAIL", "src": CALLER, "dst": "103", "user_id": api.ann.user_id, **more}
    (cdr_id,) = api.write(lambda db: cdrs.insert(db, api.acme, [row]))
    found: int = api.admin.get(f"/cdrs/{cdr_id}").data["live_id"]
    return found


def linked(api: Api) -> list[Any]:
    return [each["live_id"] for each in api.ann.listed("/voicemessages", sort="id", dir="ASC")]


@pytest.mark.parametrize("first", ["call", "message"])
def test_a_message_finds_its_call_and_a_hold_on_that_keeps_it(api: Api, tmp_path: Path, first: str) -> None:
    live_id = left(api) if first == "call" else 0
    message(tmp_path / "default/103/INBOX")
    assert imported(api, tmp_path).new == 1
    live_id = live_id or left(api)
    assert linked(api) == [live_id]
    (cdr,) = api.admin.listed("/cdrs")
    assert api.admin.post("/holds", {"resource": "cdrs", "ids": [cdr["id"]], "reason": "case"}).status == 201
    (shown,) = api.ann.listed("/voicemessages")
    assert api.ann.delete(f"/voicemessages/{shown['id']}").status == 403


def test_what_came_through_the_api_finds_its_call_too(api: Api, tmp_path: Path) -> None:
    token = api.admin.post("/apitokens", {"name": "pbx", "ingest": True}).data["token"]
    audio = message(tmp_path).read_bytes()
    query = f"mailbox=103&callerid=%3C02079460001%3E&origtime={AT}"
    headers = {"content-type": "audio/wav", "x-auth-token": token}
    answer = api.nobody.call("POST", f"/ingest/voicemails?{query}", audio, headers=headers)
    assert answer.status == 202, answer.body
    live_id = left(api)
    api.run_jobs()
    assert linked(api) == [live_id]


@pytest.mark.parametrize(
    "other",
    [
        {"src": "442079460002"},
        {"disposition": "CONNECTED"},
        {"at": AT + 10},
        {"at": AT - 120},
        {"user_id": 0},
    ],
    ids=["another caller", "no mailbox", "later", "earlier", "another mailbox"],
)
def test_another_call_is_not_taken(api: Api, tmp_path: Path, other: dict[str, Any]) -> None:
    left(api, **({"user_id": api.bob.user_id} if "user_id" in other else other))
    message(tmp_path / "default/103/INBOX")
    imported(api, tmp_path)
    assert linked(api) == [None]


def test_of_two_calls_none_is_taken(api: Api, tmp_path: Path) -> None:
    left(api)
    left(api, AT - 20)
    message(tmp_path / "default/103/INBOX")
    imported(api, tmp_path)
    assert linked(api) == [None]


def test_a_colleagues_call_is_found_by_whom_it_was_for(api: Api, tmp_path: Path) -> None:
    live_id = left(api, type="O", src="101", user_id=api.bob.user_id, dst_id=str(api.ann.user_id))
    message(tmp_path / "default/103/INBOX", callerid="101")
    imported(api, tmp_path)
    assert linked(api) == [live_id]


def test_a_colleagues_call_to_a_mailbox_by_a_number_of_its_own_is_found(api: Api, tmp_path: Path) -> None:
    bob = api.bob.user_id
    live_id = left(api, type="O", src="101", dst="203", user_id=bob, src_id=str(bob))
    message(tmp_path / "default/103/INBOX", callerid="101")
    imported(api, tmp_path)
    assert linked(api) == [live_id]
