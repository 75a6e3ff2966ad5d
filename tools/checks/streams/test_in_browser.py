"""The examples of docs/events.md in a real Chromium, on a page of another origin, over a server that is killed and comes back."""

import os
import re
import signal
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright
from tests.process import COMMAND, ROOT, Login, Process

from ringback.services import Services
from ringback.settings import BASE_PATHS, Settings
from ringback.store import live_calls

ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHROMIUM = os.environ.get("RINGBACK_TEST_CHROMIUM", "/usr/bin/chromium")
CODE = re.findall(r"```js\n(.*?)```", (ROOT / "docs/events.md").read_text(), re.DOTALL)
UP = {"start_time": 1, "state": "RINGING", "src": "101"}
WAIT_MS = 20_000


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """An empty page of a web site of its own."""
    (tmp_path / "index.html").write_text("<!doctype html><title>wall</title>")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    site = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Quiet(*given, directory=str(tmp_path)))
    Thread(target=site.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{site.server_port}/")
        yield page
        browser.close()
    site.shutdown()
    site.server_close()


def put(services: Services, acme: Login, live_id: int, **changes: Any) -> None:
    services.database.write(lambda db: live_calls.put(db, acme.customer_id, {live_id: {**UP, **changes}}, 1))


@pytest.mark.parametrize("follow", ["followEvents", "followSocket"])
def test_the_list_of_calls_stays_right(
    page: Page, settings: Settings, begin: Any, acme: Login, services: Services, follow: str
) -> None:
    server: Process = begin()
    base = server.url + BASE_PATHS[0]
    page.evaluate(f"window.base = '{base}'; window.token = '{acme.token}';")
    names = "window.names = []; window.calls = calls;"
    begun = f"{follow}(base, token, (name, data) => {{ names.push(name); return told(name, data); }});"
    page.add_script_tag(content="\n".join([*CODE, names, begun]))
    page.wait_for_function("names.includes('reset')", timeout=WAIT_MS)
    put(services, acme, 5)
    page.wait_for_function("calls.get(5)?.state === 'RINGING'", timeout=WAIT_MS)
    put(services, acme, 5, state="CONNECTED")
    page.wait_for_function("calls.get(5)?.state === 'CONNECTED'", timeout=WAIT_MS)
    server.end(signal.SIGKILL)
    put(services, acme, 6)
    services.database.write(lambda db: live_calls.drop(db, acme.customer_id, [5], 1))
    port = str(server.address[1])
    again = Process((*COMMAND, "serve", "--port", port), settings)
    page.wait_for_function("calls.has(6) && !calls.has(5)", timeout=WAIT_MS)
    told = page.evaluate("names.filter((name) => name !== 'heartbeat')")
    assert again.end() == 0
    assert sorted(told) == ["call.created", "call.created", "call.ended", "call.updated", "reset"]
