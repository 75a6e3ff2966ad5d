"""What a server that is broken, busy or hostile can do to a copy: nothing but be refused."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringback.errors import Unavailable, UsageError
from ringback.importers import Options, Summary
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from ringback.importers.voipstudio import connection, listing, login
from ringback.importers.voipstudio.connection import BASE, Broken, Connection, NotServed, origin
from tests.api import Api
from tests.importers.other_server import Answer, Said, lists, said, served
from tests.recordings import mp3

TOKEN = "0123456789abcdef-secret"


@contextmanager
def connected(answer: Answer, waits: list[float] | None = None) -> Iterator[Connection]:
    with served(answer) as url:
        found = Connection(origin(url), (waits if waits is not None else []).append)
        found.use(TOKEN)
        with closing(found):
            yield found


def always(*answers: Said) -> Answer:
    """These answers in their order, then the last one again and again."""
    left = list(answers)
    return lambda *_: left.pop(0) if len(left) > 1 else left[0]


def test_a_server_that_is_busy_is_asked_again_when_it_says() -> None:
    waits: list[float] = []
    answers = always(
        Said(429, headers={"Retry-After": "7"}),
        Said(503),
        Said(502),
        Said(429, headers={"Retry-After": "9999"}),
        said({"a": 1}),
    )
    with connected(answers, waits) as found:
        assert found.get("/me") == {"a": 1}
    assert waits == [7, 2, 4, 300]


def test_a_server_that_stays_busy_ends_the_run_which_can_be_repeated() -> None:
    waits: list[float] = []
    with (
        connected(always(Said(503)), waits) as found,
        pytest.raises(Unavailable, match="after 8 attempts: it answers 503"),
    ):
        found.get("/me")
    assert waits == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Said(302, headers={"Location": "https://evil.example/"}), "redirect"),
        (Said(200, b"<html>", {"Content-Type": "text/html"}), "no JSON"),
        (Said(200, b"[1]"), "no JSON object"),
        (Said(200, b"{" * 100_000), "no JSON"),
        (Said(200, b"\xff"), "no JSON"),
        (Said(200, b"{}", {"Content-Encoding": "gzip"}), "compressed"),
        (Said(200, b"{}", {"Content-Length": str(10**15)}), "longer than 64 MiB"),
        (Said(403), "403"),
        (Said(404), "404"),
        (Said(500), "500"),
    ],
)
def test_an_answer_that_is_none_is_refused_at_once(answer: Said, reason: str) -> None:
    with connected(always(answer)) as found, pytest.raises(NotServed, match=reason):
        found.get("/cdrs")


def test_a_token_that_is_refused_is_said_and_never_shown() -> None:
    with connected(always(Said(401))) as found, pytest.raises(UsageError) as fault:
        found.get("/cdrs")
    assert TOKEN not in str(fault.value)


def test_a_login_that_ends_is_renewed_once() -> None:
    with connected(always(Said(401), said({"a": 1}))) as found:
        found.use(TOKEN, lambda: "another")
        assert found.get("/me") == {"a": 1}


class _Raw(BaseHTTPRequestHandler):
    def log_message(self, *said: object) -> None: ...


@contextmanager
def raw(write: Callable[[Any], None]) -> Iterator[Connection]:
    """A server that writes what it wants, until the client goes."""

    class Handler(_Raw):
        def do_GET(self) -> None:
            try:
                write(self.wfile)
            except OSError:
                self.close_connection = True

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with closing(Connection(origin(f"http://127.0.0.1:{server.server_port}"), lambda _: None)) as found:
            yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _endless(file: Any) -> None:
    file.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        file.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")


def _trickling(file: Any) -> None:
    file.write(HEAD)
    for n in count():
        file.write(b"X-%d: y\r\n" % n if n < 50 else b"")
        file.flush()
        threading.Event().wait(0.02)


def _continuing(file: Any) -> None:
    while True:
        file.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        threading.Event().wait(0.01)


def test_a_body_without_an_end_is_cut_off() -> None:
    with raw(_endless) as found, pytest.raises(Broken, match="longer than 64 MiB"):
        found.get("/cdrs")


@pytest.mark.parametrize("write", [_trickling, _continuing])
def test_an_answer_that_trickles_is_cut_off(write: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "JSON_DEADLINE_S", 0.3)
    monkeypatch.setattr(connection, "ATTEMPTS", 2)
    with raw(write) as found, pytest.raises(Unavailable):
        found.get("/cdrs")


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FILE_LIMIT_BYTES", 1 << 20)
    with connected(always(Said(200, bytes(2 << 20)))) as found, pytest.raises(Broken, match="1 MiB"):
        found.fetch("/monitors/1.mp3", tmp_path / "a")


@pytest.mark.parametrize(
    "url",
    [
        "http://l7api.com/v1.1/voipstudio",
        "https://me:secret@l7api.com/",
        "https://l7api.com/?token=x",
        "ftp://l7api.com",
        "https://",
        "https://l7api.com:x",
        "http://127.0.0.1.evil.example/",
        "https://l7api.com/a b",
    ],
)
def test_a_url_that_would_show_the_token_or_is_none_is_not_asked(url: str) -> None:
    with pytest.raises(UsageError) as fault:
        origin(url)
    assert "secret" not in str(fault.value)


def test_a_host_alone_is_the_services_own_path_over_tls() -> None:
    assert origin("l7api.com") == origin("https://l7api.com/") == origin(f"https://l7api.com:443{BASE}/")
    assert origin("http://[::1]:8080/v1/voipstudio").host == "::1"


def test_a_token_with_a_line_end_is_refused() -> None:
    with pytest.raises(UsageError):
        Connection(origin("l7api.com")).use("a\r\nX-Other: b")


def test_nothing_to_log_in_with_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="RINGBACK_SOURCE_TOKEN"):
        login.log_in(Connection(origin("l7api.com")), {})


def test_a_second_factor_needs_a_token() -> None:
    answer = always(said({"message": "two-factor", "nonce": "n"}, 202))
    with connected(answer) as found, pytest.raises(UsageError, match="second factor"):
        login.log_in(found, {login.EMAIL: "a@b", login.PASSWORD: "p"})


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(1))
        .not_valid_after(datetime.now(UTC) + timedelta(1))
    )
    pem = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = HTTPServer(("127.0.0.1", 0), _Raw)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with pytest.raises(Unavailable, match="certificate"):
            Connection(origin(f"https://localhost:{server.server_port}"), lambda _: None).get("/me")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# -- lists ------------------------------------------------------------------------------------------------------------


def pages(answer: Answer, *, by: str = "id") -> list[Any]:
    with connected(answer) as found:
        read = listing.by_id(found, "/x", 2) if by == "id" else listing.by_time(found, "/x", "at", 2)
        return [row for page in read for row in page]


def test_a_list_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_ARRIVING", 10)
    ids = count(1)
    with pytest.raises(Broken, match="does not end"):
        pages(lambda *_: said({"data": [{"id": next(ids)}, {"id": next(ids)}], "total": 4}))
    with pytest.raises(Broken, match="does not end"):
        pages(
            lambda *_: said(
                {"data": [{"id": next(ids), "at": f"{1970 + next(ids)}-01-01 00:00:00"} for _ in "12"], "total": 4}
            ),
            by="time",
        )


@pytest.mark.parametrize(
    "data",
    [
        [{"id": 2}, {"id": 1}],
        [{"id": 1}, {"id": 1}],
        [{"id": "x"}],
        [{"id": -5}],
        [{"id": 2**70}],
        [{}],
        [1],
        {"id": 1},
        [{"id": 1}, {"id": 2}, {"id": 3}],
    ],
)
def test_a_list_that_is_not_as_asked_is_left(data: Any) -> None:
    with pytest.raises(Broken):
        pages(lambda *_: said({"data": data, "total": 3}))


@pytest.mark.parametrize("total", [None, "many", -1, 1.5, 10**12])
def test_a_total_that_is_none_is_refused(total: Any) -> None:
    with pytest.raises(Broken, match="total"):
        pages(lambda *_: said({"data": [], "total": total}))


# -- whole copies -----------------------------------------------------------------------------------------------------

CDR = {
    "id": 5,
    "duration": 1,
    "live_id": 6,
    "type": "O",
    "calldate": "2026-01-01 00:00:00",
    "billsec": 1,
    "disposition": "CONNECTED",
    "destination": "out",
    "context": "PSTN_CALL",
}


def copied(api: Api, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> Summary:
    monkeypatch.setenv(login.TOKEN, TOKEN)
    run = IMPORTERS["voipstudio"].from_url
    assert run is not None
    with served(answer) as url:
        return run(api.services, api.acme, url, Options(country="GB"), Unwatched())


def test_rows_that_are_not_as_promised_are_refused_and_the_rest_goes_in(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[dict[str, Any]] = [
        {"id": "7"} | {"calldate": "2026-13-01 00:00:00"},
        {"id": 8, "duration": -1},
        {"id": 9, "type": "X"},
        {"id": 10, "src": "a\0b"},
        {"id": 11, "live_id": 6},
        {"id": 12, "live_id": 2**80},
        {"id": "text", "live_id": 13},
        {"id": 14, "live_id": 14, "labels": "no list"},
        {"id": 15, "live_id": 15, "context": "x" * 300},
    ]
    sound = {"id": "16", "live_id": "16", "rate": "0.0150", "charge": 1.5, "user_id": 10**17, "src_id": "contact:99"}
    summary = copied(
        api,
        lists(cdrs=[CDR, *({**CDR, "live_id": 100 + n, **each} for n, each in enumerate(wrong)), {**CDR, **sound}]),
        monkeypatch,
    )
    assert (summary.new, summary.refused_in_all) == (2, 9), summary.refused
    assert {each.where for each in summary.refused} == {
        "call 7",
        "call 8",
        "call 9",
        "call 10",
        "call 11",
        "call 12",
        "call text",
        "call 14",
        "call 15",
    }
    plain, other = api.admin.listed("/cdrs", sort="id")
    assert (plain["id"], plain["live_id"], plain["labels"], plain["metadata"]) == (5, 6, [], None)
    assert (other["rate"], other["charge"], other["src_id"]) == (0.015, 1.5, "contact:99")
    assert other["user_id"] not in (None, 10**17)  # too large to keep


def test_strangers_do_not_become_anybody_here(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of users may hold anything; an id here is only ever given to a new user."""
    user = {
        "id": api.ann.user_id,
        "email": "evil@x.example",
        "created_at": "2026-01-01 00:00:00",
        "roles": ["owner"],
        "is_root": True,
    }
    before = api.admin.get(f"/users/{api.ann.user_id}").data
    nameless, wrong = {**user, "id": 5, "email": None}, {**user, "id": 6, "email": "no address"}
    users = [nameless, wrong, user, {**user, "id": 2**62, "email": "big@x.example"}]
    summary = copied(api, lists(users=users), monkeypatch)
    assert (summary.new, summary.refused_in_all) == (2, 2)
    assert api.admin.get(f"/users/{api.ann.user_id}").data == before
    for email in ("evil@x.example", "big@x.example"):
        (made,) = api.admin.listed("/users", ("email", "eq", email))
        assert (made["roles"], made["is_root"]) == (["user"], False)
        assert api.ann.user_id < made["id"] <= 10**15 + 2_000


def test_audio_that_is_none_is_refused_and_the_rest_goes_in(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    audio = mp3(tmp_path, 0.5)
    monitors = [{"id": n, "timestamp": "2026-01-01 00:00:00", "size": len(audio)} for n in range(1, 6)]
    files = {
        "1": Said(200, audio, {"Content-Type": "audio/mpeg"}),
        "2": Said(200, b"<html>" * 100, {"Content-Type": "audio/mpeg"}),
        "3": Said(200, audio, {"Content-Type": "application/octet-stream"}),
        "4": Said(404),
        "5": Said(200, audio[:-7], {"Content-Type": "audio/mpeg"}),
    }
    listed = lists(monitors=monitors)

    def answer(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Said:
        return files[Path(path).stem] if path.endswith(".mp3") else listed(method, path, query, headers, body)

    summary = copied(api, answer, monkeypatch)
    assert (summary.new, [each.where for each in summary.refused]) == (1, [f"recording {n}" for n in (2, 3, 4, 5)])
    assert [each.key for each in api.services.blobs.list()] == [f"{api.acme}/monitors/1.mp3"]


def test_a_list_that_breaks_off_costs_no_other(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = lists(cdrs=[CDR])

    def answer(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Said:
        if path.endswith(("/contacts", "/sms")):
            return Said(404) if path.endswith("/sms") else said({"data": 1})
        return listed(method, path, query, headers, body)

    summary = copied(api, answer, monkeypatch)
    assert summary.new == 1
    assert [each.where for each in summary.refused] == ["/contacts"]
    assert summary.warnings == ["1 × /sms is not copied: it answers 404"]
