"""Queues, menus, mailboxes, conferences: the CDRs of each are what its phones did. Run by `tools/checks/pbx` within the lab."""

import pytest
from pbx_place import Place
from pbx_trees import check

from scenes import pbx, queues, scenes  # type: ignore[import-not-found] # isort: skip - stands in the lab's folder


@pytest.mark.parametrize("name", scenes(pbx, queues))
def test_the_cdrs_of_a_call_are_what_its_phones_did(place: Place, name: str) -> None:
    check(place, name)
