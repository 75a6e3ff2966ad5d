"""Captured signalling as a ladder diagram: a picture, and a page with the messages to click on."""

from collections.abc import Mapping, Sequence

from ringback.resources.history import ladder_page
from ringback.resources.history.ladder_page import HTML
from ringback.resources.history.traces import INCOMPLETE, Read, captured, reply
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape
from ringback.rest.replies import Reply
from ringback.sip.diagnosis import diagnose
from ringback.sip.dialogs import media_sessions
from ringback.sip.dialogs.session import DST, SRC
from ringback.sip.identities import callee, caller
from ringback.sip.ladder import Ladder, ladder
from ringback.sip.ladder import svg as ladder_svg
from ringback.sip.ladder.markup import one_line
from ringback.sip.message import scan
from ringback.sip.packet import Packet
from ringback.store.whole_calls import Capture

SVG = "image/svg+xml"
_LONGEST = 40  # characters of a number or name
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
    note = " ".join(filter(None, (_ending(found.packets), "" if found.is_complete else f"{INCOMPLETE}.")))
    page = ladder_page.page(drawing, _title(drawing), files, note, diagnose(found.packets))
    return reply(page, HTML, found, ladder_page.headers())


def _ending(packets: Sequence[Packet]) -> str:
    """How the call ended, or of several legs the first."""
    legs = sorted(media_sessions(packets), key=lambda each: each.created_at_us)
    if not legs or not legs[0].ended:
        return ""
    what = "The first leg" if len(legs) > 1 else "The call"
    how = {SRC: "was ended by the caller", DST: "was ended by the callee"}.get(legs[0].ended_by or "", "ended")
    return f"{what} {how}: {one_line(legs[0].t_cause or 'unknown')[:_LONGEST]}."


def _title(drawing: Ladder) -> str:
    began_us = min((step.at_us for step in drawing.steps), default=drawing.until_us)
    return f"Call of {ladder_svg.time_text(began_us, '%Y-%m-%d %H:%M:%S')} UTC{_parties(drawing)}"


def _parties(drawing: Ladder) -> str:
    """Who calls whom, as the first INVITE says."""
    first = next((step for step in drawing.steps if step.label.startswith("INVITE")), None)
    if first is None:
        return ""
    message = scan(first.packets[0].payload)
    names = (one_line(party or "unknown")[:_LONGEST] for party in (caller(message), callee(message)))
    return ": " + " to ".join(names)
