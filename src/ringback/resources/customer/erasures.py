"""Forgetting a person: who is asked to be forgotten goes from every record, and a certificate says what went."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from ringback.calls.persons import Person, person
from ringback.errors import Fault, Invalid
from ringback.jobs import erase
from ringback.record import ENUM, Id, Kind, Name, Object, Patch, Record, Wire, WireTime
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import item_of, listed, shown
from ringback.store import accounts, schema
from ringback.store.database import Db, first, fold
from ringback.store.listing import Listing

Asked = Annotated[str, Meta(min_length=1, max_length=255), Wire(Kind.TEXT)]


class Erasure(Record):
    """Never says who. `certificate`: rows that were `removed`, `redacted` and `held`, by table."""

    id: Id
    kind: Annotated[Literal["number", "email"], ENUM]
    state: Annotated[Literal["waiting", "running", "done", "held"], ENUM]
    created_at: WireTime
    finished_at: WireTime | None
    user_id: Id | None
    user_name: Name | None
    certificate: Object | None


class ErasurePatch(Patch):
    """`number` or `email`: one of the two."""

    LEAST = 1

    number: Asked | UnsetType = UNSET
    email: Asked | UnsetType = UNSET


ERASURES = Resource(Listing("erasures", Erasure, schema.erasures, newest="created_at"))


def _asked(call: Call) -> replies.Reply:
    someone = call.services.database.read(lambda db: _someone(db, call))
    mark = erase.fingerprint(call.services.database, someone)
    caller = call.caller

    def work(db: Db) -> replies.Reply:
        call.transaction = db
        erasure_id = erase.begin(
            db, call.customer_id, someone, mark, now=call.now, user_id=caller.user_id, user_name=caller.name
        )
        call.audit("create", Erasure.__name__, erasure_id, kind=someone.kind)
        return item_of(call, ERASURES, erasure_id, 202)

    return call.services.database.write(work)


def _someone(db: Db, call: Call) -> Person:
    """Whom the body names; Invalid for nobody, and for who belongs to the company."""
    given: dict[str, Any] = call.body(ErasurePatch).given()
    if len(given) != 1:
        raise Invalid(faults=[Fault(None, "Give a number or an email, one of them.")])
    ((kind, text),) = given.items()
    someone = person(kind, text, accounts.country_of(db, call.customer_id))  # type: ignore[arg-type]
    if someone is None:
        raise Invalid(faults=[Fault(kind, f"This is no {kind} of a person.")])
    _refuse_own(db, call.customer_id, someone)
    return someone


_OWN = {
    "number": (
        "SELECT 1 FROM ddis WHERE customer_id = :customer AND e164 = :value",
        "This is a number of the company: delete it from the numbers first.",
    ),
    "email": (
        "SELECT 1 FROM users WHERE customer_id = :customer AND email_folded = :value",
        "This is the address of a user: delete the user first.",
    ),
}


def _refuse_own(db: Db, customer_id: int, someone: Person) -> None:
    sql, sentence = _OWN[someone.kind]
    if first(db, sql, {"customer": customer_id, "value": fold(someone.value)}) is not None:
        raise Invalid(faults=[Fault(someone.kind, sentence)])


ENDPOINTS = (
    listed("/erasures", ERASURES, "Persons who were forgotten, newest first", roles=ADMINISTRATORS),
    Endpoint(
        "POST",
        "/erasures",
        "Forget a person everywhere, in the background",
        _asked,
        Shape.ITEM,
        202,
        answer=Erasure,
        body=ErasurePatch,
        roles=ADMINISTRATORS,
        work=Work.OWN,
        resource=ERASURES,
    ),
    shown("/erasures/{id}", ERASURES, "What of a person went: the certificate", roles=ADMINISTRATORS),
)
