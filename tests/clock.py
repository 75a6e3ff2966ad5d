"""A clock that tests turn by hand."""


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.now = 1_795_300_000  # 2026-11-21 22:26:40 UTC

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: int) -> None:
        self.now += seconds
