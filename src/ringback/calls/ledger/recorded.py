"""Which hop of a call a recording is of: it was made on one channel, from one moment to another."""

from collections.abc import Sequence

from ringback.calls.ledger.hops import Hop


def hop_of(hops: Sequence[Hop], channel: str, started_us: int, ended_us: int) -> Hop:
    """The one that talked longest while it was recorded, of those that the channel is a party of, or of all. Of two that did
    alike it is the earlier one. `hops` are those of one call, and not empty."""
    own = [hop for hop in hops if channel in hop.channels] or hops
    return max(own, key=lambda hop: (_talked_us(hop, started_us, ended_us), _lasted_us(hop, started_us, ended_us)))


def _talked_us(hop: Hop, started_us: int, ended_us: int) -> int:
    if hop.answered_us is None:
        return 0
    return _common_us(hop.answered_us, hop.answered_us + hop.talk_us, started_us, ended_us)


def _lasted_us(hop: Hop, started_us: int, ended_us: int) -> int:
    return _common_us(hop.started_us, hop.ended_us, started_us, ended_us)


def _common_us(one_from: int, one_until: int, other_from: int, other_until: int) -> int:
    return max(min(one_until, other_until) - max(one_from, other_from), 0)
