"""Numbers for Prometheus: requests by route and status, how long they took, jobs."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""The type of what Prometheus reads."""
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "ringback_requests", "Answered requests", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "ringback_request_seconds", "Time to answer", ("route",), buckets=BUCKETS_S, registry=self.registry
        )
        self.jobs = Counter("ringback_jobs", "Jobs by outcome", ("kind", "outcome"), registry=self.registry)
        self.waiting = Gauge("ringback_jobs_waiting", "Jobs that wait to run", registry=self.registry)
        self.audio = Gauge(
            "ringback_audio_inbox", "Audio that came in and is not encoded", ("state",), registry=self.registry
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def counted(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        """A counter that somebody else keeps, by the values of one label; asked for when it is shown."""
        self.registry.register(_Told(CounterMetricFamily, name, help_text, label, read))

    def levels(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        """The same of something that goes up and down."""
        self.registry.register(_Told(GaugeMetricFamily, name, help_text, label, read))

    def measured(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is shown."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def text(self) -> bytes:
        return generate_latest(self.registry)


Family = CounterMetricFamily | GaugeMetricFamily


class _Told(Collector):
    def __init__(
        self, kind: type[Family], name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]
    ) -> None:
        self._kind, self._named, self._label, self._read = kind, (name, help_text), label, read

    def collect(self) -> Iterator[Family]:
        family = self._kind(*self._named, labels=[self._label])
        for value, n in dict(self._read()).items():
            family.add_metric([value], n)
        yield family
