"""The audit log: who logged in, deleted or changed what. It only grows: no operation changes or deletes an entry."""

from ringback.record import Id, Name, Object, Record, WireTime
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Resource
from ringback.rest.verbs import listed
from ringback.store import schema
from ringback.store.listing import Listing


class AuditEntry(Record):
    id: Id
    created_at: WireTime
    action: Name
    user_id: Id | None
    user_name: Name | None
    object_class: Name | None
    object_id: Id | None
    ip: Name | None
    details: Object | None


AUDITLOG = Resource(Listing("auditlog", AuditEntry, schema.auditlog, newest="created_at"))

ENDPOINTS = (listed("/auditlog", AUDITLOG, "Logins, deletions and changes, newest first", roles=ADMINISTRATORS),)
