"""Numbers for Prometheus: requests by route and status, how long they took, jobs."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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

    def text(self) -> bytes:
        return generate_latest(self.registry)
