"""What clients of the API also call and Ringback does not do: empty collections, and 404 for the rest."""

from ringback import query
from ringback.errors import NotFound
from ringback.record import Id, Name, Record, WireTime, attributes
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Shape

PDF = "application/pdf"


class Fax(Record):
    id: Id
    created_at: WireTime


class Transaction(Record):
    id: Id
    created_at: WireTime
    description: Name | None


def _none(call: Call) -> replies.Reply:
    """Empty, but what cannot be asked of any collection is refused here too."""
    query.parse(call.params, attributes(call.endpoint.answer))
    return replies.collection([], 0)


def _missing(_: Call) -> replies.Reply:
    raise NotFound("Ringback does not have this operation.")


def _no_record(_: Call) -> replies.Reply:
    raise NotFound


ENDPOINTS = (
    Endpoint("POST", "/leadcalls", "Dial and read out a text: not available", _missing, Shape.EMPTY, 404),
    Endpoint("POST", "/sms", "Send an SMS: not available", _missing, Shape.EMPTY, 404),
    Endpoint("GET", "/faxes", "Faxes: there are none", _none, Shape.COLLECTION, answer=Fax),
    Endpoint("GET", "/faxes/{id}.pdf", "A fax as PDF: there is none", _no_record, Shape.FILE, answer=PDF),
    Endpoint("GET", "/transactions", "Payments: there are none", _none, Shape.COLLECTION, answer=Transaction),
    Endpoint("GET", "/transactions/{id}.pdf", "A receipt as PDF: there is none", _no_record, Shape.FILE, answer=PDF),
)
