"""Ids of the channels that we have ordered: whose order it is stands in them, also for logs that are read later."""

import re

ORDERED = "ringback-"
"""Such ids are ours, and alike nowhere."""
CALLBACK = f"{ORDERED}callback-"
"""Of the first channels of callbacks, and so of those calls."""
_OWNER = re.compile(rf"{ORDERED}(?:callback-)?(\d{{1,18}})-\d", re.ASCII)


def channel(customer_id: int, now: int, live_id: int, *, is_callback: bool = False) -> str:
    """`now`: UTC seconds."""
    return f"{CALLBACK if is_callback else ORDERED}{customer_id}-{now}.{live_id}"


def owner(channel_id: str) -> int | None:
    """The customer whose order it was; None where nobody ordered it."""
    found = _OWNER.match(channel_id) if channel_id.startswith(ORDERED) else None
    return None if found is None else int(found[1])
