"""The CDRs that a user has a part in; a plain user asks for the own ones only."""

from ringback.errors import Forbidden
from ringback.resources.customer.users import USERS
from ringback.resources.history import csv
from ringback.resources.history.cdrs import CDRS, OF_USER, Cdr
from ringback.rest import replies
from ringback.rest.access import Policy
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.rest.verbs import list_of
from ringback.store.database import Db


def _list(call: Call) -> replies.Reply:
    return list_of(call, CDRS, OF_USER, parent=_user(call))


def _export(call: Call) -> replies.Reply:
    def check(db: Db) -> int:
        call.transaction = db
        return _user(call)

    user_id = call.services.database.read(check)
    # Not `closed_by`: an unknown user is not found, whatever the policy.
    if Policy.EXPORT_DISABLED in call.caller.policies:
        raise Forbidden
    return csv.stream(call, CDRS, OF_USER, parent=user_id)


def _user(call: Call) -> int:
    """The user whom the path names, if the caller may see that user's calls."""
    user_id: int = call.path["id"]
    call.find(USERS, user_id)
    if not call.caller.is_administrator and user_id != call.caller.user_id:
        raise Forbidden
    return user_id


ENDPOINTS = (
    Endpoint(
        "GET",
        "/users/{id}/cdrs",
        "The CDRs that a user has a part in",
        _list,
        Shape.COLLECTION,
        answer=Cdr,
        resource=CDRS,
    ),
    Endpoint(
        "GET",
        "/users/{id}/cdrs.csv",
        "The CDRs that a user has a part in, as CSV",
        _export,
        Shape.FILE,
        answer=csv.MEDIA_TYPE,
        work=Work.OWN,
        resource=CDRS,
    ),
)
