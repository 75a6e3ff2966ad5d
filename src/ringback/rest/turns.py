"""The threads that requests work in. They are few, so no customer gets more than some of them at a time.

What is more waits for its own customer's threads, so that who asks much never stands in front of others. Whose a token is
comes out when it is first checked, and is remembered; until then its requests count for the address that they come from.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ringback.identity.tokens import hash_of
from ringback.rest.access import Caller

THREADS = 16
AT_ONCE = 6  # SQLite has 12 readers and PostgreSQL 10 connections: one customer leaves enough of them, too
REMEMBERED = 10_000

T = TypeVar("T")


class Turns:
    """May be used by any thread."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._lock = threading.Lock()
        self._customers: dict[str, int] = {}
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[Callable[[], None]]] = {}

    def lane(self, headers: Mapping[str, str], ip: str) -> str:
        customer = self._customers.get(_credentials(headers))
        return f"address {ip}" if customer is None else f"customer {customer}"

    def met(self, headers: Mapping[str, str], caller: Caller) -> None:
        """A request's token was checked: whose it is."""
        if len(self._customers) >= REMEMBERED:
            self._customers.clear()
        self._customers[_credentials(headers)] = caller.customer_id

    def submit(self, lane: str, work: Callable[[], T]) -> Future[T]:
        """Has `work` done in a thread when it is the lane's turn."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                _done(future, work)
            finally:
                self._next(lane)

        with self._lock:
            if self._running.get(lane, 0) >= AT_ONCE:
                self._waiting.setdefault(lane, deque()).append(run)
                return future
            self._running[lane] = self._running.get(lane, 0) + 1
        self._threads.submit(run)
        return future

    def _next(self, lane: str) -> None:
        """One of the lane's threads is free: for the next that waits, else for others."""
        with self._lock:
            waiting = self._waiting.get(lane)
            if waiting:
                self._threads.submit(waiting.popleft())
                return
            self._waiting.pop(lane, None)
            self._running[lane] -= 1
            if not self._running[lane]:
                del self._running[lane]


def _done(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)


def _credentials(headers: Mapping[str, str]) -> str:
    return hash_of(headers.get("x-auth-token") or headers.get("authorization", ""))
