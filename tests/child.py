"""An import in a process of its own, so that a test can kill it."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.process import ROOT

_IMPORT = """
import sys
from pathlib import Path
from ringback.importers import Options
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from ringback.opening import open_services
from ringback.settings import Settings
database, data_dir, customer_id, kind, path = sys.argv[1:]
{before}
services = open_services(Settings(database=database, data_dir=data_dir))
print("ready", flush=True)
importer = IMPORTERS[kind]
run, source = (importer.from_url, path) if "://" in path else (importer.run, Path(path))
run(services, int(customer_id), source, Options(country="GB"), Unwatched())
services.database.close()
"""


def importing(
    database: str, data_dir: str | Path, customer_id: int, kind: str, path: str | Path, *, before: str = ""
) -> list[str]:
    """The command. It says `ready` when it begins. `before`: what its process does at first."""
    script = _IMPORT.replace("{before}", before)
    return [sys.executable, "-c", script, database, str(data_dir), str(customer_id), kind, str(path)]


def killed_and_repeated(command: list[str], moments: Iterable[int], stored: Callable[[], int]) -> None:
    """Killed whenever more than so many rows are stored, begun anew, and at last let alone."""
    for enough in sorted(moments):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        while process.poll() is None and stored() <= enough:
            pass
        process.kill()
        process.wait()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
