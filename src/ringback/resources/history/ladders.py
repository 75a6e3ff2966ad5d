"""Captured signalling as a ladder diagram: a picture, and a page with the messages to click on."""

from collections.abc import Mapping

from ringback.resources.history import ladder_page
from ringback.resources.history.ladder_page import HTML
from ringback.resources.history.traces import INCOMPLETE, Read, captured, reply
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape
from ringback.rest.replies import Reply
from ringback.sip import ladder_svg
from ringback.sip.diagnosis import diagnose
from ringback.sip.ladder import Ladder, ladder
from ringback.store.whole_calls import Capture

SVG = "image/svg+xml"
_PICTURE = {
    "Content-Security-Policy": f"default-src 'none'; style-src {ladder_page.digest(ladder_svg.STYLE)}",
    "Referrer-Policy": "no-referrer",
}


def drawn(path: str, resource: Resource, read: Read, summary: str) -> Endpoint:
    def handler(call: Call) -> Reply:
        found = captured(call, resource, read)
        drawing = ladder(found.packets)
        return reply(ladder_svg.svg(drawing, _title(drawing)).encode(), SVG, found, _PICTURE)

    return Endpoint("GET", path, summary, handler, Shape.FILE, answer=SVG, resource=resource)


def paged(path: str, resource: Resource, read: Read, summary: str) -> Endpoint:
    def handler(call: Call) -> Reply:
        return as_page(captured(call, resource, read), {})

    return Endpoint("GET", path, summary, handler, Shape.FILE, answer=HTML, resource=resource)


def as_page(found: Capture, files: Mapping[str, str]) -> Reply:
    """`files`: what can be downloaded beside it, by URL."""
    drawing = ladder(found.packets)
    note = "" if found.is_complete else f"{INCOMPLETE}."
    page = ladder_page.page(drawing, _title(drawing), files, note, diagnose(found.packets))
    return reply(page, HTML, found, ladder_page.headers())


def _title(drawing: Ladder) -> str:
    began_us = min((step.at_us for step in drawing.steps), default=drawing.until_us)
    return f"Call of {ladder_svg.time_text(began_us, '%Y-%m-%d %H:%M:%S')} UTC"
