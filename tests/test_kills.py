"""A real server that is killed again and again: no acknowledged CDR is lost or doubled, no export is offered half."""

import json
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from ringback.identity import tokens
from ringback.services import Services
from ringback.settings import BASE_PATHS
from ringback.store import cdrs
from tests.process import Login, Process
from tests.test_cdrs import call

LOTS, LINES = 80, 20
KILLS = 6


class Sender:
    """Sends lots of lines, each until it is acknowledged, to whichever server runs."""

    def __init__(self, token: str) -> None:
        self.url = ""
        self.acknowledged = 0
        headers = {"X-Auth-Token": token, "Content-Type": "application/x-ndjson"}
        self._client = httpx.Client(headers=headers, timeout=30)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for number in range(LOTS):
            while not self._sent(number):
                time.sleep(0.02)
            self.acknowledged += 1
        self._client.close()

    def _sent(self, lot: int) -> bool:
        """Hops of a call are in two lots that follow each other."""
        lines = [self._line(number) for number in range(lot * LINES, (lot + 1) * LINES)]
        try:
            answer = self._client.post(f"{self.url}{BASE_PATHS[0]}/ingest/cdrs", content=b"\n".join(lines))
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and not answer.json()["data"]["refused"]

    def _line(self, number: int) -> bytes:
        call_name = f"call {(number + LINES // 2) // LINES}"
        told = {"key": f"k{number}", "calldate": 1_700_000_000 + number, "src": "02079460000", "dst": "101"}
        return json.dumps({**told, "uniqueid": f"1.{number}", "linkedid": call_name}).encode()


def test_killed_at_random_every_acknowledged_line_is_stored_once_and_in_its_tree(
    begin: Callable[[], Process], services: Services, acme: Login
) -> None:
    whose, kind = (acme.customer_id, acme.user_id), tokens.INGEST
    token, _ = services.database.write(lambda db: tokens.add(db, *whose, kind=kind, expiry_s=None, now=0, name="pbx"))
    sender, chance, kills = Sender(token), random.Random(7), 0
    while sender.acknowledged < LOTS:
        server = begin()
        sender.url = server.url
        if not kills:
            sender.thread.start()
        until = time.monotonic() + (chance.uniform(0.05, 0.4) if kills < KILLS else 60)
        while time.monotonic() < until and sender.acknowledged < LOTS:
            time.sleep(0.005)
        server.end(signal.SIGKILL)
        kills += 1
    sender.thread.join()
    sql = "SELECT source_key, linkedid, root_live_id, is_root FROM cdrs ORDER BY id"
    rows = services.database.read(lambda db: db.all(sql))
    assert sorted(row[0] for row in rows) == sorted(f"ingest:k{n}" for n in range(LOTS * LINES))
    trees: dict[str, set[int]] = {}
    for _, linkedid, root, _ in rows:
        trees.setdefault(linkedid, set()).add(root)
    assert {len(roots) for roots in trees.values()} == {1}
    assert sum(row[3] for row in rows) == len(trees)


def exported(client: httpx.Client, export_id: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/exports/{export_id}").json()["data"]
    return found


def test_an_export_survives_its_servers(begin: Callable[[], Process], services: Services, acme: Login) -> None:
    for _ in range(10):
        made = [call(1_700_000_000 + n, info="x" * 200) for n in range(2_000)]
        services.database.write(lambda db, made=made: cdrs.insert(db, acme.customer_id, made))  # type: ignore[misc]
    chance, export_id, seen = random.Random(11), 0, set()
    for _ in range(2):
        server = begin()
        with server.client(acme.token) as client:
            if not export_id:
                export_id = client.post("/exports", json={"resource": "cdrs", "format": "ndjson"}).json()["data"]["id"]
            time.sleep(chance.uniform(0.2, 0.7))
            export = exported(client, export_id)
            seen.add(export["state"])
            assert (export["state"] == "done") == (export["url"] is not None)
        server.end(signal.SIGKILL)
        services.database.write(lambda db: db.run("UPDATE jobs SET lease_until = 0", {}))
    server = begin()
    with server.client(acme.token) as client:
        while (export := exported(client, export_id))["state"] not in ("done", "failed"):
            time.sleep(0.05)
        file = client.get(export["url"].removeprefix(BASE_PATHS[0]), headers={"X-Auth-Token": ""}).content
    assert (export["state"], export["rows"], len(file)) == ("done", 20_000, export["size"])
    ids = [json.loads(line)["id"] for line in file.splitlines()]
    assert len(set(ids)) == 20_000
    assert server.end() == 0
