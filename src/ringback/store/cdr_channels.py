"""Which channels belong to calls that a PBX's channel events told of, so that its own call records of them bring nothing twice.

A hop is named after one channel (`cdrs.uniqueid`). A call has more: the halves of Local channels, whoever asked a colleague before a
transfer. These stand in `cdr_channels`, below the root, and go with it.
"""

from collections.abc import Iterable, Mapping, Sequence

from ringback.store.database import Db, value


def add(db: Db, customer_id: int, channels: Mapping[int, Iterable[str]]) -> None:
    """`channels`: by the id of the root's CDR. What is there already stays."""
    found = [(channel, cdr_id) for cdr_id, names in channels.items() for channel in names]
    sql = """
        INSERT INTO cdr_channels (customer_id, channel, cdr_id) VALUES (:customer, :channel, :cdr)
        ON CONFLICT (customer_id, channel) DO NOTHING
    """
    db.many(sql, [{"customer": customer_id, "channel": channel, "cdr": cdr_id} for channel, cdr_id in sorted(found)])


def forget(db: Db, customer_id: int, cdr_ids: Sequence[int]) -> None:
    sql = f"DELETE FROM cdr_channels WHERE customer_id = :customer AND {db.among('cdr_id', 'ids')}"
    db.run(sql, {"customer": customer_id, "ids": list(cdr_ids)})


def has_told(db: Db, customer_id: int, source: str) -> bool:
    """Whether a source has brought any call."""
    sql = "SELECT 1 FROM cdrs WHERE customer_id = :customer AND source_key >= :first AND source_key < :after LIMIT 1"
    return value(db, sql, {"customer": customer_id, "first": f"{source}:", "after": f"{source};"}) is not None


def told_by(db: Db, customer_id: int, source: str, channels: Sequence[str]) -> set[str]:
    """Those of the channels that are of calls which a source has brought."""
    named = f"""
        SELECT uniqueid FROM cdrs
        WHERE customer_id = :customer AND {db.among("uniqueid", "channels")} AND source_key LIKE :keys
    """
    others = f"""
        SELECT channel FROM cdr_channels
        WHERE customer_id = :customer AND {db.among("channel", "channels")} AND EXISTS (
            SELECT 1 FROM cdrs
            WHERE cdrs.customer_id = :customer AND cdrs.id = cdr_channels.cdr_id AND source_key LIKE :keys
        )
    """
    bound = {"customer": customer_id, "channels": channels, "keys": f"{source}:%"}
    return {row[0] for sql in (named, others) for row in db.all(sql, bound)}
