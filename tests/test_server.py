"""The process: what leaves in one piece, what is refused, how it ends, and what a kill leaves behind."""

import asyncio
import contextlib
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvloop

from ringback.opening import open_services
from ringback.protocol import JoinedWrites
from ringback.settings import BASE_PATHS, Settings
from ringback.store import rows, schema
from ringback.store.database import Db, value
from tests.process import COMMAND, WAIT_S, Login, Process

PING = f"GET {BASE_PATHS[0]}/ping HTTP/1.1\r\nHost: x\r\n\r\n".encode()
HEAD_LIMIT = 64 * 1024

Starter = Callable[..., Process]


@pytest.fixture
def begin_held(begin: Starter, settings: Settings) -> Callable[..., Process]:
    """Starts the server of `tests/served.py`."""

    def start(patience_s: float = 10.0) -> Process:
        return begin(COMMAND[0], "-m", "tests.served", settings.data_dir, settings.database, str(patience_s))

    return start


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def memory_kb(process: Process) -> int:
    """The most memory that the process ever had resident."""
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


# -- answers ----------------------------------------------------------------------------------------------------------


def test_a_small_answer_arrives_in_one_read_300_times_of_300(begin: Starter) -> None:
    whole = 0
    with begin().connect() as connection:
        for _ in range(300):
            connection.sendall(PING)
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            whole += head.startswith(b"HTTP/1.1 200 OK") and body == b'{"data":{"response":"Pong"}}'
    assert whole == 300


def test_an_answer_to_a_peer_that_has_just_gone_is_no_fault() -> None:
    faults: list[object] = []

    async def answered() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, told: faults.append(told))
        ours, theirs = socket.socketpair()
        with theirs:
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            transport.abort()
            JoinedWrites(transport, loop).write(b"HTTP/1.1 200 OK")
            await asyncio.sleep(0.01)

    uvloop.run(answered())
    assert faults == []


def test_requests_sent_ahead_are_answered_in_order(begin: Starter) -> None:
    missing = PING.replace(b"/ping", b"/nothing")
    with begin().connect() as connection:
        connection.sendall(PING + missing + PING.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        answers = all_of(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"401", b"200"]


def test_the_answer_says_nothing_of_the_software_and_the_log_nothing_of_the_request(begin: Starter) -> None:
    process = begin()
    with process.client() as client:
        headers = client.get("/ping").headers
    assert process.end() == 0
    assert "server" not in headers
    assert "/ping" not in process.log.read_text()


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [500, 5_000, 200_000])
def test_a_head_of_more_than_64_kib_is_refused_however_it_is_cut_into_headers(begin: Starter, piece: int) -> None:
    lines = b"".join(b"X-%d: %s\r\n" % (n, b"a" * piece) for n in range(max(1, 300_000 // piece)))
    with begin().connect() as connection:
        connection.sendall(PING[:-2] + lines + b"\r\n")
        answer = all_of(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"access-control-allow-origin: *" in head
    assert body == b'{"message":"The request\'s head is too large: at most 64 KiB.","errors":[]}'


def test_a_head_that_never_ends_is_refused_and_does_not_fill_the_memory(begin: Starter) -> None:
    process = begin()
    before = memory_kb(process)
    with process.connect() as connection:
        connection.sendall(PING[:-2] + b"X-Long: ")
        with contextlib.suppress(OSError):
            for _ in range(5_000):
                connection.sendall(b"a" * 10_000)
        with contextlib.suppress(ConnectionResetError):
            assert all_of(connection).startswith(b"HTTP/1.1 431 ")
    assert memory_kb(process) - before < 20_000


def test_trailers_count_as_a_head(begin: Starter) -> None:
    chunked = PING.replace(b"GET", b"POST")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    with begin().connect() as connection:
        connection.sendall(chunked)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 50_000_000:
                sent += connection.send(b"X-T: " + b"a" * 10_000 + b"\r\n")
    assert sent < 20_000_000


def test_a_head_just_within_the_limit_and_a_large_body_pass(begin: Starter, acme: Login) -> None:
    filler = "a" * (HEAD_LIMIT - 1_000)
    with begin().client(acme.token) as client:
        assert client.get("/ping", headers={"X-Filler": filler}).status_code == 200
        assert client.post("/usergroups", content=b" " * 900_000 + b'{"name": "Sales"}').status_code == 201
        assert client.post("/usergroups", content=b" " * 11_000_000).status_code == 413


def test_a_body_that_no_route_takes_leaves_the_connection_usable(begin: Starter, acme: Login) -> None:
    with begin().client(acme.token) as client:
        assert client.post("/nowhere", content=b" " * 5_000_000).status_code == 404
        assert client.get("/ping").status_code == 200


def test_what_is_no_http_is_refused_in_the_shape_of_every_error(begin: Starter) -> None:
    with begin().connect() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n")
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"message":"This is no valid HTTP request.","errors":[]}')


@pytest.mark.parametrize("part", [b"", PING[:20], b"\r\n\r\n"])
def test_a_connection_whose_head_does_not_come_is_closed(begin_held: Callable[..., Process], part: bytes) -> None:
    with begin_held(patience_s=1.0).connect() as connection:
        began = time.monotonic()
        connection.sendall(part)
        assert all_of(connection) == b""
        assert 0.5 < time.monotonic() - began < 5


def test_a_second_head_on_the_connection_has_no_more_time_than_the_first(begin_held: Callable[..., Process]) -> None:
    with begin_held(patience_s=1.0).connect() as connection:
        connection.sendall(PING)
        assert b"Pong" in connection.recv(65_536)
        connection.sendall(PING[:20])
        assert all_of(connection) == b""


def test_a_head_that_trickles_in_is_cut_off_all_the_same(begin_held: Callable[..., Process]) -> None:
    with begin_held(patience_s=1.0).connect() as connection:
        connection.settimeout(0.2)
        closed = False
        for byte in PING[:-2] + b"X-Slow: " + b"a" * 40:
            with contextlib.suppress(TimeoutError):
                connection.send(bytes([byte]))
                closed = connection.recv(1) == b""
            if closed:
                break
    assert closed


def test_a_body_that_stops_coming_is_cut_off(begin_held: Callable[..., Process]) -> None:
    with begin_held(patience_s=1.0).connect() as connection:
        request = PING.replace(b"GET", b"POST").replace(b"/ping", b"/login")
        connection.sendall(request[:-2] + b"Content-Length: 10\r\n\r\n{")
        assert all_of(connection) == b""


# -- who calls --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "forwarded", "seen"),
    [
        ("", "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.0/8, 10.0.0.0/8", "203.0.113.9, 10.1.2.3", "203.0.113.9"),
    ],
)
def test_the_callers_address_is_what_trusted_proxies_say(
    begin: Starter, acme: Login, trusted: str, forwarded: str, seen: str
) -> None:
    process = begin(RINGBACK_TRUSTED_PROXIES=trusted)
    with process.client(acme.token) as client:
        client.post("/usergroups", json={"name": "Sales"}, headers={"X-Forwarded-For": forwarded})
        client.delete(
            f"/usergroups/{client.get('/usergroups').json()['data'][0]['id']}", headers={"X-Forwarded-For": forwarded}
        )
        entries = client.get("/auditlog").json()["data"]
    assert entries[0]["ip"] == seen


# -- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once_with_its_connections(begin: Starter, number: signal.Signals) -> None:
    process = begin()
    with process.connect() as connection:
        connection.sendall(PING)
        connection.recv(65_536)
        began = time.monotonic()
        assert process.end(number) == 0
        assert connection.recv(1) == b""
    assert time.monotonic() - began < 10


def test_an_endless_stream_ends_itself_and_whole_when_the_server_stops(begin_held: Callable[..., Process]) -> None:
    process = begin_held()
    with httpx.stream("GET", f"{process.url}/endless", timeout=WAIT_S) as answer:
        pieces = answer.iter_bytes()
        assert next(pieces).startswith(b"tick\n")
        process.popen.send_signal(signal.SIGTERM)
        assert b"".join(pieces).endswith(b"end\n")
    assert process.popen.wait(WAIT_S) == 0


def test_a_running_request_is_answered_before_the_server_ends(begin_held: Callable[..., Process]) -> None:
    process = begin_held()
    with process.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        with httpx.stream("GET", f"{process.url}/endless", timeout=WAIT_S) as proof:
            next(proof.iter_bytes())  # a later request is being answered, so the first one is running
        assert process.end() == 0
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'{"stopping":true}')


def test_a_token_used_just_before_the_end_keeps_its_time(begin: Starter, acme: Login, settings: Settings) -> None:
    process = begin()
    before = int(time.time())
    with process.client(acme.token) as client:
        assert client.get("/me").status_code == 200
    assert process.end() == 0
    services = open_services(settings)
    used = services.database.read(lambda db: value(db, "SELECT last_used_at FROM tokens WHERE name = 'test'"))
    services.database.close()
    assert used >= before


# -- kill -9 ----------------------------------------------------------------------------------------------------------


def test_nothing_acknowledged_is_lost_by_kill_9(begin: Starter, acme: Login) -> None:
    acknowledged: dict[str, int] = {}
    for round_ in range(4):
        process = begin()
        _create_until_killed(process, acme.token, acknowledged, round_)
    with begin().client(acme.token) as client:
        answer = client.get("/usergroups", params={"limit": 10_000}).json()
    there = {group["name"]: group["id"] for group in answer["data"]}
    assert len(acknowledged) >= 200
    assert acknowledged.items() <= there.items()
    assert answer["total"] == len(answer["data"]) == len(there)


def _create_until_killed(process: Process, token: str, acknowledged: dict[str, int], round_: int) -> None:
    """Four clients create groups until the process is killed in the middle of it, after 50 or more were acknowledged."""
    enough = threading.Event()
    goal = len(acknowledged) + 50

    def create(number: int) -> None:
        with contextlib.suppress(httpx.TransportError), process.client(token) as client:
            for n in range(10_000):
                name = f"group {round_}-{number}-{n}"
                answer = client.post("/usergroups", json={"name": name})
                assert answer.status_code == 201, answer.text
                acknowledged[name] = answer.json()["data"]["id"]
                if len(acknowledged) >= goal:
                    enough.set()

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(create, number) for number in range(4)]
        assert enough.wait(WAIT_S)
        process.end(signal.SIGKILL)
    for each in clients:
        each.result()


RECORDINGS = 1_500


def test_a_wipe_killed_after_its_202_finishes_after_the_restart(
    begin: Starter, acme: Login, settings: Settings
) -> None:
    store = _with_recordings(settings, acme)
    process = begin()
    with process.client(acme.token) as client:
        assert client.get("/monitors", params={"limit": 1}).json()["total"] == RECORDINGS
        assert client.delete("/monitors").status_code == 202
    process.end(signal.SIGKILL)

    with begin().client(acme.token) as client:
        _until(lambda: client.get("/monitors").json()["total"] == 0)
        _until(lambda: not any(path.is_file() for path in store.rglob("*.mp3")))
        assert client.get("/monitors").json() == {"data": [], "total": 0}


def _with_recordings(settings: Settings, acme: Login) -> Path:
    """Fills the store; returns the folder of the blobs."""
    services = open_services(settings)

    def work(db: Db) -> list[int]:
        row = {"user_id": acme.user_id, "duration": 1, "size": 3, "timestamp": 1_790_000_000}
        ids = db.new_ids("monitors", RECORDINGS)
        keys = [{"id": n, "blob_key": f"{acme.customer_id}/monitors/{n}.mp3", "source_key": str(n)} for n in ids]
        return rows.insert(db, schema.monitors, acme.customer_id, [{**row, **key} for key in keys])

    for n in services.database.write(work):
        services.blobs.put(f"{acme.customer_id}/monitors/{n}.mp3", b"mp3")
    services.database.close()
    return Path(settings.blobs_url())


def _until(reached: Callable[[], bool]) -> None:
    """Waits for what another process does; its claim on the job ends 15 seconds after the kill."""
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


# -- size and speed ---------------------------------------------------------------------------------------------------


def test_it_answers_within_two_seconds_and_idles_in_150_mb(begin: Starter) -> None:
    began = time.monotonic()
    process = begin()
    with process.client() as client:
        assert client.get("/ping").status_code == 200
    seconds = time.monotonic() - began
    assert memory_kb(process) < 150 * 1024
    assert seconds < 6, "2 s on a machine of its own; the tests share theirs"
