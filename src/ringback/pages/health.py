"""`/healthz`: the process lives. `/readyz`: it can answer. `/metrics`: for Prometheus, with its own token."""

import hmac
from contextlib import suppress

from ringback.errors import Forbidden, Unauthorized, Unavailable
from ringback.jobs import queue
from ringback.metrics import TEXT, Metrics
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.store import inbox
from ringback.store.database import value


def _healthy(_: Call) -> replies.Reply:
    return replies.data({"status": "ok"})


def _ready(call: Call) -> replies.Reply:
    """503 (by the error that it raises) while the database or the object store is away."""
    call.services.database.read(lambda db: value(db, "SELECT 1"))
    call.services.blobs.check()
    return replies.data({"status": "ok"})


def endpoints(metrics: Metrics) -> tuple[Endpoint, ...]:
    def numbers(call: Call) -> replies.Reply:
        expected = call.services.settings.metrics_token
        if not expected:
            raise Forbidden("Metrics are closed. Set metrics_token, and send it as a Bearer token.")
        given = call.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise Unauthorized("Send the metrics_token as a Bearer token.")
        with suppress(Unavailable):  # the other numbers say so
            metrics.waiting.set(call.services.database.read(lambda db: queue.due(db, call.now)))
            for state, n in call.services.database.read(inbox.counts).items():
                metrics.audio.labels(state).set(n)
        return replies.Reply(200, metrics.text(), TEXT)

    return (
        Endpoint("GET", "/healthz", "The process lives", _healthy, Shape.PLAIN, open=True, work=Work.OWN),
        Endpoint("GET", "/readyz", "It can answer requests", _ready, Shape.PLAIN, open=True, work=Work.OWN),
        Endpoint("GET", "/metrics", "Prometheus metrics", numbers, Shape.FILE, answer=TEXT, open=True, work=Work.OWN),
    )
