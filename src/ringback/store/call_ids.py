"""Which MSDRs are legs of which CDRs, where the PBX itself has said which Call-ID a channel has: certain, unlike `cdr_links`."""

from collections.abc import Mapping

from ringback.store import rows, schema
from ringback.store.database import Db


def tie(db: Db, customer_id: int, legs: Mapping[str, str]) -> set[str]:
    """`legs`: the CDR's source key by Call-ID. Returns the Call-IDs of which there is an MSDR."""
    bound = {"customer": customer_id, "names": sorted(legs), "keys": sorted(set(legs.values()))}
    msdrs = db.all(
        f"SELECT id, call_id, cdr_id, is_told FROM msdrs WHERE customer_id = :customer AND {db.among('call_id', 'names')}",
        bound,
    )
    if not msdrs:
        return set()
    sql = f"SELECT source_key, id FROM cdrs WHERE customer_id = :customer AND {db.among('source_key', 'keys')}"
    cdrs: dict[str, int] = dict(db.all(sql, bound))
    for msdr_id, call_id, *before in sorted(msdrs):
        cdr_id = cdrs.get(legs[call_id])
        if cdr_id is not None and before != [cdr_id, 1]:
            rows.update(db, schema.msdrs, customer_id, msdr_id, {"cdr_id": cdr_id, "is_told": 1})
    return {call_id for _, call_id, *_ in msdrs}
