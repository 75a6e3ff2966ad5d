"""What a client that stays is to be told, between whoever fills it and the event loop that empties it."""

from queue import SimpleQueue

from ringback.rest.outlets import Outlet


class Few(Outlet):
    most_waiting = 2

    def beat(self) -> str:
        return ""

    def hear(self, text: str) -> None: ...


def opened(outlet: Outlet) -> tuple[SimpleQueue[str], list[str]]:
    told: SimpleQueue[str] = SimpleQueue()
    outlet.opened(lambda: told.put("wake"), lambda: told.put("cut"))
    return told, outlet.waiting()


def test_what_waits_is_taken_once() -> None:
    outlet = Few("hello")
    told, first = opened(outlet)
    outlet.put(["one"])
    assert (first, told.get_nowait(), outlet.waiting(), outlet.waiting()) == (["hello"], "wake", ["one"], [])


def test_one_that_is_not_read_is_cut_off() -> None:
    outlet = Few()
    told, _ = opened(outlet)
    outlet.put(["one", "two", "three"])
    assert (told.get_nowait(), outlet.waiting()) == ("cut", [])


def test_one_that_had_too_much_before_it_was_open_is_cut_off_then() -> None:
    """Else it would go on behind a hole."""
    outlet = Few()
    outlet.put(["one", "two", "three"])
    told, first = opened(outlet)
    assert (told.get_nowait(), first) == ("cut", [])
