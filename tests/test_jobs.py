"""Jobs: whose turn it is."""

import threading
from typing import Any

import pytest

from ringback.jobs import queue
from ringback.jobs.kinds import MAILS
from ringback.jobs.worker import Workers
from ringback.metrics import Metrics
from ringback.services import Services
from tests.api import Api
from tests.people import visitor
from tests.smtp import Mailbox


def test_a_mail_does_not_wait_for_the_long_jobs_before_it(mailing: Api, mails: Mailbox) -> None:
    begun, over = threading.Semaphore(0), threading.Event()

    def encode(_: Services, __: queue.Job) -> None:
        begun.release()
        over.wait(60)

    for _ in range(5):
        mailing.write(lambda db: queue.enqueue(db, mailing.acme, "encode", {}, now=0))
    workers = Workers(mailing.services, {"encode": encode, **MAILS}, Metrics(), hurried=MAILS.keys())
    workers.start()
    try:
        assert begun.acquire(timeout=30)
        assert begun.acquire(timeout=30)
        assert visitor(mailing).post("/password/forgot", {"email": "ann@customer1.example"}).status == 202
        assert mails.arrived.acquire(timeout=30), "the mail waits"
        assert mailing.write(lambda db: queue.due(db, mailing.services.clock())) == 3
    finally:
        over.set()
        workers.stop()


def test_a_worker_goes_on_when_taking_up_a_job_fails_for_no_known_reason(
    mailing: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, claim, times = threading.Event(), queue.claim, iter([True, True, True])

    def failing(*given: Any) -> queue.Job | None:
        if next(times, False):
            raise ValueError("a row that nobody expected")
        return claim(*given)

    monkeypatch.setattr(queue, "claim", failing)
    mailing.write(lambda db: queue.enqueue(db, mailing.acme, "encode", {}, now=0))
    workers = Workers(mailing.services, {"encode": lambda *_: done.set()}, Metrics())
    workers.start()
    try:
        assert done.wait(30)
    finally:
        workers.stop()
