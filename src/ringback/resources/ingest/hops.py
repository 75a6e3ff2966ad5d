"""What a program tells of a call, and the CDR that it becomes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from ringback.calls import numbers
from ringback.errors import Fault
from ringback.record import (
    NO_NUL,
    Check,
    Count,
    Id,
    Kind,
    Labels,
    Money,
    Name,
    Number,
    Object,
    Patch,
    Text,
    Wire,
    json_text,
    money_value,
    time_value,
)
from ringback.resources.history.cdrs import Destination, Disposition, Type
from ringback.store.parties import Named, Parties, contact_of, user_of

LAST_S = 253_402_300_799  # the end of the year 9999
_ANSWERED = frozenset({"CONNECTED", "ON_HOLD"})
_NUMBERED = re.compile(r"\d+|contact:.*", re.S | re.A)


def _date_fault(text: str) -> str | None:
    return None if time_value(text) is not None else "This date does not exist."


Instant = Annotated[
    str,
    Meta(pattern=r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?$", description="UTC, YYYY-MM-DD HH:MM:SS"),
    Check(_date_fault),
    Wire(Kind.TIME),
]
Seconds = Annotated[int, Meta(ge=0, le=LAST_S, description="UTC seconds since 1970"), Wire(Kind.INT)]
SourceKey = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL), Wire(Kind.TEXT)]


class Hop(Patch):
    """One hop of a call. `key` is the program's name for it: what was stored under a key is not stored again."""

    key: SourceKey
    calldate: Instant | Seconds
    src: Number | None
    dst: Number | None
    duration: Count | UnsetType = UNSET
    billsec: Count | UnsetType = UNSET
    type: Type | UnsetType | None = UNSET
    disposition: Disposition | UnsetType | None = UNSET
    destination: Destination | UnsetType | None = UNSET
    context: Name | UnsetType | None = UNSET
    user_id: Id | UnsetType | None = UNSET
    ext: Name | UnsetType | None = UNSET
    uniqueid: Name | UnsetType | None = UNSET
    linkedid: Name | UnsetType | None = UNSET
    clid: Name | UnsetType | None = UNSET
    src_id: Name | UnsetType | None = UNSET
    src_name: Name | UnsetType | None = UNSET
    src_ua: Name | UnsetType | None = UNSET
    src_codec: Name | UnsetType | None = UNSET
    dst_id: Name | UnsetType | None = UNSET
    dst_name: Name | UnsetType | None = UNSET
    dst_ua: Name | UnsetType | None = UNSET
    dst_codec: Name | UnsetType | None = UNSET
    sip_endpoint_id: Id | UnsetType | None = UNSET
    server_id: Id | UnsetType | None = UNSET
    rate: Money | UnsetType | None = UNSET
    charge: Money | UnsetType | None = UNSET
    t_cause: Name | UnsetType | None = UNSET
    info: Text | UnsetType | None = UNSET
    labels: Labels | UnsetType | None = UNSET
    metadata: Object | Text | UnsetType | None = UNSET


_AS_TOLD = (
    *("uniqueid", "linkedid", "clid", "sip_endpoint_id", "server_id", "t_cause", "info"),
    *("src_id", "src_name", "src_ua", "src_codec"),
    *("dst_id", "dst_name", "dst_ua", "dst_codec"),
)


@dataclass(frozen=True, slots=True)
class Home:
    """What is known of the customer: where it dials, its users, contacts and queues, and which of those named exist."""

    country: str | None
    who: Parties
    named: Named


def faults(hop: Hop, home: Home) -> Iterator[Fault]:
    """What is wrong with a hop of this customer beyond its types."""
    if hop.ext and hop.ext not in home.who.extensions:
        yield Fault("ext", "No user has this extension.")
    if hop.user_id and hop.user_id not in home.named.users:
        yield Fault("user_id", "There is no such user.")
    for name in ("src_id", "dst_id"):
        if not is_known(getattr(hop, name) or None, home.named):
            yield Fault(name, "There is no such user or contact.")
    for name in ("rate", "charge"):
        amount = getattr(hop, name)
        if isinstance(amount, float | int) and money_value(amount) is None:
            yield Fault(name)


def is_known(party: str | None, named: Named) -> bool:
    """Whether a `src_id` or `dst_id` names nobody in particular, or a user or contact of the customer."""
    if party is None or party == "0" or not _NUMBERED.fullmatch(party):
        return True
    user, contact = user_of(party), contact_of(party)
    return user in named.users if contact is None else contact in named.contacts


def columns(hop: Hop, home: Home) -> dict[str, Any]:
    """The CDR of a hop without faults. What the program does not say follows from the numbers and the durations."""
    given = {name: value for name, value in hop.given().items() if value is not None}
    src, dst = _number(hop.src, home), _number(hop.dst, home)
    callers = home.who.extensions.get(src or ""), home.who.extensions.get(dst or "")
    user_id = given.get("user_id") or home.who.extensions.get(given.get("ext", ""))
    billsec = given.get("billsec", 0)
    disposition = given.get("disposition") or ("CONNECTED" if billsec else "RINGING")
    kind = given.get("type") or _kind(callers[0], disposition)
    src_user, dst_user = (callers[0] or user_id, callers[1]) if kind == "O" else (callers[0], callers[1] or user_id)
    inside = src_user is not None and dst_user is not None
    return {
        "calldate": time_value(hop.calldate) if isinstance(hop.calldate, str) else hop.calldate,
        "duration": given.get("duration", billsec),
        "billsec": billsec,
        "type": kind,
        "disposition": disposition,
        "destination": given.get("destination") or ("out" if kind == "O" else "in"),
        "context": given.get("context") or ("USER_LOCAL" if inside else "PSTN_CALL"),
        "user_id": user_id or (src_user if kind == "O" else dst_user),
        "src": src,
        "dst": dst,
        **_named("src", src, src_user, home),
        **_named("dst", dst, dst_user, home),
        **{name: given[name] for name in _AS_TOLD if name in given},
        **{name: money_value(given[name]) for name in ("rate", "charge") if name in given},
        **_json(given),
        "source_key": f"ingest:{hop.key}",
    }


def _number(text: str | None, home: Home) -> str | None:
    return None if text is None else numbers.digits(text, home.country) or numbers.normal(text) or None


def _kind(src_user: int | None, disposition: str) -> str:
    if src_user is not None:
        return "O"
    return "I" if disposition in _ANSWERED else "M"


def _named(side: str, number: str | None, user: int | None, home: Home) -> dict[str, Any]:
    """Who a number is: a user, a queue, a contact, or somebody outside where it is a number of the public network."""
    who = home.who
    nobody = "0" if side == "src" or numbers.digits(number or "", None) else None
    party, name = who.queues.get(number or "") or who.contacts.get(number or "") or (nobody, None)
    if user is not None:
        party, name = str(user), who.user_names.get(user)
    return {f"{side}_id": party, f"{side}_name": name}


def _json(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {"labels": json_text(given["labels"])} if "labels" in given else {}
    metadata = given.get("metadata")
    return found | (
        {} if metadata is None else {"metadata": json_text(metadata) if isinstance(metadata, dict) else metadata}
    )
