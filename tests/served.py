"""The server with two more operations that a test can hold on to: `python -m tests.served DATA_DIR DATABASE PATIENCE_S`.

`/slow` answers only after the process has begun to stop; `/endless` streams until then.
"""

import sys
from collections.abc import Iterator

from ringback import logs, protocol, server
from ringback.app import App
from ringback.callback.runner import Runner
from ringback.jobs.kinds import kinds
from ringback.jobs.worker import Workers
from ringback.metrics import Metrics
from ringback.opening import open_services
from ringback.resources import ENDPOINTS
from ringback.rest import replies
from ringback.rest.asgi import Application
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.settings import Settings


def _slow(call: Call) -> replies.Reply:
    stopped = call.services.stopping.wait(30)
    return replies.data({"stopping": stopped})


def _endless(call: Call) -> replies.Reply:
    def ticks() -> Iterator[bytes]:
        while not call.services.stopping.wait(0.02):
            yield b"tick\n"
        yield b"end\n"

    return replies.Reply(200, ticks(), "text/plain")


PAGES = (
    Endpoint("GET", "/slow", "Ends when the server stops", _slow, Shape.PLAIN, open=True, work=Work.OWN),
    Endpoint("GET", "/endless", "Streams until the server stops", _endless, Shape.FILE, open=True, work=Work.OWN),
)


def main(data_dir: str, database: str, patience_s: str) -> None:
    logs.configure("info")
    protocol.HEAD_S = protocol.BODY_S = float(patience_s)
    listener = server.listen("127.0.0.1", 0)
    services = open_services(Settings(data_dir=data_dir, database=database))
    metrics = Metrics()
    workers = Workers(services, kinds(ENDPOINTS), metrics)
    application = Application(services, ENDPOINTS, PAGES, metrics)
    server.serve(App(services, workers, application, Runner(services)), listener)


if __name__ == "__main__":
    main(*sys.argv[1:])
