"""Recordings that a connected Asterisk tells of, and the folder that they are in: fixtures `hurried`, `spool`.

The events of MixMonitor are as an Asterisk 22 told them; the call is that of `tests/connected.py`.
"""

from pathlib import Path
from typing import Any

import pytest

from ringback.connectors.asterisk import recordings as part
from ringback.connectors.asterisk import worker
from ringback.connectors.asterisk.connection import Connection
from tests.api import Api
from tests.connected import CALLER, TOLD, until

SPOOL = "/var/spool/asterisk/monitor"
TALK = 1 + next(n for n, text in enumerate(TOLD) if "Event: BridgeEnter" in text)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a file longer than a test has to."""
    for name, seconds in {
        "LOOK_S": 0.05,
        "STILL_S": 0.05,
        "UNTOLD_STILL_S": 0.1,
        "REMOVE_S": 0.05,
    }.items():
        monkeypatch.setattr(part, name, seconds)
    monkeypatch.setattr(worker, "TICK_S", 0.02)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "monitor").mkdir()
    return tmp_path / "monitor"


def begins(channel: str, name: str, data: str = "", spool: str = SPOOL) -> str:
    """What is told as MixMonitor begins. `name`: of the file, or empty."""
    value = f"{spool}/{name}" if name and not name.startswith("/") else name
    about = f"Channel: PJSIP/101-00000000\nUniqueid: {channel}\nLinkedid: {CALLER}\n"
    return (
        f"Event: Newexten\n{about}Extension: 901\nApplication: MixMonitor\nAppData: {data or name}\n\n"
        f"Event: VarSet\n{about}Variable: MIXMONITOR_FILENAME\nValue: {value}\n\n"
        f"Event: MixMonitorStart\n{about}\n"
    )


def told(first: int, last: int | None = None) -> str:
    return "".join(f"{text}\n\n" for text in TOLD[first:last] if text)


def call_recorded(recording: str) -> str:
    """The whole call; what is told of its recording comes as it is answered."""
    return told(0, TALK) + recording + told(TALK)


def monitors(api: Api, client: Any = None) -> Any:
    api.run_jobs()
    return (client or api.admin).listed("/monitors")


def the_monitor(api: Api) -> Any:
    (found,) = until(lambda: monitors(api))
    return found


def part_of(connection: Connection) -> part.Recordings:
    return next(each for each in connection.parts if isinstance(each, part.Recordings))
