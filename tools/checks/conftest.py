"""What checks share."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pbx_place import Place


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Place]":
    """For a file of its own within the lab; its `CONNECTOR` are further lines of the connector's section,
    its `SETTINGS` lines before that."""
    from pbx_place import Place

    with ExitStack() as stack:
        more, settings = (getattr(request.module, name, "") for name in ("CONNECTOR", "SETTINGS"))
        yield Place(stack, tmp_path_factory.mktemp("pbx"), more, settings)
