"""What is served beside the API: health, metrics, the OpenAPI document and the page to browse it, shared calls."""

from ringback.metrics import Metrics
from ringback.pages import docs, health, openapi
from ringback.resources.history import shares
from ringback.rest.endpoint import Endpoint


def endpoints(metrics: Metrics) -> tuple[Endpoint, ...]:
    return (*health.endpoints(metrics), *openapi.endpoints(), *docs.endpoints(), *shares.PAGES)
