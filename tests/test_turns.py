"""Who asks much waits behind the own requests, never in front of others'."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from ringback.rest.endpoint import Call, Endpoint, Shape
from ringback.rest.replies import Reply, empty
from ringback.rest.routing import Router
from ringback.rest.turns import AT_ONCE, THREADS, Turns
from tests.api import Api


def test_a_customer_who_asks_much_leaves_threads_to_others(api: Api) -> None:
    going_on, begun = threading.Event(), threading.Semaphore(0)

    def take_time(_: Call) -> Reply:
        begun.release()
        going_on.wait(20)
        return empty()

    api.app.application.api = Router(
        [
            Endpoint("GET", "/slow", "Takes its time", take_time, Shape.EMPTY, 204),
            Endpoint("GET", "/quick", "Takes none", lambda _: empty(), Shape.EMPTY, 204),
        ]
    )
    for client in (api.admin, api.stranger):
        assert client.get("/quick").status == 204  # both tokens are known now
    with ThreadPoolExecutor(2 * THREADS) as clients:
        crowd = [clients.submit(api.admin.get, "/slow") for _ in range(2 * THREADS - 1)]
        assert all(begun.acquire(timeout=10) for _ in range(AT_ONCE))
        assert clients.submit(api.stranger.get, "/quick").result(timeout=10).status == 204
        assert not begun.acquire(timeout=0.1), "more than its share has begun"
        going_on.set()
        assert {future.result(timeout=20).status for future in crowd} == {204}


def test_what_waits_is_done_in_order_and_a_failure_frees_the_thread() -> None:
    turns = Turns()
    done: list[int] = []
    futures = [turns.submit("one", partial(done.append, number)) for number in range(200)]
    failed = turns.submit("one", lambda: 1 // 0)
    last = turns.submit("one", lambda: "last")
    assert last.result(timeout=10) == "last"
    with pytest.raises(ZeroDivisionError):
        failed.result()
    assert all(future.result(timeout=10) is None for future in futures)
    assert sorted(done) == list(range(200))
