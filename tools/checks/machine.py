"""What this machine did beside what is checked: a check that says how fast something is says so of the machine that it had."""

from pathlib import Path


class Beside:
    """`share`: of all cores since this was made, what went to processes outside of this one's namespace. From 0 to 1."""

    def __init__(self) -> None:
        self._all, self._busy = _machine()
        self._own = _own()

    @property
    def share(self) -> float:
        whole, busy = _machine()
        others = (busy - self._busy) - (_own() - self._own)
        return min(max(others / max(whole - self._all, 1), 0.0), 0.9)


def _machine() -> tuple[int, int]:
    """Ticks of all cores, and those of them that were not idle (proc_stat(5))."""
    _, user, nice, system, idle, iowait, *more = Path("/proc/stat").read_text().splitlines()[0].split()
    busy = sum(map(int, (user, nice, system, *more[:3])))
    return busy + int(idle) + int(iowait), busy


def _own() -> int:
    """Ticks of the processes that are seen here and of those that they have waited for (proc_pid_stat(5))."""
    return sum(_ticks(each / "stat") for each in Path("/proc").iterdir() if each.name.isdigit())


def _ticks(stat: Path) -> int:
    try:
        return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:15]))
    except OSError:  # it has ended
        return 0
