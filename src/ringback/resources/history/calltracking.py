"""Call tracking: campaigns with numbers of their own, and the CDRs of the calls to those numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from ringback.calls.numbers import digits, normal
from ringback.errors import Fault, Invalid
from ringback.record import Column, Id, Name, Patch, Record, RequiredName, Texts, WireTime
from ringback.resources.history import cdrs
from ringback.rest.endpoint import Call, Resource
from ringback.rest.verbs import created, listed, patched, removed, shown
from ringback.store import accounts, rows, schema
from ringback.store.database import Db
from ringback.store.listing import Listing

_NUMBERS = """(SELECT coalesce('["' || string_agg(n.e164, '","') || '"]', '[]') FROM (
    SELECT e164 FROM ddis WHERE customer_id = t.customer_id AND campaign_id = t.id ORDER BY e164) n)"""
_OF_CAMPAIGN = "d.campaign_id IN (SELECT c.id FROM campaigns c WHERE c.customer_id = :customer)"
_TRACKED = f"t.dst IN (SELECT d.e164 FROM ddis d WHERE d.customer_id = :customer AND {_OF_CAMPAIGN})"


class Campaign(Record):
    id: Id
    name: Name
    numbers: Annotated[Texts, Column(_NUMBERS)]
    created_at: WireTime


class CampaignPatch(Patch):
    """`numbers`: the customer's, as E.164 or as dialled in the customer's country. One in another campaign moves."""

    name: RequiredName
    numbers: (
        Annotated[Texts, Meta(description="the customer's numbers; one in another campaign moves here")] | UnsetType
    ) = UNSET


CAMPAIGNS = Resource(Listing("campaigns", Campaign, schema.campaigns))
_OWN = cdrs.of_user("own calltracking cdrs", "me")
CDRS = Resource(
    replace(
        cdrs.ALL,
        name="calltracking cdrs",
        source='"ddis" d CROSS JOIN "cdrs" t',  # CROSS: SQLite goes from the few numbers to their calls
        customer="d.customer_id",
        where=f"t.customer_id = d.customer_id AND t.dst = d.e164 AND {_OF_CAMPAIGN}",
    ),
    own=replace(_OWN, where=f"{_OWN.where} AND {_TRACKED}", tally=None),
    hidden_by=cdrs.CDRS.hidden_by,
)


def _save(call: Call, campaign_id: int | None, given: Mapping[str, Any]) -> int:
    numbers = _numbers(call, given.get("numbers", []))
    columns = {name: each for name, each in given.items() if name != "numbers"}
    saved = rows.save(call.db, schema.campaigns, call.customer_id, campaign_id, columns, {"created_at": call.now})
    if "numbers" in given:
        _assign(call.db, call.customer_id, saved, numbers)
    return saved


def _numbers(call: Call, given: Sequence[str]) -> list[int]:
    """The ids of the numbers; Invalid, naming each that is none of the customer's."""
    country = accounts.country_of(call.db, call.customer_id)
    stored = call.db.all("SELECT e164, id FROM ddis WHERE customer_id = :customer", {"customer": call.customer_id})
    known: dict[str | None, int] = {row[0]: row[1] for row in stored}
    found = [known.get(normal(each)) or known.get(digits(each, country)) for each in given]
    faults = [Fault(f"numbers[{index}]") for index, ddi in enumerate(found) if ddi is None]
    if faults:
        raise Invalid(f"{Invalid.message}: numbers that are not yours; GET /ddis lists them", faults)
    return [ddi for ddi in found if ddi is not None]


def _assign(db: Db, customer_id: int, campaign_id: int, ddis: Sequence[int]) -> None:
    _release(db, customer_id, [campaign_id])
    sql = f"UPDATE ddis SET campaign_id = :campaign WHERE {rows.by_ids(db)}"
    db.run(sql, {"customer": customer_id, "campaign": campaign_id, "ids": list(ddis)})


def _release(db: Db, customer_id: int, campaigns: Sequence[int]) -> None:
    among = db.among("campaign_id", "ids")
    sql = f"UPDATE ddis SET campaign_id = NULL WHERE customer_id = :customer AND {among}"
    db.run(sql, {"customer": customer_id, "ids": list(campaigns)})


def _remove(db: Db, customer_id: int, ids: Sequence[int]) -> None:
    _release(db, customer_id, ids)
    rows.delete(db, schema.campaigns, customer_id, ids)


ENDPOINTS = (
    listed("/cdrs/calltracking", CDRS, "The CDRs of calls to numbers of a campaign; a plain user's own"),
    listed("/calltracking/cdrs", CDRS, "The same as /cdrs/calltracking"),
    listed("/calltracking/campaigns", CAMPAIGNS, "The call-tracking campaigns"),
    created("/calltracking/campaigns", CAMPAIGNS, CampaignPatch, _save, "Create a campaign"),
    shown("/calltracking/campaigns/{id}", CAMPAIGNS, "One campaign"),
    patched("/calltracking/campaigns/{id}", CAMPAIGNS, CampaignPatch, _save, "Change a campaign"),
    removed("/calltracking/campaigns/{id}", CAMPAIGNS, _remove, "Delete a campaign; its numbers stay"),
)
