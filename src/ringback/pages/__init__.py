"""What is served beside the API: health, metrics, the OpenAPI document and the page to browse it."""

from ringback.pages import docs, health, openapi
from ringback.rest.endpoint import Endpoint
from ringback.rest.metrics import Metrics


def endpoints(metrics: Metrics) -> tuple[Endpoint, ...]:
    return (*health.endpoints(metrics), *openapi.endpoints(), *docs.endpoints())
