"""Threads of the server: what goes wrong in one round is tried again in another."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue
from threading import Barrier, Event
from typing import Any

import pytest

from ringback import rounds
from ringback.app import running
from ringback.connectors import link
from ringback.connectors.exchange import Exchange
from ringback.connectors.link import Link, Session
from ringback.connectors.settings import Connector
from ringback.errors import Unavailable
from ringback.rounds import Rounds, attempt
from tests.api import Api

PATIENCE_S = 30.0


def failing(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("error", [Unavailable("The database is away."), KeyError("x")])
def test_what_goes_wrong_is_told_and_raised_to_nobody(error: Exception) -> None:
    assert attempt("the sweep", lambda: failing(error)) is False
    assert attempt("the sweep", lambda: None) is True


def test_it_goes_when_it_is_woken_and_a_last_time_when_it_is_stopped() -> None:
    done: SimpleQueue[int] = SimpleQueue()
    made = Rounds("test", lambda: done.put(1), 3_600.0)
    made.start()
    made.start()
    made.wake()
    assert done.get(timeout=PATIENCE_S)
    made.stop()
    assert done.get(timeout=PATIENCE_S)
    assert done.empty()


def test_several_threads_start_it_once() -> None:
    """Who hears something first does, and that may be two at the same moment."""
    for _ in range(50):
        made, ready = Rounds("test", lambda: None, 3_600.0), Barrier(4)

        def start(made: Rounds = made, ready: Barrier = ready) -> None:
            ready.wait()
            made.start()

        with ThreadPoolExecutor(4) as pool:
            for each in [pool.submit(start) for _ in range(4)]:
                each.result(PATIENCE_S)
        made.stop()


def test_what_was_stopped_does_not_begin() -> None:
    done: SimpleQueue[int] = SimpleQueue()
    made = Rounds("test", lambda: done.put(1), 3_600.0)
    made.stop()
    made.start()
    made.stop()
    assert done.empty()


def test_what_failed_is_tried_again_though_nothing_wakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "FIRST_S", 0.01)
    tries: SimpleQueue[int] = SimpleQueue()

    def work() -> None:
        tries.put(1)
        raise ValueError

    made = Rounds("test", work, 3_600.0)
    made.start()
    made.wake()
    for _ in range(3):
        tries.get(timeout=PATIENCE_S)
    made.stop()


def test_who_wakes_it_is_heard_for_as_long_as_it_runs() -> None:
    told: list[str] = []
    done: SimpleQueue[int] = SimpleQueue()

    @contextmanager
    def listening(wake: Any) -> Any:
        told.append("begins")
        wake()
        yield
        told.append("ends")

    made = Rounds("test", lambda: done.put(1), 3_600.0, listen=listening)
    made.start()
    done.get(timeout=PATIENCE_S)
    made.stop()
    assert told == ["begins", "ends"]


def test_what_never_began_is_stopped_at_once() -> None:
    Rounds("test", lambda: None, 3_600.0).stop()


def test_a_connection_is_made_again_whatever_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "FIRST_S", 0.01)
    tried: SimpleQueue[int] = SimpleQueue()

    def login(_: Any) -> Session:
        tried.put(1)
        raise KeyError("nobody thought of it")

    made: Link[Session] = Link("office", login, lambda _: None, lambda: None)
    made.start()
    for _ in range(3):
        tried.get(timeout=PATIENCE_S)
    made.stop()


def test_a_connection_that_is_stopped_as_it_begins_ends() -> None:
    """Between the look whether it is to end and the login."""
    made: Link[Session] = Link("office", lambda _: NeverLost(), lambda _: None, lambda: None)

    class Stopped(Event):
        def clear(self) -> None:
            made._stopping.set()
            self.set()
            super().clear()

    made._lost = Stopped()
    made.start()
    made._thread.join(PATIENCE_S)
    assert not made._thread.is_alive()


class NeverLost:
    lost = ""

    def close(self) -> None: ...


class Stubborn:
    """A part of the server that goes wrong as it stops."""

    connector = Connector("office", "asterisk", "u", "s")

    def __init__(self) -> None:
        self.tries = 0

    def start(self) -> None: ...

    def stop(self) -> None:
        self.tries += 1
        raise KeyError("nobody thought of it")


def test_what_goes_wrong_as_one_part_stops_keeps_no_other_from_stopping(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("callbacks", "exchange", "collector", "reader", "chats", "workers")
    parts: dict[str, Any] = {name: Stubborn() for name in names}
    closed: list[int] = []
    monkeypatch.setattr(api.services.database, "close", lambda: closed.append(1))
    with running(replace(api.app, **parts)):
        pass
    assert [each.tries for each in parts.values()] == [1] * len(parts)
    assert closed == [1]


def test_where_one_part_cannot_start_those_before_it_are_stopped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("workers", "reader", "chats", "collector", "exchange", "callbacks")
    parts: dict[str, Any] = {name: Stubborn() for name in names}
    closed: list[int] = []
    monkeypatch.setattr(parts["collector"], "start", lambda: failing(OSError("no port")))
    monkeypatch.setattr(api.services.database, "close", lambda: closed.append(1))
    with pytest.raises(OSError, match="no port"), running(replace(api.app, **parts)):
        pass
    assert [each.tries for each in parts.values()] == [1, 1, 1, 0, 0, 0]
    assert closed == [1]


def test_what_goes_wrong_as_one_pbx_stops_keeps_no_other_from_stopping(api: Api) -> None:
    exchange, pbxs = Exchange(api.services), [Stubborn(), Stubborn()]
    exchange.connections = pbxs  # type: ignore[assignment]
    exchange.stop()
    assert [each.tries for each in pbxs] == [1, 1]
