"""What schemathesis needs to know of this API: audio and lines of JSON are sent as they are."""

import json

import schemathesis


@schemathesis.serializer("audio/wav", "audio/mpeg")
def audio(_context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.serializer("application/x-ndjson")
def lines(_context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode() + b"\n"
