"""The catalogue of the API: one file a family, one line here. Routes, rights, OpenAPI and tests follow from the rows."""

from ringback.resources.callmeback import buttons, visitors
from ringback.resources.callmeback import settings as callmeback_settings
from ringback.resources.customer import (
    apitokens,
    auditlog,
    me,
    passwords,
    queuegroups,
    queues,
    sessions,
    two_factor,
    usergrouppolicies,
    usergroups,
    users,
)
from ringback.resources.history import cdrs, chatmsgs, chats, sms, statements
from ringback.rest.endpoint import Endpoint

FAMILIES = (
    # history
    chats,
    chatmsgs,
    sms,
    statements,
    cdrs,
    # customer
    sessions,
    apitokens,
    two_factor,
    passwords,
    auditlog,
    users,
    me,
    usergroups,
    usergrouppolicies,
    queues,
    queuegroups,
    # call me back
    callmeback_settings,
    buttons,
    visitors,
)

ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for family in FAMILIES for endpoint in family.ENDPOINTS)
