"""The catalogue of the API: one file a family, one line here. Routes, rights, OpenAPI and tests follow from the rows."""

from ringback.resources import absent, calls, events
from ringback.resources.callmeback import buttons, donotcall, installing, visitors
from ringback.resources.callmeback import settings as callmeback_settings
from ringback.resources.customer import (
    apitokens,
    audio,
    audioinbox,
    auditlog,
    contacts,
    customers,
    ddis,
    erasures,
    holds,
    me,
    passwords,
    queuegroups,
    queues,
    rates,
    sessions,
    two_factor,
    usergrouppolicies,
    usergroups,
    users,
)
from ringback.resources.history import (
    calltracking,
    cdr_traces,
    cdrs,
    chatmsgs,
    chats,
    conversations,
    exports,
    mediasessions,
    monitors,
    msdrs,
    notes,
    operating,
    registrations,
    shares,
    sms,
    statements,
    user_cdrs,
    voicemessages,
)
from ringback.resources.ingest import audio as ingested_audio
from ringback.resources.ingest import cdrs as ingested_cdrs
from ringback.rest.endpoint import Endpoint

FAMILIES = (
    # history
    conversations,
    calltracking,
    chats,
    chatmsgs,
    operating,
    sms,
    statements,
    cdrs,
    monitors,
    voicemessages,
    cdr_traces,
    shares,
    msdrs,
    mediasessions,
    registrations,
    notes,
    user_cdrs,
    exports,
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
    ddis,
    erasures,
    contacts,
    audio,
    audioinbox,
    customers,
    rates,
    holds,
    # call me back
    callmeback_settings,
    buttons,
    installing,
    donotcall,
    visitors,
    # what programs bring
    ingested_audio,
    ingested_cdrs,
    # beyond the three modules
    calls,
    events,
    absent,
)

ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for family in FAMILIES for endpoint in family.ENDPOINTS)
