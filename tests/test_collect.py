"""Captured signalling, live: what agents send by HEP becomes media sessions, MSDRs and traces."""

import errno
import json
import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from ringback.collect import drops
from ringback.collect.addresses import bound
from ringback.collect.intake import Counts, Intake, Queue
from ringback.collect.listener import Listener, _Stream
from ringback.collect.metrics_port import MetricsPort
from ringback.collect.sources import Gate, sources
from ringback.errors import Unavailable, UsageError
from ringback.metrics import Metrics
from ringback.settings import Settings
from ringback.sip.packet import Endpoint, Packet
from ringback.store import captured_calls, signalling
from ringback.store.captures import Seen
from ringback.store.engines import open_database
from ringback.store.incoming import Incoming
from tests.api import Api
from tests.collecting import KEY, WAIT_S, collecting, connected, end_of, hep, send_tcp, send_udp, settled, until
from tests.packets import of_call, stored_in
from tests.process import COMMAND, Process, environment, login, ringback
from tests.sip.sip_flows import flow
from tests.test_captures import REPORT, START, cdr, stored, talk

REGISTER = """
    0.0   alice > bob    REGISTER      1
    0.1   bob   > alice  401/REGISTER  1
"""


def trace_of(api: Api) -> str:
    (msdr,) = api.admin.listed("/msdrs")
    return api.admin.get(f"/msdrs/{msdr['id']}.trace").body.decode()


@pytest.mark.parametrize(("listen", "send"), [("127.0.0.1:0", send_udp), ("[::1]:0", send_udp), ("[::1]:0", send_tcp)])
def test_a_call_that_an_agent_reports_is_in_the_history(api: Api, listen: str, send: Callable[..., None]) -> None:
    with collecting(api, listen=listen) as collector:
        send(collector, [hep(each) for each in talk()])
        settled(collector, 6)
        (msdr,) = api.admin.listed("/msdrs")
    assert (msdr["src"], msdr["dst"], msdr["duration"], msdr["t_cause"]) == ("101", "12025550123", 7, "Normal Clearing")
    assert msdr["user_id"] == api.admin.user_id  # extension 101
    assert all(each.payload.decode() in trace_of(api) for each in talk())
    assert api.stranger.listed("/msdrs") == []


def test_a_call_is_shown_while_it_lasts(api: Api) -> None:
    *before, bye, answer = [hep(each) for each in talk()]
    with collecting(api) as collector:
        send_udp(collector, before)
        settled(collector, 4)
        (session,) = api.admin.listed("/mediasessions")
        assert session["status"] == "CONNECTED"
        assert api.admin.listed("/msdrs") == []
        send_udp(collector, [bye, answer])
        settled(collector, 6)
        (session,) = api.admin.listed("/mediasessions")
    assert session["status"] == "ENDED"


def test_a_restart_within_a_call_loses_nothing(api: Api) -> None:
    packets = [hep(each) for each in talk()]
    for one in packets:
        with collecting(api) as collector:
            send_udp(collector, [one])
            until(lambda collector=collector: collector.counts.received["UDP"] == 1)  # type: ignore[misc]
    assert [each["duration"] for each in api.admin.listed("/msdrs")] == [7]


def test_the_same_packets_again_change_nothing(api: Api) -> None:
    packets = [hep(each) for each in talk()]
    with collecting(api) as collector:
        for n in (1, 2):
            send_tcp(collector, packets)
            settled(collector, 6 * n)
        assert (collector.counts.stored, collector.counts.known) == (6, 6)


def test_what_nobody_expected_of_one_packet_stops_no_other(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    read, odd = Incoming.sip, talk()[0]._replace(payload=b"OPTIONS sip:odd SIP/2.0\r\n\r\n")

    def startled(self: Incoming, seen: Seen, *more: Any) -> Any:
        if seen.packet.payload == odd.payload:
            raise KeyError("nobody thought of it")
        return read(self, seen, *more)

    monkeypatch.setattr(Incoming, "sip", startled)
    with collecting(api) as collector:
        send_tcp(collector, [hep(odd)])
        settled(collector, 1)
        send_tcp(collector, [hep(each) for each in talk()])
        settled(collector, 7)
        assert (collector.counts.failed, collector.counts.stored) == (1, 6)


def test_what_two_agents_saw_is_stored_for_each_and_shown_once(api: Api) -> None:
    proxy = talk()
    pbx = [each._replace(at_us=each.at_us + 1_300) for each in proxy]
    with collecting(api) as collector:
        send_tcp(collector, [hep(each, agent=1) for each in proxy] + [hep(each, agent=2) for each in pbx])
        settled(collector, 12)
        assert collector.counts.stored == 12
    assert trace_of(api).count("Call-ID: one@pbx") == 6


def test_a_file_of_a_call_that_two_agents_saw_counts_their_reports_once(api: Api) -> None:
    with collecting(api) as collector:
        for agent in (1, 2):
            seen = [*(hep(each, agent=agent) for each in talk()), hep(REPORT, agent=agent, kind=5)]
            send_tcp(collector, seen)
            settled(collector, 7 * agent)
    stored(api, talk())
    (msdr,) = api.admin.listed("/msdrs")
    assert msdr["quality"]["reports"] == 1


def test_a_retransmission_is_shown_as_often_as_it_was_sent(api: Api) -> None:
    invite, *others = talk()
    again = invite._replace(at_us=invite.at_us + 500_000)
    seen = [(each, agent) for agent in (1, 2) for each in (invite, again, *others)]
    with collecting(api) as collector:
        send_tcp(collector, [hep(each, agent=agent) for each, agent in seen])
        settled(collector, 14)
    assert trace_of(api).count("INVITE sip:") == 2


def test_reports_come_to_their_call_by_correlation_or_by_address(api: Api) -> None:
    behind_nat = REPORT._replace(src=Endpoint("198.51.100.7", 4000), dst=Endpoint("203.0.113.9", 5001))
    with collecting(api) as collector:
        send_tcp(collector, [hep(each) for each in talk()])
        settled(collector, 6)
        send_tcp(collector, [hep(behind_nat, kind=5, correlation="one@pbx"), hep(REPORT, kind=5)])
        settled(collector, 8)
    (msdr,) = api.admin.listed("/msdrs")
    assert msdr["quality"]["reports"] == 2


def test_json_reports_and_quality_reports_are_kept(api: Api) -> None:
    json_report = REPORT._replace(payload=b'{"ssrc":1,"report_blocks":[]}')
    body = b"VQSessionReport: CallTerm\r\nCallID: one@pbx\r\nMOSLQ=4.1\r\n"
    with collecting(api) as collector:
        send_tcp(collector, [hep(each) for each in talk()])
        send_tcp(collector, [hep(json_report, kind=5, correlation="one@pbx")])
        send_tcp(collector, [hep(REPORT._replace(payload=body), kind=99)])
        settled(collector, 8)
    text = trace_of(api)
    assert '{"ssrc":1' in text
    assert "MOSLQ=4.1" in text


def test_methods_can_be_left_out(api: Api) -> None:
    with collecting(api, hep_leave_out="register, OPTIONS") as collector:
        send_udp(collector, [hep(each) for each in [*flow(REGISTER, call_id="r@pbx"), *talk()]])
        settled(collector, 8)
        assert (collector.counts.left_out, collector.counts.stored) == (2, 6)


def test_registrations_are_kept_and_are_no_calls(api: Api) -> None:
    with collecting(api) as collector:
        send_udp(collector, [hep(each) for each in flow(REGISTER, call_id="r@pbx")])
        settled(collector, 2)
        assert collector.counts.stored == 2
    assert api.admin.listed("/mediasessions") == []


def test_a_phone_registers_for_years_under_one_call_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[captured_calls.Call] = []
    monkeypatch.setattr(signalling, "_reread", lambda _db, _customer, calls: read.extend(calls))
    with collecting(api) as collector:
        for n in range(3):
            again = [each._replace(at_us=each.at_us + n * 60_000_000) for each in flow(REGISTER, call_id="r@pbx")]
            send_udp(collector, [hep(each) for each in again])
            settled(collector, 2 * n + 2)
    assert read == []
    assert len(of_call(api, "r@pbx")) == 6


def test_a_call_without_end_is_stored_and_no_longer_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured_calls, "MOST_OF_A_CALL", 3)
    with collecting(api) as collector:
        for n, each in enumerate(talk(), 1):
            send_udp(collector, [hep(each)])
            settled(collector, n)
    assert len(of_call(api, "one@pbx")) == 6
    assert api.admin.listed("/mediasessions")[0]["status"] == "CONNECTED"


@pytest.mark.parametrize("cseq", [b"CSeq: one INVITE", b"X: 1"])
def test_an_invite_that_is_malformed_is_a_call_all_the_same(api: Api, cseq: bytes) -> None:
    """The phone that sends such is what somebody looks for."""
    invite = talk()[0]
    damaged = invite._replace(payload=invite.payload.replace(b"CSeq: 1 INVITE", cseq))
    refusal = b"SIP/2.0 400 Bad CSeq\r\nCall-ID: one@pbx\r\n" + cseq + b"\r\n\r\n"
    answer = Packet(invite.at_us + 1_000, "UDP", invite.dst, invite.src, refusal)
    cdr_id = cdr(api, uniqueid="one@pbx")
    with collecting(api) as collector:
        send_tcp(collector, map(hep, (damaged, answer)))
        settled(collector, 2)
    api.write(lambda db: signalling.close_lost(db, api.acme, START + signalling.UNANSWERED_S + 10, {}))
    assert trace_of(api).count(" malformed\n") == 2
    assert b"malformed" in api.admin.get(f"/cdrs/{cdr_id}.svg").body


def test_a_message_without_call_id_is_kept(api: Api) -> None:
    broken = talk()[0]._replace(payload=b"INVITE \0 nothing\r\n\r\n")
    with collecting(api) as collector:
        send_udp(collector, [hep(broken), hep(broken)])
        settled(collector, 2)
        assert (collector.counts.stored, collector.counts.failed) == (1, 0)


# -- who may send -----------------------------------------------------------------------------------------------------


def test_wrong_keys_and_unknown_senders_are_refused_and_counted(api: Api) -> None:
    with collecting(api) as collector:
        send_udp(collector, [hep(talk()[0], key="wrong"), b"GET / HTTP/1.1\r\n"])
        settled(collector, 2)
        assert collector.counts.refused == {"wrong key": 1, "not HEP": 1}
    with collecting(api, "customer={acme} networks=192.0.2.0/24") as collector:
        send_udp(collector, [hep(talk()[0])])
        send_tcp(collector, [])
        settled(collector, 2)
        assert collector.counts.refused == {"unknown sender": 2}
    assert api.admin.listed("/mediasessions") == []


def test_agents_of_several_customers_are_told_by_key_and_number(api: Api) -> None:
    given = "customer={acme} key=a capture_id=7\n# theirs\ncustomer={other} key=b networks=127.0.0.0/8,::1"
    with collecting(api, given) as collector:
        ours, theirs = (hep(each, key, 7) for each, key in ((talk("ours")[0], "a"), (talk("theirs")[0], "b")))
        send_udp(collector, [ours, theirs, hep(talk("lost")[0], "a", 8)])
        settled(collector, 3)
    assert [each["call_id"] for each in api.admin.listed("/mediasessions")] == ["ours"]
    assert [each["call_id"] for each in api.stranger.listed("/mediasessions")] == ["theirs"]


@pytest.mark.parametrize(
    "text", ["customer=1", "key=a", "customer=x key=a", "customer=1 networks=nowhere", "customer=1 key=a b"]
)
def test_a_source_that_cannot_be_read_says_which_line(text: str) -> None:
    with pytest.raises(UsageError, match="hep_sources, line 2"):
        sources(f"\n{text}")


def test_settings_that_cannot_work_are_told_at_the_start(api: Api) -> None:
    for given, said in (
        ({"listen": "9060"}, "no address"),
        ({"listen": "tls://127.0.0.1:0"}, "hep_tls_certificate"),
        ({"sources": "customer=99 key=a"}, "no customer 99"),
        ({"sources": "#"}, "hep_listen needs hep_sources"),
        ({"hep_tls_certificate": "/nowhere.pem"}, "hep_tls_certificate"),
        ({"hep_leave_out": "OPTIONS, REGISTRE"}, "REGISTRE is no method of SIP. Did you mean REGISTER?"),
    ):
        with pytest.raises(UsageError, match=said), collecting(api, **given):
            pass


def test_a_taken_port_is_told(api: Api) -> None:
    with collecting(api) as first:
        host, port = end_of(first, "TCP")
        with pytest.raises(Unavailable, match="in use"), collecting(api, listen=f"tcp://{host}:{port}"):
            pass


# -- sessions that never end ------------------------------------------------------------------------------------------


def test_a_session_that_never_ends_is_closed(api: Api) -> None:
    with collecting(api) as collector:
        send_udp(collector, [hep(each) for each in talk()[:4]])
        settled(collector, 4)

    def closed(now: int) -> int:
        found: int = api.write(lambda db: signalling.close_lost(db, api.acme, now, {}))
        return found

    assert closed(START + signalling.ANSWERED_S) == 0
    assert closed(START + signalling.ANSWERED_S + 10) == 1
    (msdr,) = api.admin.listed("/msdrs")
    assert (msdr["t_cause"], msdr["duration"]) == ("Recovery on timer expiry", 0)
    assert api.admin.listed("/mediasessions")[0]["status"] == "ENDED"
    assert closed(START + 2 * signalling.ANSWERED_S) == 0


def test_one_that_nobody_answered_is_closed_after_an_hour(api: Api) -> None:
    with collecting(api) as collector:
        send_udp(collector, [hep(each) for each in talk()[:2]])
        settled(collector, 2)
    late = START + signalling.UNANSWERED_S + 10
    assert api.write(lambda db: signalling.close_lost(db, api.acme, late, {})) == 1


# -- hostile senders --------------------------------------------------------------------------------------------------


def test_a_connection_that_brings_no_hep_is_closed(api: Api) -> None:
    with collecting(api) as collector, connected(collector) as agent:
        agent.sendall(b"HEP3\x00\x03garbage")
        assert agent.recv(1) == b""
        assert collector.counts.refused == {"length impossible": 1}


def test_a_full_queue_drops_datagrams() -> None:
    queue, counts = Queue(most=2), Counts()
    intake = Intake(Gate(sources(f"customer=1 key={KEY}")), queue, counts)
    for each in talk():
        intake.datagram(hep(each), "127.0.0.1")
    assert (counts.received["UDP"], counts.dropped, len(queue)) == (6, 4, 2)
    assert len(queue.take(10, 0, 0) or ()) == 2
    assert not queue.is_full
    queue.close()
    assert queue.take(10, 0, 0) is None


def test_a_queue_is_full_by_its_bytes_too() -> None:
    queue = Queue(most_bytes=100_000)
    intake = Intake(Gate(sources(f"customer=1 key={KEY}")), queue, Counts())
    intake.datagram(hep(talk()[0]._replace(payload=b"INVITE " + b"x" * 60_000)), "127.0.0.1")
    assert not queue.is_full
    intake.datagram(hep(talk()[0]._replace(payload=b"INVITE " + b"x" * 60_000)), "127.0.0.1")
    assert queue.is_full


def test_too_many_connections_end_the_one_that_never_brought_anything(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.collect.listener.MOST_CONNECTIONS", 2)
    with collecting(api) as collector, connected(collector) as good, connected(collector) as idle:
        good.sendall(hep(talk()[0]))
        settled(collector, 1)
        with connected(collector) as third:
            assert idle.recv(1) == b""
            third.sendall(hep(talk()[1]))
            settled(collector, 3)
            with connected(collector) as fourth:
                assert fourth.recv(1) == b""
        assert collector.counts.refused == {"too many connections": 2}


def test_who_opens_many_connections_pushes_out_nobody_else(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent may have nothing to tell for long; whoever has no key must not end its connection by opening others."""
    monkeypatch.setattr("ringback.collect.listener.MOST_CONNECTIONS", 4)
    with collecting(api) as collector, connected(collector, source="127.0.0.2") as agent, ExitStack() as flood:
        opened = [flood.enter_context(connected(collector)) for _ in range(9)]
        for each in opened[:6]:
            assert each.recv(1) == b""
        agent.sendall(hep(talk()[0]))
        until(lambda: collector.counts.stored == 1)
        opened[-1].sendall(hep(talk()[1]))
        until(lambda: collector.counts.stored == 2)


def test_of_agents_that_are_all_known_the_idlest_makes_place(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that forgets connections leaves them here, and their agents open new ones."""
    monkeypatch.setattr("ringback.collect.listener.MOST_CONNECTIONS", 2)
    monkeypatch.setattr("ringback.collect.listener.IDLE_S", 0.0)
    with collecting(api) as collector, connected(collector) as idle, connected(collector) as busy:
        for n, each in enumerate((busy, idle, busy)):
            each.sendall(hep(talk()[n]))
            until(lambda n=n: collector.counts.stored == n + 1)  # type: ignore[misc]
        with connected(collector) as third:
            assert idle.recv(1) == b""
            third.sendall(hep(talk()[3]))
            busy.sendall(hep(talk()[4]))
            until(lambda: collector.counts.stored == 5)


def test_a_packet_that_stays_unfinished_ends_its_connection(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.collect.listener.UNFINISHED_S", 0.0)
    with collecting(api) as collector, connected(collector) as agent:
        agent.sendall(hep(talk()[0])[:-1])
        assert agent.recv(1) == b""
        assert collector.counts.refused == {"packet unfinished": 1}


def test_what_goes_wrong_once_does_not_end_the_look_at_connections(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [ValueError("not a table")]

    def of(_: object) -> int:
        if errors:
            raise errors.pop()
        return 0

    monkeypatch.setattr(drops, "of", of)
    monkeypatch.setattr("ringback.collect.listener.DROPS_S", 0.02)
    monkeypatch.setattr("ringback.collect.listener.UNFINISHED_S", 0.0)
    with collecting(api) as collector:
        until(lambda: not errors)
        with connected(collector) as agent:
            agent.sendall(hep(talk()[0])[:-1])
            assert agent.recv(1) == b""


def test_what_cannot_be_listened_on_is_told_to_who_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what never comes."""

    async def failing(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Listener, "_opened", failing)
    intake = Intake(Gate([]), Queue(), Counts(), masks=False)
    (one,) = bound("udp://127.0.0.1:0")
    made = Listener([one], intake, None)
    with one.socket, pytest.raises(OSError, match="Too many"):
        made.start()
    made.stop()


def test_a_connection_that_nobody_understands_does_not_end_the_accepting(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = certified(tmp_path)
    begin = _Stream.begin_tls
    errors = [ValueError("what is this")]

    def begins(stream: _Stream, plain: socket.socket, ip: str, tls: ssl.SSLContext) -> None:
        if errors:
            plain.close()
            raise errors.pop()
        begin(stream, plain, ip, tls)

    monkeypatch.setattr(_Stream, "begin_tls", begins)
    with collecting(api, listen="tls://127.0.0.1:0", hep_tls_certificate=str(certificate)) as collector:
        with connected(collector, "TLS"):
            until(lambda: not errors)
        with context.wrap_socket(connected(collector, "TLS"), server_hostname="localhost") as agent:
            agent.sendall(hep(talk()[0]))
            settled(collector, 1)


def test_the_system_tells_what_it_dropped() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        closed.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        closed.bind(("127.0.0.1", 0))
        assert drops.of([closed]) == 0
        for _ in range(100):
            out.sendto(b"x" * 1000, closed.getsockname())
        assert drops.of([closed]) > 0


# -- the process ------------------------------------------------------------------------------------------------------


def test_counts_are_among_the_metrics(start: Callable[..., Api]) -> None:
    api = start(hep_listen="")
    with collecting(api) as collector:
        collector.show(api.app.application.metrics)
        send_udp(collector, [hep(talk()[0]), b"?"])
        settled(collector, 2)
        text = api.nobody.call("GET", "//metrics", headers={"Authorization": "Bearer metrics-secret"}).body.decode()
    assert 'ringback_hep_received_total{transport="UDP"} 2.0' in text
    assert 'ringback_hep_refused_total{reason="not HEP"} 1.0' in text
    assert 'ringback_hep_messages_total{outcome="stored"} 1.0' in text
    assert 'ringback_hep_dropped_total{where="queue"} 0.0' in text
    assert "ringback_hep_waiting 0.0" in text


def test_serve_collects_what_its_settings_say(settings: Settings) -> None:
    made = login(settings)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = {
        "RINGBACK_HEP_LISTEN": f"127.0.0.1:{port}",
        "RINGBACK_HEP_SOURCES": f"customer={made.customer_id} key={KEY}",
    }
    server = Process((*COMMAND, "serve", "--port", "0"), settings, **given)
    try:
        with server.client(made.token) as client:
            with socket.create_connection(("127.0.0.1", port)) as agent:
                agent.sendall(b"".join(hep(each) for each in talk()))
            until(lambda: client.get("/msdrs").json()["total"] == 1)
    finally:
        assert server.end() == 0


def test_collect_hep_is_a_process_of_its_own(settings: Settings) -> None:
    made = login(settings)
    log = Path(settings.data_dir) / "collect.log"
    given = {
        "RINGBACK_HEP_LISTEN": "udp://127.0.0.1:0",
        "RINGBACK_HEP_SOURCES": f"customer={made.customer_id} key={KEY}",
    }
    with (
        log.open("w") as errors,
        subprocess.Popen((*COMMAND, "collect", "hep"), env=environment(settings, **given), stderr=errors) as process,
    ):
        until(lambda: '"collecting"' in log.read_text())
        address = json.loads(log.read_text().splitlines()[0])["addresses"][0]
        host, port = address.removeprefix("udp://").split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
            for each in talk():
                agent.sendto(hep(each), (host, int(port)))
        database = open_database(settings.database, 10)
        until(lambda: stored_in(database) == 6)
        database.close()
        process.terminate()
        assert process.wait(WAIT_S) == 0
    assert '"stored": 6' in log.read_text()


def test_its_numbers_are_for_who_has_the_token() -> None:
    metrics = Metrics()
    metrics.measured("ringback_hep_waiting", "Waiting", lambda: 7)
    port = MetricsPort("127.0.0.1:0", "t0ken", metrics)
    port.start()
    try:
        url = f"http://127.0.0.1:{port.port}"
        shown = httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer t0ken"})
        assert (shown.status_code, "ringback_hep_waiting 7.0" in shown.text) == (200, True)
        assert httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer other"}).status_code == 401
        assert httpx.get(f"{url}/metrics").status_code == 401
        assert httpx.get(f"{url}/").status_code == 404
    finally:
        port.stop()


@pytest.mark.parametrize(
    ("address", "token"), [("9101", "t"), ("127.0.0.1:99999", "t"), ("127.0.0.1:0", ""), ("[::1]:1", "t")]
)
def test_a_port_for_numbers_needs_an_address_and_a_token(address: str, token: str) -> None:
    with pytest.raises(UsageError, match="hep_metrics"):
        MetricsPort(address, token, Metrics())


def test_collect_hep_says_what_it_needs(settings: Settings) -> None:
    login(settings)
    done = ringback(settings, "collect", "hep")
    assert (done.returncode, "hep_listen" in done.stderr) == (2, True)


# -- TLS --------------------------------------------------------------------------------------------------------------


def certified(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate with its key, and what an agent that knows it connects with."""
    certificate = tmp_path / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -days 2"
    subprocess.run([*command.split(), "-keyout", certificate, "-out", tmp_path / "c"], check=True, capture_output=True)
    certificate.write_bytes(certificate.read_bytes() + (tmp_path / "c").read_bytes())
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    return certificate, context


def test_connections_that_never_come_to_tls_make_place(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count as all others do, so their number is bounded."""
    monkeypatch.setattr("ringback.collect.listener.MOST_CONNECTIONS", 3)
    certificate, context = certified(tmp_path)
    with (
        collecting(api, listen="tls://127.0.0.1:0", hep_tls_certificate=str(certificate)) as collector,
        context.wrap_socket(connected(collector, "TLS", "127.0.0.2"), server_hostname="localhost") as agent,
        ExitStack() as flood,
    ):
        opened = [flood.enter_context(connected(collector, "TLS")) for _ in range(6)]
        for each in opened[:4]:
            assert each.recv(1) == b""
        agent.sendall(hep(talk()[0]))
        settled(collector, 5)
        assert collector.counts.refused == {"too many connections": 4}
        assert collector.counts.stored == 1


def test_agents_may_use_tls(api: Api, tmp_path: Path) -> None:
    certificate, context = certified(tmp_path)
    with collecting(api, listen="tls://127.0.0.1:0", hep_tls_certificate=str(certificate)) as collector:
        with connected(collector, "TLS") as plain:
            plain.sendall(hep(talk()[0]))
            assert plain.recv(1) in (b"", b"\x15")  # an alert, or the end
        with context.wrap_socket(connected(collector, "TLS"), server_hostname="localhost") as agent:
            agent.sendall(b"".join(hep(each) for each in talk()))
            settled(collector, 6)
        assert collector.counts.received == {"TLS": 6}
        for n in range(1, 11):  # agents that close at once, and read nothing
            with context.wrap_socket(connected(collector, "TLS"), server_hostname="localhost") as agent:
                agent.sendall(b"".join(hep(each) for each in talk()))
            settled(collector, 6 + 6 * n)
    assert len(api.admin.listed("/msdrs")) == 1
