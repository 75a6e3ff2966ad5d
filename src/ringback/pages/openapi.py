"""`/openapi.json`: the document, made once for the settings of the process. Open to everybody: it says nothing of a customer."""

from functools import lru_cache

import msgspec

from ringback.resources import ENDPOINTS
from ringback.rest import openapi
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.rest.replies import JSON, Reply
from ringback.settings import Settings


@lru_cache(maxsize=4)
def _document(settings: Settings) -> bytes:
    return msgspec.json.encode(openapi.document(ENDPOINTS, settings))


def _shown(call: Call) -> Reply:
    return Reply(200, _document(call.services.settings), JSON, {"Cache-Control": "no-cache"})


def endpoints() -> tuple[Endpoint, ...]:
    return (Endpoint("GET", "/openapi.json", "This API as OpenAPI", _shown, Shape.PLAIN, open=True, work=Work.OWN),)
