"""What tests of retention share: records of some age, the rules, and running it now."""

import random
from typing import Any

from ringback import doctor
from ringback.jobs import retain
from ringback.store import rows, schema
from ringback.store.slices import day_of
from tests.api import Api
from tests.packets import packet, put

DAY = 86_400


def rules(api: Api, **limits: int) -> None:
    answer = api.admin.patch(f"/customers/{api.acme}", {"retention": limits})
    assert answer.status == 200, answer.body


def retained(api: Api, customer: int | None = None) -> dict[str, int]:
    """What went, by sort of rows."""
    services = api.services
    job = api.write(lambda db: retain.claim(db, customer or api.acme, services.clock()))
    return retain.thin(services, job, lambda _: None).gone


def days_ago(api: Api, days: float) -> int:
    return int(api.services.clock() - days * DAY)


def inserted(api: Api, table: str, **columns: Any) -> int:
    (row_id,) = api.write(lambda db: rows.insert(db, schema.metadata.tables[table], api.acme, [columns]))
    assert isinstance(row_id, int)
    return row_id


def recording(api: Api, days: float, size: int = 100, **columns: Any) -> int:
    (row_id,) = api.write(lambda db: db.new_ids("monitors", 1))
    key = f"{api.acme}/monitors/{row_id}.mp3"
    api.services.blobs.put(key, b"x" * size)
    at = {"timestamp": days_ago(api, days)}
    return inserted(api, "monitors", id=row_id, duration=1, size=size, blob_key=key, source_key=key, **at, **columns)


def session(api: Api, days: float, packets: int = 3, **columns: Any) -> tuple[int, int]:
    """A captured dialog: the media session and its MSDR."""
    at = days_ago(api, days)
    call_id = f"{random.random()}@pbx"
    common = {"call_id": call_id, "created_at": at, "duration": 1}
    ended = {"updated_at": at, "status": "ENDED", "slice_day": day_of(at)}
    mediasession = inserted(api, "mediasessions", **common, **ended)
    msdr = inserted(api, "msdrs", **common, media_session_id=mediasession, **columns)
    put(api, call_id, day_of(at), *(packet(at * 10**6 + n) for n in range(packets)))
    return mediasession, msdr


def ids(api: Api, table: str) -> list[int]:
    sql = f"SELECT id FROM {table} WHERE customer_id = :customer ORDER BY id"
    return [row[0] for row in api.services.database.read(lambda db: db.all(sql, {"customer": api.acme}))]


def right_totals(api: Api) -> bool:
    return all(each.level is doctor.Level.OK for each in doctor.of_counters(api.services))
