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

Read = Callable[[Db, int, int, int | None], Capture]
"""The capture of a customer's record, as far as a user may see it; None: all of it."""

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


def captured(call: Call, resource: Resource, read: Read, record_id: int | None = None) -> Capture:
    """What the caller sees of a record, the one in the path if none is given. NotFound where nothing was captured, or all of it
    has been deleted since."""
    record_id = call.path["id"] if record_id is None else record_id
    call.find(resource, record_id)
    sees_all = resource.seen_by(call.caller) is resource.listing
    found = read(call.db, call.caller.customer_id, record_id, None if sees_all else call.caller.user_id)
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
