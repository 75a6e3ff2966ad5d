"""The catalogue of the API: one file a family, one line here. Routes, rights, OpenAPI and tests follow from the rows."""

from ringback.resources.customer import sessions, users
from ringback.resources.history import cdrs
from ringback.rest.endpoint import Endpoint

FAMILIES = (
    # history
    cdrs,
    # customer
    sessions,
    users,
)

ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for family in FAMILIES for endpoint in family.ENDPOINTS)
