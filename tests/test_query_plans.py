"""How SQLite reads: a statement that names some rows reads these, not all that the customer has, nor everybody's."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from ringback.jobs import drop_blobs, queue
from ringback.jobs.kinds import MAILS
from ringback.query import parse
from ringback.resources.history import calltracking, cdrs, conversations, msdrs
from ringback.store import callbacks, cdr_channels, cdr_links, mailbox_calls, recordings, rows, schema
from ringback.store import cdrs as stored
from ringback.store.database import Db, Params, Row
from ringback.store.listing import Listing
from ringback.store.lists import Lists
from ringback.store.sqlite import SqliteDb
from tests.api import Api, filter_text
from tests.conftest import POSTGRES

CUSTOMER = 1
BOUND = {"customer": CUSTOMER, "me": 1, "parent": 1}
RECORDING = {"uniqueid": "1.1", "source_key": "s", "blob_key": "k", "timestamp": 1, "duration": 1, "size": 1}
MESSAGE = {"extension_id": 1, "caller": "1", "origtime": 1, "duration": 1, "size": 1, "folder": "INBOX", "is_new": 1}
MESSAGE |= {"blob_key": "k", "source_key": "s"}
CDR = {"id": 1, "calldate": 1_000_000_000}
_FEW = re.compile(r"callmeback_settings|campaigns")  # tables of which a customer has a handful of rows
_WALKS = re.compile(r"\(customer_id=\?\)$|^SCAN (?!json_each|cdr_numbers|CONSTANT|page|found)")


def is_walk(step: str, sql: str) -> bool:
    """Whether the step reads many rows; that a row has no CDR says nothing, most have none."""
    if _WALKS.search(step):
        return _FEW.search(step) is None
    return "cdr_id=?" in step and "cdr_id IS NULL" in sql


class Explained(SqliteDb):
    """Notes the steps of each plan that go through a whole table, or through all rows of a customer."""

    def __init__(self, connection: Any, slices: Any) -> None:
        super().__init__(connection, slices)
        self.walks: list[tuple[str, str]] = []

    def all(self, sql: str, params: Params = {}) -> list[Row]:
        self._explain(sql, params)
        return super().all(sql, params)

    def run(self, sql: str, params: Params = {}) -> int:
        self._explain(sql, params)
        return super().run(sql, params)

    def _explain(self, sql: str, params: Params) -> None:
        steps = [row[3] for row in super().all(f"EXPLAIN QUERY PLAN {sql}", params)]
        self.walks += [(step, sql) for step in steps if is_walk(step, sql)]


def searched(listing: Listing) -> Callable[[Db], object]:
    query = parse([("filter", filter_text(("src", "like", "2079")))], listing.attributes())
    return lambda db: Lists().page(db, listing, BOUND, query)


def by_leg(listing: Listing) -> Callable[[Db], object]:
    query = parse([("filter", filter_text(("msdr.call_id", "eq", "one@pbx")))], listing.properties())
    return lambda db: Lists().page(db, listing, BOUND, query)


def counted(listing: Listing, attribute: str) -> Callable[[Db], object]:
    query = parse([("filter", filter_text((attribute, "eq", "x")))], listing.attributes())
    return lambda db: Lists().total(db, listing, BOUND, query.conditions)


WORK: dict[str, Callable[[Db], object]] = {
    "audio of deleted recordings": lambda db: drop_blobs.delete(db, schema.monitors, CUSTOMER, [1, 2]),
    "deleted CDRs": lambda db: stored.delete(db, CUSTOMER, [1, 2]),
    "deleted chat messages": lambda db: rows.delete(db, schema.chatmsgs, CUSTOMER, [1, 2]),
    "a changed recording": lambda db: rows.update(db, schema.monitors, CUSTOMER, 1, {"user_id": 2}),
    "visitors of a deleted widget": lambda db: callbacks.delete_settings(db, CUSTOMER, [1]),
    "MSDRs to be linked": lambda db: cdr_links.link(db, CUSTOMER, [1, 2]),
    "whether there are MSDRs of about that time": lambda db: cdr_links.link_near(db, CUSTOMER, [CDR]),
    "MSDRs of about that time": lambda db: cdr_links._Links(db, CUSTOMER).legs(cdr_links._cdr(CDR)),
    "recordings of calls that came in": lambda db: recordings.link(db, CUSTOMER, ["1.1", "1.2"]),
    "the call of a recording": lambda db: recordings.insert(db, CUSTOMER, RECORDING),
    "the only call between two numbers": lambda db: recordings.between(db, CUSTOMER, "101", "102", 1, 100),
    "the call of a voice message": lambda db: mailbox_calls.insert(db, CUSTOMER, MESSAGE),
    "voice messages of calls that came in": lambda db: mailbox_calls.link(
        db, CUSTOMER, [{"calldate": 1, "duration": 1, "disposition": "VM"}]
    ),
    "channels of calls that a PBX told of": lambda db: cdr_channels.told_by(
        db, CUSTOMER, "asterisk-cel", ["1.1", "1.2"]
    ),
    "whether a PBX told of calls": lambda db: cdr_channels.has_told(db, CUSTOMER, "asterisk-cel"),
    "CDRs by ids": lambda db: Lists().some(db, cdrs.ALL, BOUND, [1, 2]),
    "a user's CDRs by ids": lambda db: Lists().some(db, cdrs.OF_USER, BOUND, [1, 2]),
    "recordings of a call": lambda db: db.all(
        f"SELECT {conversations.CALL.listing.sql['monitor_id']} FROM cdrs t WHERE t.id = :me", BOUND
    ),
    "CDRs by a part of a number": searched(cdrs.ALL),
    "a user's CDRs by a part of a number": searched(cdrs.OF_USER),
    "CDRs by the Call-ID of a leg": by_leg(cdrs.ALL),
    "a user's CDRs by the Call-ID of a leg": by_leg(cdrs.OF_USER),
    "how many CDRs have an agent": counted(cdrs.ALL, "src_ua"),
    "how many MSDRs have an address": counted(msdrs.ALL, "src_ip"),
    "tracked CDRs by a part of a number": searched(calltracking.CDRS.listing),
}

if not POSTGRES:

    @pytest.mark.parametrize("name", WORK)
    def test_what_names_rows_reads_these(api: Api, name: str) -> None:
        def work(db: Any) -> list[tuple[str, str]]:
            explained = Explained(db.connection, db.slices)
            WORK[name](explained)
            return explained.walks

        assert api.write(work) == []

    @pytest.mark.parametrize(("kinds", "index"), [(None, "state_run_at"), (MAILS, "kind_state_run_at")])
    def test_the_next_job_is_the_first_of_an_index(api: Api, kinds: Any, index: str) -> None:
        """However long the backlog is, and whoever asks."""

        def work(db: Db) -> list[str]:
            asked = [queue._next(condition, kind) for condition, kind in queue._tried(kinds)]
            return [row[3] for sql in asked for row in db.all(f"EXPLAIN QUERY PLAN {sql}", {"now": 1, "kind": "x"})]

        steps = api.write(work)
        assert steps
        assert all(f"INDEX ix_jobs_{index} " in step for step in steps)
