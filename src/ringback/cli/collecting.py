"""`ringback collect`: captured signalling, live."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from ringback.cli import console
from ringback.cli.console import Config
from ringback.collect.collector import Collector
from ringback.collect.metrics_port import MetricsPort
from ringback.errors import UsageError
from ringback.metrics import Metrics
from ringback.settings import Settings

SETTLE_S = 1.0


def register(app: typer.Typer) -> None:
    group = console.group("Take captured signalling from PBXs and proxies as it comes.")
    group.command("hep")(hep)
    app.add_typer(group, name="collect")


def hep(config: Config = None) -> None:
    """Take HEP packets (versions 1 to 3) as a process of its own, until a signal ends it.

    `hep_listen` and `hep_sources` say where and from whom; `ringback serve` does the same inside the server. On a busy
    system run it here, and leave `hep_listen` out of the server's settings: it has a processor core to itself. With
    `hep_metrics` and `metrics_token` it answers `/metrics`.

    Example: `RINGBACK_HEP_LISTEN=127.0.0.1:9060 ringback collect hep --config /etc/ringback.toml`
    """
    with console.opened(config) as services:
        if not services.settings.hep_listen:
            raise UsageError("Set hep_listen, the addresses to listen at, such as 127.0.0.1:9060.")
        collector = Collector(services)
        stop = _stopped_by_signals()
        with _numbers(services.settings, collector):
            collector.start()
            try:
                while not stop.wait(SETTLE_S):
                    services.database.settle()
            finally:
                collector.stop()


@contextmanager
def _numbers(settings: Settings, collector: Collector) -> Iterator[None]:
    """Shown to Prometheus, where that is wanted."""
    if not settings.hep_metrics:
        yield
        return
    metrics = Metrics()
    collector.show(metrics)
    port = MetricsPort(settings.hep_metrics, settings.metrics_token, metrics)
    port.start()
    try:
        yield
    finally:
        port.stop()


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return stop
