"""Test mode of a widget (`data-test`): a callback takes its course by the clock; nothing is stored, nobody is called.

Its token says when it began, and is signed.
"""

import secrets
from collections.abc import Callable
from hmac import compare_digest
from typing import Any

from ringback.callback import course
from ringback.rest import replies
from ringback.rest.endpoint import Call
from ringback.store.callback_requests import Widget

_PREFIX = "test."
Sign = Callable[..., str]
"""(call, words…): for the server that answers the call."""


def is_one(token: str) -> bool:
    return token.startswith(_PREFIX)


def begun(sign: Sign, call: Call, widget: Widget) -> replies.Reply:
    said = f"{_PREFIX}{call.now}.{secrets.token_hex(4)}"
    return replies.data({"request": f"{said}.{sign(call, widget.key, said)}", "state": "REQUESTED"}, 201)


def state(sign: Sign, call: Call, widget: Widget) -> replies.Reply:
    said, _, signature = call.path["token"].rpartition(".")
    if not compare_digest(signature.encode(), sign(call, widget.key, said).encode()):
        return replies.data({"error": "unknown"}, 404)
    began_at = int(said.split(".")[1])
    dial_first: Any = widget.dial_first
    found, side = course.rehearsed(call.now - began_at, dial_first)
    return replies.data({"state": found, "side": side, "reason": None, "since": began_at})
