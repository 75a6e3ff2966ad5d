"""Calls that a callback is made of."""

from ringback.calls.ordered import CALLBACK

DESTINATION = "callmeback"
"""Of their CDRs."""


def destination(linked_id: str | None) -> str | None:
    """What a call's CDRs have as destination where that is not told by its direction."""
    return DESTINATION if linked_id is not None and linked_id.startswith(CALLBACK) else None
