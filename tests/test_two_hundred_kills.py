"""Imports and jobs, killed two hundred times at random points: what is stored is what an undisturbed run stores."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ringback import demo, doctor
from ringback.calls.persons import Person
from ringback.jobs import erase, exports, queue
from ringback.opening import open_services
from ringback.services import Services
from ringback.settings import Settings
from ringback.store import migrate
from tests.conftest import POSTGRES
from tests.importers.master_csv import inbound, line
from tests.process import login

KILLS = 200
CALLS = 12_000
BOB = "442079461111"
RATES = "prefix,destination,price,minimum,increment\n" + "".join(f"44{n},Zone {n},0.0{n},1,1\n" for n in range(10, 99))
RECORDINGS = 25


def company(folder: Path) -> dict[str, Path]:
    """What a PBX left behind, by the kind of its import."""
    calls = "".join(
        inbound(uniqueid=f"17953416{n // 3:05}.{n // 3}", src=BOB if n % 50 == 0 else f"4420795{n:05}")
        if n % 2
        else line(uniqueid=f"17963416{n:05}.{n}", dst=f"020{7_000_0000 + n}", billsec=str(n % 300))
        for n in range(CALLS)
    )
    master, rates, contacts = folder / "Master.csv", folder / "rates.csv", folder / "contacts.csv"
    users = folder / "users.csv"
    users.write_text("email,first_name,last_name,ext\nann@acme.example,Ann,Tester,101\n")
    master.write_text(calls)
    rates.write_text(RATES)
    contacts.write_text("first_name,tel\n" + "".join(f"Contact {n},4420796{n:05}\n" for n in range(3_000)))
    audio = folder / "recordings"
    audio.mkdir()
    spoken = sorted((Path(demo.__file__).parent / "data" / "recordings").glob("*.wav"))[0].read_bytes()
    for n in range(RECORDINGS):
        (audio / f"17963416{2 * n:05}.{2 * n}.wav").write_bytes(spoken + bytes(2 * n))
    return {"users": users, "rates": rates, "contacts": contacts, "asterisk-cdr": master, "recordings": audio}


@dataclass
class Site:
    settings: Settings
    customer_id: int
    user_id: int

    @contextmanager
    def services(self) -> Iterator[Services]:
        services = open_services(self.settings)
        try:
            yield services
        finally:
            services.database.close()

    def ask_for_jobs(self) -> None:
        """An export, an erasure, a wipe of the missed calls: what users ask for and nobody waits for."""
        with self.services() as services:
            someone = Person("number", BOB, "GB")
            mark = erase.fingerprint(services.database, someone)
            whose = {"user_id": self.user_id, "user_name": "Admin"}
            wipe = {"collection": "/cdrs", "filter": MISSED, "up_to": 10**9}

            def ask(db: Any) -> None:
                erase.begin(db, self.customer_id, someone, mark, now=1, **whose)  # type: ignore[arg-type]
                queue.enqueue(db, self.customer_id, "wipe", wipe, now=2)
                wanted = {**whose, "resource": "cdrs", "format": "ndjson", "filter": None, "sort": None, "rights": "[]"}
                exports.add(db, self.customer_id, wanted, 3)

            services.database.write(ask)

    def content(self) -> dict[str, Any]:
        """What is stored, without the ids, which a killed run uses up."""
        with self.services() as services:
            found: dict[str, Any] = {
                name: sorted(map(str, services.database.read(lambda db, sql=sql: db.all(sql))))  # type: ignore[misc]
                for name, sql in CONTENT.items()
            }
            found["wrong counters"] = [each for each in doctor.of_counters(services) if each.level != "ok"]
            found["blobs"] = sorted(stored.size for stored in services.blobs.list(f"{self.customer_id}/monitors"))
            return found


MISSED = json.dumps([{"property": "type", "operator": "eq", "value": "M"}])
CONTENT = {
    "cdrs": """
        SELECT c.calldate, c.src, c.dst, c.type, c.charge, c.uniqueid, c.source_key, r.source_key FROM cdrs c
        LEFT JOIN cdrs r ON r.customer_id = c.customer_id AND r.live_id = c.root_live_id
    """,
    "contacts": "SELECT first_name, tel, source_key FROM contacts",
    "rates": "SELECT prefix, destination, price_micro FROM rates",
    "statements": "SELECT description, amount FROM statements",
    "balance": "SELECT balance FROM customers",
    "monitors": "SELECT uniqueid, duration, size, source_key, cdr_id IS NULL FROM monitors",
    "jobs": "SELECT kind, state FROM jobs WHERE kind <> 'drop_blobs'",
    "exports": "SELECT state, rows FROM exports",
    "erasures": "SELECT state, kind FROM erasures",
    "parties": "SELECT count(*) FROM cdr_parties",
}


class Killer:
    """Has work done by children that it kills while it may; counts the kills."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        root = Path(__file__).parent.parent
        command = [sys.executable, "-m", "tests.killing", site.settings.database, site.settings.data_dir]
        self._process = subprocess.Popen(
            [*command, str(site.customer_id)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )
        self._chance = chance
        self.kills = 0

    def __enter__(self) -> "Killer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def until_done(self, words: str, kills: int, patience_s: float) -> None:
        """Killed up to so many times, then left to finish."""
        for _ in range(kills):
            if self._once(words, self._chance.uniform(0.01, patience_s)) == 0:
                return
            self.kills += 1
        assert self._once(words, None) == 0

    def _once(self, words: str, after_s: float | None) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        if after_s is not None:
            time.sleep(after_s)
            os.kill(child, signal.SIGKILL)  # its status is not read yet, so no other process has its number
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in (0, signal.SIGKILL), f"{words} failed"
        return status


@pytest.fixture
def sites(settings: Settings, tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """Two servers' worth of nothing: the second one is killed."""
    folders = [tmp_path / "calm", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
    if POSTGRES:
        from tests import postgres

        with postgres.copy_of(postgres.template()) as other:
            yield _site(settings, settings.database, folders[0]), _site(settings, other, folders[1])
        return
    copied = str(folders[1] / "ringback.db")
    shutil.copy(settings.database, copied)
    yield _site(settings, settings.database, folders[0]), _site(settings, copied, folders[1])


def _site(settings: Settings, database: str, folder: Path) -> Site:
    migrate.check(database)
    own = replace(settings, database=database, data_dir=str(folder))
    made = login(own)
    return Site(own, made.customer_id, made.user_id)


def test_two_hundred_kills_leave_what_no_kill_leaves(sites: tuple[Site, Site], tmp_path: Path) -> None:
    calm, site = sites
    files = company(tmp_path)
    chance = random.Random(2026)
    with Killer(calm, chance) as killer:
        for kind, path in files.items():
            killer.until_done(f"import {kind} {path}", 0, 0)
        calm.ask_for_jobs()
        killer.until_done("jobs", 0, 0)
    with Killer(site, chance) as killer:
        shares = {
            "users": (3, 0.1),
            "rates": (10, 0.1),
            "contacts": (30, 0.3),
            "asterisk-cdr": (80, 0.4),
            "recordings": (30, 0.9),
        }
        for kind, path in files.items():
            killer.until_done(f"import {kind} {path}", *shares[kind])
        site.ask_for_jobs()
        killer.until_done("jobs", 60, 0.4)
        while killer.kills < KILLS:  # over what is known already
            killer.until_done(f"import asterisk-cdr {files['asterisk-cdr']}", KILLS - killer.kills, 0.2)
        killer.until_done(f"import recordings {files['recordings']}", 0, 0)
        killer.until_done("jobs", 0, 0)
        assert killer.kills >= KILLS
    stored = calm.content()
    assert len(stored["cdrs"]) > CALLS // 3
    assert (len(stored["contacts"]), len(stored["monitors"]), stored["jobs"]) == (3_000, RECORDINGS, [])
    assert stored["statements"]
    assert site.content() == stored
