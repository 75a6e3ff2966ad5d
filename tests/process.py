"""The server as its operator has it: a process of its own, told by signals and reached through a socket."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ringback import first_login
from ringback.identity import tokens
from ringback.opening import open_services
from ringback.settings import BASE_PATHS, Settings

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-c", "from ringback.cli import main; main()")
WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Login:
    customer_id: int
    user_id: int
    token: str


def login(settings: Settings) -> Login:
    """A customer with an administrator, and an API token that outlives every restart."""
    services = open_services(settings)
    named = {"customer": "Acme", "cc": "GB", "currency_iso": "GBP", "email": "admin@acme.example"}
    made = first_login.create(services, password="not needed here", **named)
    assert made is not None

    token, _ = services.database.write(
        lambda db: tokens.add(
            db, made.customer_id, made.user_id, kind=tokens.API, expiry_s=None, now=services.clock(), name="test"
        )
    )
    services.database.close()
    return Login(made.customer_id, made.user_id, token)


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What the process sees: nothing of ours but what is given here."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    ours = {"RINGBACK_DATA_DIR": settings.data_dir, "RINGBACK_DATABASE": settings.database}
    return {**clean, **ours, **more}


def ringback(settings: Settings, *arguments: str, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end. `text`: its standard input; `more`: environment variables."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=text,
        env=environment(settings, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Process:
    """A running server. Its log goes to a file, so that it never waits for a reader."""

    def __init__(self, command: Sequence[str], settings: Settings, **more: str) -> None:
        self.log = Path(settings.data_dir) / "server.log"
        self.out = Path(settings.data_dir) / "server.out"
        with self.log.open("w") as log, self.out.open("w") as out:
            self.popen = subprocess.Popen(
                command, cwd=ROOT, env=environment(settings, **more), stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )
        self.url = self._url()
        self.address = ("127.0.0.1", httpx.URL(self.url).port or 0)

    def _url(self) -> str:
        """The URL that it logs once it listens; the port is free again when the process ended instead."""
        while self.popen.poll() is None:
            for line in self.log.read_text().splitlines():
                if '"listening"' in line:
                    return str(json.loads(line)["url"]).removesuffix(BASE_PATHS[0])
            self._pause()
        raise AssertionError(self.log.read_text())

    def _pause(self) -> None:
        try:
            self.popen.wait(0.05)
        except subprocess.TimeoutExpired:
            return

    def client(self, token: str | None = None, **options: Any) -> httpx.Client:
        headers = {} if token is None else {"X-Auth-Token": token}
        return httpx.Client(base_url=self.url + BASE_PATHS[0], headers=headers, timeout=WAIT_S, **options)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=WAIT_S)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal and returns the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(WAIT_S)
