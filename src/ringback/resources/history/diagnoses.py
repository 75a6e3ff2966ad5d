"""What is wrong with a captured call, in words, with the messages that prove it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from ringback.record import ENUM, Count, Int, Name, Record, Text
from ringback.resources.history.traces import Read, captured, reply
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape
from ringback.rest.replies import Reply
from ringback.sip.diagnosis import diagnose
from ringback.sip.diagnosis.finding import Finding, Proof
from ringback.sip.message import decoded

_LONGEST = 200  # characters shown of a first line

Severity = Annotated[Literal["error", "warning", "notice"], ENUM]


class Message(Struct):
    """A message that proves a finding. `index`: which one of the text trace it is, from 1."""

    index: Count
    at_us: Int
    from_: Name = msgspec.field(name="from")
    to: Name
    line: Text
    """The first one; `RTCP` of a report."""


class Diagnosis(Record):
    """A finding. `code` is one of those in docs/diagnosis.md."""

    severity: Severity
    code: Name
    happened: Text
    look_at: Text
    messages: list[Message]


def diagnosed(path: str, resource: Resource, read: Read, summary: str) -> Endpoint:
    def handler(call: Call) -> Reply:
        found = captured(call, resource, read)
        records = [_record(each) for each in diagnose(found.packets)]
        answer = replies.collection(records, len(records))
        assert isinstance(answer.body, bytes)
        return reply(answer.body, replies.JSON, found, answer.headers)

    return Endpoint("GET", path, summary, handler, Shape.COLLECTION, answer=Diagnosis, parent=resource)


def _record(finding: Finding) -> Diagnosis:
    messages = [_message(each) for each in finding.proofs]
    return Diagnosis(finding.severity.value, finding.code, finding.says, finding.look, messages)


def _message(proof: Proof) -> Message:
    packet = proof.packet
    return Message(proof.place, packet.at_us, str(packet.src), str(packet.dst), _line(packet.payload))


def _line(payload: bytes) -> str:
    if payload.lstrip(b"\r\n")[:1].isalnum():
        return decoded(payload.lstrip(b"\r\n").split(b"\n", 1)[0][: 4 * _LONGEST]).strip()[:_LONGEST]
    return "RTCP"
