"""Widgets that are open at the same time, on one `ringback serve`: its memory, and how long an answer takes.

`python -m benchmarks.widgets [WIDGETS [OPEN]]`: each widget is a connection of its own, from an address of its own (behind a proxy that says
so), that asks what it shows and opens; `OPEN` of them have a request, and ask once a second how it goes on. There is no PBX, so requests are kept.
"""

import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.machine import measured_on
from benchmarks.server import memory_kb, serving
from ringback import first_login
from ringback.identity import tokens
from ringback.opening import open_services
from ringback.settings import BASE_PATHS, Settings
from ringback.store import rows, schema

WIDGETS, OPEN = 1_000, 200
PER_SETTING = 100
LASTS_S = 30
PORT = 8972
AT_ONCE = 50
HOST, DDI = "shop.example", "442079460101"
RATE = {"prefix": "44", "destination": "UK", "price_micro": 20_000, "minimum_s": 0, "increment_s": 1}


@dataclass
class Result:
    """Kilobytes resident; milliseconds of each answer to who asks once a second."""

    fresh_kb: int = 0
    peak_kb: int = 0
    took_ms: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        half, most = statistics.median(self.took_ms), max(self.took_ms)
        many = statistics.quantiles(self.took_ms, n=100)[98]
        return (
            f"{self.fresh_kb / 1024:.0f} MB before, {self.peak_kb / 1024:.0f} MB at most; {len(self.took_ms):,} answers: "
            f"half within {half:.1f} ms, 99 of 100 within {many:.1f} ms, the last {most:.0f} ms"
        )


class Widget:
    """One in somebody's page."""

    def __init__(self, number: int, key: str, port: int) -> None:
        self.number, self.key, self._port = number, key, port
        self._address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    async def begin(self) -> dict[str, Any]:
        """It is drawn and opened; returns the work to be done before a request."""
        self._reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        await self.ask("GET", "")
        body = {"session": f"session-{self.number}", "page": f"https://{HOST}/bikes", "referer": ""}
        opened = await self.ask("POST", "/visitors", body)
        self._visitor = opened["visitor"]
        challenge: dict[str, Any] = opened["challenge"]
        return challenge

    async def request(self, challenge: dict[str, Any]) -> str:
        nonce = await asyncio.to_thread(_solution, challenge["salt"], challenge["bits"])
        body = {
            "visitor": self._visitor,
            "number": f"+447400{self.number:06}",
            "salt": challenge["salt"],
            "nonce": nonce,
        }
        token: str = (await self.ask("POST", "/requests", body))["request"]
        return token

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        sent = json.dumps(body).encode() if body else b""
        head = (
            f"{method} /callme/{self.key}{path} HTTP/1.1\r\nHost: bench\r\nOrigin: https://{HOST}\r\n"
            f"X-Forwarded-For: {self._address}\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
        )
        self.writer.write(head.encode() + sent)
        told = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        found = await self._reader.readexactly(int(told.split("content-length: ")[1].split("\r\n")[0]))
        assert told.split(" ", 2)[1] in ("200", "201"), (told, found)
        return json.loads(found)


def _solution(salt: str, bits: int) -> str:
    begun = sha256(f"{salt}:".encode())
    for nonce in itertools.count():
        tried = begun.copy()
        tried.update(str(nonce).encode())
        if not int.from_bytes(tried.digest()[:4], "big") >> (32 - bits):
            return str(nonce)
    raise AssertionError("never")


def filled(folder: Path) -> tuple[str, str]:
    """A database with a company that has a number, and a price for calls to its visitors; where it is, and a token."""
    given = Settings(data_dir=str(folder), database=str(folder / "ringback.db"))
    services = open_services(given)
    named = {"customer": "Acme", "cc": "GB", "currency_iso": "GBP", "email": "admin@acme.example"}
    made = first_login.create(services, password="not needed here", **named)
    assert made is not None

    def work(db: Any) -> str:
        number = {"e164": DDI, "destination": str(made.user_id)}
        rows.insert(db, schema.ddis, made.customer_id, [number])
        rows.insert(db, schema.rates, made.customer_id, [RATE])
        now, name = services.clock(), "bench"
        return tokens.add(db, made.customer_id, made.user_id, kind=tokens.API, expiry_s=None, now=now, name=name)[0]

    token = services.database.write(work)
    services.database.close()
    return given.database, token


def made_keys(port: int, token: str, settings: int) -> list[str]:
    url = f"http://127.0.0.1:{port}{BASE_PATHS[0]}/callmeback/settings"
    given = {"name": "Shop", "ddi_e164": DDI, "allowed_domains": [HOST], "allowed_countries": ["GB"]}
    headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
    keys = []
    for _ in range(settings):
        with urlopen(Request(url, json.dumps(given).encode(), headers)) as answer:
            keys.append(json.load(answer)["data"]["public_key"])
    return keys


async def visit(keys: list[str], port: int, widgets: int, requests: int, lasts_s: float, result: Result) -> None:
    every = [Widget(number, keys[number % len(keys)], port) for number in range(widgets)]
    room = asyncio.Semaphore(AT_ONCE)

    async def begin(widget: Widget) -> str | None:
        async with room:
            challenge = await widget.begin()
            return await widget.request(challenge) if widget.number < requests else None

    begun = await asyncio.gather(*map(begin, every))
    asking = [(widget, token) for widget, token in zip(every, begun, strict=True) if token]
    until = time.monotonic() + lasts_s
    await asyncio.gather(*(_follow(*each, until, n / len(asking), result) for n, each in enumerate(asking)))
    for each in every:
        each.writer.close()
        await each.writer.wait_closed()


async def _follow(widget: Widget, token: str, until: float, after_s: float, result: Result) -> None:
    await asyncio.sleep(after_s)
    while (began := time.monotonic()) < until:
        await widget.ask("GET", f"/requests/{token}")
        result.took_ms.append((time.monotonic() - began) * 1_000)
        await asyncio.sleep(max(0.0, began + 1 - time.monotonic()))


def measured(
    folder: Path, widgets: int = WIDGETS, requests: int = OPEN, port: int = PORT, lasts_s: float = LASTS_S
) -> Result:
    url, token = filled(folder)
    result = Result()
    with serving(url, folder, port, RINGBACK_TRUSTED_PROXIES="127.0.0.1") as process:
        keys = made_keys(port, token, -(-requests // PER_SETTING))
        result.fresh_kb = memory_kb(process, "VmRSS")
        asyncio.run(visit(keys, port, widgets, requests, lasts_s, result))
        result.peak_kb = memory_kb(process, "VmHWM")
    return result


if __name__ == "__main__":
    counts = [int(each) for each in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as name:
        print(measured(Path(name), *counts))
    print(measured_on())
