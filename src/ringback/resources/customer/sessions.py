"""Logging in and out, and tokens (not in the reference pages; what clients rely on)."""

from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Shape, Work


def _ping(_: Call) -> replies.Reply:
    return replies.data({"data": {"response": "Pong"}})


ENDPOINTS = (Endpoint("GET", "/ping", "Is the server there?", _ping, Shape.PLAIN, open=True, work=Work.OWN),)
