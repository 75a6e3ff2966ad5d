"""kill -9 in the middle of collecting: what was committed stays, and sessions are what the packets tell."""

import json
import random
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from ringback.opening import open_services
from ringback.settings import Settings
from ringback.sip.dialogs import media_sessions
from ringback.sip.message import scan
from ringback.store import captures, signalling
from ringback.store.database import Database, Db
from tests.collecting import KEY, hep, until
from tests.process import COMMAND, environment, login
from tests.test_captures import START, talk

KILLS = 4


def test_a_collector_that_is_killed_leaves_sessions_right(settings: Settings) -> None:
    made = login(settings)
    given = {
        "RINGBACK_HEP_LISTEN": "tcp://127.0.0.1:0",
        "RINGBACK_HEP_SOURCES": f"customer={made.customer_id} key={KEY}",
    }
    for turn in range(KILLS):
        _collect_until_killed(settings, given, turn)
    services = open_services(settings)
    services.database.write(lambda db: signalling.heal(db, made.customer_id, {}))
    told, rows = services.database.read(lambda db: _sessions(db, made.customer_id))
    stored = _call_ids(services.database, made.customer_id)
    services.database.close()
    assert told == rows
    assert stored == rows.keys()
    assert rows


def _collect_until_killed(settings: Settings, given: dict[str, str], turn: int) -> None:
    log = Path(settings.data_dir) / "collect.log"
    command = (*COMMAND, "collect", "hep")
    with (
        log.open("w") as errors,
        subprocess.Popen(command, env=environment(settings, **given), stderr=errors) as process,
    ):
        try:
            until(lambda: '"collecting"' in log.read_text())
            _send(json.loads(log.read_text().splitlines()[0])["addresses"][0], turn)
        finally:
            process.kill()


def _send(address: str, turn: int) -> None:
    """For a moment that is another one each time."""
    host, port = address.removeprefix("tcp://").split(":")
    late_us = int((time.time() - START) * 1_000_000)  # of long ago the start would end what has not ended
    calls = (talk(f"{turn}-{n}@pbx") for n in range(200))
    frames = [hep(each._replace(at_us=each.at_us + late_us)) for packets in calls for each in packets]
    until_s = time.monotonic() + random.Random(turn).uniform(0.3, 0.9)
    with suppress(OSError), socket.create_connection((host, int(port))) as agent:
        for start in range(0, len(frames), 5):
            agent.sendall(b"".join(frames[start : start + 5]))
            time.sleep(0.004)
            if time.monotonic() > until_s:
                return


def _sessions(db: Db, customer_id: int) -> tuple[dict[str, tuple[str, int]], dict[str, tuple[str, int]]]:
    """As their packets tell them, and as they are stored: status and duration."""
    sql = "SELECT call_id, status, duration FROM mediasessions WHERE customer_id = :customer"
    rows = {name: (status, duration) for name, status, duration in db.all(sql, {"customer": customer_id})}
    told = {
        name: (session.status.value, session.duration_s or 0)
        for name, seen in captures.read_seen(db, customer_id, list(rows)).items()
        for session in media_sessions(captures.once(seen))
    }
    return told, rows


def _call_ids(database: Database, customer_id: int) -> set[str]:
    found: set[str] = set()
    for _, day, _ in database.slices.listed(customer_id):
        with database.slices.packets(customer_id, day, 1_000) as lots:
            found |= {scan(row.payload).call_id for lot in lots for row in lot}
    return found
