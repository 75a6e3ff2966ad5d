"""`/metrics` of connected PBXs: connected or not, what they told, and what became of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ringback import app as composition
from ringback.app import App
from ringback.connectors import link
from ringback.connectors.orders import NotDone, Offline
from ringback.connectors.settings import Connector
from tests.ami_server import SECRET, USER, AmiServer
from tests.api import Api, Client
from tests.connected import BOTH, UNTIL_TALK, server, transcript, until, with_extensions

__all__ = ["server"]


def lines(app: App) -> dict[str, float]:
    body = Client(app, headers={"authorization": "Bearer metrics-secret"}).get("//metrics").body.decode()
    told = (line.rsplit(" ", 1) for line in body.splitlines() if line.startswith("ringback_connector"))
    return {name: float(n) for name, n in told}


def of(app: App, name: str) -> float:
    return lines(app).get(f'ringback_connector_{name}{{connector="office"}}', 0.0)


def test_they_tell_of_each_pbx(start: Callable[..., Api], server: AmiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "FIRST_S", 0.05)
    services = start().services
    with_extensions(Api(composition.build(services)))
    made = Connector("office", "asterisk", USER, SECRET, port=server.port, customer=1, dial_context="internal")
    app = composition.build(replace(services, settings=replace(services.settings, connectors=(made,))))
    assert (of(app, "up"), of(app, "logins_total")) == (0, 0)
    assert app.exchange is not None
    app.exchange.start()
    until(lambda: of(app, "up") == 1)
    server.tell(transcript(0, UNTIL_TALK))
    until(lambda: of(app, "calls") == 1)
    assert of(app, "events_total") > 3
    server.answers["CoreShowChannels"] = lambda _: BOTH
    server.drop()
    until(lambda: of(app, "logins_total") == 2)
    server.tell(transcript(UNTIL_TALK))
    until(lambda: of(app, "cdrs_total") == 1)
    until(lambda: (of(app, "calls"), of(app, "waiting")) == (0, 0))
    app.exchange.stop()
    assert of(app, "up") == 0


def test_they_tell_what_came_of_orders(api: Api) -> None:
    desk = api.services.desk
    with desk.counting():
        pass
    for error in (NotDone("no"), Offline(), ValueError()):
        with pytest.raises(type(error)), desk.counting():
            raise error
    assert desk.outcomes == {"done": 1, "refused": 1, "offline": 1, "failed": 1}
