"""Uploads to a real server: flat memory, refusals before the body, and nothing lost or doubled when it is killed."""

import json
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ringback.identity import tokens
from ringback.services import Services
from ringback.settings import BASE_PATHS, Settings
from tests.media.sounds import tone
from tests.process import Login, Process

MIB = 1 << 20
WAV = {"Content-Type": "audio/wav"}


@pytest.fixture
def token(services: Services, acme: Login) -> str:
    return services.database.write(
        lambda db: tokens.add(
            db, acme.customer_id, acme.user_id, kind=tokens.INGEST, expiry_s=None, now=services.clock(), name="pbx"
        )
    )[0]


def most_memory(server: Process) -> int:
    """The most bytes that it ever held in memory."""
    lines = Path(f"/proc/{server.popen.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def test_large_files_take_no_memory(begin: Callable[[], Process], settings: Settings, token: str) -> None:
    server = begin()
    header = tone(Path(settings.data_dir) / "short.wav", seconds=0.01).read_bytes()[:44]

    def hour() -> Iterator[bytes]:
        yield header
        for _ in range(200):
            yield bytes(MIB)

    with server.client(token) as client:
        assert client.put("/ingest/recordings/1.1", content=header + bytes(MIB), headers=WAV).status_code == 202
        before = most_memory(server)
        assert client.put("/ingest/recordings/1.2", content=hour(), headers=WAV).status_code == 202
        assert most_memory(server) - before < 24 * MIB
    assert server.end() == 0


def first_line(server: Process, head: str) -> str:
    """What is answered to a head whose body never comes."""
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        return connection.recv(1000).decode().partition("\r\n")[0]


def test_refusals_come_before_the_body(begin: Callable[[], Process], acme: Login, token: str) -> None:
    server = begin()
    head = f"PUT {BASE_PATHS[0]}/ingest/recordings/1.1 HTTP/1.1\nHost: x\nContent-Length: %d\n%s\n"
    wav = "Content-Type: audio/wav\n"
    assert " 401 " in first_line(server, head % (400 * MIB, wav))
    assert " 403 " in first_line(server, head % (400 * MIB, f"{wav}X-Auth-Token: {acme.token}\n"))
    assert " 415 " in first_line(server, head % (400 * MIB, f"Content-Type: text/plain\nX-Auth-Token: {token}\n"))
    assert " 413 " in first_line(server, head % (513 * MIB, f"{wav}X-Auth-Token: {token}\n"))
    assert server.end() == 0


def test_an_upload_that_ends_midway_is_none(begin: Callable[[], Process], services: Services, token: str) -> None:
    server = begin()
    with socket.create_connection(server.address, timeout=10) as connection:
        head = f"PUT {BASE_PATHS[0]}/ingest/recordings/1.1 HTTP/1.1\r\nHost: x\r\nContent-Length: {20 * MIB}\r\n"
        connection.sendall(f"{head}X-Auth-Token: {token}\r\n\r\n".encode() + bytes(3 * MIB))
    with server.client(token) as client:
        assert client.put("/ingest/recordings/1.2", content=b"x", headers=WAV).status_code == 202
    assert server.end() == 0
    found = services.database.read(lambda db: db.all("SELECT name FROM audio_inbox"))
    assert found == [("1.2",)]


N = 100


class Sender:
    """Sends each recording until it is acknowledged, to whichever server runs."""

    def __init__(self, sounds: list[bytes], token: str) -> None:
        self.url = ""
        self.acknowledged = 0
        self._sounds, self._token = sounds, token
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for number, sound in enumerate(self._sounds):
            while not self._sent(number, sound):
                time.sleep(0.02)
            self.acknowledged += 1

    def _sent(self, number: int, sound: bytes) -> bool:
        url = f"{self.url}{BASE_PATHS[0]}/ingest/recordings/1795322203.{number}"
        try:
            answer = httpx.put(url, content=sound, headers={**WAV, "X-Auth-Token": self._token}, timeout=30)
        except httpx.HTTPError:
            return False
        return answer.status_code == 202


def waiting(services: Services) -> int:
    found = services.database.read(lambda db: db.all("SELECT count(*) FROM audio_inbox WHERE state = 'waiting'"))
    return int(found[0][0])


def test_killed_at_random_every_acknowledged_recording_is_encoded_once(
    begin: Callable[[], Process], services: Services, acme: Login, token: str, tmp_path: Path
) -> None:
    chance = random.Random(20261122)
    sounds = [tone(tmp_path / "one.wav", hz=(300 + n,), seconds=0.3).read_bytes() for n in range(N)]
    sender = Sender(sounds, token)
    kills = 0
    while True:
        server = begin()
        sender.url = server.url
        if not kills:
            sender.thread.start()
        until = time.monotonic() + chance.uniform(0.1, 1.5)
        while time.monotonic() < until and (sender.acknowledged < N or waiting(services)):
            time.sleep(0.01)
        if kills >= 5 and sender.acknowledged == N and not waiting(services):
            break
        server.end(signal.SIGKILL)
        kills += 1
        assert kills < 100
    sender.thread.join()
    assert server.end() == 0
    assert_whole(services, acme.customer_id)


def assert_whole(services: Services, customer_id: int) -> None:
    """One row and one MP3 of each recording. What was never acknowledged is up to a job that takes it away."""
    rows = services.database.read(lambda db: db.all("SELECT uniqueid, blob_key, size FROM monitors ORDER BY id"))
    assert sorted(row[0] for row in rows) == sorted(f"1795322203.{n}" for n in range(N))
    stored = {blob.key: blob.size for blob in services.blobs.list()}
    mp3s = {key: size for key, size in stored.items() if key.startswith(f"{customer_id}/monitors/")}
    assert mp3s == {key: size for _, key, size in rows}
    jobs = services.database.read(lambda db: db.all("SELECT args FROM jobs WHERE kind = 'drop_blobs'"))
    ordered = {key for (args,) in jobs for key in json.loads(args)["keys"]}
    assert stored.keys() - mp3s.keys() <= ordered
