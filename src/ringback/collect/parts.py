"""What cannot be stored keeps nothing else from being stored."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_parts(
    items: Sequence[T],
    store: Callable[[Sequence[T]], None],
    failed: Callable[[Sequence[T], Exception], None],
    passed_on: tuple[type[Exception], ...] = (),
) -> None:
    """Stores all at once; when that fails, each half by itself, down to the one that cannot be stored. `passed_on`: what is no
    fault of the items."""
    try:
        store(items)
    except passed_on:
        raise
    except Exception as error:
        if len(items) > 1:
            half = len(items) // 2
            in_parts(items[:half], store, failed, passed_on)
            in_parts(items[half:], store, failed, passed_on)
        else:
            failed(items, error)


def told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
