"""Calls through a real Asterisk and a real Kamailio, both sending HEP to a running server: run by `tools/checks/signalling`
within the lab. What the API says of each call is what its phones saw, and tshark has nothing against the capture files."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tshark_reader
from tests import dpkt_reader, lab_calls
from tests.api import Answer, filter_text
from tests.dpkt_reader import Read
from tests.process import COMMAND, ROOT, Process, login
from tests.test_pcap_round_trip import CALLS, ENDS, call

from ringback.settings import Settings
from ringback.sip import capture
from ringback.store import migrate

CALLED = Path(os.environ["RINGBACK_LAB_CALLS"])
COLLECTOR = "192.0.2.5:9060"
NAMES = lab_calls.names()
VISIBLE_S = 5.0


class Live:
    """The API of the running server."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **params: Any) -> Answer:
        answer = self._client.get(path, params=params)
        return Answer(answer.status_code, dict(answer.headers), answer.content)

    def listed(self, path: str, *conditions: tuple[str, str, Any], **params: Any) -> list[Any]:
        rows: list[Any] = self.get(path, **({"filter": filter_text(*conditions)} if conditions else {}), **params).data
        return rows


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A fresh server, after all calls have been placed."""
    folder = tmp_path_factory.mktemp("server")
    settings = Settings(data_dir=str(folder), database=str(folder / "ringback.db"))
    migrate.upgrade(settings.database)
    acme = login(settings)
    sources = f"customer={acme.customer_id} key={lab_calls.KEY}"
    command = (*COMMAND, "serve", "--port", "0")
    server = Process(command, settings, RINGBACK_HEP_LISTEN=COLLECTOR, RINGBACK_HEP_SOURCES=sources)
    try:
        subprocess.run(
            [sys.executable, ROOT / "tools/lab/place_calls.py", "--into", CALLED, "--logs", CALLED / "logs"], check=True
        )
        with server.client(acme.token) as client:
            yield Live(client)
        assert server.end() == 0
    finally:
        server.popen.kill()
        server.popen.wait()


def seen(name: str) -> Any:
    """What the phones saw of this call."""
    return json.loads((CALLED / f"{name}.json").read_text())


def test_every_leg_has_an_msdr_with_its_parties_its_times_and_its_cause(live: Live) -> None:
    legs = [leg for name in NAMES for leg in seen(name)["legs"]]
    give_up = time.monotonic() + VISIBLE_S
    while len(live.listed("/msdrs", limit=200)) < len(legs) and time.monotonic() < give_up:
        time.sleep(0.2)
    for leg in legs:
        lab_calls.check_leg(live, leg)
    assert {each["call_id"] for each in live.listed("/msdrs", limit=200)} == {each["call_id"] for each in legs}


@pytest.mark.parametrize("name", NAMES)
def test_the_trace_of_a_leg_has_its_messages_in_the_order_of_the_phones(live: Live, name: str) -> None:
    told = seen(name)
    for leg in told["legs"]:
        lab_calls.check_trace(live, leg, [leg["call_id"]], told["messages"])


@pytest.mark.parametrize("name", [name for name in NAMES if len(lab_calls.expected(name)["legs"]) > 1])
def test_from_any_leg_the_trace_has_the_whole_call(live: Live, name: str) -> None:
    told = seen(name)
    for leg in told["legs"]:
        lab_calls.check_trace(live, leg, [each["call_id"] for each in told["legs"]], told["messages"])


def test_no_trace_has_messages_of_another_call(live: Live) -> None:
    messages = [(name, each) for name in NAMES for each in seen(name)["messages"]]
    for name in NAMES:
        for leg in seen(name)["legs"]:
            lab_calls.check_alone(live, leg, name, messages)


@pytest.mark.parametrize("name", NAMES)
def test_dpkt_and_tshark_read_the_capture_file_alike(live: Live, name: str, tmp_path: Path) -> None:
    told = seen(name)
    for number, leg in enumerate(told["legs"]):
        body = lab_calls.check_pcap(live, leg, told["messages"])
        file = tmp_path / f"{number}.pcap"
        file.write_bytes(body)
        assert Counter(tshark_reader.messages(file)) == Counter(dpkt_reader.messages(body))
        assert tshark_reader.complaints(file) == ""


@pytest.mark.parametrize("one", CALLS, ids=lambda one: "-".join(map(str, one)))
def test_tshark_reads_what_was_written(one: tuple[str, str, int], tmp_path: Path) -> None:
    packets = call(*one)
    file = tmp_path / "call.pcap"
    file.write_bytes(b"".join(capture.write(packets)))
    assert tshark_reader.messages(file) == [Read(*each[:5]) for each in packets]
    assert tshark_reader.complaints(file) == ""


@pytest.mark.parametrize("port", [80, 8080, 8088])
@pytest.mark.parametrize("ballast", [0, 9_000, 60_000])
def test_tshark_sees_sip_at_ports_of_the_web(port: int, ballast: int, tmp_path: Path) -> None:
    """Where phones in browsers connect to, as an agent reports it that knows of TCP only."""
    web = {end: end._replace(port=port if end.port == 5061 else 50_000) for end in ENDS["IPv4"]}
    packets = [each._replace(src=web[each.src], dst=web[each.dst]) for each in call("TCP", "IPv4", ballast)]
    file = tmp_path / "call.pcap"
    file.write_bytes(b"".join(capture.write(packets)))
    assert tshark_reader.protocols(file).count("sip") == len(packets)
    assert tshark_reader.complaints(file) == ""
