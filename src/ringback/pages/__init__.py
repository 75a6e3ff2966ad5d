"""What is served beside the API: health, metrics, the OpenAPI document and the page to browse it, shared calls, the widget, operators."""

from ringback.metrics import Metrics
from ringback.pages import docs, health, openapi, operator, widget
from ringback.resources.callmeback import chat
from ringback.resources.callmeback import widget as callme
from ringback.resources.history import shares
from ringback.rest.endpoint import Endpoint


def endpoints(metrics: Metrics) -> tuple[Endpoint, ...]:
    beside = (*health.endpoints(metrics), *openapi.endpoints(), *docs.endpoints(), *shares.PAGES)
    widgets = callme.Widgets()
    chats = (*operator.endpoints(), *chat.endpoints(widgets))
    return (*beside, *widget.endpoints(), *callme.endpoints(metrics, widgets), *chats)
