"""The calls that are recorded and checked, one function a scene, a file a matter."""

from __future__ import annotations

from types import ModuleType

from scenes import groups, parking, parties, pbx, programs, queues, transfers
from scenes.play import Play


def scenes(*matters: ModuleType) -> dict[str, Play]:
    """Those that stand in these files, by their names, in their order."""
    return {
        name: play
        for matter in matters
        for name, play in vars(matter).items()
        if getattr(play, "__module__", "") == matter.__name__ and callable(play)
    }


SCENES = scenes(parties, groups, pbx, queues, transfers, parking, programs)
