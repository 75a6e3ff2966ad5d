"""Who the numbers of calls belong to: see `store/parties.py`."""

from ringback.store.parties import Parties, parties

__all__ = ["Parties", "parties"]
