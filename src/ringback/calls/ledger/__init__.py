"""From what happens in a PBX to finished calls: `Ledger` folds events (`calls.events`), `hops` tells what a call was."""

from ringback.calls.ledger.fold import Bounds, Ledger
from ringback.calls.ledger.hops import Hop, Party, hops
from ringback.calls.ledger.state import Call

__all__ = ["Bounds", "Call", "Hop", "Ledger", "Party", "hops"]
