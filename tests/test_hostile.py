"""Any bytes: nothing raises, and what must hold holds. What fuzzing once found is tried again (`tools/checks/fuzz`)."""

import random
from functools import cache

import pytest

from tests import hostile

ROUNDS = 60


@cache
def seeds() -> dict[str, list[bytes]]:
    return hostile.seeds()


@pytest.mark.parametrize("target", hostile.TARGETS)
def test_good_input_and_what_becomes_of_it(target: str) -> None:
    source = random.Random(11)
    given = seeds()[target]
    assert given
    for each in [*given, b"", *(hostile.mutated(source, source.choice(given)) for _ in range(ROUNDS))]:
        hostile.TARGETS[target](each)


def test_what_broke_something_once() -> None:
    for target, path in hostile.kept():
        hostile.TARGETS[target](path.read_bytes())
