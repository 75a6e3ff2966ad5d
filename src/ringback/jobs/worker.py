"""Workers: threads that claim jobs, run them by their kind, and renew their leases meanwhile."""

import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial

import structlog

from ringback.errors import RingbackError
from ringback.jobs import queue
from ringback.metrics import Metrics
from ringback.services import Services

log = structlog.get_logger()

POLL_S = 0.5
RENEW_S = 4.0

Run = Callable[[Services, queue.Job], None]
"""Does a job in repeatable steps, each in a transaction of its own; may raise. The worker ends the job afterwards."""


class Workers:
    """Two threads for jobs of any kind, and one for `hurried` kinds alone: somebody waits for those, and the others may take
    hours. `stop` lets running jobs reach the end of their step."""

    def __init__(
        self, services: Services, kinds: Mapping[str, Run], metrics: Metrics, hurried: Collection[str] = ()
    ) -> None:
        self.services = services
        self.kinds = kinds
        self.metrics = metrics
        self._stopping = threading.Event()
        self._running: set[int] = set()
        loops: Mapping[str, Callable[[], None]] = {
            "job-0": self._loop,
            "job-1": self._loop,
            "job-hurried": partial(self._loop, hurried),
            "job-leases": self._keep,
        }
        self._threads = [threading.Thread(target=loop, name=name, daemon=True) for name, loop in loops.items()]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def run_one(self, kinds: Collection[str] | None = None) -> bool:
        """Claims and runs one job, of these kinds if any are named; False when none was due."""
        now, database = self.services.clock(), self.services.database
        if not database.read(lambda db: queue.is_any(db, now, kinds)):
            return False
        job = database.write(lambda db: queue.claim(db, now, kinds))
        if job is None:  # another worker was faster
            return False
        self.run(job)
        return True

    def run(self, job: queue.Job) -> None:
        """Runs a claimed job to its end or failure; never raises."""
        self._running.add(job.id)
        try:
            self.kinds[job.kind](self.services, job)
            self.services.database.write(lambda db: queue.finish(db, job.id))
            self.metrics.jobs.labels(job.kind, "done").inc()
        except queue.Lost:
            log.info("job taken up by another worker, or gone", kind=job.kind, job=job.id)
        except queue.Unfinished as rest:
            self._put_back(job, rest.at)
        except Exception as error:
            self._failed(job, error)
        finally:
            self._running.discard(job.id)

    def _put_back(self, job: queue.Job, at: int) -> None:
        try:
            self.services.database.write(lambda db: queue.postpone(db, job.id, at))
        except RingbackError as error:
            log.warning("job not put back: its lease ends by itself", job=job.id, error=str(error))

    def _failed(self, job: queue.Job, error: Exception) -> None:
        now = self.services.clock()
        text = f"{type(error).__name__}: {error}"
        log.warning("job failed", kind=job.kind, job=job.id, attempt=job.attempts, error=text, exc_info=error)
        try:
            dead = self.services.database.write(lambda db: queue.fail(db, job, text, now))
        except RingbackError:
            return  # the database is away: the lease ends by itself
        self.metrics.jobs.labels(job.kind, "dead" if dead else "retry").inc()

    def _loop(self, kinds: Collection[str] | None = None) -> None:
        while not self._stopping.is_set():
            if not self._try_one(kinds):
                self._stopping.wait(POLL_S)

    def _try_one(self, kinds: Collection[str] | None) -> bool:
        try:
            return self.run_one(kinds)
        except RingbackError as error:
            log.warning("jobs wait for the database", error=str(error))
        except Exception:  # the thread is for every job
            log.exception("no job was taken up")
        return False

    def _keep(self) -> None:
        while not self._stopping.wait(RENEW_S):
            for job_id in list(self._running):
                self._renew(job_id, self.services.clock())

    def _renew(self, job_id: int, now: int) -> None:
        try:
            self.services.database.write(lambda db: queue.renew(db, job_id, now))
        except Exception:
            log.warning("lease not renewed", job=job_id, exc_info=True)
