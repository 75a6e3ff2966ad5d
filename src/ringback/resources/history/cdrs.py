"""CDRs: one row per hop of a call (reference page "History", model CDR)."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from ringback.record import (
    ENUM,
    Attribute,
    Column,
    Count,
    Flag,
    Id,
    Labels,
    Money,
    Name,
    Number,
    Object,
    Patch,
    Record,
    Text,
    WireTime,
    attributes,
    json_text,
)
from ringback.resources.history import csv
from ringback.resources.history.msdrs import Msdr
from ringback.rest import replies
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import dictionary, listed, shown
from ringback.rest.wipes import cleared
from ringback.store import cdrs as store
from ringback.store import rows, schema
from ringback.store.listing import Listing, Tally

Type = Annotated[Literal["O", "I", "M"], ENUM]
Disposition = Annotated[Literal["INITIAL", "RINGING", "CONNECTED", "ON_HOLD", "VM"], ENUM]
Destination = Annotated[Literal["in", "out", "webcall", "callmeback"], ENUM]


class Cdr(Record):
    """The attributes of the page's model in its order, then ours."""

    id: Id
    duration: Count
    live_id: Id
    parent_live_id: Id | None
    user_id: Id | None
    sip_endpoint_id: Id | None
    server_id: Id | None
    type: Type
    calldate: WireTime
    clid: Name | None
    src_id: Name | None
    src_name: Name | None
    src: Number | None
    src_ua: Name | None
    src_codec: Name | None
    dst_id: Name | None
    dst: Number | None
    dst_name: Name | None
    dst_ua: Name | None
    dst_codec: Name | None
    billsec: Count
    disposition: Disposition
    destination: Destination
    context: Name
    rate: Money | None
    charge: Money | None
    t_cause: Name | None
    info: Text | None
    call_id: Annotated[Id, Column("t.live_id")]
    is_root: Flag
    root_live_id: Id | None
    labels: Labels
    metadata: Text | None
    nb_notes: Count


class CdrPatch(Patch):
    """What `PATCH /cdrs` replaces. `metadata` is JSON text or an object."""

    labels: Labels | UnsetType | None = UNSET
    metadata: Object | Text | UnsetType | None = UNSET
    info: Text | UnsetType | None = UNSET


_LEGS = """
    t."id" IN (
        WITH found AS MATERIALIZED (
            SELECT m."cdr_id" FROM "msdrs" m
            WHERE m."customer_id" = :customer AND m."cdr_id" IS NOT NULL {whose} AND {condition}
        )
        SELECT "cdr_id" FROM found
        UNION SELECT hop."id" FROM "cdrs" hop WHERE hop."customer_id" = :customer AND hop."root_live_id" IN (
            SELECT leg."root_live_id" FROM "cdrs" leg
            WHERE +leg."customer_id" = :customer AND leg."id" IN (SELECT "cdr_id" FROM found)
        )
    )
"""

_PART = """
    AND EXISTS (
        SELECT 1 FROM "cdr_parties" own
        WHERE own."customer_id" = :customer AND own."cdr_id" = m."cdr_id" AND own."user_id" = :{user}
    )
"""


def _legs(whose: str = "") -> dict[str, Attribute]:
    """All CDRs of a call are found by its legs: an MSDR of one of them fulfils the condition. `whose`: of which ones."""
    within = _LEGS.format(whose=whose, condition="{}")
    return {
        f"msdr.{name}": replace(each, name=f"msdr.{name}", sql=f'm."{name}"', within=within)
        for name, each in attributes(Msdr).items()
    }


ALL = Listing("cdrs", Cdr, schema.cdrs, newest="calldate", searched=frozenset({"src", "dst"}), others=_legs())


def of_user(name: str, param: str) -> Listing:
    """The CDRs that a user (bound as `param`) has a part in: user_id, src_id or dst_id."""
    return Listing(
        name,
        Cdr,
        schema.cdrs,
        newest="calldate",
        source='"cdr_parties" p JOIN "cdrs" t ON t.id = p.cdr_id',
        where=f"p.user_id = :{param}",
        customer="p.customer_id",
        tally=Tally("cdr_parties", "user_id", param),
        sql={"calldate": "p.calldate", "id": "p.cdr_id"},
        searched=frozenset({"src", "dst"}),
        others=_legs(_PART.format(user=param)),
    )


CDRS = Resource(
    ALL,
    own=of_user("own cdrs", "me"),
    hidden_by={Policy.BILLING_DISABLED: frozenset({"rate", "charge"})},
)
OF_USER = of_user("user's cdrs", "parent")


def _patch_many(call: Call) -> replies.Reply:
    changes = call.bulk(CdrPatch)
    call.find_all(CDRS, [cdr_id for cdr_id, _ in changes])
    for cdr_id, patch in changes:
        rows.update(call.db, schema.cdrs, call.customer_id, cdr_id, _columns(patch))
    records = call.find_all(CDRS, [cdr_id for cdr_id, _ in changes])
    return replies.collection(records, len(records))


def _columns(patch: CdrPatch) -> dict[str, Any]:
    given = patch.given()
    if "labels" in given:
        given["labels"] = json_text(given["labels"] or [])
    if isinstance(given.get("metadata"), dict):
        given["metadata"] = json_text(given["metadata"])
    return given


NAMES = {
    "type": {"O": "Outbound", "I": "Inbound", "M": "Missed"},
    "disposition": {"VM": "Voicemail"},
    "destination": {"in": "Inbound", "out": "Outbound", "webcall": "Web call", "callmeback": "Call me back"},
}
ENDPOINTS = (
    listed("/cdrs", CDRS, "The customer's CDRs; a plain user's own"),
    Endpoint(
        "PATCH",
        "/cdrs",
        "Replace labels, metadata or info of CDRs",
        _patch_many,
        Shape.COLLECTION,
        answer=Cdr,
        body=CdrPatch,
        bulk=True,
        work=Work.WRITE,
        resource=CDRS,
    ),
    cleared("/cdrs", CDRS, store.delete, 204, "Delete the CDRs that the filter matches, or all"),
    csv.exported("/cdrs.csv", CDRS, "The customer's CDRs as CSV"),
    dictionary("/cdrs/dictionaries", Cdr, "The vocabularies of a CDR", NAMES),
    shown("/cdrs/{id}", CDRS, "One CDR"),
)
