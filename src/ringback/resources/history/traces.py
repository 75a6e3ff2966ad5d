"""Captured signalling as answers: the text trace and the pcap file, of one dialog or of a whole call."""

from collections.abc import Callable, Mapping

from ringback.errors import NotFound
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape
from ringback.rest.replies import Reply
from ringback.sip import capture, trace
from ringback.store.database import Db
from ringback.store.whole_calls import Capture

TEXT = "text/plain; charset=utf-8"
PCAP = "application/vnd.tcpdump.pcap"

Read = Callable[[Db, int, int], Capture]
"""The capture of a customer's record."""


INCOMPLETE = "Part of this call's signalling has been deleted"


def traced(path: str, resource: Resource, read: Read, summary: str) -> Endpoint:
    def handler(call: Call) -> Reply:
        return as_text(captured(call, resource, read))

    return Endpoint("GET", path, summary, handler, Shape.FILE, answer=TEXT, resource=resource)


def dumped(path: str, resource: Resource, read: Read, summary: str) -> Endpoint:
    name = path.strip("/").partition("/")[0].removesuffix("s")

    def handler(call: Call) -> Reply:
        return as_pcap(captured(call, resource, read), f"{name}-{call.path['id']}.pcap")

    return Endpoint("GET", path, summary, handler, Shape.FILE, answer=PCAP, resource=resource)


def captured(call: Call, resource: Resource, read: Read) -> Capture:
    """NotFound where nothing was captured, or all of it has been deleted since."""
    call.find(resource, call.path["id"])
    return stored(read(call.db, call.customer_id, call.path["id"]))


def stored(found: Capture) -> Capture:
    if not found.packets:
        raise NotFound("No signalling of this call is stored.")
    return found


def as_text(found: Capture) -> Reply:
    return reply("".join(trace.text(found.packets)).encode(), TEXT, found, {})


def as_pcap(found: Capture, name: str) -> Reply:
    body = b"".join(capture.write(found.packets))
    return reply(body, PCAP, found, {"Content-Disposition": f'attachment; filename="{name}"'})


def reply(body: bytes, media_type: str, found: Capture, headers: Mapping[str, str]) -> Reply:
    incomplete = {} if found.is_complete else {"X-Incomplete": INCOMPLETE.lower()}
    return Reply(200, body, media_type, {"Cache-Control": "private", **headers, **incomplete})
